//! Where answers go: the end of a connection's output buffer.

use std::io;

use crate::base::buffer::Buffer;
use crate::base::limits::HIGH_WATER_BYTES;
use crate::base::pool::{BLOCK_LEN, Pool};

/// Appends answers to a connection's output.
///
/// Appending never fails. Who appends a lot asks [`Output::has_room_for`] first, and who appends answer after answer
/// stops when the output [`is_full`](Output::is_full).
#[derive(Debug)]
pub struct Output<'a> {
    buffer: &'a mut Buffer,
    pool: &'a mut Pool,
}

impl<'a> Output<'a> {
    /// The end of `buffer`, which grows by blocks from `pool`.
    #[must_use]
    pub const fn new(buffer: &'a mut Buffer, pool: &'a mut Pool) -> Self {
        Self { buffer, pool }
    }

    /// Appends `bytes`.
    #[inline]
    pub fn append(&mut self, bytes: &[u8]) {
        self.buffer.append(bytes, self.pool);
    }

    /// The number of bytes that wait here, earlier answers included.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        self.buffer.len()
    }

    /// True exactly when nothing waits here.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// True exactly when so much waits here that no further message should be run.
    #[must_use]
    #[inline]
    pub const fn is_full(&self) -> bool {
        self.len() >= HIGH_WATER_BYTES
    }

    /// True exactly when an answer of `len` bytes would not pass the memory limit of all connections. A small one
    /// always fits, in the block that whoever has a turn works with.
    #[must_use]
    #[inline]
    pub const fn has_room_for(&self, len: usize) -> bool {
        let needed = self.len().saturating_add(len);
        needed <= BLOCK_LEN || self.pool.has_room_for(needed)
    }

    /// Forgets all bytes behind the first `len`: takes back an answer that was begun.
    pub fn truncate(&mut self, len: usize) {
        self.buffer.truncate(len);
    }

    /// Overwrites bytes at `offset`, for a length that is known only when all it counts has been appended.
    ///
    /// # Panics
    /// If they were never appended.
    pub fn overwrite(&mut self, offset: usize, bytes: &[u8]) {
        self.buffer.overwrite(offset, bytes);
    }
}

/// For `write!`; it never fails.
impl io::Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
