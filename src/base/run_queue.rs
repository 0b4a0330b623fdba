//! Who can move: each once, in the order in which they are served.

#![expect(clippy::cast_possible_truncation, reason = "a table has fewer than 4 billion entries")]

use std::collections::VecDeque;

/// A queue of keys in which a key stands at most once; the keys are small and dense, those of a slab.
///
/// A place belongs to a key, and so to whoever is stored under it when its turn comes. A connection that took over the
/// key of a closed one may so get a turn that it does not need: it moves nothing.
#[derive(Debug, Default)]
pub struct RunQueue {
    /// A slab of memory can hold fewer than 4 billion entries, so that a key fits.
    keys: VecDeque<u32>,
    /// `is_queued[key]` exactly when `key` is in `keys`.
    is_queued: Vec<bool>,
}

impl RunQueue {
    /// Appends `key`, unless it stands in the queue already.
    pub fn push(&mut self, key: usize) {
        if self.is_queued.len() <= key {
            self.is_queued.resize(key + 1, false);
        }
        if !self.is_queued[key] {
            self.is_queued[key] = true;
            self.keys.push_back(key as u32);
        }
    }

    /// Takes out the key that has waited longest.
    pub fn pop(&mut self) -> Option<usize> {
        let key = self.keys.pop_front()? as usize;
        self.is_queued[key] = false;
        Some(key)
    }

    /// The number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True exactly when nobody can move.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_in_the_queue_once_until_its_turn_has_come() {
        let mut queue = RunQueue::default();
        [7, 2, 7, 2, 7].into_iter().for_each(|key| queue.push(key));
        assert_eq!((queue.len(), queue.pop()), (2, Some(7)));
        queue.push(7);
        assert_eq!([queue.pop(), queue.pop(), queue.pop()], [Some(2), Some(7), None]);
        assert!(queue.is_empty());
    }
}
