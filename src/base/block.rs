//! A block of storage, and which of its bytes are in use: a queue of bytes in one place.
//!
//! ```text
//!           start            end
//!             v               v
//!   +---------+---------------+-------------+
//!   | consumed|    bytes()    |   spare()   |
//!   +---------+---------------+-------------+
//!    consume(n) --> start += n  commit(n) --> end += n
//! ```

/// A block of storage with a queue of bytes in it. Invariant: `start <= end <= storage.len()`, and `start == end` only
/// when both are 0.
#[derive(Debug)]
pub struct Block {
    /// What is not in the queue is whatever an earlier borrower left there; nobody is ever shown it.
    storage: Box<[u8]>,
    /// Offsets fit a `u32` because no block is longer than [`Block::LEN_MAX`].
    start: u32,
    end: u32,
}

impl Block {
    /// The most that a block can hold in bytes. Limits on messages stay well below it.
    pub const LEN_MAX: usize = u32::MAX as usize;

    /// An empty block of `len` bytes.
    ///
    /// # Panics
    /// If that is more than [`Block::LEN_MAX`].
    #[must_use]
    pub fn new(len: usize) -> Self {
        assert!(len <= Self::LEN_MAX, "a block of {len} bytes");
        Self { storage: vec![0; len].into_boxed_slice(), start: 0, end: 0 }
    }

    /// How many bytes it has place for.
    #[must_use]
    #[inline]
    pub const fn capacity(&self) -> usize {
        self.storage.len()
    }

    /// The bytes in the queue, oldest first.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.storage[self.start as usize..self.end as usize]
    }

    /// The number of bytes in the queue.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// True exactly when no byte is in the queue.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The free storage behind the bytes; fill its front and [`Block::commit`] what was filled.
    #[inline]
    pub fn spare(&mut self) -> &mut [u8] {
        &mut self.storage[self.end as usize..]
    }

    /// The number of free bytes behind the bytes.
    #[must_use]
    #[inline]
    pub const fn spare_len(&self) -> usize {
        self.storage.len() - self.end as usize
    }

    /// Appends the first `count` bytes of what was [`Block::spare`].
    ///
    /// # Panics
    /// If there was less.
    #[inline]
    pub fn commit(&mut self, count: usize) {
        assert!(count <= self.spare_len(), "commits more than there was room for");
        self.end += count as u32;
    }

    /// Appends `bytes`, which are copied; gives false, and does nothing, when there is no room for all of them.
    #[must_use]
    #[inline]
    pub fn append(&mut self, bytes: &[u8]) -> bool {
        let Some(place) = self.spare().get_mut(..bytes.len()) else { return false };
        place.copy_from_slice(bytes);
        self.end += bytes.len() as u32;
        true
    }

    /// Overwrites the bytes at `offset` from the front of the queue.
    ///
    /// # Panics
    /// If the queue ends before the last of them.
    pub fn overwrite(&mut self, offset: usize, bytes: &[u8]) {
        let start = self.start as usize + offset;
        assert!(offset + bytes.len() <= self.len(), "overwrites what was never written");
        self.storage[start..start + bytes.len()].copy_from_slice(bytes);
    }

    /// Removes `count` bytes from the front.
    ///
    /// # Panics
    /// If there are fewer: that would be a defect in this program, whatever a peer sends.
    #[inline]
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.len(), "consumed {count} of {} bytes", self.len());
        self.start += count as u32;
        if self.start == self.end {
            self.clear();
        }
    }

    /// Forgets all bytes behind the first `len`.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len() {
            self.end = self.start + len as u32;
            self.consume(0);
        }
    }

    /// Forgets all bytes.
    pub const fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Moves the bytes to the front when most of the free room is there.
    pub fn compact(&mut self) {
        if self.spare_len() < self.start as usize {
            self.move_to_front();
        }
    }

    /// Moves the bytes to the front.
    pub fn move_to_front(&mut self) {
        self.storage.copy_within(self.start as usize..self.end as usize, 0);
        (self.start, self.end) = (0, self.len() as u32);
    }

    /// The number of bytes that were consumed in front of the queue and not yet moved away.
    #[must_use]
    pub const fn consumed_len(&self) -> usize {
        self.start as usize
    }
}
