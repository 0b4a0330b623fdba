//! Who holds how much, so that who holds the most is found without a look at everybody.
//!
//! ```text
//!   key       0   1   2   3   4   5           class 0    4 keys
//!   class     0  62   0   0  54   0           class 54   1 key
//!                 `                           class 62   1 key: the largest
//! ```
//!
//! One byte for each key, and `memchr` finds the first one of a class among a million in some 30 microseconds.

#![expect(clippy::cast_possible_truncation, reason = "a class is less than `CLASS_COUNT`, which fits a byte")]

use memchr::memchr;

/// A class for nothing, and four for each power of two.
const CLASS_COUNT: usize = 1 + 4 * u32::BITS as usize;
const _: () = assert!(CLASS_COUNT <= 1 << u8::BITS);

/// How much is held under which key, to a quarter; the keys are small and dense, those of a slab.
#[derive(Debug)]
pub struct Holders {
    /// `classes[key]` is the class of what is held under `key`.
    classes: Vec<u8>,
    /// `counts[class]` keys are of that class.
    counts: [usize; CLASS_COUNT],
}

impl Default for Holders {
    fn default() -> Self {
        Self { classes: Vec::new(), counts: [0; CLASS_COUNT] }
    }
}

impl Holders {
    /// From now on `bytes` are held under `key`.
    #[inline]
    pub fn note(&mut self, key: usize, bytes: usize) {
        if self.classes.len() <= key {
            self.counts[0] += key + 1 - self.classes.len();
            self.classes.resize(key + 1, 0);
        }
        let class = class_of(bytes);
        let old = std::mem::replace(&mut self.classes[key], class as u8);
        self.counts[old as usize] -= 1;
        self.counts[class] += 1;
    }

    /// Who holds the most: nobody else holds a quarter more. `None` when nobody holds anything.
    #[must_use]
    pub fn largest(&self) -> Option<usize> {
        let class = (1..CLASS_COUNT).rev().find(|class| self.counts[*class] > 0)?;
        memchr(class as u8, &self.classes)
    }
}

/// The class of `bytes`: its power of two, and the two bits behind the first one.
#[inline]
fn class_of(bytes: usize) -> usize {
    // Nobody holds more than what two buffers with offsets of 32 bits do.
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    match bytes.checked_ilog2() {
        None => 0,
        Some(power) => 1 + 4 * power as usize + (((u64::from(bytes) << 2) >> power) & 3) as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn whoever_holds_nothing_is_not_the_largest() {
        let mut holders = Holders::default();
        assert_eq!(holders.largest(), None);
        holders.note(3, 96);
        assert_eq!(holders.largest(), Some(3));
        holders.note(3, 0);
        assert_eq!(holders.largest(), None);
    }

    #[test]
    fn a_class_is_a_quarter_of_a_power_of_two_and_no_length_is_too_large() {
        for (bytes, class) in [(0, 0), (1, 1), (2, 5), (3, 7), (4, 9), (5, 10), (6, 11), (7, 12), (8, 13), (9, 13)] {
            assert_eq!(class_of(bytes), class, "{bytes}");
        }
        assert_eq!(class_of(u32::MAX as usize), CLASS_COUNT - 1);
        assert_eq!(class_of(usize::MAX), CLASS_COUNT - 1);
    }

    proptest! {
        #[test]
        fn nobody_holds_a_quarter_more_than_the_largest(notes in prop::collection::vec((0..50_usize, 0..300_000_usize), 1..200)) {
            let mut holders = Holders::default();
            let mut naive = BTreeMap::new();
            for (key, bytes) in notes {
                // A third of them holds nothing.
                let bytes = bytes.saturating_sub(100_000);
                holders.note(key, bytes);
                naive.insert(key, bytes);
            }
            let most = naive.values().copied().max().unwrap_or(0);
            let largest = holders.largest().map_or(0, |key| naive[&key]);
            prop_assert!(most * 4 <= largest * 5, "{} holds the most, {} was found", most, largest);
        }
    }
}
