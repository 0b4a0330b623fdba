//! The slots of the requested connections: which ones are open, and when to try the others.
//!
//! ```text
//!   due --> opening --> open --> (end of lifetime: due at once)
//!    ^         |          |
//!    +- pause -+----------+      doubled after each failed connection
//! ```

use std::mem;
use std::time::Duration;

use tinytcp_core::os::moment::Moment;
use tinytcp_core::queues::deadlines::Deadlines;

use super::connect::Attempt;
use crate::measurement::settings::Opening;
use crate::traffic::plan::Plan;

/// Bounds of the pause after a failed connection. The pause doubles with each further failure.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Maximum number of connections opening at once, so that a server that accepts slowly is not
/// flooded beyond its backlog.
const OPENING_MAX: usize = 256;

/// The slot of one requested connection.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// True if an attempt to open it has succeeded, or has failed at all addresses.
    was_tried: bool,
    /// True if it was open, and not rejected, at some time.
    was_reached: bool,
    /// True if the server rejected its last connection that ended.
    was_rejected: bool,
    /// Number of consecutive failed connections, for any reason.
    failures: u32,
    /// Number of consecutive failed attempts.
    refusals: u32,
    /// The first address of the current attempt, and the number of addresses that have failed
    /// since.
    first_address: usize,
    passed: usize,
}

/// The connection slots of one thread.
#[derive(Debug)]
pub struct ConnectionSlots {
    slots: Vec<Slot>,
    /// When to open which slot.
    openings: Deadlines,
    /// Number of connections that are opening.
    opening: usize,
    open: usize,
    /// Most connections open at once since the last report.
    open_most: usize,
    /// When the last open connection ended; `None` while one is open, and before the first.
    last_closed: Option<Moment>,
    /// Number of slots not tried yet.
    untried: usize,
    /// Number of slots that were open at some time.
    reached: usize,
    /// Number of server addresses.
    addresses: usize,
    /// True if each connection has an address of its own, in turn.
    is_spread: bool,
    /// Connections are assigned to `stride` threads in turn; this is thread `offset`.
    stride: usize,
    offset: usize,
}

impl ConnectionSlots {
    /// Creates the slots of thread `index`.
    #[must_use]
    pub fn new(plan: &Plan, index: usize) -> Self {
        let stride = plan.settings.threads;
        let slots = plan.settings.connections.saturating_sub(index).div_ceil(stride);
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
            last_closed: None,
            untried,
            reached: 0,
            addresses: plan.endpoints.len(),
            is_spread: plan.is_spread,
            stride,
            offset: index,
        }
    }

    /// Returns when to open the next connection.
    #[must_use]
    pub fn next(&self) -> Moment {
        if self.opening < OPENING_MAX { self.openings.next() } else { Moment::NEVER }
    }

    /// Removes and returns a slot whose connection is due at `now`.
    pub fn pop_due(&mut self, now: Moment) -> Option<usize> {
        if self.opening < OPENING_MAX { self.openings.pop_due(now) } else { None }
    }

    /// Returns the number of `slot` among the connections of all threads.
    #[must_use]
    pub const fn number(&self, slot: usize) -> usize {
        slot * self.stride + self.offset
    }

    /// Returns the next attempt of `slot`: at the address `preferred`, or at the one after the last
    /// failed address; of spread connections, at the address of its own.
    pub fn attempt(&mut self, slot: usize, preferred: usize) -> Attempt {
        let number = self.number(slot);
        let slot = &mut self.slots[slot];
        let is_first = slot.passed == 0;
        if is_first {
            slot.first_address = if self.is_spread { number } else { preferred };
        }
        let address = (slot.first_address + slot.passed) % self.addresses;
        Attempt { number, refusals: slot.refusals, address, is_first }
    }

    /// Schedules `slot` for its next address at once; returns false if all addresses have failed in
    /// this attempt.
    pub fn try_next_address(&mut self, slot: usize, now: Moment) -> bool {
        if self.is_spread {
            return false;
        }
        self.slots[slot].passed += 1;
        let is_left = self.slots[slot].passed < self.addresses;
        if is_left {
            self.openings.bring_forward(slot, now);
        }
        is_left
    }

    /// Records that a connection is opening.
    pub const fn begun(&mut self) {
        self.opening += 1;
    }

    /// Records that the connection of `slot` is open.
    pub fn opened(&mut self, slot: usize) {
        self.opening -= 1;
        self.open += 1;
        self.last_closed = None;
        self.open_most = self.open_most.max(self.open);
        self.tried(slot);
        let slot = &mut self.slots[slot];
        (slot.refusals, slot.passed) = (0, 0);
        self.reached += usize::from(!slot.was_reached);
        slot.was_reached = true;
    }

    /// Records the end of a connection that was open or opening.
    pub fn closed(&mut self, was_open: bool, now: Moment) {
        if was_open {
            self.open -= 1;
            self.last_closed = (self.open == 0).then_some(now);
        } else {
            self.opening -= 1;
        }
    }

    /// Records that the attempt of `slot` has failed, and schedules another one.
    pub fn failed(&mut self, slot: usize, now: Moment) {
        self.tried(slot);
        let Slot { refusals, passed, .. } = &mut self.slots[slot];
        (*refusals, *passed) = (refusals.saturating_add(1), 0);
        self.reopen_later(slot, now);
    }

    /// Records that the server rejected the connection of `slot`, which counts as not reached.
    pub fn rejected(&mut self, slot: usize, now: Moment) {
        self.not_reached(slot);
        self.failed(slot, now);
        self.slots[slot].was_rejected = true;
    }

    /// Records that the run has ended before the server sent a byte to the open connection of
    /// `slot`. If the server rejected the one before it, the run ended before the same rejection:
    /// the connection counts as neither open nor reached.
    pub fn ended_unanswered(&mut self, slot: usize, now: Moment) {
        if self.slots[slot].was_rejected {
            self.closed(true, now);
            self.not_reached(slot);
        }
    }

    fn not_reached(&mut self, slot: usize) {
        self.reached -= usize::from(self.slots[slot].was_reached);
        self.slots[slot].was_reached = false;
    }

    /// Schedules `slot` at once: its last connection succeeded.
    pub fn reopen(&mut self, slot: usize, now: Moment) {
        self.slots[slot].failures = 0;
        self.slots[slot].was_rejected = false;
        self.openings.bring_forward(slot, now);
    }

    /// Schedules `slot` after a pause: its last connection failed.
    pub fn reopen_later(&mut self, slot: usize, now: Moment) {
        self.slots[slot].was_rejected = false;
        let failures = &mut self.slots[slot].failures;
        let pause = PAUSE_MIN.saturating_mul(1 << (*failures).min(10)).min(PAUSE_MAX);
        *failures = failures.saturating_add(1);
        self.openings.bring_forward(slot, now.after(pause));
    }

    /// Returns the number of open connections.
    #[must_use]
    pub const fn open(&self) -> usize {
        self.open
    }

    /// When the last open connection ended; `None` while one is open, and before the first.
    #[must_use]
    pub const fn last_closed(&self) -> Option<Moment> {
        self.last_closed
    }

    /// Returns the most connections open at once since the last call.
    pub fn take_open_most(&mut self) -> usize {
        mem::replace(&mut self.open_most, self.open)
    }

    /// Returns how many requested connections were open, and not rejected, at some time.
    #[must_use]
    pub const fn reached(&self) -> usize {
        self.reached
    }

    /// Returns true if each requested connection has been open or has failed.
    #[must_use]
    pub const fn all_were_tried(&self) -> bool {
        self.untried == 0
    }

    fn tried(&mut self, slot: usize) {
        self.untried -= usize::from(!self.slots[slot].was_tried);
        self.slots[slot].was_tried = true;
    }
}

/// Returns when to open the connection with this number, counted over all threads.
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

    use super::*;
    use crate::fixtures;

    fn at(milliseconds: u64) -> Moment {
        Moment::START.after(Duration::from_millis(milliseconds))
    }

    #[test]
    fn threads_share_connections_and_open_them_at_their_rate() {
        let plan = fixtures::plan(5, 2, Opening::Rate(100.0));
        let mut second = ConnectionSlots::new(&plan, 1);
        assert_eq!(second.next(), at(10));
        assert_eq!(second.pop_due(at(9)), None);
        assert_eq!(second.pop_due(at(10)), Some(0));
        assert_eq!(second.next(), at(30));
        assert_eq!([0, 1].map(|slot| second.attempt(slot, 0).number), [1, 3]);
        assert_eq!(ConnectionSlots::new(&plan, 0).slots.len(), 3);
    }

    #[test]
    fn an_attempt_fails_when_all_addresses_have_failed() {
        let mut plan = fixtures::plan(1, 1, Opening::AtOnce);
        plan.endpoints =
            [1, 2, 3].map(|port| Endpoint::Tcp(([127, 0, 0, 1], port).into())).to_vec();
        let mut slots = ConnectionSlots::new(&plan, 0);
        let mut tried = Vec::new();
        // Another connection has found that address 0 works, which does not affect an attempt in
        // progress.
        for preferred in [2, 0, 0] {
            assert_eq!(slots.pop_due(at(0)), Some(0));
            let attempt = slots.attempt(0, preferred);
            tried.push((attempt.address, attempt.is_first));
            assert!(!slots.all_were_tried());
            if !slots.try_next_address(0, at(0)) {
                slots.failed(0, at(0));
            }
        }
        assert_eq!(tried, [(2, true), (0, false), (1, false)]);
        assert!(slots.all_were_tried());
        assert_eq!(slots.next(), at(10), "the next attempt comes after a pause");
        assert_eq!(slots.attempt(0, 1).address, 1);
    }

    #[test]
    fn spread_connections_stay_at_their_addresses() {
        let mut plan = fixtures::plan(4, 1, Opening::AtOnce);
        plan.is_spread = true;
        plan.endpoints =
            [1, 2, 3].map(|port| Endpoint::Tcp(([127, 0, 0, 1], port).into())).to_vec();
        let mut slots = ConnectionSlots::new(&plan, 0);
        assert_eq!([0, 1, 2, 3].map(|slot| slots.attempt(slot, 2).address), [0, 1, 2, 0]);
        assert!(!slots.try_next_address(1, at(0)));
        slots.failed(1, at(0));
        assert_eq!(slots.attempt(1, 2).address, 1);
    }

    #[test]
    fn failed_connections_are_retried_with_pauses_doubling_to_1_s() {
        let mut slots = ConnectionSlots::new(&fixtures::plan(1, 1, Opening::AtOnce), 0);
        assert_eq!(slots.pop_due(at(0)), Some(0));
        for pause in [10, 20, 40, 80, 160, 320, 640, 1000, 1000] {
            slots.failed(0, at(0));
            assert_eq!(slots.next(), at(pause));
            slots.pop_due(at(pause));
        }
        assert!(slots.all_were_tried());
        slots.reopen(0, at(5));
        slots.pop_due(at(5));
        slots.failed(0, at(5));
        assert_eq!(slots.next(), at(15), "a successful connection resets the pause");
    }

    #[test]
    fn a_rejected_connection_is_not_reached() {
        let mut slots = ConnectionSlots::new(&fixtures::plan(1, 1, Opening::AtOnce), 0);
        slots.pop_due(at(0));
        slots.begun();
        slots.opened(0);
        assert_eq!((slots.open(), slots.reached()), (1, 1));
        slots.closed(true, at(1));
        assert_eq!(slots.last_closed(), Some(at(1)));
        slots.rejected(0, at(1));
        assert_eq!((slots.open(), slots.reached()), (0, 0));
    }

    #[test]
    fn the_end_of_the_run_finds_a_rejected_slot_not_reached() {
        let mut slots = ConnectionSlots::new(&fixtures::plan(1, 1, Opening::AtOnce), 0);
        for reached in [1, 0] {
            slots.pop_due(at(0));
            slots.begun();
            slots.opened(0);
            slots.ended_unanswered(0, at(0));
            assert_eq!((slots.open(), slots.reached()), (reached, reached));
            if reached == 1 {
                slots.closed(true, at(0));
                slots.rejected(0, at(0));
            }
        }
    }

    #[test]
    fn the_number_of_opening_connections_is_limited() {
        let mut slots =
            ConnectionSlots::new(&fixtures::plan(OPENING_MAX + 1, 1, Opening::AtOnce), 0);
        for _ in 0..OPENING_MAX {
            slots.pop_due(at(0)).expect("due");
            slots.begun();
        }
        assert_eq!((slots.pop_due(at(0)), slots.next()), (None, Moment::NEVER));
        slots.opened(0);
        assert!(slots.pop_due(at(0)).is_some());
    }
}
