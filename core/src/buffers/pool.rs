//! The pool: lends blocks of storage to buffers while they hold bytes, counts them, and reuses
//! them.
//!
//! ```text
//!            lend                   take back
//!   free --------------> a buffer ------------> free, or returned to the system
//! ```
//!
//! Free blocks are reused last in, first out: the block of the next read is still in the cache.

use crate::buffers::block::Block;

/// A block of at least this length has a mapping of its own, which returns to the system as a
/// whole. An allocator cannot return freed memory while anything above it is in use: with chosen
/// lengths and lifetimes the process became 2.4 times as large as the memory limit.
const MAPPED_LEN_MIN: usize = 8 << 10;

/// The most mappings at a time. Linux allows about 65,530 (`vm.max_map_count`), and unmapping can
/// fail at its limit. At this number, no block longer than a working block is lent, and shorter
/// ones come from the allocator. A memory limit of up to 460 MiB never reaches it.
const MAPPED_MAX: usize = 60_000;

/// The length of a working block in bytes. A connection reads into one during its turn, and writes
/// its answers into another.
///
/// A message of 64 KiB and its ending or header have room in one. With 4 KiB less, such a message
/// in a pipeline would be read twice and copied once more, and would cost 1.28 times as much; one
/// of 40,000 bytes would cost 0.95 times as much (`tinytcp-load -c 8 -P 4 --size 65531`).
///
/// With a tenth of this length, a batch of 1024 pipelined requests would need several reads. With
/// ten times this length, the two blocks of a turn would not fit into the second-level cache.
pub const BLOCK_LEN: usize = (64 + 4) << 10;

/// The lengths of pieces, which are shorter than a working block, are powers of two from twice
/// this. Still shorter blocks hold their bytes themselves.
const SMALLEST_LEN: usize = 64;
/// The largest of these powers of two. A block that is longer than a working block is a long block,
/// whose length is rounded up by at most a sixteenth.
const LARGEST_PIECE_LEN: usize = 32 << 10;
/// The logarithm of the number of lengths of long blocks per power of two. There are few lengths,
/// so that a free long block mostly has the requested one.
const LONG_STEPS_LOG: u32 = 4;
/// The size class of working blocks, after those of the pieces.
const WORKING_CLASS: usize = (LARGEST_PIECE_LEN / SMALLEST_LEN).ilog2() as usize + 1;

/// How many bytes of free working blocks are kept for reuse. The number does not depend on that of
/// the connections: after a burst the rest returns to the system. With a quarter of it, each answer
/// to a long line cost three page faults.
const KEPT_WORKING_BYTES_MAX: usize = 1 << 20;
/// The bound for pieces of one length. Each length has its own, so that a burst of small blocks
/// cannot displace the working blocks.
const KEPT_PIECES_BYTES_MAX: usize = 256 << 10;

/// How many bytes of long blocks are kept for reuse, enough to serve frames of a mebibyte. With
/// them such a frame costs 0.27 ms of processor time; with fresh pages it cost 1.5 ms. At the
/// memory limit they are dropped to make room.
const KEPT_LONG_BYTES_MAX: usize = 4 << 20;
/// The most long blocks that are kept.
const KEPT_LONG_MAX: usize = KEPT_LONG_BYTES_MAX / BLOCK_LEN;

/// The part of the memory limit that is reserved for the connection that has its turn, so that a
/// turn can always borrow it: a working block each for the input and the output, two more for the
/// records of both if the connection is encrypted, and two for an answer that overflows its block.
const WORKING_BYTES: usize = 6 * BLOCK_LEN;

/// Eviction stops once 1/32 of the limit is free (8 MiB of 256 MiB).
const FREE_SHARE: usize = 32;

/// Lends blocks and counts the bytes that are lent.
#[derive(Debug)]
pub struct Pool {
    /// Free blocks by size class.
    #[expect(
        clippy::vec_box,
        reason = "a buffer is a pointer to a block, so that an empty buffer is small"
    )]
    free: [Vec<Box<Block>>; WORKING_CLASS + 1],
    /// Free long blocks in the order of their return.
    #[expect(clippy::vec_box, reason = "as above")]
    free_long: Vec<Box<Block>>,
    /// The sum of their lengths.
    free_long_bytes: usize,
    /// How many blocks are mapped, lent or free.
    mapped_count: usize,
    /// The sum of the lengths of all lent blocks.
    lent_bytes: usize,
    /// The maximum of `lent_bytes` since the start.
    lent_bytes_most: usize,
    /// How many bytes may be lent between two turns.
    held_bytes_max: usize,
    /// The largest block for which there was no room since the last [`Pool::forget_shortage`].
    shortage: usize,
    /// True if a message was refused for which no eviction can make room.
    has_misfit: bool,
}

impl Pool {
    /// Creates a pool with a limit of `memory_max` bytes for all connections together.
    #[must_use]
    pub fn new(memory_max: usize) -> Self {
        Self {
            // With their final capacity, so that taking a block back does not allocate.
            free: std::array::from_fn(|class| Vec::with_capacity(kept_max(class))),
            free_long: Vec::with_capacity(KEPT_LONG_MAX),
            free_long_bytes: 0,
            mapped_count: 0,
            lent_bytes: 0,
            lent_bytes_most: 0,
            held_bytes_max: held_bytes_max(memory_max),
            shortage: 0,
            has_misfit: false,
        }
    }

    /// Replaces the limit. Blocks that are lent stay: the next eviction takes those over the limit.
    pub const fn set_memory_max(&mut self, memory_max: usize) {
        self.held_bytes_max = held_bytes_max(memory_max);
    }

    /// Lends an empty block of at least `len` bytes, even over the limit.
    pub fn lend(&mut self, len: usize) -> Box<Block> {
        let len = block_len(len);
        let block = self
            .take_free(len)
            .or_else(|| self.map(len))
            .unwrap_or_else(|| Box::new(Block::new(len)));
        self.note_lent(block)
    }

    /// Lends an empty block of at least `len` bytes. Returns `None` if it is longer than a working
    /// block and the memory limit or the system has no room for it.
    pub fn lend_within_limit(&mut self, len: usize) -> Option<Box<Block>> {
        if len <= BLOCK_LEN {
            return Some(self.lend(len));
        }
        if !self.has_room_for(len) {
            return None;
        }
        let len = block_len(len);
        let block = self.take_free(len).or_else(|| self.map(len))?;
        Some(self.note_lent(block))
    }

    /// Takes a block back.
    pub fn take_back(&mut self, mut block: Box<Block>) {
        block.clear();
        let len = block.capacity();
        self.lent_bytes -= len;
        match class_of(len) {
            Some(class) if self.free[class].len() < kept_max(class) => self.free[class].push(block),
            None if self.free_long_bytes + len <= KEPT_LONG_BYTES_MAX => {
                self.free_long_bytes += len;
                self.free_long.push(block);
            }
            _ => self.drop_block(block),
        }
    }

    /// Removes a free block of exactly `len` bytes, the last one that was returned.
    fn take_free(&mut self, len: usize) -> Option<Box<Block>> {
        if let Some(class) = class_of(len) {
            return self.free[class].pop();
        }
        let place = self.free_long.iter().rposition(|block| block.capacity() == len)?;
        self.free_long_bytes -= len;
        Some(self.free_long.remove(place))
    }

    /// Maps a block of `len` bytes. Returns `None` if it is too short for a mapping, or if there
    /// are too many mappings.
    fn map(&mut self, len: usize) -> Option<Box<Block>> {
        if len < MAPPED_LEN_MIN {
            return None;
        }
        // Free long blocks make room for one of another length, oldest first.
        while !self.free_long.is_empty() && self.must_drop_free(len) {
            let block = self.free_long.remove(0);
            self.free_long_bytes -= block.capacity();
            self.drop_block(block);
        }
        if self.mapped_count >= MAPPED_MAX {
            return None;
        }
        let block = Block::mapped(len)?;
        self.mapped_count += 1;
        Some(Box::new(block))
    }

    /// True if a mapping of `len` bytes needs the room of the free long blocks.
    const fn must_drop_free(&self, len: usize) -> bool {
        let used = self.lent_bytes.saturating_add(len).saturating_add(self.free_long_bytes);
        used > self.held_bytes_max || self.mapped_count >= MAPPED_MAX
    }

    fn note_lent(&mut self, block: Box<Block>) -> Box<Block> {
        self.lent_bytes += block.capacity();
        self.lent_bytes_most = self.lent_bytes_most.max(self.lent_bytes);
        block
    }

    fn drop_block(&mut self, block: Box<Block>) {
        self.mapped_count -= usize::from(block.is_mapped());
        drop(block);
    }

    /// Makes room for `count` bytes after the queue of `block`, even over the limit. The block at
    /// least doubles when it grows.
    #[inline]
    pub fn make_room(&mut self, block: &mut Block, count: usize) {
        if block.spare_len() < count
            && let Some(len) = len_with_room(block, count)
        {
            let other = self.lend(len);
            self.exchange(block, other);
        }
    }

    /// Makes room for `count` bytes after the queue of `block`. Returns false, and does nothing, if
    /// that takes more than a working block and the memory limit or the system has no room for it.
    #[must_use]
    #[inline]
    pub fn make_room_within_limit(&mut self, block: &mut Block, count: usize) -> bool {
        if block.spare_len() < count
            && let Some(len) = len_with_room(block, count)
        {
            let is_small = block.len().saturating_add(count) <= BLOCK_LEN;
            let other = if is_small { Some(self.lend(len)) } else { self.lend_within_limit(len) };
            let Some(other) = other else { return false };
            self.exchange(block, other);
        }
        true
    }

    /// Moves the bytes of `block` to `other`, and takes the old storage back.
    fn exchange(&mut self, block: &mut Block, mut other: Box<Block>) {
        let is_moved = other.append(block.bytes());
        assert!(is_moved, "{} bytes are moved to a block of {}", block.len(), other.capacity());
        std::mem::swap(block, &mut other);
        self.take_back(other);
    }

    /// True if one more block of `len` bytes is within the memory limit.
    #[must_use]
    pub const fn has_room_for(&self, len: usize) -> bool {
        block_len(len) <= self.held_bytes_max.saturating_sub(self.lent_bytes)
    }

    /// True if more bytes are lent than may be held between two turns.
    #[must_use]
    #[inline]
    pub const fn is_over_limit(&self) -> bool {
        self.lent_bytes > self.held_bytes_max
    }

    /// True if a block of `len` bytes, together with `held` bytes that stay, would have room after
    /// an eviction of all other connections.
    #[must_use]
    pub const fn may_have_room_for(&self, len: usize, held: usize) -> bool {
        block_len(len).saturating_add(held) <= self.held_bytes_wanted()
    }

    /// Notes that there was no room for a block of `len` bytes.
    pub fn note_shortage(&mut self, len: usize) {
        self.shortage = self.shortage.max(block_len(len));
    }

    /// Notes that a message was refused for which no eviction can make room.
    pub const fn note_misfit(&mut self) {
        self.has_misfit = true;
    }

    /// Returns whether such a message was refused since the last call.
    pub const fn take_misfit(&mut self) -> bool {
        std::mem::replace(&mut self.has_misfit, false)
    }

    /// True if there was no room for a block or a message.
    #[must_use]
    #[inline]
    pub const fn is_short(&self) -> bool {
        self.shortage > 0 || self.has_misfit
    }

    /// Forgets the block for which there was no room: an eviction has made room for it, or cannot.
    pub const fn forget_shortage(&mut self) {
        self.shortage = 0;
    }

    /// How many bytes must be freed so that the block without room fits and 1/32 of the limit is
    /// free.
    #[must_use]
    pub const fn excess(&self) -> usize {
        self.lent_bytes.saturating_add(self.shortage).saturating_sub(self.held_bytes_wanted())
    }

    /// How many bytes an eviction leaves lent. It frees a reserve, because without one the next
    /// message would begin another eviction.
    const fn held_bytes_wanted(&self) -> usize {
        self.held_bytes_max - self.held_bytes_max / FREE_SHARE
    }

    /// The memory limit: the bytes that all connections may hold, working blocks included.
    #[must_use]
    pub const fn memory_bytes_max(&self) -> usize {
        self.held_bytes_max + WORKING_BYTES
    }

    /// The sum of the lengths of all lent blocks.
    #[must_use]
    pub const fn lent_bytes(&self) -> usize {
        self.lent_bytes
    }

    /// The maximum of [`Pool::lent_bytes`] since the start, within turns too.
    #[must_use]
    pub const fn lent_bytes_most(&self) -> usize {
        self.lent_bytes_most
    }
}

/// Returns the length of a block in which the bytes of `block` and `count` more have room. Returns
/// `None` if moving the bytes to the front of `block` has made enough room.
#[cold]
fn len_with_room(block: &mut Block, count: usize) -> Option<usize> {
    let needed = block.len().saturating_add(count);
    if needed <= block.capacity() && block.consumed_len() >= block.len() {
        block.move_to_front();
        return None;
    }
    let doubled = block.len().saturating_mul(2).min(Block::LEN_MAX);
    Some(needed.max(doubled).max(BLOCK_LEN))
}

/// How many free blocks of a size class are kept.
const fn kept_max(class: usize) -> usize {
    if class == WORKING_CLASS {
        KEPT_WORKING_BYTES_MAX / BLOCK_LEN
    } else {
        KEPT_PIECES_BYTES_MAX / (SMALLEST_LEN << class)
    }
}

/// Returns how many of `memory_max` bytes may be lent between two turns.
const fn held_bytes_max(memory_max: usize) -> usize {
    memory_max.saturating_sub(WORKING_BYTES)
}

/// Returns the length of the block that is lent for `len` bytes.
#[must_use]
pub const fn block_len(len: usize) -> usize {
    if len <= Block::SHORT_LEN {
        Block::SHORT_LEN
    } else if len <= LARGEST_PIECE_LEN {
        len.next_power_of_two()
    } else if len <= BLOCK_LEN {
        BLOCK_LEN
    } else {
        // Near the maximum there is no multiple. A longer block is never lent.
        match len.checked_next_multiple_of(1 << (len.ilog2() - LONG_STEPS_LOG)) {
            Some(rounded) if rounded <= Block::LEN_MAX => rounded,
            _ => len,
        }
    }
}

const _: () = assert!(SMALLEST_LEN <= Block::SHORT_LEN && Block::SHORT_LEN < 2 * SMALLEST_LEN);

/// Returns the size class of blocks of exactly `len` bytes; `None` for long blocks.
const fn class_of(len: usize) -> Option<usize> {
    match len {
        BLOCK_LEN => Some(WORKING_CLASS),
        ..=LARGEST_PIECE_LEN => Some((len / SMALLEST_LEN).ilog2() as usize),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_a_power_of_two_or_rounded_up_by_a_sixteenth() {
        let mut pool = Pool::new(1 << 30);
        for (asked, lent) in [
            (0, Block::SHORT_LEN),
            (Block::SHORT_LEN, Block::SHORT_LEN),
            (Block::SHORT_LEN + 1, 128),
            (129, 256),
            (LARGEST_PIECE_LEN, LARGEST_PIECE_LEN),
            (LARGEST_PIECE_LEN + 1, BLOCK_LEN),
            (BLOCK_LEN, BLOCK_LEN),
            (BLOCK_LEN + 1, 72 << 10),
            ((128 << 10) + 1, (128 + 8) << 10),
        ] {
            assert_eq!(pool.lend(asked).capacity(), lent, "{asked}");
        }
        assert_eq!(pool.lend(16 << 20).capacity(), 16 << 20);
        assert_eq!(block_len(Block::LEN_MAX), Block::LEN_MAX);
    }

    #[test]
    fn the_last_block_returned_is_lent_first() {
        let mut pool = Pool::new(1 << 30);
        let (mut first, second) = (pool.lend(BLOCK_LEN), pool.lend(BLOCK_LEN));
        first.spare()[0] = 7;
        pool.take_back(second);
        pool.take_back(first);
        assert_eq!(pool.lend(BLOCK_LEN).spare()[0], 7);
    }

    #[test]
    fn after_a_burst_only_a_constant_is_kept_and_nothing_is_lent() {
        let mut pool = Pool::new(1 << 30);
        let blocks: Vec<_> = (0..1000).map(|_| pool.lend(BLOCK_LEN)).collect();
        assert_eq!(pool.lent_bytes(), 1000 * BLOCK_LEN);
        blocks.into_iter().for_each(|block| pool.take_back(block));
        assert_eq!((pool.lent_bytes(), pool.lent_bytes_most()), (0, 1000 * BLOCK_LEN));
        let kept: usize = pool.free.iter().flatten().map(|block| block.capacity()).sum();
        assert_eq!(kept, KEPT_WORKING_BYTES_MAX / BLOCK_LEN * BLOCK_LEN);
    }

    #[test]
    fn a_burst_of_small_blocks_does_not_push_the_working_blocks_out() {
        let mut pool = Pool::new(1 << 30);
        let small: Vec<_> = (0..100_000).map(|_| pool.lend(1)).collect();
        small.into_iter().for_each(|block| pool.take_back(block));
        let mut working = pool.lend(BLOCK_LEN);
        working.spare()[0] = 7;
        pool.take_back(working);
        assert_eq!(pool.lend(BLOCK_LEN).spare()[0], 7, "the working block was kept");
    }

    #[test]
    fn there_is_room_up_to_the_limit_less_the_working_blocks() {
        let mut pool = Pool::new(WORKING_BYTES + 1024);
        assert!(pool.has_room_for(1024));
        assert!(!pool.has_room_for(1025));
        let block = pool.lend(1024);
        assert!(!pool.has_room_for(1) && !pool.is_over_limit());
        let other = pool.lend(1);
        assert!(pool.is_over_limit());
        pool.take_back(block);
        pool.take_back(other);
        assert!(pool.has_room_for(1024));
    }

    #[test]
    fn long_blocks_are_used_again_and_a_bounded_number_is_kept() {
        let mut pool = Pool::new(1 << 30);
        let mut block = pool.lend(1 << 20);
        block.spare()[0] = 7;
        pool.take_back(block);
        let mut again = pool.lend((1 << 20) - 5);
        assert_eq!(again.spare()[0], 7);
        let blocks: Vec<_> = (1..20).map(|index| pool.lend(index << 19)).collect();
        pool.take_back(again);
        blocks.into_iter().for_each(|block| pool.take_back(block));
        let kept: usize = pool.free_long.iter().map(|block| block.capacity()).sum();
        assert!(kept <= KEPT_LONG_BYTES_MAX && pool.free_long_bytes == kept, "{kept}");
    }

    #[test]
    fn free_long_blocks_make_room_for_others_at_the_memory_limit() {
        let mut pool = Pool::new(WORKING_BYTES + (4 << 20));
        let blocks = [pool.lend(1 << 20), pool.lend(1 << 20)];
        blocks.into_iter().for_each(|block| pool.take_back(block));
        let lent = pool.lend_within_limit(3 << 20).expect("nothing is lent");
        assert_eq!((pool.lent_bytes(), pool.free_long_bytes), (3 << 20, 1 << 20));
        assert!(pool.lend_within_limit((1 << 20) + 1).is_none());
        pool.take_back(lent);
    }

    #[test]
    fn without_a_mapping_left_only_working_blocks_are_lent() {
        let mut pool = Pool::new(1 << 40);
        let blocks: Vec<_> = (0..MAPPED_MAX).map(|_| pool.lend(MAPPED_LEN_MIN)).collect();
        assert!(blocks.iter().all(|block| block.is_mapped()));
        assert!(pool.lend_within_limit(1 << 20).is_none());
        let working = pool.lend_within_limit(BLOCK_LEN).expect("a turn can always work");
        assert!(!working.is_mapped());
        blocks.into_iter().for_each(|block| pool.take_back(block));
        assert!(pool.lend_within_limit(1 << 20).is_some_and(|block| block.is_mapped()));
    }
}
