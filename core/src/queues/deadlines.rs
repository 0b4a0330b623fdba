//! The queue of deadlines: which connection must be expired next, and when.
//!
//! It is an indexed binary heap: at most one entry per key, and for each key the place of its
//! entry, so that an entry can be moved or removed.
//!
//! The queue is lazy. Each message moves the deadline of its connection to a later time, but the
//! entry stays: only an earlier deadline changes it. When an entry falls due, the loop compares it
//! with the actual deadline and enters that if it is later. So a message costs one comparison, and
//! an idle connection one heap operation per timeout.
//!
//! ```text
//!   by key      dues    [ 30 s | never |  10 s | 20 s ]     8 bytes, compared by each message
//!               places  [  1   |       |   0   |  2   ]     4 bytes
//!   by place    heap    [  2   |   0   |   3   ]            4 bytes
//! ```

#![expect(clippy::cast_possible_truncation, reason = "a table has fewer than 4 billion entries")]

use crate::os::moment::Moment;

/// Deadlines by key. Keys are small and dense, as those of a slab.
#[derive(Debug, Default)]
pub struct Deadlines {
    /// The deadline of each key with an entry, and [`Moment::NEVER`] for all other keys.
    dues: Vec<Moment>,
    /// `heap[places[key]] == key` for each key with an entry; any value for other keys.
    places: Vec<u32>,
    /// The keys as a binary heap: no entry is due later than its children, which are at
    /// `2 * place + 1` and `2 * place + 2`. A table has fewer than 4 billion entries, so keys and
    /// places fit.
    heap: Vec<u32>,
}

impl Deadlines {
    /// Enters `due` as the deadline of `key`, unless the present entry is earlier.
    #[inline]
    pub fn bring_forward(&mut self, key: usize, due: Moment) {
        if due < self.of(key) {
            self.enter(key, due);
        }
    }

    /// Removes the entry of `key`, if it has one.
    pub fn remove(&mut self, key: usize) {
        let Some(due) = self.dues.get_mut(key).filter(|due| **due != Moment::NEVER) else { return };
        *due = Moment::NEVER;
        let place = self.places[key] as usize;
        let last = self.heap.pop();
        if let Some(last) = last
            && place < self.heap.len()
        {
            self.heap[place] = last;
            let place = self.sift_up(place);
            self.sift_down(place);
        }
    }

    /// Returns the entry of `key`, [`Moment::NEVER`] if it has none.
    #[must_use]
    #[inline]
    pub fn of(&self, key: usize) -> Moment {
        self.dues.get(key).copied().unwrap_or(Moment::NEVER)
    }

    /// Returns the earliest deadline, [`Moment::NEVER`] if there is none.
    #[must_use]
    pub fn next(&self) -> Moment {
        self.heap.first().map_or(Moment::NEVER, |key| self.dues[*key as usize])
    }

    /// Removes the earliest entry and returns its key, if the entry is not later than `now`.
    pub fn pop_due(&mut self, now: Moment) -> Option<usize> {
        let first = *self.heap.first()? as usize;
        (self.dues[first] <= now).then(|| {
            self.remove(first);
            first
        })
    }

    fn enter(&mut self, key: usize, due: Moment) {
        if self.dues.len() <= key {
            self.dues.resize(key + 1, Moment::NEVER);
            self.places.resize(key + 1, 0);
        }
        if self.dues[key] == Moment::NEVER {
            self.places[key] = self.heap.len() as u32;
            self.heap.push(key as u32);
        }
        self.dues[key] = due;
        self.sift_up(self.places[key] as usize);
    }

    fn sift_up(&mut self, mut place: usize) -> usize {
        let key = self.heap[place];
        let due = self.dues[key as usize];
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.due(parent) <= due {
                break;
            }
            self.put(place, self.heap[parent]);
            place = parent;
        }
        self.put(place, key);
        place
    }

    fn sift_down(&mut self, mut place: usize) {
        let key = self.heap[place];
        let due = self.dues[key as usize];
        loop {
            let mut child = 2 * place + 1;
            if child >= self.heap.len() {
                break;
            }
            if child + 1 < self.heap.len() && self.due(child + 1) < self.due(child) {
                child += 1;
            }
            if self.due(child) >= due {
                break;
            }
            self.put(place, self.heap[child]);
            place = child;
        }
        self.put(place, key);
    }

    /// The deadline of the entry at `place`.
    fn due(&self, place: usize) -> Moment {
        self.dues[self.heap[place] as usize]
    }

    fn put(&mut self, place: usize, key: u32) {
        self.heap[place] = key;
        self.places[key as usize] = place as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::time::Duration;

    fn at(seconds: u64) -> Moment {
        Moment::START.after(Duration::from_secs(seconds))
    }

    #[test]
    fn a_key_is_returned_when_it_is_due_and_not_before() {
        let mut deadlines = Deadlines::default();
        deadlines.bring_forward(7, at(3));
        deadlines.bring_forward(2, at(1));
        assert_eq!(deadlines.next(), at(1));
        assert_eq!(deadlines.pop_due(at(0)), None);
        assert_eq!(deadlines.pop_due(at(2)), Some(2));
        assert_eq!(deadlines.pop_due(at(2)), None);
        assert_eq!(deadlines.pop_due(at(3)), Some(7));
        assert_eq!(deadlines.next(), Moment::NEVER);
    }

    proptest! {
        #[test]
        fn deadlines_agree_with_a_sorted_map(
            steps in proptest::collection::vec((0u8..4, 0usize..20, 0u64..50), 1..300),
        ) {
            let (mut deadlines, mut model) = (Deadlines::default(), BTreeMap::new());
            for (action, key, seconds) in steps {
                match action {
                    0 => {
                        deadlines.remove(key);
                        model.remove(&key);
                    }
                    1 => {
                        let due = model.iter().map(|(key, due)| (*due, *key)).min();
                        let popped = deadlines.pop_due(at(seconds));
                        let is_due = due.is_some_and(|(due, _)| due <= at(seconds));
                        prop_assert_eq!(popped.is_some(), is_due);
                        if let Some(key) = popped {
                            prop_assert_eq!(model.remove(&key), due.map(|(due, _)| due));
                        }
                    }
                    _ => {
                        deadlines.bring_forward(key, at(seconds));
                        let due = model.entry(key).or_insert(Moment::NEVER);
                        *due = at(seconds).min(*due);
                    }
                }
                let first = model.values().min().copied().unwrap_or(Moment::NEVER);
                prop_assert_eq!(deadlines.next(), first);
                prop_assert_eq!(deadlines.heap.len(), model.len());
            }
        }
    }
}
