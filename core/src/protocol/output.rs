//! Where answers go: the end of a connection's output buffer.

use std::io;

use crate::buffers::block::Block;
use crate::buffers::buffer::Buffer;
use crate::buffers::pool::Pool;
use crate::limits::HIGH_WATER_BYTES;
use crate::wire::line::Ending;

/// Appends answers to a connection's output.
///
/// Appending never fails. Who appends a lot asks for room first, with [`Output::reserve`], and who
/// appends answer after answer stops when the output [`is_full`](Output::is_full).
#[derive(Debug)]
pub struct Output<'a> {
    block: &'a mut Block,
    pool: &'a mut Pool,
}

impl<'a> Output<'a> {
    /// The end of `buffer`, which grows by blocks from `pool`.
    #[must_use]
    pub fn new(buffer: &'a mut Buffer, pool: &'a mut Pool) -> Self {
        Self { block: buffer.block(pool), pool }
    }

    /// Appends `bytes`.
    #[inline]
    pub fn append(&mut self, bytes: &[u8]) {
        if !self.block.append(bytes) {
            self.append_with_more_room(bytes);
        }
    }

    /// The number of bytes that wait here, earlier answers included.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        self.block.len()
    }

    /// True exactly when nothing waits here.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.block.is_empty()
    }

    /// True exactly when so much waits here that no further message should be run.
    #[must_use]
    #[inline]
    pub const fn is_full(&self) -> bool {
        self.len() >= HIGH_WATER_BYTES
    }

    /// Makes room for an answer of `len` bytes. Gives false, and does nothing, when that would pass
    /// the memory limit of all connections. A small answer always has room, in the block that
    /// whoever has a turn works with.
    #[must_use]
    #[inline]
    pub fn reserve(&mut self, len: usize) -> bool {
        self.block.spare_len() >= len || self.reserve_more(len)
    }

    #[cold]
    fn reserve_more(&mut self, len: usize) -> bool {
        let needed = self.len().saturating_add(len);
        let is_granted = self.pool.make_room_within_limit(self.block, len);
        if !is_granted {
            if self.pool.may_have_room_for(needed, self.block.capacity()) {
                // This answer is refused; a next one finds the room that eviction makes.
                self.pool.note_shortage(needed);
            } else {
                self.pool.note_misfit();
            }
        }
        is_granted
    }

    /// Appends `ERROR`, the token, and the ending of the message that it answers.
    pub fn append_error(&mut self, token: &str, ending: Ending) {
        self.append(b"ERROR ");
        self.append(token.as_bytes());
        self.append(ending.bytes());
    }

    /// Forgets all bytes behind the first `len`: takes back an answer that was begun.
    pub fn truncate(&mut self, len: usize) {
        self.block.truncate(len);
    }

    #[cold]
    fn append_with_more_room(&mut self, bytes: &[u8]) {
        self.pool.make_room(self.block, bytes.len());
        let is_appended = self.block.append(bytes);
        assert!(is_appended, "room was made for {} bytes", bytes.len());
    }

    /// Overwrites bytes at `offset`, for a length that is known only when all it counts has been
    /// appended.
    ///
    /// # Panics
    /// If they were never appended.
    pub fn overwrite(&mut self, offset: usize, bytes: &[u8]) {
        self.block.overwrite(offset, bytes);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffers::pool::BLOCK_LEN;
    use std::io::Write;

    #[test]
    fn it_is_full_from_the_high_water_mark_on() {
        let (mut buffer, mut pool) = (Buffer::default(), Pool::new(1 << 30));
        let mut output = Output::new(&mut buffer, &mut pool);
        output.append(&[b'x'; HIGH_WATER_BYTES - 1]);
        assert!(!output.is_full());
        output.append(b"x");
        assert!(output.is_full());
    }

    #[test]
    fn it_is_empty_until_something_is_appended() {
        let (mut buffer, mut pool) = (Buffer::default(), Pool::new(1 << 30));
        let mut output = Output::new(&mut buffer, &mut pool);
        assert!(output.is_empty());
        write!(output, "x")
            .and_then(|()| output.flush())
            .expect("writing to an output never fails");
        assert!(!output.is_empty());
    }

    #[test]
    fn an_answer_that_was_begun_is_taken_back_and_earlier_ones_stay() {
        let (mut buffer, mut pool) = (Buffer::default(), Pool::new(1 << 30));
        let mut output = Output::new(&mut buffer, &mut pool);
        output.append(b"whole");
        let mark = output.len();
        output.append(b"begun");
        output.truncate(mark);
        write!(output, " {}", 2).expect("writing to an output never fails");
        output.overwrite(0, b"W");
        assert_eq!(buffer.bytes(), b"Whole 2");
    }

    #[test]
    fn a_small_answer_always_has_room_and_a_large_one_only_under_the_memory_limit() {
        let (mut buffer, mut pool) = (Buffer::default(), Pool::new(0));
        let mut output = Output::new(&mut buffer, &mut pool);
        assert!(output.reserve(BLOCK_LEN));
        assert!(!output.reserve(BLOCK_LEN + 1));
        assert!(!output.reserve(usize::MAX));
    }
}
