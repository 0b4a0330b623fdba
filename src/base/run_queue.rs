//! Who can move: each once. Who needed little the last time goes first, but only so often while another one waits.
//!
//! ```text
//!               needed little the last time
//!   push --------------------------------------> swift ----> pop
//!     \                                                     /
//!      `---------------------------------------> slow -----'  when nobody is swift
//!        needed much the last time, or has had all
//!        its turns while those in front waited here
//! ```
//!
//! In one line, a peer that asks for a few bytes would wait behind all those that are sent megabytes: beside an attack of
//! 500 such peers, 2 ms at the 99th percentile.

#![expect(clippy::cast_possible_truncation, reason = "a table has fewer than 4 billion entries")]

use std::collections::VecDeque;

/// How many turns somebody who needs little may have while others wait that need much. With a single one, who asks again at
/// once waits for a turn of each of them.
pub const SWIFT_TURNS_MAX: u8 = 8;

/// How many turns, all but the first of each, those who need little may have together until all have had a turn that wait: a
/// thousand of them that ask again and again do not keep one that needs much waiting eight times as long as one turn of each.
const EXTRA_TURNS_MAX: u8 = 64;

/// How often anybody may have a turn while another one waits: what is left of its turns beside one that waited before, and all
/// of them again. Public for the simulation, which holds the server to it.
pub const PASSES_MAX: u8 = 2 * SWIFT_TURNS_MAX - 1;

/// A queue of keys in which a key stands at most once; the keys are small and dense, those of a slab.
///
/// A place belongs to a key, and so to whoever is stored under it when its turn comes. A connection that took over the
/// key of a closed one may so get a turn that it does not need: it moves nothing.
#[derive(Debug, Default)]
pub struct RunQueue {
    /// Served first. A slab of memory can hold fewer than 4 billion entries, so that a key fits.
    swift: VecDeque<u32>,
    /// Served when nobody is swift.
    slow: VecDeque<u32>,
    /// How many keys have ever entered `slow`, and left it: the last one that stands there is number `entered`.
    entered: u64,
    left: u64,
    /// Who has had turns while others waited in `slow`, in the order of the first of those turns, with the number of the
    /// last one that waited then: the turns are counted until that one has had its own.
    served: VecDeque<(u64, u32)>,
    /// How many turns that are not the first counted one have been granted, until number `extra_until` has had its turn.
    extra_turns: u8,
    extra_until: u64,
    /// What is so for each key: the bits below, and over them how many turns are counted.
    marks: Vec<u8>,
}

/// It stands in the queue.
const QUEUED: u8 = 1;
/// It needed much in its last turn.
const NEEDED_MUCH: u8 = 2;
/// One counted turn.
const TURN: u8 = 4;
/// All the turns that may be counted.
const ALL_TURNS: u8 = SWIFT_TURNS_MAX * TURN;

impl RunQueue {
    /// Appends `key`, unless it stands in the queue already.
    pub fn push(&mut self, key: usize) {
        let may_be_extra = self.extra_turns < EXTRA_TURNS_MAX;
        let marks = self.marks(key);
        if *marks & QUEUED != 0 {
            return;
        }
        let is_extra = *marks >= TURN;
        let is_swift = *marks & NEEDED_MUCH == 0 && *marks < ALL_TURNS && (may_be_extra || !is_extra);
        *marks = *marks & !NEEDED_MUCH | QUEUED;
        if is_swift {
            self.extra_turns += u8::from(is_extra);
            self.swift.push_back(key as u32);
        } else {
            self.slow.push_back(key as u32);
            self.entered += 1;
        }
    }

    /// True exactly when the next turn is that of somebody who needed little.
    #[must_use]
    pub fn is_swift_next(&self) -> bool {
        !self.swift.is_empty()
    }

    /// Takes out the key whose turn it is.
    pub fn pop(&mut self) -> Option<usize> {
        let key = match self.swift.pop_front() {
            Some(key) => key,
            None => self.pop_slow()?,
        };
        let marks = &mut self.marks[key as usize];
        *marks &= !QUEUED;
        if !self.slow.is_empty() {
            if *marks < TURN {
                self.served.push_back((self.entered, key));
            }
            *marks += TURN;
            debug_assert!(*marks / TURN <= SWIFT_TURNS_MAX, "{key} has too many turns while another one waits");
        }
        Some(key as usize)
    }

    fn pop_slow(&mut self) -> Option<u32> {
        let key = self.slow.pop_front()?;
        self.left += 1;
        if self.left >= self.extra_until {
            (self.extra_turns, self.extra_until) = (0, self.entered);
        }
        while let Some((_, key)) = self.served.pop_front_if(|(last, _)| *last <= self.left) {
            self.marks[key as usize] %= TURN;
        }
        Some(key)
    }

    /// The turn that `key` just had needed much: the next one has time until those are served that need little.
    pub fn note_needed_much(&mut self, key: usize) {
        *self.marks(key) |= NEEDED_MUCH;
    }

    /// Whoever takes over `key` has not needed anything yet; but the turns of the last one stay counted, so that to come and
    /// go gives no more of them.
    pub fn forget(&mut self, key: usize) {
        *self.marks(key) &= !NEEDED_MUCH;
    }

    fn marks(&mut self, key: usize) -> &mut u8 {
        if self.marks.len() <= key {
            self.marks.resize(key + 1, 0);
        }
        &mut self.marks[key]
    }

    /// The number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.swift.len() + self.slow.len()
    }

    /// True exactly when nobody can move.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.swift.is_empty() && self.slow.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn pop_all(queue: &mut RunQueue) -> Vec<usize> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn a_key_stands_in_the_queue_once_until_its_turn_has_come() {
        let mut queue = RunQueue::default();
        [7, 2, 7, 2, 7].into_iter().for_each(|key| queue.push(key));
        assert_eq!((queue.len(), queue.pop()), (2, Some(7)));
        queue.push(7);
        assert_eq!(pop_all(&mut queue), [2, 7]);
        assert!(queue.is_empty());
    }

    #[test]
    fn who_needed_much_waits_for_those_who_needed_little() {
        let mut queue = RunQueue::default();
        queue.note_needed_much(1);
        (0..4).for_each(|key| queue.push(key));
        assert_eq!(pop_all(&mut queue), [0, 2, 3, 1]);
    }

    #[test]
    fn who_needed_much_once_is_swift_again_after_a_turn_that_needed_little() {
        let mut queue = RunQueue::default();
        queue.note_needed_much(1);
        queue.push(1);
        assert_eq!(pop_all(&mut queue), [1]);
        (1..3).for_each(|key| queue.push(key));
        assert_eq!(pop_all(&mut queue), [1, 2]);
    }

    #[test]
    fn a_key_that_is_taken_over_is_swift() {
        let mut queue = RunQueue::default();
        queue.note_needed_much(1);
        queue.forget(1);
        (1..3).for_each(|key| queue.push(key));
        assert_eq!(pop_all(&mut queue), [1, 2]);
    }

    /// The keys that have the next `count` turns, when each needs as much as before and waits again at once.
    fn turns(queue: &mut RunQueue, needs_much: &[usize], count: usize) -> Vec<usize> {
        let mut turn = || {
            let key = queue.pop().expect("all of them wait");
            if needs_much.contains(&key) {
                queue.note_needed_much(key);
            }
            queue.push(key);
            key
        };
        (0..count).map(|_| turn()).collect()
    }

    #[test]
    fn who_asks_for_little_again_and_again_has_eight_turns_for_one_of_each_that_needs_much() {
        let mut queue = RunQueue::default();
        (0..3).for_each(|key| queue.push(key));
        turns(&mut queue, &[1, 2], 3);
        let cycle = [[0; SWIFT_TURNS_MAX as usize].as_slice(), &[1, 2]].concat();
        assert_eq!(turns(&mut queue, &[1, 2], 30), cycle.repeat(3));
    }

    #[test]
    fn a_thousand_who_ask_for_little_again_and_again_have_little_more_than_a_turn_each_for_one_that_needs_much() {
        let mut queue = RunQueue::default();
        (0..=1000).for_each(|key| queue.push(key));
        turns(&mut queue, &[1000], 1001);
        let turns = turns(&mut queue, &[1000], 10_000);
        let waits: Vec<usize> = turns.split(|key| *key == 1000).map(<[usize]>::len).collect();
        assert!(waits.len() > 9, "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= 1000 + 2 * EXTRA_TURNS_MAX as usize), "{waits:?}");
    }

    #[test]
    fn somebody_may_pass_one_who_waits_with_what_is_left_of_its_turns_and_then_with_all_of_them() {
        let mut queue = RunQueue::default();
        let pass = |queue: &mut RunQueue| {
            queue.push(0);
            queue.pop().expect("somebody waits")
        };
        queue.note_needed_much(1);
        queue.push(1);
        assert_eq!(pass(&mut queue), 0);
        queue.note_needed_much(2);
        queue.push(2);
        let before = (1..SWIFT_TURNS_MAX).map(|_| pass(&mut queue));
        assert!(before.eq([0; SWIFT_TURNS_MAX as usize - 1]), "what is left while 1 waits");
        assert_eq!(queue.pop(), Some(1), "0 asks for nothing just now");
        let after = (0..SWIFT_TURNS_MAX).map(|_| pass(&mut queue));
        assert!(after.eq([0; SWIFT_TURNS_MAX as usize]), "all of them, while 2 waits");
        assert_eq!(pass(&mut queue), 2, "after {PASSES_MAX} turns of 0");
    }

    #[test]
    fn those_who_need_much_take_turns() {
        let mut queue = RunQueue::default();
        (0..3).for_each(|key| queue.push(key));
        assert_eq!(turns(&mut queue, &[0, 1, 2], 9), [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    }

    proptest! {
        /// What a run queue is for: whoever waits is passed by everyone else a few times at most.
        #[test]
        fn nobody_waits_for_more_than_a_few_turns_of_another_one(
            steps in prop::collection::vec((0..8_usize, 0..4), 0..1000)
        ) {
            let mut queue = RunQueue::default();
            // For each key in the queue, how often each other one has had a turn since it came.
            let mut waiting: BTreeMap<usize, [u8; 8]> = BTreeMap::new();
            for (key, step) in steps {
                match step {
                    0 | 1 => {
                        queue.push(key);
                        waiting.entry(key).or_default();
                    }
                    // Half of them never need much.
                    2 if key < 4 => {}
                    2 => queue.note_needed_much(key),
                    _ => {
                        let popped = queue.pop();
                        prop_assert_eq!(popped.is_some(), !waiting.is_empty());
                        let Some(key) = popped else { continue };
                        prop_assert!(waiting.remove(&key).is_some(), "{} was not waiting", key);
                        for (other, passed_by) in &mut waiting {
                            passed_by[key] += 1;
                            prop_assert!(passed_by[key] <= PASSES_MAX, "{} passed {} too often", key, other);
                        }
                    }
                }
            }
            prop_assert_eq!(pop_all(&mut queue).len(), waiting.len());
        }
    }
}
