//! A buffer: a queue of bytes that has a block of storage only while it holds bytes.
//!
//! A connection has two buffers, and most connections are idle. So the offsets are in the block,
//! and an empty buffer is a null pointer of eight bytes.

use crate::buffers::block::Block;
use crate::buffers::pool::{BLOCK_LEN, Pool, block_len};

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

    /// The bytes in the queue, which the caller may change.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.0.as_mut().map_or(&mut [], |block| block.bytes_mut())
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

    /// True if the queue is empty.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes `count` bytes from the front.
    ///
    /// # Panics
    /// If there are fewer, which would be a defect in this program.
    #[inline]
    pub fn consume(&mut self, count: usize) {
        match &mut self.0 {
            Some(block) => block.consume(count),
            None => assert!(count == 0, "consumed {count} of 0 bytes"),
        }
    }

    /// Returns the block of this buffer, or a new working block if it has none. Appending to the
    /// block itself saves a check for a block per append.
    #[inline]
    pub fn block(&mut self, pool: &mut Pool) -> &mut Block {
        self.0.get_or_insert_with(|| pool.lend(BLOCK_LEN))
    }

    /// Appends a copy of `bytes`. The buffer grows even over the memory limit.
    pub fn append(&mut self, bytes: &[u8], pool: &mut Pool) {
        self.make_room(bytes.len(), pool);
        let is_appended = self.block(pool).append(bytes);
        assert!(is_appended, "room was made for {} bytes", bytes.len());
    }

    /// Makes room for `count` bytes after the queue, even over the memory limit.
    pub fn make_room(&mut self, count: usize, pool: &mut Pool) {
        let block = self.0.get_or_insert_with(|| pool.lend(BLOCK_LEN));
        pool.make_room(block, count);
    }

    /// Returns the free storage after the queue, as [`Buffer::spare`] does, of a new working block
    /// if the buffer has none.
    pub fn spare_in(&mut self, pool: &mut Pool) -> &mut [u8] {
        self.block(pool).spare()
    }

    /// The free storage after the queue. The caller fills its front and calls [`Buffer::commit`].
    #[inline]
    pub fn spare(&mut self) -> &mut [u8] {
        self.0.as_mut().map_or(&mut [], |block| block.spare())
    }

    /// Appends the first `count` bytes of [`Buffer::spare`] to the queue.
    ///
    /// # Panics
    /// If `count` exceeds the free bytes.
    #[inline]
    pub fn commit(&mut self, count: usize) {
        match &mut self.0 {
            Some(block) => block.commit(count),
            None => assert!(count == 0, "commits more than the free bytes"),
        }
    }

    /// Calls `read` with free storage. It fills the front and returns how many bytes it has written
    /// and for how many there was room, or `None`. The bytes are then appended.
    ///
    /// ```text
    ///   piece           [ old ]
    ///   working block   [     | new         ]      old bytes are copied in, or new ones out
    /// ```
    ///
    /// A buffer that is shorter than a working block gets one, so that a single read can return a
    /// whole message. Either the old bytes are then copied before the new ones, or the new ones
    /// after the old ones, whichever are fewer. So a long message that arrives byte by byte is not
    /// copied for each byte. Without this, a line of 60,000 bytes in a pipeline takes four reads
    /// instead of one, and costs 1.28 times as much: server CPU of
    /// `tinytcp-load -c 8 -P 4 --size 60000`.
    ///
    /// # Errors
    /// Those of `read`.
    #[inline]
    pub fn read<E>(
        &mut self,
        pool: &mut Pool,
        read: impl FnOnce(&mut [u8]) -> Result<Option<(usize, usize)>, E>,
    ) -> Result<Option<(usize, usize)>, E> {
        if let Some(own) = self.0.as_mut().filter(|own| own.capacity() >= BLOCK_LEN) {
            let result = read(own.spare());
            if let Ok(Some((count, _))) = result {
                own.commit(count);
            }
            return result;
        }
        let mut block = pool.lend(BLOCK_LEN);
        let held = self.len();
        let result = read(block.spare_after(held));
        let Ok(Some((count, _))) = result else {
            pool.take_back(block);
            return result;
        };
        if count < held && self.append_within(&block.spare_after(held)[..count]) {
            pool.take_back(block);
        } else {
            block.join(self.bytes(), count);
            self.release(pool);
            self.0 = Some(block);
        }
        result
    }

    /// Appends a copy of `bytes` if the present block has room for them.
    fn append_within(&mut self, bytes: &[u8]) -> bool {
        self.0.as_mut().is_some_and(|own| own.append(bytes))
    }

    /// Returns the length of the block that the next read needs, if `missing` more bytes complete
    /// the first message. Returns `None` if the present block is long enough once it is compact, or
    /// if it is shorter than a working block, which [`Buffer::read`] then uses.
    ///
    /// The length depends on the bytes received, never on the length that the peer claims. It is at
    /// most twice the bytes received plus a sixteenth of them, and at most a working block more
    /// than is missing. The sixteenth lets a message of a power of two and its header fit without
    /// another move at the end.
    #[must_use]
    pub fn block_wanted(&self, missing: Option<usize>) -> Option<usize> {
        let len = self.len();
        let missing = missing.unwrap_or(usize::MAX);
        if self.capacity() < BLOCK_LEN || self.capacity() - len >= missing.min(len / 2) {
            None
        } else {
            let complete = len.saturating_add(missing.max(BLOCK_LEN));
            Some(block_len(if complete <= 2 * len + len / 16 { complete } else { 2 * len }))
        }
    }

    /// Moves the bytes to a block of `len` bytes and returns the old block to the pool. Returns
    /// false, and moves nothing, if `len` is more than a working block and the memory limit or the
    /// system has no room for it.
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

    /// Moves the bytes to the front of their block if most of the free storage is before them.
    pub fn compact(&mut self) {
        if let Some(block) = &mut self.0 {
            block.compact();
        }
    }

    /// Returns to the pool the storage that the bytes do not need. Without bytes that is all of it;
    /// else the bytes are moved to the smallest block that holds them. What is held is then at most
    /// 4.25 times as long as the bytes.
    ///
    /// A block that is only one size too large is kept. Growing doubles the size, and shrinking by
    /// one size would undo that: a message that arrives byte by byte would be copied for each byte.
    /// The block is also kept if there is no memory for both blocks during the move.
    pub fn shrink(&mut self, pool: &mut Pool) {
        if self.is_empty() {
            self.release(pool);
        } else if self.capacity() > block_len(block_len(self.len()).saturating_mul(2)) {
            let _is_moved = self.move_to(self.len(), pool);
        }
    }

    /// Removes all bytes and returns all storage to the pool.
    pub fn release(&mut self, pool: &mut Pool) {
        if let Some(block) = self.0.take() {
            pool.take_back(block);
        }
    }

    /// The length of its block, 0 if it has none.
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

    /// Reads as many of `bytes` as there is room for, and returns how many.
    fn receive(buffer: &mut Buffer, bytes: &[u8], pool: &mut Pool) -> usize {
        let read = buffer.read(pool, |room| {
            let count = bytes.len().min(room.len());
            room[..count].copy_from_slice(&bytes[..count]);
            Ok::<_, ()>(Some((count, room.len())))
        });
        let (count, _) = read.expect("it reads").expect("bytes are there");
        count
    }

    fn filled(len: usize, pool: &mut Pool) -> Buffer {
        let mut buffer = Buffer::default();
        buffer.append(&vec![b'x'; len], pool);
        buffer
    }

    #[test]
    fn a_shrunk_buffer_without_bytes_holds_no_storage() {
        let mut pool = Pool::new(1 << 30);
        let mut buffer = filled(10, &mut pool);
        buffer.consume(10);
        assert_eq!(pool.lent_bytes(), BLOCK_LEN);
        buffer.shrink(&mut pool);
        assert_eq!(pool.lent_bytes(), 0);
    }

    #[test]
    fn a_shrunk_buffer_holds_at_most_a_multiple_of_its_bytes() {
        let mut pool = Pool::new(1 << 30);
        for len in [1, 64, 1000, 4097, 16_385, 30_000, 32_769, 300_000, 3_000_000] {
            let mut buffer = filled(len, &mut pool);
            buffer.shrink(&mut pool);
            assert_eq!(buffer.len(), len);
            assert!(
                pool.lent_bytes() <= 17 * len.max(64) / 4,
                "{len} bytes are held in {}",
                pool.lent_bytes()
            );
            buffer.release(&mut pool);
        }
    }

    #[test]
    fn a_message_in_single_bytes_is_moved_logarithmically_often() {
        let mut pool = Pool::new(1 << 30);
        let mut buffer = Buffer::default();
        let (mut moves, mut block) = (0, buffer.bytes().as_ptr());
        let mut note_move = |buffer: &Buffer| {
            moves += usize::from(block != buffer.bytes().as_ptr());
            block = buffer.bytes().as_ptr();
        };
        for number in 0..1 << 20 {
            if let Some(len) = buffer.block_wanted(None) {
                assert!(buffer.move_to(len, &mut pool));
                note_move(&buffer);
            }
            assert_eq!(receive(&mut buffer, &[number as u8], &mut pool), 1);
            note_move(&buffer);
            buffer.shrink(&mut pool);
            note_move(&buffer);
        }
        assert!(moves <= 40, "moved {moves} times on the way from 1 byte to 1 MiB");
        assert!(buffer.bytes().iter().enumerate().all(|(number, byte)| *byte == number as u8));
    }

    #[test]
    fn a_read_into_a_shorter_buffer_has_the_room_of_a_working_block() {
        let mut pool = Pool::new(1 << 30);
        for held in [0, 1, Block::SHORT_LEN, 5000, 20_000] {
            let mut buffer = filled(held, &mut pool);
            buffer.shrink(&mut pool);
            let bytes = vec![b'y'; BLOCK_LEN];
            assert_eq!(receive(&mut buffer, &bytes, &mut pool), BLOCK_LEN - held);
            assert_eq!(buffer.bytes(), [vec![b'x'; held], bytes[held..].to_vec()].concat());
            assert_eq!(pool.lent_bytes(), BLOCK_LEN);
            buffer.release(&mut pool);
        }
    }

    #[test]
    fn a_read_without_bytes_changes_nothing() {
        let mut pool = Pool::new(1 << 30);
        let mut buffer = filled(5000, &mut pool);
        buffer.shrink(&mut pool);
        let lent = pool.lent_bytes();
        for result in [Ok(None), Err("broken")] {
            assert_eq!(buffer.read(&mut pool, |_| result), result);
            assert_eq!((buffer.len(), pool.lent_bytes()), (5000, lent));
        }
    }

    #[test]
    fn growth_follows_the_bytes_received_up_to_the_bytes_missing() {
        let mut pool = Pool::new(1 << 30);
        let mut buffer = Buffer::default();
        let missing = 16 << 20;
        assert_eq!(buffer.block_wanted(Some(missing)), None, "a claim allocates nothing");
        buffer = filled(1 << 20, &mut pool);
        assert_eq!(buffer.block_wanted(Some(missing)), Some(2 << 20));
        assert_eq!(buffer.block_wanted(Some(100_000)), Some(block_len((1 << 20) + 100_000)));
        assert_eq!(
            buffer.block_wanted(Some((1 << 20) + 5)),
            Some(block_len((2 << 20) + 5)),
            "a header needs no further move"
        );
    }

    proptest! {
        #[test]
        fn a_buffer_agrees_with_a_vector(
            steps in proptest::collection::vec((0u8..5, 0usize..200_000), 1..40),
        ) {
            let mut pool = Pool::new(1 << 30);
            let (mut buffer, mut model) = (Buffer::default(), Vec::<u8>::new());
            for (index, (action, len)) in steps.into_iter().enumerate() {
                match action {
                    0 => {
                        let bytes = vec![index as u8; len];
                        buffer.append(&bytes, &mut pool);
                        model.extend(bytes);
                    }
                    1 => {
                        let len = len.min(model.len());
                        buffer.consume(len);
                        model.drain(..len);
                    }
                    2 => buffer.shrink(&mut pool),
                    3 => {
                        match buffer.block_wanted(None) {
                            Some(len) => prop_assert!(buffer.move_to(len, &mut pool)),
                            None => buffer.compact(),
                        }
                        let bytes = vec![index as u8; len + 1];
                        let count = receive(&mut buffer, &bytes, &mut pool);
                        prop_assert!(count > 0);
                        model.extend(&bytes[..count]);
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
