//! The loop's blocks of storage: lent to connections while they hold bytes, counted, and used
//! again.
//!
//! ```text
//!             lend                     take back
//!   kept ---------------> a buffer -----------------> kept, or given back
//!   (last in, first out: the block that the next connection reads into is still warm in the cache)
//! ```

use crate::buffers::block::Block;

/// From this length on a block is a mapping of its own, which the system has back in whole when it
/// is dropped. What an allocator is given back it keeps while anything behind it is in use: chosen
/// lengths and lifetimes made the process 2.4 times as large as the memory limit.
const MAPPED_LEN_MIN: usize = 8 << 10;

/// How many mappings there are at a time, at most. The system has some 65,530 (`vm.max_map_count`),
/// and fails to take some back when there are more pieces. Beyond it no block that is longer than a
/// working block is lent, and those that are not come from the allocator. A memory limit of less
/// than 480 MiB never gets there.
const MAPPED_MAX: usize = 60_000;

/// The size of a working block in bytes: what a connection reads into and writes answers to during
/// its turn.
///
/// At a tenth, a batch of 1024 pipelined requests would need several reads instead of one; at ten
/// times, the two blocks of a turn would no longer stay in the second-level cache.
pub const BLOCK_LEN: usize = 64 * 1024;

/// Blocks come in powers of two from twice this; a shorter one is a block without storage of its
/// own...
const SMALLEST_LEN: usize = 64;
/// ...to here; a longer one is long, and comes in steps of a sixteenth at most.
const LARGEST_LEN: usize = 4 * BLOCK_LEN;
/// Of long blocks there are so many lengths, as a power of two, to each power of two: few enough
/// that a free one mostly fits.
const LONG_STEPS_LOG: u32 = 4;
const CLASS_COUNT: usize = (LARGEST_LEN / SMALLEST_LEN).ilog2() as usize + 1;

/// How many free bytes of one size are kept for the next loan, but never less than two blocks, one
/// to read into and one to answer from. It is a constant of the process, not of its connections:
/// after a burst that used much more, the rest has gone back. Each size has its own bound, so that
/// a burst of small pieces cannot push the working blocks out.
///
/// Of working blocks and longer ones more is kept than of pieces, because they come from the
/// system: with a quarter of it, every answer to a long line cost three page faults.
const KEPT_BYTES_MAX: usize = 4 * LARGEST_LEN;
const KEPT_PIECES_BYTES_MAX: usize = LARGEST_LEN;

/// How many bytes of long blocks are kept for the next loan: what serving one frame of a mebibyte
/// after the other takes. With them it costs 0.27 ms of processor time; with fresh pages from the
/// allocator it cost 1.5. At the memory limit they give way to what is lent.
const KEPT_LONG_BYTES_MAX: usize = 4 << 20;
/// The most long blocks that are kept.
const KEPT_LONG_MAX: usize = KEPT_LONG_BYTES_MAX / LARGEST_LEN;

/// What connections may hold less than the memory limit, so that the blocks with which one of them
/// works during its turn can always be lent: two working blocks, and as much again for the answer
/// that overflows one.
const WORKING_BYTES: usize = 4 * BLOCK_LEN;

/// Eviction goes on until one part of so many is free: 8 MiB of 256.
const FREE_SHARE: usize = 32;

/// Lends blocks and knows how many bytes are lent.
#[derive(Debug)]
pub struct Pool {
    /// Free blocks by size class.
    #[expect(
        clippy::vec_box,
        reason = "what is lent is a pointer, so that who holds nothing has place for no more"
    )]
    free: [Vec<Box<Block>>; CLASS_COUNT],
    /// Free long blocks, the last one taken back at the end.
    #[expect(clippy::vec_box, reason = "as above")]
    free_long: Vec<Box<Block>>,
    /// The sum of their lengths.
    free_long_bytes: usize,
    /// How many blocks are mapped, lent or free.
    mapped_count: usize,
    /// The sum of the lengths of all blocks that are lent.
    lent_bytes: usize,
    /// The most that this sum ever was.
    lent_bytes_most: usize,
    /// What may be lent beyond a turn.
    held_bytes_max: usize,
    /// The largest block that there was no room for since the last [`Pool::forget_shortage`].
    shortage: usize,
    /// True exactly when something was refused since then that no eviction makes room for.
    has_misfit: bool,
}

impl Pool {
    /// A pool from which all connections together hold at most `memory_max` bytes between their
    /// turns.
    #[must_use]
    pub fn new(memory_max: usize) -> Self {
        Self {
            // With all the places that they will ever need: giving back allocates nothing.
            free: std::array::from_fn(|class| Vec::with_capacity(kept_max(SMALLEST_LEN << class))),
            free_long: Vec::with_capacity(KEPT_LONG_MAX),
            free_long_bytes: 0,
            mapped_count: 0,
            lent_bytes: 0,
            lent_bytes_most: 0,
            held_bytes_max: memory_max.saturating_sub(WORKING_BYTES),
            shortage: 0,
            has_misfit: false,
        }
    }

    /// Lends an empty block of at least `len` bytes, whatever is lent already.
    pub fn lend(&mut self, len: usize) -> Box<Block> {
        let len = block_len(len);
        let block = self
            .take_free(len)
            .or_else(|| self.map(len))
            .unwrap_or_else(|| Box::new(Block::new(len)));
        self.note_lent(block)
    }

    /// Lends an empty block of at least `len` bytes. A block that is longer than a working block is
    /// lent only when the memory limit and the system have a place for it.
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
            Some(class) if self.free[class].len() < kept_max(len) => self.free[class].push(block),
            None if self.free_long_bytes + len <= KEPT_LONG_BYTES_MAX => {
                self.free_long_bytes += len;
                self.free_long.push(block);
            }
            _ => self.drop_block(block),
        }
    }

    /// A free block of exactly `len` bytes, the last one taken back.
    fn take_free(&mut self, len: usize) -> Option<Box<Block>> {
        if let Some(class) = class_of(len) {
            return self.free[class].pop();
        }
        let place = self.free_long.iter().rposition(|block| block.capacity() == len)?;
        self.free_long_bytes -= len;
        Some(self.free_long.remove(place))
    }

    /// A block of `len` bytes in a mapping of its own; `None` when it is too short for that, or
    /// there is no place for one more.
    fn map(&mut self, len: usize) -> Option<Box<Block>> {
        if len < MAPPED_LEN_MIN {
            return None;
        }
        // Long blocks that are free make room for one of another length, oldest first.
        while !self.free_long.is_empty() && self.is_in_the_way(len) {
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

    /// True exactly when the long blocks that are free are too much beside what is lent and `len`
    /// bytes more.
    const fn is_in_the_way(&self, len: usize) -> bool {
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

    /// Makes room for `count` bytes behind the bytes of `block`, which grows at least by doubling,
    /// whatever is lent already.
    #[inline]
    pub fn make_room(&mut self, block: &mut Block, count: usize) {
        if block.spare_len() < count
            && let Some(len) = len_with_room(block, count)
        {
            let other = self.lend(len);
            self.exchange(block, other);
        }
    }

    /// Makes room for `count` bytes behind the bytes of `block`. Returns false, and does nothing,
    /// when that takes more than a working block and the memory limit or the system has no
    /// place for it.
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

    /// Moves the bytes of `block` to `other`, and takes back what they were in.
    fn exchange(&mut self, block: &mut Block, mut other: Box<Block>) {
        let is_moved = other.append(block.bytes());
        assert!(is_moved, "{} bytes are moved to a block of {}", block.len(), other.capacity());
        std::mem::swap(block, &mut other);
        self.take_back(other);
    }

    /// True exactly when a block of `len` bytes more could be held without passing the memory
    /// limit.
    #[must_use]
    pub const fn has_room_for(&self, len: usize) -> bool {
        block_len(len) <= self.held_bytes_max.saturating_sub(self.lent_bytes)
    }

    /// True exactly when more is lent than may be held beyond a turn.
    #[must_use]
    #[inline]
    pub const fn is_over_limit(&self) -> bool {
        self.lent_bytes > self.held_bytes_max
    }

    /// True exactly when a block of `len` bytes, beside `held` bytes that are kept, fits once all
    /// others are evicted.
    #[must_use]
    pub const fn may_have_room_for(&self, len: usize, held: usize) -> bool {
        block_len(len).saturating_add(held) <= self.held_bytes_wanted()
    }

    /// There was no room for a block of `len` bytes.
    pub fn note_shortage(&mut self, len: usize) {
        self.shortage = self.shortage.max(block_len(len));
    }

    /// A message or its answer was refused for which eviction cannot make room.
    pub const fn note_misfit(&mut self) {
        self.has_misfit = true;
    }

    /// True exactly when something was refused for which eviction cannot make room; once for all
    /// since the last call.
    pub const fn take_misfit(&mut self) -> bool {
        std::mem::replace(&mut self.has_misfit, false)
    }

    /// True exactly when there was no room for something.
    #[must_use]
    #[inline]
    pub const fn is_short(&self) -> bool {
        self.shortage > 0 || self.has_misfit
    }

    /// What was wanted has been made room for, or cannot be.
    pub const fn forget_shortage(&mut self) {
        self.shortage = 0;
    }

    /// How many bytes must become free so that what was wanted fits, and then a part of the limit
    /// is free.
    #[must_use]
    pub const fn excess(&self) -> usize {
        self.lent_bytes.saturating_add(self.shortage).saturating_sub(self.held_bytes_wanted())
    }

    /// What eviction leaves lent. A part of the limit is free then, or eviction would never end.
    const fn held_bytes_wanted(&self) -> usize {
        self.held_bytes_max - self.held_bytes_max / FREE_SHARE
    }

    /// What all connections together may hold, working blocks included.
    #[must_use]
    pub const fn memory_bytes_max(&self) -> usize {
        self.held_bytes_max + WORKING_BYTES
    }

    /// The sum of the lengths of all blocks that are lent.
    #[must_use]
    pub const fn lent_bytes(&self) -> usize {
        self.lent_bytes
    }

    /// The most that this sum ever was, in the middle of a turn too.
    #[must_use]
    pub const fn lent_bytes_most(&self) -> usize {
        self.lent_bytes_most
    }
}

/// The length of the block in which `block` has room for `count` bytes more; `None` when moving its
/// bytes to its front was enough.
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

/// How many free blocks of `len` bytes are kept.
const fn kept_max(len: usize) -> usize {
    let count = if len < BLOCK_LEN { KEPT_PIECES_BYTES_MAX } else { KEPT_BYTES_MAX } / len;
    if count < 2 { 2 } else { count }
}

/// The length of the block that is lent for `len` bytes.
#[must_use]
pub const fn block_len(len: usize) -> usize {
    if len <= Block::SHORT_LEN {
        Block::SHORT_LEN
    } else if len <= LARGEST_LEN {
        len.next_power_of_two()
    } else {
        // The longest block has no multiple, and what is longer still is never lent.
        match len.checked_next_multiple_of(1 << (len.ilog2() - LONG_STEPS_LOG)) {
            Some(rounded) if rounded <= Block::LEN_MAX => rounded,
            _ => len,
        }
    }
}

const _: () = assert!(SMALLEST_LEN <= Block::SHORT_LEN && Block::SHORT_LEN < 2 * SMALLEST_LEN);

/// The class of blocks of exactly `len` bytes.
const fn class_of(len: usize) -> Option<usize> {
    if len <= LARGEST_LEN { Some((len / SMALLEST_LEN).ilog2() as usize) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_the_next_power_of_two_and_a_long_one_a_sixteenth_longer_at_most() {
        let mut pool = Pool::new(1 << 30);
        for (asked, lent) in [
            (0, 96),
            (96, 96),
            (97, 128),
            (129, 256),
            (BLOCK_LEN, BLOCK_LEN),
            (LARGEST_LEN, LARGEST_LEN),
        ] {
            assert_eq!(pool.lend(asked).capacity(), lent, "{asked}");
        }
        assert_eq!(pool.lend(LARGEST_LEN + 1).capacity(), LARGEST_LEN + LARGEST_LEN / 16);
        assert_eq!(pool.lend(16 << 20).capacity(), 16 << 20);
        assert_eq!(block_len(Block::LEN_MAX), Block::LEN_MAX);
    }

    #[test]
    fn the_last_block_taken_back_is_the_first_lent_again() {
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
        assert_eq!(
            pool.free.iter().flatten().map(|block| block.capacity()).sum::<usize>(),
            KEPT_BYTES_MAX
        );
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
    fn a_long_block_is_used_again_and_only_a_constant_of_them_is_kept() {
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
    fn without_a_mapping_left_no_long_block_is_lent_and_working_blocks_are() {
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
