//! When the loop has to look at which connection again, though nothing happens.
//!
//! A binary heap with at most one entry for a key, and for each key its place in the heap, so that
//! an entry can be moved. Every message puts its connection's deadline off, and the heap does not
//! hear of it: a deadline is entered only when it is earlier than the entered one, and when an
//! entry falls due that has been put off since, it is entered anew. A message costs one comparison,
//! an idle connection one heap operation a timeout.
//!
//! ```text
//!   by key      dues    [ 30 s | never |  10 s | 20 s ]     8 bytes, what a message is compared with
//!               places  [  1   |       |   0   |  2   ]     4 bytes
//!   by place    heap    [  2   |   0   |   3   ]            4 bytes
//! ```

#![expect(clippy::cast_possible_truncation, reason = "a table has fewer than 4 billion entries")]

use crate::os::moment::Moment;

/// Deadlines by key; the keys are small and dense, those of a slab.
#[derive(Debug, Default)]
pub struct Deadlines {
    /// The deadline of each key that has an entry, [`Moment::NEVER`] for all others.
    dues: Vec<Moment>,
    /// `heap[places[key]] == key` for every key with an entry; means nothing for the others.
    places: Vec<u32>,
    /// Keys as a binary heap: none is due later than its two children at `2 * place + 1` and `2 *
    /// place + 2`. A table has fewer than 4 billion entries, so that keys and places fit.
    heap: Vec<u32>,
}

impl Deadlines {
    /// Enters `due` as the deadline of `key`, unless an earlier one is entered.
    #[inline]
    pub fn bring_forward(&mut self, key: usize, due: Moment) {
        if due < self.of(key) {
            self.enter(key, due);
        }
    }

    /// Removes the deadline of `key`, if it has one.
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

    /// The deadline that is entered for `key`, [`Moment::NEVER`] when there is none.
    #[must_use]
    #[inline]
    pub fn of(&self, key: usize) -> Moment {
        self.dues.get(key).copied().unwrap_or(Moment::NEVER)
    }

    /// The earliest deadline, [`Moment::NEVER`] when there is none.
    #[must_use]
    pub fn next(&self) -> Moment {
        self.heap.first().map_or(Moment::NEVER, |key| self.dues[*key as usize])
    }

    /// Takes out the key of the earliest deadline, if that is not later than `now`.
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
    fn keys_come_out_when_they_are_due_and_not_before() {
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
        fn it_agrees_with_a_sorted_map(
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
                        prop_assert_eq!(popped.is_some(), due.is_some_and(|(due, _)| due <= at(seconds)));
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
                prop_assert_eq!(deadlines.next(), model.values().min().copied().unwrap_or(Moment::NEVER));
                prop_assert_eq!(deadlines.heap.len(), model.len());
            }
        }
    }
}
