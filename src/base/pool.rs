//! The loop's blocks of storage: lent to connections while they hold bytes, counted, and used again.
//!
//! ```text
//!             lend                     take back
//!   kept ---------------> a buffer -----------------> kept, or given back
//!   (last in, first out: the block that the next connection reads into is still warm in the cache)
//! ```

use super::block::Block;

/// The size of a working block in bytes: what a connection reads into and writes answers to during its turn.
///
/// At a tenth, a batch of 1024 pipelined requests would need several reads instead of one; at ten times, the two
/// blocks of a turn would no longer stay in the second-level cache.
pub const BLOCK_LEN: usize = 64 * 1024;

/// Blocks come in powers of two from twice this; a shorter one is a block without storage of its own...
const SMALLEST_LEN: usize = 64;
/// ...to here; a longer one has exactly the length that was asked for and is never kept.
const LARGEST_LEN: usize = 4 * BLOCK_LEN;
const CLASS_COUNT: usize = (LARGEST_LEN / SMALLEST_LEN).ilog2() as usize + 1;

/// How many free bytes of one size are kept for the next loan, but never less than two blocks, one to read into and one
/// to answer from. It is a constant of the process, not of its connections: after a burst that used much more, the rest
/// has gone back. Each size has its own bound, so that a burst of small pieces cannot push the working blocks out.
///
/// Of working blocks and longer ones more is kept than of pieces, because they come from the system: with a quarter of
/// it, every answer to a long line cost three page faults.
const KEPT_BYTES_MAX: usize = 4 * LARGEST_LEN;
const KEPT_PIECES_BYTES_MAX: usize = LARGEST_LEN;

/// What connections may hold less than the memory limit, so that the blocks with which one of them works during its
/// turn can always be lent: two working blocks, and as much again for the answer that overflows one.
const WORKING_BYTES: usize = 4 * BLOCK_LEN;

/// Well under the limit is under it by one part of so many: 8 MiB of 256.
const FREE_SHARE: usize = 32;

/// Lends blocks and knows how many bytes are lent.
#[derive(Debug)]
pub struct Pool {
    /// Free blocks by size class.
    #[expect(clippy::vec_box, reason = "what is lent is a pointer, so that who holds nothing has place for no more")]
    free: [Vec<Box<Block>>; CLASS_COUNT],
    /// The sum of the lengths of all blocks that are lent.
    lent_bytes: usize,
    /// The most that this sum ever was.
    lent_bytes_most: usize,
    /// What may be lent beyond a turn.
    held_bytes_max: usize,
}

impl Pool {
    /// A pool from which all connections together hold at most `memory_max` bytes between their turns.
    #[must_use]
    pub fn new(memory_max: usize) -> Self {
        Self {
            // With all the places that they will ever need: giving back allocates nothing.
            free: std::array::from_fn(|class| Vec::with_capacity(kept_max(SMALLEST_LEN << class))),
            lent_bytes: 0,
            lent_bytes_most: 0,
            held_bytes_max: memory_max.saturating_sub(WORKING_BYTES),
        }
    }

    /// Lends an empty block of at least `len` bytes. The caller decides whether [`Pool::has_room_for`] has a say.
    pub fn lend(&mut self, len: usize) -> Box<Block> {
        let len = block_len(len);
        self.lent_bytes += len;
        self.lent_bytes_most = self.lent_bytes_most.max(self.lent_bytes);
        match class_of(len).and_then(|class| self.free[class].pop()) {
            Some(block) => block,
            None => Box::new(Block::new(len)),
        }
    }

    /// Takes a block back.
    pub fn take_back(&mut self, mut block: Box<Block>) {
        block.clear();
        let len = block.capacity();
        self.lent_bytes -= len;
        if let Some(class) = class_of(len)
            && self.free[class].len() < kept_max(len)
        {
            self.free[class].push(block);
        }
    }

    /// Moves the bytes of `block` to storage of at least `len` bytes, and takes back what they were in.
    ///
    /// # Panics
    /// If there are more than `len`.
    pub fn exchange(&mut self, block: &mut Block, len: usize) {
        let mut other = self.lend(len);
        let is_moved = other.append(block.bytes());
        assert!(is_moved, "{} bytes are moved to a block of {len}", block.len());
        std::mem::swap(block, &mut other);
        self.take_back(other);
    }

    /// Makes room for `count` bytes behind the bytes of `block`, which grows at least by doubling.
    #[inline]
    pub fn make_room(&mut self, block: &mut Block, count: usize) {
        if block.spare_len() < count {
            self.make_more_room(block, count);
        }
    }

    #[cold]
    fn make_more_room(&mut self, block: &mut Block, count: usize) {
        let needed = block.len() + count;
        if needed <= block.capacity() && block.consumed_len() >= block.len() {
            block.move_to_front();
        } else {
            let doubled = block.len().saturating_mul(2).min(Block::LEN_MAX);
            self.exchange(block, needed.max(doubled).max(BLOCK_LEN));
        }
    }

    /// True exactly when a block of `len` bytes more could be held without passing the memory limit.
    #[must_use]
    pub const fn has_room_for(&self, len: usize) -> bool {
        block_len(len) <= self.held_bytes_max.saturating_sub(self.lent_bytes)
    }

    /// True exactly when more is lent than may be held beyond a turn.
    #[must_use]
    pub const fn is_over_limit(&self) -> bool {
        self.lent_bytes > self.held_bytes_max
    }

    /// True exactly when so much less is held than may be that it will take a while until it is too much again.
    #[must_use]
    pub const fn is_well_under_limit(&self) -> bool {
        self.lent_bytes <= self.held_bytes_max - self.held_bytes_max / FREE_SHARE
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
        len
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
    fn a_block_is_the_next_power_of_two_up_to_a_limit_and_exact_beyond() {
        let mut pool = Pool::new(1 << 30);
        for (asked, lent) in
            [(0, 96), (96, 96), (97, 128), (129, 256), (BLOCK_LEN, BLOCK_LEN), (LARGEST_LEN, LARGEST_LEN)]
        {
            assert_eq!(pool.lend(asked).capacity(), lent, "{asked}");
        }
        assert_eq!(pool.lend(LARGEST_LEN + 1).capacity(), LARGEST_LEN + 1);
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
        assert_eq!(pool.free.iter().flatten().map(|block| block.capacity()).sum::<usize>(), KEPT_BYTES_MAX);
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
}
