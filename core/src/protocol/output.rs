//! The output of a session: the end of the connection's output buffer.

use std::io;

use crate::buffers::block::Block;
use crate::buffers::buffer::Buffer;
use crate::buffers::pool::Pool;
use crate::limits::HIGH_WATER_BYTES;
use crate::wire::line::Ending;

/// Appends answers to a connection's output.
///
/// Appending never fails. Before a long answer, a session must call [`Output::reserve`]; before
/// each message, it must check [`Output::is_full`].
#[derive(Debug)]
pub struct Output<'a> {
    block: &'a mut Block,
    pool: &'a mut Pool,
}

impl<'a> Output<'a> {
    /// How many bytes longer than its message an answer may be without [`Output::reserve`]: room
    /// for a prefix, a line ending, a time.
    pub const OVERHEAD_BYTES: usize = 256;

    /// Creates an output at the end of `buffer`, which grows by blocks of `pool`.
    #[must_use]
    pub(crate) fn new(buffer: &'a mut Buffer, pool: &'a mut Pool) -> Self {
        Self { block: buffer.block(pool), pool }
    }

    /// Appends `bytes`.
    #[inline]
    pub fn append(&mut self, bytes: &[u8]) {
        if !self.block.append(bytes) {
            self.append_with_more_room(bytes);
        }
    }

    /// Appends `parts`, one after the other. It costs one check for room, and not one per part.
    #[inline]
    pub fn append_all<const N: usize>(&mut self, parts: [&[u8]; N]) {
        if !self.block.append_all(parts) {
            parts.iter().for_each(|part| self.append(part));
        }
    }

    /// The number of bytes that wait here, earlier answers included.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        self.block.len()
    }

    /// True if no bytes wait here.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.block.is_empty()
    }

    /// True if the waiting bytes have reached the high-water mark: no further message may be run.
    #[must_use]
    #[inline]
    pub const fn is_full(&self) -> bool {
        self.len() >= HIGH_WATER_BYTES
    }

    /// Makes room for an answer of `len` bytes. Returns false, and does nothing, if that would
    /// exceed the memory limit. A small answer always has room in the working block of the turn.
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
                // This answer is refused. Eviction makes room for the next one.
                self.pool.note_shortage(needed);
            } else {
                self.pool.note_misfit();
            }
        }
        is_granted
    }

    /// Appends an error: `ERROR`, the token, and the ending of its message.
    pub fn append_error(&mut self, token: &str, ending: Ending) {
        self.append(b"ERROR ");
        self.append(token.as_bytes());
        self.append(ending.bytes());
    }

    /// Removes all bytes after the first `len`, to undo an answer that was begun.
    pub fn truncate(&mut self, len: usize) {
        self.block.truncate(len);
    }

    #[cold]
    fn append_with_more_room(&mut self, bytes: &[u8]) {
        self.pool.make_room(self.block, bytes.len());
        let is_appended = self.block.append(bytes);
        assert!(is_appended, "room was made for {} bytes", bytes.len());
    }

    /// Overwrites bytes at `offset`, such as a length that is known only after the answer.
    ///
    /// # Panics
    /// If they exceed the appended bytes.
    pub fn overwrite(&mut self, offset: usize, bytes: &[u8]) {
        self.block.overwrite(offset, bytes);
    }
}

/// Allows `write!`, which never fails here.
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
    fn parts_follow_one_another_even_if_the_block_must_grow() {
        let (mut buffer, mut pool) = (Buffer::default(), Pool::new(1 << 30));
        let long = [b'x'; BLOCK_LEN - 8];
        let mut output = Output::new(&mut buffer, &mut pool);
        output.append_all([b"a", &long, b"bc"]);
        output.append_all([b"", b"defg", b"hijk"]);
        assert_eq!(buffer.bytes(), [b"a", &long[..], b"bcdefghijk"].concat());
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
    fn truncating_undoes_an_answer_and_keeps_earlier_ones() {
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
    fn only_a_large_answer_depends_on_the_memory_limit() {
        let (mut buffer, mut pool) = (Buffer::default(), Pool::new(0));
        let mut output = Output::new(&mut buffer, &mut pool);
        assert!(output.reserve(BLOCK_LEN));
        assert!(!output.reserve(BLOCK_LEN + 1));
        assert!(!output.reserve(usize::MAX));
    }
}
