//! The connections that were asked for: which ones are open, and when to try the others.
//!
//! ```text
//!   due --> opening --> open --> (retired: due at once)
//!    ^         |          |
//!    +- pause -+----------+      twice as long after each connection that was of no use
//! ```

use std::mem;
use std::time::Duration;

use tinytcp_core::os::moment::Moment;
use tinytcp_core::queues::deadlines::Deadlines;

use super::connect::Attempt;
use super::plan::{Opening, Plan};

/// How long to wait for a connection after one has failed; twice as long after each further one, up
/// to the longest.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Connections that are being opened at once: a server that is slow to accept is not swamped beyond
/// its backlog.
const OPENING_MAX: usize = 256;

/// The place of one of the connections asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// True exactly when an attempt to open it has succeeded, or failed at all addresses.
    was_tried: bool,
    /// True exactly when it was open, and not turned away, at some time.
    was_reached: bool,
    /// Connections one after the other that were of no use, however they failed.
    failures: u32,
    /// Attempts one after the other that opened no connection.
    refusals: u32,
    /// The address at which the current attempt began, and how many were tried in vain since.
    first_address: usize,
    passed: usize,
}

/// The connections asked for of one thread.
#[derive(Debug)]
pub struct Roster {
    slots: Vec<Slot>,
    /// When which slot is to be opened.
    openings: Deadlines,
    /// Connections that are being opened.
    opening: usize,
    open: usize,
    /// The most that were open at once since somebody last asked.
    open_most: usize,
    /// When the last connection that was open ended; `None` while one is open, and before.
    emptied: Option<Moment>,
    /// Slots that have not been tried.
    untried: usize,
    /// Slots that were reached.
    reached: usize,
    /// The server's addresses.
    addresses: usize,
    /// Connections are dealt out over so many threads in turn; this is thread `offset`.
    stride: usize,
    offset: usize,
}

impl Roster {
    /// The share of thread `index`.
    #[must_use]
    pub fn new(plan: &Plan, index: usize) -> Self {
        let stride = plan.asked.threads;
        let slots = plan.asked.connections.saturating_sub(index).div_ceil(stride);
        let mut openings = Deadlines::default();
        for slot in 0..slots {
            openings.bring_forward(slot, first_opening(plan.opening, slot * stride + index));
        }
        let untried = slots;
        let slots = vec![Slot::default(); slots];
        Self {
            slots,
            openings,
            opening: 0,
            open: 0,
            open_most: 0,
            emptied: None,
            untried,
            reached: 0,
            addresses: plan.endpoints.len(),
            stride,
            offset: index,
        }
    }

    /// When the next connection is to be opened.
    #[must_use]
    pub fn next(&self) -> Moment {
        if self.opening < OPENING_MAX { self.openings.next() } else { Moment::NEVER }
    }

    /// Takes a slot whose connection is to be opened at `now`.
    pub fn pop_due(&mut self, now: Moment) -> Option<usize> {
        if self.opening < OPENING_MAX { self.openings.pop_due(now) } else { None }
    }

    /// The number of `slot` among the connections of all threads.
    #[must_use]
    pub const fn number(&self, slot: usize) -> usize {
        slot * self.stride + self.offset
    }

    /// The attempt that comes next in `slot`: at the address `preferred`, or at the one behind the
    /// last that was tried in vain.
    pub fn attempt(&mut self, slot: usize, preferred: usize) -> Attempt {
        let number = self.number(slot);
        let slot = &mut self.slots[slot];
        let is_first = slot.passed == 0;
        if is_first {
            slot.first_address = preferred;
        }
        let address = (slot.first_address + slot.passed) % self.addresses;
        Attempt { number, refusals: slot.refusals, address, is_first }
    }

    /// Has `slot` opened at the next address at once; false when all have been tried in this
    /// attempt.
    pub fn try_next_address(&mut self, slot: usize, now: Moment) -> bool {
        self.slots[slot].passed += 1;
        let is_left = self.slots[slot].passed < self.addresses;
        if is_left {
            self.openings.bring_forward(slot, now);
        }
        is_left
    }

    /// A connection is being opened.
    pub const fn begun(&mut self) {
        self.opening += 1;
    }

    /// The connection of `slot` is open.
    pub fn opened(&mut self, slot: usize) {
        self.opening -= 1;
        self.open += 1;
        self.emptied = None;
        self.open_most = self.open_most.max(self.open);
        self.tried(slot);
        let slot = &mut self.slots[slot];
        (slot.refusals, slot.passed) = (0, 0);
        self.reached += usize::from(!slot.was_reached);
        slot.was_reached = true;
    }

    /// A connection that was open, or was being opened, is there no more.
    pub fn closed(&mut self, was_open: bool, now: Moment) {
        if was_open {
            self.open -= 1;
            self.emptied = (self.open == 0).then_some(now);
        } else {
            self.opening -= 1;
        }
    }

    /// The connection of `slot` could not be opened: another attempt is made later.
    pub fn failed(&mut self, slot: usize, now: Moment) {
        self.tried(slot);
        let Slot { refusals, passed, .. } = &mut self.slots[slot];
        (*refusals, *passed) = (refusals.saturating_add(1), 0);
        self.reopen_later(slot, now);
    }

    /// The server has turned the connection of `slot` away with a word: it counts as not reached.
    pub fn turned_away(&mut self, slot: usize, now: Moment) {
        self.reached -= usize::from(self.slots[slot].was_reached);
        self.slots[slot].was_reached = false;
        self.failed(slot, now);
    }

    /// Has `slot` opened at once: its last connection was of use.
    pub fn reopen(&mut self, slot: usize, now: Moment) {
        self.slots[slot].failures = 0;
        self.openings.bring_forward(slot, now);
    }

    /// Has `slot` opened after a pause: its last connection was of no use.
    pub fn reopen_later(&mut self, slot: usize, now: Moment) {
        let failures = &mut self.slots[slot].failures;
        let pause = PAUSE_MIN.saturating_mul(1 << (*failures).min(10)).min(PAUSE_MAX);
        *failures = failures.saturating_add(1);
        self.openings.bring_forward(slot, now.after(pause));
    }

    /// Connections that are open.
    #[must_use]
    pub const fn open(&self) -> usize {
        self.open
    }

    /// When the last connection that was open ended; `None` while one is open, and before.
    #[must_use]
    pub const fn emptied(&self) -> Option<Moment> {
        self.emptied
    }

    /// The most connections that were open at once since the last call.
    pub fn take_open_most(&mut self) -> usize {
        mem::replace(&mut self.open_most, self.open)
    }

    /// Of the connections asked for, how many were open, and not turned away, at some time.
    #[must_use]
    pub const fn reached(&self) -> usize {
        self.reached
    }

    /// True exactly when each connection asked for has been open or has failed.
    #[must_use]
    pub const fn all_were_tried(&self) -> bool {
        self.untried == 0
    }

    fn tried(&mut self, slot: usize) {
        self.untried -= usize::from(!self.slots[slot].was_tried);
        self.slots[slot].was_tried = true;
    }
}

/// When the connection with this number, counted over all threads, is to be opened first.
fn first_opening(opening: Opening, number: usize) -> Moment {
    match opening {
        Opening::AtOnce => Moment::START,
        Opening::Rate(per_second) => Moment::START.after(
            Duration::try_from_secs_f64(number as f64 / per_second).unwrap_or(Duration::MAX),
        ),
    }
}

#[cfg(test)]
mod tests {
    use tinytcp_core::os::endpoint::Endpoint;

    use super::super::samples;
    use super::*;

    fn at(milliseconds: u64) -> Moment {
        Moment::START.after(Duration::from_millis(milliseconds))
    }

    #[test]
    fn connections_are_dealt_out_over_the_threads_and_opened_at_their_rate() {
        let plan = samples::plan(5, 2, Opening::Rate(100.0));
        let mut second = Roster::new(&plan, 1);
        assert_eq!(second.next(), at(10));
        assert_eq!(second.pop_due(at(9)), None);
        assert_eq!(second.pop_due(at(10)), Some(0));
        assert_eq!(second.next(), at(30));
        assert_eq!([0, 1].map(|slot| second.attempt(slot, 0).number), [1, 3]);
        assert_eq!(Roster::new(&plan, 0).slots.len(), 3);
    }

    #[test]
    fn an_attempt_has_failed_when_all_addresses_have() {
        let mut plan = samples::plan(1, 1, Opening::AtOnce);
        plan.endpoints =
            [1, 2, 3].map(|port| Endpoint::Tcp(([127, 0, 0, 1], port).into())).to_vec();
        let mut roster = Roster::new(&plan, 0);
        let mut tried = Vec::new();
        // Meanwhile another connection has found out that the address 0 works, which moves no
        // attempt that has begun.
        for preferred in [2, 0, 0] {
            assert_eq!(roster.pop_due(at(0)), Some(0));
            let attempt = roster.attempt(0, preferred);
            tried.push((attempt.address, attempt.is_first));
            assert!(!roster.all_were_tried());
            if !roster.try_next_address(0, at(0)) {
                roster.failed(0, at(0));
            }
        }
        assert_eq!(tried, [(2, true), (0, false), (1, false)]);
        assert!(roster.all_were_tried());
        assert_eq!(roster.next(), at(10), "the next attempt comes after a pause");
        assert_eq!(roster.attempt(0, 1).address, 1);
    }

    #[test]
    fn a_connection_that_was_of_no_use_is_tried_again_after_ever_longer_pauses_up_to_a_second() {
        let mut roster = Roster::new(&samples::plan(1, 1, Opening::AtOnce), 0);
        assert_eq!(roster.pop_due(at(0)), Some(0));
        for pause in [10, 20, 40, 80, 160, 320, 640, 1000, 1000] {
            roster.failed(0, at(0));
            assert_eq!(roster.next(), at(pause));
            roster.pop_due(at(pause));
        }
        assert!(roster.all_were_tried());
        roster.reopen(0, at(5));
        roster.pop_due(at(5));
        roster.failed(0, at(5));
        assert_eq!(roster.next(), at(15), "a connection that was of use begins the pauses anew");
    }

    #[test]
    fn who_is_turned_away_was_not_reached() {
        let mut roster = Roster::new(&samples::plan(1, 1, Opening::AtOnce), 0);
        roster.pop_due(at(0));
        roster.begun();
        roster.opened(0);
        assert_eq!((roster.open(), roster.reached()), (1, 1));
        roster.closed(true, at(1));
        assert_eq!(roster.emptied(), Some(at(1)));
        roster.turned_away(0, at(1));
        assert_eq!((roster.open(), roster.reached()), (0, 0));
    }

    #[test]
    fn no_more_than_so_many_are_opened_at_once() {
        let mut roster = Roster::new(&samples::plan(OPENING_MAX + 1, 1, Opening::AtOnce), 0);
        for _ in 0..OPENING_MAX {
            roster.pop_due(at(0)).expect("due");
            roster.begun();
        }
        assert_eq!((roster.pop_due(at(0)), roster.next()), (None, Moment::NEVER));
        roster.opened(0);
        assert!(roster.pop_due(at(0)).is_some());
    }
}
