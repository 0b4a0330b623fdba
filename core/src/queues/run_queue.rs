//! The run queue: connections with work to do, each listed at most once, in two classes.
//!
//! ```text
//!   push(key, Interactive) ---> interactive ---.   first, but after 8 in a row...
//!                                               +----------------------------------> pop
//!   push(key, Bulk) ----------> bulk ----------'   ...one of these, if any waits
//! ```
//!
//! This is weighted round robin between the classes, and first in, first out within one. FQ-CoDel
//! (RFC 8290) serves sparse flows first for the same reason: in a single line, a request of a few
//! bytes would wait for a turn of every connection that moves megabytes.

#![expect(clippy::cast_possible_truncation, reason = "a table has fewer than 4 billion entries")]

use std::collections::VecDeque;

/// How many interactive turns in a row a waiting bulk connection is passed over for.
///
/// At 1, a request beside a flood waits for a flooder's turn after each other request; at 80, a
/// hundred clients that ask all the time leave bulk connections a tenth of the throughput that they
/// have now.
const INTERACTIVE_PER_BULK: usize = 8;

/// What a connection asks for, as far as its last turns show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Small requests: a turn takes microseconds, and a client waits for its answer.
    Interactive,
    /// As many bytes as it can get.
    Bulk,
}

/// How many bytes a connection moves in a turn: a decaying average, in which each turn counts half
/// as much as the next one.
///
/// One turn is no measure: the last one of a long transfer is small as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Twice the average, in KiB; more than a byte holds is bulk by far.
    doubled_kib: u8,
}

impl Load {
    /// Connections that move no more than this in a turn, in KiB, requests and answers together,
    /// are interactive.
    const INTERACTIVE_KIB_MAX: u8 = 8;

    /// A turn has moved so many bytes.
    #[inline]
    pub fn note(&mut self, bytes: u64) {
        let kib = u8::try_from(bytes >> 10).unwrap_or(u8::MAX);
        self.doubled_kib = (self.doubled_kib / 2).saturating_add(kib);
    }

    /// The class of a connection with this load.
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

/// A queue of keys in which a key stands at most once; the keys are small and dense, those of a
/// slab.
///
/// A bulk connection with `b` bulk ones ahead of it waits for at most `8 * (b + 1)` interactive
/// turns, and an interactive one with `i` interactive ones ahead of it for at most `i / 8 + 1` bulk
/// turns.
///
/// A place belongs to a key, and so to the connection that is stored under it when its turn comes.
/// A connection that took over the key of a closed one may so get a turn that it does not need: it
/// moves nothing.
#[derive(Debug, Default)]
pub struct RunQueue {
    interactive: VecDeque<u32>,
    bulk: VecDeque<u32>,
    /// How many interactive keys were taken out one after the other while a bulk one waited.
    interactive_in_a_row: usize,
    /// True exactly when the key stands in the queue.
    is_queued: Vec<bool>,
}

impl RunQueue {
    /// Appends `key` to the line of its class, unless it stands in the queue already.
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

    /// Takes out the key whose turn it is.
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

    /// True exactly when no connection has work to do.
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

    const KIB: u64 = 1 << 10;

    fn class_after(turns: impl IntoIterator<Item = u64>) -> Class {
        let mut load = Load::default();
        turns.into_iter().for_each(|bytes| load.note(bytes));
        load.class()
    }

    fn pop_all(queue: &mut RunQueue) -> Vec<usize> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn a_client_that_asks_for_eight_kib_a_turn_or_less_is_interactive() {
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
    fn a_client_is_interactive_again_four_small_turns_after_a_transfer_of_any_length() {
        assert_eq!(class_after([u64::MAX, 5, 5, 5]), Bulk);
        assert_eq!(class_after([u64::MAX, 5, 5, 5, 5]), Interactive);
    }

    #[test]
    fn a_key_stands_in_the_queue_once_until_its_turn_has_come() {
        let mut queue = RunQueue::default();
        [7, 2, 7, 2, 7].into_iter().for_each(|key| queue.push(key, Interactive));
        queue.push(2, Bulk);
        assert_eq!((queue.len(), queue.pop()), (2, Some(7)));
        queue.push(7, Bulk);
        assert_eq!(pop_all(&mut queue), [2, 7]);
        assert!(queue.is_empty());
    }

    #[test]
    fn interactive_connections_go_first_and_each_class_keeps_its_order() {
        let mut queue = RunQueue::default();
        for (key, class) in [(1, Bulk), (2, Interactive), (3, Bulk), (4, Interactive)] {
            queue.push(key, class);
        }
        assert_eq!(pop_all(&mut queue), [2, 4, 1, 3]);
    }

    #[test]
    fn turns_before_a_bulk_connection_came_do_not_hasten_it() {
        let mut queue = RunQueue::default();
        (0..20).for_each(|key| queue.push(key, Interactive));
        assert_eq!((0..10).filter_map(|_| queue.pop()).count(), 10);
        queue.push(20, Bulk);
        assert_eq!((0..INTERACTIVE_PER_BULK).filter_map(|_| queue.pop()).last(), Some(17));
        assert_eq!(queue.pop(), Some(20));
    }

    #[test]
    fn a_client_that_asks_again_and_again_gets_eight_turns_per_bulk_turn() {
        let mut queue = RunQueue::default();
        [(0, Interactive), (1, Bulk), (2, Bulk)]
            .into_iter()
            .for_each(|(key, class)| queue.push(key, class));
        let mut turn = || {
            let key = queue.pop().expect("all of them wait");
            queue.push(key, if key == 0 { Interactive } else { Bulk });
            key
        };
        let turns: Vec<usize> = (0..36).map(|_| turn()).collect();
        let cycle =
            [[0; INTERACTIVE_PER_BULK].as_slice(), &[1], &[0; INTERACTIVE_PER_BULK], &[2]].concat();
        assert_eq!(turns, cycle.repeat(2));
    }

    /// A key that waits: what stood ahead of it when it came, and which turns it has waited for
    /// since.
    struct Waiting {
        class: Class,
        ahead: usize,
        interactive_turns: usize,
        bulk_turns: usize,
    }

    proptest! {
        /// What a run queue is for: the bound in the documentation of [`RunQueue`], for every order of calls.
        #[test]
        fn no_connection_waits_longer_than_its_bound(
            steps in prop::collection::vec((0..40_usize, any::<bool>(), any::<bool>()), 0..2000)
        ) {
            let mut queue = RunQueue::default();
            let mut waiting: std::collections::BTreeMap<usize, Waiting> = std::collections::BTreeMap::new();
            for (key, is_push, is_interactive) in steps {
                if is_push {
                    let class = if is_interactive { Interactive } else { Bulk };
                    queue.push(key, class);
                    let ahead = waiting.values().filter(|other| other.class == class).count();
                    waiting.entry(key).or_insert(Waiting { class, ahead, interactive_turns: 0, bulk_turns: 0 });
                    continue;
                }
                let popped = queue.pop();
                prop_assert_eq!(popped.is_none(), waiting.is_empty());
                let Some(key) = popped else { continue };
                let Some(popped) = waiting.remove(&key) else { return Err(TestCaseError::fail("was not waiting")) };
                for (other, Waiting { class, ahead, interactive_turns, bulk_turns }) in &mut waiting {
                    match popped.class {
                        Interactive => *interactive_turns += 1,
                        Bulk => *bulk_turns += 1,
                    }
                    match class {
                        Interactive => prop_assert!(*bulk_turns <= *ahead / INTERACTIVE_PER_BULK + 1, "{}", other),
                        Bulk => prop_assert!(*interactive_turns <= INTERACTIVE_PER_BULK * (*ahead + 1), "{}", other),
                    }
                }
            }
        }
    }
}
