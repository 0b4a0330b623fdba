//! When the loop has to look at which connection again, though nothing happens.
//!
//! A binary heap with at most one entry for a key, and for each key its place in the heap, so that an entry can be
//! moved. Every message moves its connection's deadline, and most of those moves never reach this file: the loop
//! enters a deadline only when it is earlier than the entered one, and when an entry falls due that has been put off
//! since, it is entered anew. A message costs one comparison, an idle connection one heap operation a timeout.

use super::moment::Moment;

/// Marks a key without an entry.
const ABSENT: u32 = u32::MAX;

/// Deadlines by key; the keys are small and dense, those of a slab.
#[derive(Debug, Default)]
pub struct Deadlines {
    /// A binary heap: no entry is later than its two children at `2 * place + 1` and `2 * place + 2`.
    heap: Vec<Entry>,
    /// `heap[places[key]].key == key` for every key with an entry.
    places: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    due: Moment,
    key: u32,
}

impl Deadlines {
    /// Enters the deadline of `key`, in place of the one that it may have. [`Moment::NEVER`] removes it.
    pub fn set(&mut self, key: usize, due: Moment) {
        if due == Moment::NEVER {
            return self.remove(key);
        }
        if self.places.len() <= key {
            self.places.resize(key + 1, ABSENT);
        }
        // A table has fewer than `u32::MAX` entries, so the key and every place fit.
        let entry = Entry { due, key: key as u32 };
        match self.places[key] {
            ABSENT => {
                self.heap.push(entry);
                self.sift_up(self.heap.len() - 1);
            }
            place => {
                self.heap[place as usize] = entry;
                self.sift(place as usize);
            }
        }
    }

    /// Removes the deadline of `key`, if it has one.
    pub fn remove(&mut self, key: usize) {
        let place = self.places.get(key).copied().unwrap_or(ABSENT);
        if place == ABSENT {
            return;
        }
        self.places[key] = ABSENT;
        let last = self.heap.pop();
        if let Some(last) = last
            && (place as usize) < self.heap.len()
        {
            self.heap[place as usize] = last;
            self.sift(place as usize);
        }
    }

    /// The earliest deadline, [`Moment::NEVER`] when there is none.
    #[must_use]
    pub fn next(&self) -> Moment {
        self.heap.first().map_or(Moment::NEVER, |entry| entry.due)
    }

    /// Takes out the key of the earliest deadline, if that is not later than `now`.
    pub fn pop_due(&mut self, now: Moment) -> Option<usize> {
        let first = *self.heap.first()?;
        (first.due <= now).then(|| {
            self.remove(first.key as usize);
            first.key as usize
        })
    }

    /// Puts the entry at `place` where it belongs, above or below.
    fn sift(&mut self, place: usize) {
        let place = self.sift_up(place);
        self.sift_down(place);
    }

    fn sift_up(&mut self, mut place: usize) -> usize {
        let entry = self.heap[place];
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.due(parent) <= entry.due {
                break;
            }
            self.put(place, self.heap[parent]);
            place = parent;
        }
        self.put(place, entry);
        place
    }

    fn sift_down(&mut self, mut place: usize) {
        let entry = self.heap[place];
        loop {
            let mut child = 2 * place + 1;
            if child >= self.heap.len() {
                break;
            }
            if child + 1 < self.heap.len() && self.due(child + 1) < self.due(child) {
                child += 1;
            }
            if self.due(child) >= entry.due {
                break;
            }
            self.put(place, self.heap[child]);
            place = child;
        }
        self.put(place, entry);
    }

    fn due(&self, place: usize) -> Moment {
        self.heap[place].due
    }

    fn put(&mut self, place: usize, entry: Entry) {
        self.heap[place] = entry;
        self.places[entry.key as usize] = place as u32;
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
        deadlines.set(7, at(3));
        deadlines.set(2, at(1));
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
                        deadlines.set(key, at(seconds));
                        model.insert(key, at(seconds));
                    }
                }
                prop_assert_eq!(deadlines.next(), model.values().min().copied().unwrap_or(Moment::NEVER));
                prop_assert_eq!(deadlines.heap.len(), model.len());
            }
        }
    }
}
