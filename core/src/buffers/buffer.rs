//! A queue of bytes in one block of storage, which it holds only while it holds bytes.
//!
//! A connection has two of them, and most connections are idle: so the block brings its marks
//! along, and a buffer without bytes is eight bytes, a null pointer.

use crate::buffers::block::Block;
use crate::buffers::pool::{BLOCK_LEN, Pool, block_len};

/// What is short enough to be copied to the front of a working block again each time more arrives.
/// Above it a piece of a message stays in its own storage, which doubles: a long message that drips
/// in is not copied for each byte.
const SHORT_LEN: usize = BLOCK_LEN / 16;

/// A queue of bytes.
#[derive(Debug, Default)]
pub struct Buffer(Option<Box<Block>>);

impl Buffer {
    /// The bytes in the queue, oldest first.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |block| block.bytes())
    }

    /// The number of bytes in the queue.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        match &self.0 {
            Some(block) => block.len(),
            None => 0,
        }
    }

    /// True exactly when no byte is in the queue.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes `count` bytes from the front.
    ///
    /// # Panics
    /// If there are fewer: that would be a defect in this program, whatever a peer sends.
    #[inline]
    pub fn consume(&mut self, count: usize) {
        match &mut self.0 {
            Some(block) => block.consume(count),
            None => assert!(count == 0, "consumed {count} of no bytes"),
        }
    }

    /// The block of this buffer, a working block if it has none: for whoever appends a lot and
    /// looks it up once.
    #[inline]
    pub fn block(&mut self, pool: &mut Pool) -> &mut Block {
        self.0.get_or_insert_with(|| pool.lend(BLOCK_LEN))
    }

    /// The free storage behind the bytes; fill its front and [`Buffer::commit`] what was filled.
    #[inline]
    pub fn spare(&mut self) -> &mut [u8] {
        self.0.as_mut().map_or(&mut [], |block| block.spare())
    }

    /// Appends the first `count` bytes of what was [`Buffer::spare`].
    ///
    /// # Panics
    /// If there was less.
    #[inline]
    pub fn commit(&mut self, count: usize) {
        match &mut self.0 {
            Some(block) => block.commit(count),
            None => assert!(count == 0, "commits more than there was room for"),
        }
    }

    /// The length of the block that reading on needs, when `missing` more bytes are known to
    /// complete the message at the front; `None` when the present block will do, once it is
    /// compact.
    ///
    /// The answer follows what has been received, never what was claimed: at most twice as much and
    /// a sixteenth, so that a power of two and its header are not moved once more at the end;
    /// and no more than a working block beyond what is missing.
    #[must_use]
    pub fn block_wanted(&self, missing: Option<usize>) -> Option<usize> {
        let len = self.len();
        let missing = missing.unwrap_or(usize::MAX);
        if len <= SHORT_LEN {
            (self.capacity() < BLOCK_LEN).then_some(BLOCK_LEN)
        } else if self.capacity() - len >= missing.min(len / 2) {
            None
        } else {
            let complete = len.saturating_add(missing.max(BLOCK_LEN));
            Some(block_len(if complete <= 2 * len + len / 16 { complete } else { 2 * len }))
        }
    }

    /// Moves the bytes to a block of `len` bytes, and the old block back to the pool. Returns
    /// false, and does nothing, when that is more than a working block and the memory limit or
    /// the system has no place for it.
    #[must_use]
    pub fn move_to(&mut self, len: usize, pool: &mut Pool) -> bool {
        let Some(mut block) = pool.lend_within_limit(len) else { return false };
        let is_moved = block.append(self.bytes());
        assert!(is_moved, "{} bytes are moved to a block of {len}", self.len());
        if let Some(old) = self.0.replace(block) {
            pool.take_back(old);
        }
        true
    }

    /// Moves the bytes to the front of their block when most of the free room is there.
    pub fn compact(&mut self) {
        if let Some(block) = &mut self.0 {
            block.compact();
        }
    }

    /// Gives storage back that the bytes do not need: all of it when there are none, else by moving
    /// them to the smallest block that holds them. A buffer that rests after this costs about
    /// what it holds.
    ///
    /// A block that is only one size too large is kept: growing doubles, and shrinking by one size
    /// at once would undo it, so that a message that drips in would be copied for every drop.
    /// It is kept too when both have no place in memory.
    pub fn settle(&mut self, pool: &mut Pool) {
        if self.is_empty() {
            self.release(pool);
        } else if self.capacity() > 2 * block_len(self.len()) {
            let _is_moved = self.move_to(self.len(), pool);
        }
    }

    /// Forgets the bytes and gives all storage back.
    pub fn release(&mut self, pool: &mut Pool) {
        if let Some(block) = self.0.take() {
            pool.take_back(block);
        }
    }

    /// The length of the block that it holds, 0 when it holds none.
    #[must_use]
    pub fn capacity(&self) -> usize {
        match &self.0 {
            Some(block) => block.capacity(),
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(len: usize, pool: &mut Pool) -> Buffer {
        let mut buffer = Buffer::default();
        append(&mut buffer, &vec![b'x'; len], pool);
        buffer
    }

    fn append(buffer: &mut Buffer, bytes: &[u8], pool: &mut Pool) {
        let block = buffer.block(pool);
        pool.make_room(block, bytes.len());
        assert!(block.append(bytes));
    }

    #[test]
    fn an_empty_buffer_holds_no_storage_once_it_has_settled() {
        let mut pool = Pool::new(1 << 30);
        let mut buffer = filled(10, &mut pool);
        buffer.consume(10);
        assert_eq!(pool.lent_bytes(), BLOCK_LEN);
        buffer.settle(&mut pool);
        assert_eq!(pool.lent_bytes(), 0);
    }

    #[test]
    fn a_piece_that_rests_costs_about_what_it_holds() {
        let mut pool = Pool::new(1 << 30);
        for len in [1, 64, 1000, 4097, 30_000, 300_000, 3_000_000] {
            let mut buffer = filled(len, &mut pool);
            buffer.settle(&mut pool);
            assert_eq!(buffer.len(), len);
            assert!(
                pool.lent_bytes() <= 4 * len.max(64),
                "{len} bytes rest in {}",
                pool.lent_bytes()
            );
            buffer.release(&mut pool);
        }
    }

    #[test]
    fn a_long_message_that_drips_in_is_moved_a_logarithmic_number_of_times() {
        let mut pool = Pool::new(1 << 30);
        let mut buffer = filled(SHORT_LEN + 1, &mut pool);
        buffer.settle(&mut pool);
        let mut moves = 0;
        while buffer.len() < 1 << 20 {
            if let Some(len) = buffer.block_wanted(None) {
                assert!(buffer.move_to(len, &mut pool));
                moves += 1;
            }
            let block = buffer.bytes().as_ptr();
            buffer.spare()[0] = b'x';
            buffer.commit(1);
            buffer.settle(&mut pool);
            moves += usize::from(block != buffer.bytes().as_ptr());
        }
        assert!(moves <= 20, "moved {moves} times on the way from 4 KiB to 1 MiB");
    }

    #[test]
    fn growth_follows_what_was_received_and_stops_at_what_is_missing() {
        let mut pool = Pool::new(1 << 30);
        let mut buffer = Buffer::default();
        let missing = 16 << 20;
        assert_eq!(
            buffer.block_wanted(Some(missing)),
            Some(BLOCK_LEN),
            "a claim allocates nothing"
        );
        buffer = filled(1 << 20, &mut pool);
        assert_eq!(buffer.block_wanted(Some(missing)), Some(2 << 20));
        assert_eq!(buffer.block_wanted(Some(100_000)), Some(block_len((1 << 20) + 100_000)));
        assert_eq!(
            buffer.block_wanted(Some((1 << 20) + 5)),
            Some(block_len((2 << 20) + 5)),
            "not once more for a header"
        );
    }

    proptest! {
        #[test]
        fn it_is_a_queue_whatever_is_done_to_its_storage(
            steps in proptest::collection::vec((0u8..5, 0usize..200_000), 1..40),
        ) {
            let mut pool = Pool::new(1 << 30);
            let (mut buffer, mut model) = (Buffer::default(), Vec::<u8>::new());
            for (index, (action, len)) in steps.into_iter().enumerate() {
                match action {
                    0 => {
                        let bytes = vec![index as u8; len];
                        append(&mut buffer, &bytes, &mut pool);
                        model.extend(bytes);
                    }
                    1 => {
                        let len = len.min(model.len());
                        buffer.consume(len);
                        model.drain(..len);
                    }
                    2 => buffer.settle(&mut pool),
                    3 => {
                        match buffer.block_wanted(None) {
                            Some(len) => prop_assert!(buffer.move_to(len, &mut pool)),
                            None => buffer.compact(),
                        }
                        let len = len.min(buffer.spare().len());
                        prop_assert!(!buffer.spare().is_empty());
                        buffer.spare()[..len].fill(index as u8);
                        buffer.commit(len);
                        model.extend(vec![index as u8; len]);
                    }
                    _ => {
                        buffer.block(&mut pool).truncate(len);
                        model.truncate(len);
                    }
                }
                prop_assert_eq!(buffer.bytes(), &model);
                prop_assert_eq!(pool.lent_bytes(), buffer.capacity());
            }
        }
    }
}
