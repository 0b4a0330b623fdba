//! The run queue: connections with work to do, each listed at most once, in two classes.
//!
//! ```text
//!   push(key, Interactive) ---> interactive ---.   first, but at most 8 in a row while
//!                                               +----------------------------------> pop
//!   push(key, Bulk) ----------> bulk ----------'   one of these waits
//! ```
//!
//! This is weighted round robin between two classes; each class is first in, first out. FQ-CoDel
//! (RFC 8290) serves sparse flows first for the same reason: in a single queue, a request of a few
//! bytes would wait for a turn of each connection that moves megabytes.

#![expect(clippy::cast_possible_truncation, reason = "a table has fewer than 4 billion entries")]

use std::collections::VecDeque;

/// How many interactive connections in a row may overtake a waiting bulk connection.
///
/// With 1, each small request beside a flood would wait for a turn of the flood. With 80, a hundred
/// interactive clients would leave bulk connections a tenth of their present throughput.
const INTERACTIVE_PER_BULK: usize = 8;

/// The scheduling class of a connection. It follows from its last turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Small turns: a client sends a request and waits for the answer.
    Interactive,
    /// Large turns: a client transfers as many bytes as it can.
    Bulk,
}

/// How many bytes a connection moves per turn: a decaying average, in which each turn has half the
/// weight of the next one.
///
/// A single turn is not a sufficient measure: the last turn of a long transfer is small too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Twice the average in KiB. It saturates at 255, far above the threshold.
    doubled_kib: u8,
}

impl Demand {
    /// The largest average of an interactive connection, in KiB of requests and answers.
    const INTERACTIVE_KIB_MAX: u8 = 8;

    /// Notes a turn that has moved `bytes`.
    #[inline]
    pub fn note(&mut self, bytes: u64) {
        let kib = u8::try_from(bytes >> 10).unwrap_or(u8::MAX);
        self.doubled_kib = (self.doubled_kib / 2).saturating_add(kib);
    }

    /// Returns the class that follows from the average.
    #[must_use]
    #[inline]
    pub const fn class(self) -> Class {
        if self.doubled_kib <= 2 * Self::INTERACTIVE_KIB_MAX {
            Class::Interactive
        } else {
            Class::Bulk
        }
    }
}

/// A queue of keys that holds each key at most once. Keys are small and dense, as those of a slab.
///
/// The wait is bounded. A bulk connection with `b` bulk connections ahead of it waits for at most
/// `8 * (b + 1)` interactive turns. An interactive connection with `i` interactive connections
/// ahead of it waits for at most `i / 8 + 1` bulk turns.
///
/// A key in the queue belongs to the connection that the table holds under it when the turn comes.
/// A connection that reuses the key of a closed one may get that turn: then the turn moves nothing.
#[derive(Debug, Default)]
pub struct RunQueue {
    interactive: VecDeque<u32>,
    bulk: VecDeque<u32>,
    /// How many interactive keys in a row were removed while a bulk key waited.
    interactive_in_a_row: usize,
    /// By key: true if the queue holds it.
    is_queued: Vec<bool>,
}

impl RunQueue {
    /// Appends `key` to the queue of its class, unless it is queued already.
    #[inline]
    pub fn push(&mut self, key: usize, class: Class) {
        if self.is_queued.len() <= key {
            self.is_queued.resize(key + 1, false);
        }
        if std::mem::replace(&mut self.is_queued[key], true) {
            return;
        }
        match class {
            Class::Interactive => self.interactive.push_back(key as u32),
            Class::Bulk => self.bulk.push_back(key as u32),
        }
    }

    /// Removes and returns the key that has the next turn.
    #[inline]
    pub fn pop(&mut self) -> Option<usize> {
        let bulk_is_due =
            self.interactive_in_a_row >= INTERACTIVE_PER_BULK && !self.bulk.is_empty();
        let interactive = if bulk_is_due { None } else { self.interactive.pop_front() };
        let is_passed_over = interactive.is_some() && !self.bulk.is_empty();
        self.interactive_in_a_row = if is_passed_over { self.interactive_in_a_row + 1 } else { 0 };
        let key = interactive.or_else(|| self.bulk.pop_front())? as usize;
        self.is_queued[key] = false;
        Some(key)
    }

    /// The number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.interactive.len() + self.bulk.len()
    }

    /// True if no key is queued.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.interactive.is_empty() && self.bulk.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::Class::{Bulk, Interactive};
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const KIB: u64 = 1 << 10;

    fn class_after(turns: impl IntoIterator<Item = u64>) -> Class {
        let mut demand = Demand::default();
        turns.into_iter().for_each(|bytes| demand.note(bytes));
        demand.class()
    }

    fn pop_all(queue: &mut RunQueue) -> Vec<usize> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn a_client_that_moves_at_most_8_kib_per_turn_is_interactive() {
        assert_eq!(class_after([]), Interactive);
        assert_eq!(class_after([46; 1000]), Interactive);
        assert_eq!(class_after([8 * KIB; 1000]), Interactive);
        assert_eq!(class_after([10 * KIB; 1000]), Bulk);
    }

    #[test]
    fn the_last_small_turn_of_a_long_transfer_is_not_interactive() {
        assert_eq!(class_after([128 * KIB; 10].into_iter().chain([5])), Bulk);
    }

    #[test]
    fn a_client_is_interactive_four_small_turns_after_any_transfer() {
        assert_eq!(class_after([u64::MAX, 5, 5, 5]), Bulk);
        assert_eq!(class_after([u64::MAX, 5, 5, 5, 5]), Interactive);
    }

    #[test]
    fn a_key_is_queued_once_until_its_turn_has_come() {
        let mut queue = RunQueue::default();
        [7, 2, 7, 2, 7].into_iter().for_each(|key| queue.push(key, Interactive));
        queue.push(2, Bulk);
        assert_eq!((queue.len(), queue.pop()), (2, Some(7)));
        queue.push(7, Bulk);
        assert_eq!(pop_all(&mut queue), [2, 7]);
        assert!(queue.is_empty());
    }

    #[test]
    fn interactive_keys_go_first_and_each_class_keeps_its_order() {
        let mut queue = RunQueue::default();
        for (key, class) in [(1, Bulk), (2, Interactive), (3, Bulk), (4, Interactive)] {
            queue.push(key, class);
        }
        assert_eq!(pop_all(&mut queue), [2, 4, 1, 3]);
    }

    #[test]
    fn interactive_turns_before_a_bulk_key_came_do_not_count() {
        let mut queue = RunQueue::default();
        (0..20).for_each(|key| queue.push(key, Interactive));
        assert_eq!((0..10).filter_map(|_| queue.pop()).count(), 10);
        queue.push(20, Bulk);
        assert_eq!((0..INTERACTIVE_PER_BULK).filter_map(|_| queue.pop()).last(), Some(17));
        assert_eq!(queue.pop(), Some(20));
    }

    #[test]
    fn an_interactive_key_gets_eight_turns_per_bulk_turn() {
        let mut queue = RunQueue::default();
        [(0, Interactive), (1, Bulk), (2, Bulk)]
            .into_iter()
            .for_each(|(key, class)| queue.push(key, class));
        let mut turn = || {
            let key = queue.pop().expect("all keys are queued");
            queue.push(key, if key == 0 { Interactive } else { Bulk });
            key
        };
        let turns: Vec<usize> = (0..36).map(|_| turn()).collect();
        let cycle =
            [[0; INTERACTIVE_PER_BULK].as_slice(), &[1], &[0; INTERACTIVE_PER_BULK], &[2]].concat();
        assert_eq!(turns, cycle.repeat(2));
    }

    /// A queued key: how many keys of its class were ahead of it, and how many turns of each class
    /// have passed since.
    struct Waiting {
        class: Class,
        ahead: usize,
        interactive_turns: usize,
        bulk_turns: usize,
    }

    proptest! {
        /// The bound in the documentation of [`RunQueue`] holds for every order of calls.
        #[test]
        fn no_connection_waits_longer_than_its_bound(
            steps in prop::collection::vec((0..40_usize, any::<bool>(), any::<bool>()), 0..2000)
        ) {
            let mut queue = RunQueue::default();
            let mut waiting: BTreeMap<usize, Waiting> = BTreeMap::new();
            for (key, is_push, is_interactive) in steps {
                if is_push {
                    let class = if is_interactive { Interactive } else { Bulk };
                    queue.push(key, class);
                    let ahead = waiting.values().filter(|other| other.class == class).count();
                    let new = Waiting { class, ahead, interactive_turns: 0, bulk_turns: 0 };
                    waiting.entry(key).or_insert(new);
                    continue;
                }
                let popped = queue.pop();
                prop_assert_eq!(popped.is_none(), waiting.is_empty());
                let Some(key) = popped else { continue };
                let popped = waiting.remove(&key);
                prop_assert!(popped.is_some(), "{} was not queued", key);
                for (other, wait) in &mut waiting {
                    match popped.as_ref().map(|popped| popped.class) {
                        Some(Interactive) => wait.interactive_turns += 1,
                        Some(Bulk) => wait.bulk_turns += 1,
                        None => {}
                    }
                    let is_within_bound = match wait.class {
                        Interactive => wait.bulk_turns <= wait.ahead / INTERACTIVE_PER_BULK + 1,
                        Bulk => wait.interactive_turns <= INTERACTIVE_PER_BULK * (wait.ahead + 1),
                    };
                    prop_assert!(is_within_bound, "{}", other);
                }
            }
        }
    }
}
