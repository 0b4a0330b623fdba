//! A block: storage with a queue of bytes in it.
//!
//! ```text
//!           start            end
//!             v               v
//!   +---------+---------------+-------------+
//!   | consumed|    bytes()    |   spare()   |
//!   +---------+---------------+-------------+
//!    consume(n) --> start += n  commit(n) --> end += n
//! ```

#![expect(clippy::cast_possible_truncation, reason = "no block is longer than Block::LEN_MAX")]

use memmap2::MmapMut;

/// The storage of a block, zero at first.
#[derive(Debug)]
enum Storage {
    /// Bytes in the block itself, for the beginning of a line: most connections hold no more
    /// between two turns.
    ///
    /// They also make a block 128 bytes long. glibc keeps smaller freed chunks in fast bins, which
    /// pin the pages around them: after a burst of 10,000 pieces of 1,000 bytes, none of that
    /// memory went back to the system.
    Short([u8; Block::SHORT_LEN]),
    /// Memory of the allocator.
    Heap(Box<[u8]>),
    /// A mapping of its own. Its pages become resident when they are touched, and return to the
    /// system when it is dropped.
    Mapped(MmapMut),
}

impl Storage {
    #[inline]
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Short(bytes) => bytes,
            Self::Heap(bytes) => bytes,
            Self::Mapped(bytes) => bytes,
        }
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Short(bytes) => bytes,
            Self::Heap(bytes) => bytes,
            Self::Mapped(bytes) => bytes,
        }
    }
}

/// A block of storage with a queue of bytes in it. Invariant: `start <= end <= capacity`, and
/// `start == end` only when both are 0.
///
/// Bytes outside of the queue are those of an earlier use of the storage. No method returns them as
/// content.
#[derive(Debug)]
pub struct Block {
    storage: Storage,
    /// Offsets fit a `u32` because no block is longer than [`Block::LEN_MAX`].
    start: u32,
    end: u32,
}

impl Block {
    /// The most bytes of a block. Limits on messages are well below it.
    pub const LEN_MAX: usize = u32::MAX as usize;

    /// The bytes of the shortest storage.
    pub const SHORT_LEN: usize = 119;

    /// Creates an empty block of `len` bytes from the allocator, or of [`Block::SHORT_LEN`] if that
    /// is more.
    ///
    /// # Panics
    /// If that is more than [`Block::LEN_MAX`].
    #[must_use]
    pub fn new(len: usize) -> Self {
        if len <= Self::SHORT_LEN {
            Self::of_storage(Storage::Short([0; Self::SHORT_LEN]))
        } else {
            Self::of_storage(Storage::Heap(vec![0; len].into_boxed_slice()))
        }
    }

    /// Creates an empty block of `len` bytes in a mapping of its own. Returns `None` if the system
    /// refuses the mapping.
    ///
    /// # Panics
    /// If that is more than [`Block::LEN_MAX`].
    #[must_use]
    pub fn mapped(len: usize) -> Option<Self> {
        MmapMut::map_anon(len).ok().map(|bytes| Self::of_storage(Storage::Mapped(bytes)))
    }

    fn of_storage(storage: Storage) -> Self {
        let len = storage.bytes().len();
        assert!(len <= Self::LEN_MAX, "a block of {len} bytes");
        Self { storage, start: 0, end: 0 }
    }

    /// True if the block has a mapping of its own.
    #[must_use]
    pub const fn is_mapped(&self) -> bool {
        matches!(self.storage, Storage::Mapped(_))
    }

    /// The length of the storage in bytes.
    #[must_use]
    #[inline]
    pub fn capacity(&self) -> usize {
        self.storage.bytes().len()
    }

    /// The bytes in the queue, oldest first.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.storage.bytes()[self.start as usize..self.end as usize]
    }

    /// The bytes in the queue, which the caller may change.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let (start, end) = (self.start as usize, self.end as usize);
        &mut self.storage.bytes_mut()[start..end]
    }

    /// The number of bytes in the queue.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// True if the queue is empty.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The free storage after the queue. The caller fills its front and calls [`Block::commit`].
    #[inline]
    pub fn spare(&mut self) -> &mut [u8] {
        let end = self.end as usize;
        &mut self.storage.bytes_mut()[end..]
    }

    /// The number of free bytes after the queue.
    #[must_use]
    #[inline]
    pub fn spare_len(&self) -> usize {
        self.capacity() - self.end as usize
    }

    /// The storage after its first `len` bytes, for bytes that others will precede. The caller
    /// fills its front and calls [`Block::join`].
    ///
    /// # Panics
    /// If the block is not empty, or shorter than `len`.
    #[inline]
    pub fn spare_after(&mut self, len: usize) -> &mut [u8] {
        assert!(self.is_empty(), "{} bytes are in the block", self.len());
        &mut self.storage.bytes_mut()[len..]
    }

    /// Makes a queue of a copy of `front` and the first `count` bytes of [`Block::spare_after`].
    ///
    /// # Panics
    /// If the block is not empty, or there is no room for all of them.
    #[inline]
    pub fn join(&mut self, front: &[u8], count: usize) {
        let is_joined = self.is_empty() && self.append(front);
        assert!(is_joined, "{} bytes are put before {count} others", front.len());
        self.commit(count);
    }

    /// Appends the first `count` bytes of [`Block::spare`] to the queue.
    ///
    /// # Panics
    /// If `count` exceeds the free bytes.
    #[inline]
    pub fn commit(&mut self, count: usize) {
        assert!(count <= self.spare_len(), "commits more than the free bytes");
        self.end += count as u32;
    }

    /// Appends a copy of `bytes`. Returns false, and appends nothing, if there is no room for all
    /// of them.
    #[must_use]
    #[inline]
    pub fn append(&mut self, bytes: &[u8]) -> bool {
        let Some(place) = self.spare().get_mut(..bytes.len()) else { return false };
        copy(place, bytes);
        self.end += bytes.len() as u32;
        true
    }

    /// Appends copies of `parts`, one after the other. Returns false, and appends nothing, if there
    /// is no room for all of them.
    #[must_use]
    #[inline]
    pub fn append_all<const N: usize>(&mut self, parts: [&[u8]; N]) -> bool {
        let len = parts.iter().map(|part| part.len()).sum();
        let Some(mut place) = self.spare().get_mut(..len) else { return false };
        for part in parts {
            let (front, rest) = place.split_at_mut(part.len());
            copy(front, part);
            place = rest;
        }
        self.end += len as u32;
        true
    }

    /// Overwrites the bytes at `offset` from the front of the queue.
    ///
    /// # Panics
    /// If the queue ends before the last of them.
    pub fn overwrite(&mut self, offset: usize, bytes: &[u8]) {
        let start = self.start as usize + offset;
        assert!(offset + bytes.len() <= self.len(), "overwrites bytes after the queue");
        self.storage.bytes_mut()[start..start + bytes.len()].copy_from_slice(bytes);
    }

    /// Removes `count` bytes from the front.
    ///
    /// # Panics
    /// If there are fewer, which would be a defect in this program.
    #[inline]
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.len(), "consumed {count} of {} bytes", self.len());
        self.start += count as u32;
        if self.start == self.end {
            self.clear();
        }
    }

    /// Removes all bytes after the first `len`.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len() {
            self.end = self.start + len as u32;
            self.consume(0);
        }
    }

    /// Removes all bytes.
    pub const fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Moves the bytes to the front if most of the free storage is before them.
    pub fn compact(&mut self) {
        if self.spare_len() < self.start as usize {
            self.move_to_front();
        }
    }

    /// Moves the bytes to the front.
    pub fn move_to_front(&mut self) {
        let range = self.start as usize..self.end as usize;
        self.storage.bytes_mut().copy_within(range, 0);
        (self.start, self.end) = (0, self.len() as u32);
    }

    /// The number of free bytes before the queue.
    #[must_use]
    pub const fn consumed_len(&self) -> usize {
        self.start as usize
    }
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Block>() == 128);

/// The most bytes that are copied at once.
const PIECE_LEN: usize = 2 << 10;

/// Copies `bytes` to `place`, which has the same length.
#[inline]
fn copy(place: &mut [u8], bytes: &[u8]) {
    if bytes.len() <= PIECE_LEN {
        place.copy_from_slice(bytes);
    } else {
        copy_in_pieces(place, bytes);
    }
}

/// Copies a long message.
///
/// The processors Zen 3 and Zen 4 of AMD copy up to 20 times slower with `rep movsb` if the address
/// of the copy is 1 to 15 bytes after that of the original, modulo 4,096. An answer with a short
/// prefix at the front of a block has such an address. glibc before 2.39 uses `rep movsb` for more
/// than 2,112 bytes there (its bug 30994). Pieces cost a long message nothing. With them, a line of
/// 64 KiB in `chat` takes 0.73 times as long (`cargo bench --bench versus -- chat large`).
#[cold]
fn copy_in_pieces(place: &mut [u8], bytes: &[u8]) {
    for (place, piece) in place.chunks_mut(PIECE_LEN).zip(bytes.chunks(PIECE_LEN)) {
        place.copy_from_slice(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_block_is_zero_and_has_the_requested_length() {
        for len in [Block::SHORT_LEN + 1, 4096, 4097, 1 << 20] {
            let mapped = Block::mapped(len).expect("a mapping of a mebibyte");
            assert!(mapped.is_mapped());
            for mut block in [Block::new(len), mapped] {
                assert_eq!(*block.spare(), *vec![0; len]);
                assert_eq!(block.capacity(), len);
            }
        }
        assert_eq!(Block::new(1).capacity(), Block::SHORT_LEN);
    }
}
