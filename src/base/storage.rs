//! Memory for bytes: from the allocator, or, where it is several pages, from the system itself, so that it goes back there at
//! once.
//!
//! What an allocator is given back it keeps while anything behind it is in use: after a burst of 32 MB, one connection that
//! had come late held 30 MB of free memory in this process.

use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

/// From this length on memory comes from the system. A page costs it a third of a microsecond, and it can lend some
/// 65,000 pieces that do not touch (`vm.max_map_count`), beyond which it also fails to take some of them back: 1 GiB at
/// least. At a tenth, a few thousand connections with half a line each would use these up; at four times, the attack of
/// `benches/attack` left 7 MB in the allocator's hands.
pub const MAPPED_LEN_MIN: usize = 16 << 10;
/// Above this length it comes from the allocator again: that too maps what is so long, and learns to keep what is asked for
/// again and again. Frames of a megabyte cost twice the time without that.
pub const MAPPED_LEN_MAX: usize = 256 << 10;

/// Bytes that are zero at first.
#[derive(Debug)]
pub enum Storage {
    /// From the allocator.
    Heap(Box<[u8]>),
    /// From the system.
    Mapped(MmapMut),
}

impl Storage {
    /// Memory for `len` bytes.
    #[must_use]
    pub fn new(len: usize) -> Self {
        let from_heap = || Self::Heap(vec![0; len].into_boxed_slice());
        if (MAPPED_LEN_MIN..=MAPPED_LEN_MAX).contains(&len) {
            // What the system does not lend, the allocator may still have.
            MmapMut::map_anon(len).map_or_else(|_| from_heap(), Self::Mapped)
        } else {
            from_heap()
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self::Heap(Box::default())
    }
}

impl Deref for Storage {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Mapped(bytes) => bytes,
        }
    }
}

impl DerefMut for Storage {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Mapped(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_zero_and_of_the_length_that_was_asked_for_wherever_it_comes_from() {
        for len in [0, 1, MAPPED_LEN_MIN - 1, MAPPED_LEN_MIN, MAPPED_LEN_MAX, MAPPED_LEN_MAX + 1] {
            let mut storage = Storage::new(len);
            assert_eq!(*storage, *vec![0; len]);
            storage.fill(1);
            assert_eq!(matches!(storage, Storage::Mapped(_)), (MAPPED_LEN_MIN..=MAPPED_LEN_MAX).contains(&len));
        }
    }
}
