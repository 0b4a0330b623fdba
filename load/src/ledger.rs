//! The slices of a thread: what it counts is cut off and handed over from time to time.

use std::mem;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tinytcp_core::os::moment::Moment;

use super::backlog::PAUSE_MIN;
use super::plan::Plan;
use super::processor::Usage;
use super::roster::Roster;
use super::tally::Tally;

/// What a thread has counted since it last said something.
#[derive(Debug)]
pub struct Part {
    /// The thread.
    pub worker: usize,
    /// When it begins and ends.
    pub span: (Moment, Moment),
    /// What was counted.
    pub tally: Tally,
    /// The thread's connections that are open at its end.
    pub open: usize,
    /// When the last of them ended; `None` while one is open, and before the first.
    pub emptied: Option<Moment>,
    /// Requests that were due at its end and not sent.
    pub unsent: u64,
    /// The most of them that were open at once.
    pub open_most: usize,
    /// Of the connections that the thread was asked for, how many were open at some time.
    pub reached: usize,
}

/// Cuts what a thread counts into parts.
#[derive(Debug)]
pub struct Ledger {
    worker: usize,
    parts: Sender<Part>,
    /// Where the current part began, and where it is to end.
    before: Moment,
    next: Moment,
    usage: Usage,
}

impl Ledger {
    /// For thread `worker`, which hands its parts to `parts`.
    #[must_use]
    pub fn new(worker: usize, parts: Sender<Part>) -> Self {
        Self { worker, parts, before: Moment::START, next: Moment::START, usage: Usage::default() }
    }

    /// Begins to count, on the thread whose processor time is to be counted.
    pub fn begin(&mut self, plan: &Plan, start: Moment, now: Moment) {
        self.usage = Usage::of_this_thread();
        self.before = now;
        self.next = next_cut(plan, start, now);
    }

    /// When the current part is to end.
    #[must_use]
    pub const fn next(&self) -> Moment {
        self.next
    }

    /// Ends the part when its time has come.
    pub fn round(
        &mut self,
        plan: &Plan,
        start: Moment,
        now: Moment,
        tally: &mut Tally,
        roster: &mut Roster,
        unsent: u64,
    ) {
        if now >= self.next {
            self.cut(plan, start, now, tally, roster, unsent);
        }
    }

    /// Ends the part.
    pub fn cut(
        &mut self,
        plan: &Plan,
        start: Moment,
        now: Moment,
        tally: &mut Tally,
        roster: &mut Roster,
        unsent: u64,
    ) {
        let usage = Usage::of_this_thread();
        let used = usage.since(mem::replace(&mut self.usage, usage));
        let mut tally = mem::take(tally);
        tally.cpu = used.busy;
        tally.starved = used.starved + stopped(now.since(self.before), used, tally.waited);
        // Nobody listens any more when the program is about to end.
        let _ = self.parts.send(Part {
            worker: self.worker,
            span: (mem::replace(&mut self.before, now), now),
            tally,
            open: roster.open(),
            emptied: roster.emptied(),
            unsent,
            open_most: roster.take_open_most(),
            reached: roster.reached(),
        });
        self.next = next_cut(plan, start, now);
    }
}

/// How long a thread neither ran, nor had no core, nor waited, in the time `all`: it was stopped.
/// What is too short to be told from the inaccuracy of the others is nothing.
fn stopped(all: Duration, used: Usage, waited: Duration) -> Duration {
    let stopped = all.saturating_sub(used.busy + used.starved + waited);
    // Where the system does not tell how long it ran, neither is this known.
    if used == Usage::default() || stopped < PAUSE_MIN { Duration::ZERO } else { stopped }
}

/// The next boundary: of a slice while counting; before that, of the warm-up, and often enough for
/// the progress to move.
fn next_cut(plan: &Plan, start: Moment, now: Moment) -> Moment {
    let (base, _) = plan.counted(start);
    if now < base { now.after(plan.slice()).min(base) } else { Span::of(plan, start, now).to }
}

/// The place of a slice in the counted part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its number.
    pub number: u32,
    /// Where it begins.
    pub from: Moment,
    /// Where it is to end.
    pub to: Moment,
}

impl Span {
    /// The slice that `moment`, which is not before the counted part, belongs to. One ends where
    /// the load does: what the wait for the last replies costs is told from what the load cost.
    #[must_use]
    pub fn of(plan: &Plan, start: Moment, moment: Moment) -> Self {
        let ((base, end), length) = (plan.counted(start), plan.slice());
        let nanoseconds = length.as_nanos().max(1);
        let (origin, first) = if moment < end {
            (base, 0)
        } else {
            (end, end.since(base).as_nanos().div_ceil(nanoseconds))
        };
        let passed = moment.since(origin).as_nanos() / nanoseconds;
        let from = origin.after(length.saturating_mul(u32::try_from(passed).unwrap_or(u32::MAX)));
        let to = if moment < end { from.after(length).min(end) } else { from.after(length) };
        Self { number: u32::try_from(first + passed).unwrap_or(u32::MAX), from, to }
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::Opening;
    use super::super::samples;
    use super::*;

    #[test]
    fn cuts_fall_on_the_end_of_warming_up_and_on_whole_slices_after_it() {
        // A second of warming up and ten seconds that count, in slices of 100 ms.
        let plan = samples::plan(1, 1, Opening::AtOnce);
        assert_eq!(plan.slice(), Duration::from_millis(100));
        let at = |milliseconds| Moment::START.after(Duration::from_millis(milliseconds));
        let start = at(30);
        assert_eq!(next_cut(&plan, Moment::NEVER, at(7)), at(107), "before the load has begun");
        assert_eq!(next_cut(&plan, start, at(970)), at(1030));
        assert_eq!(next_cut(&plan, start, at(1030)), at(1130));
        assert_eq!(next_cut(&plan, start, at(1375)), at(1430));
    }

    #[test]
    fn a_thread_that_neither_ran_nor_waited_was_stopped() {
        let milliseconds = Duration::from_millis;
        let used = Usage { busy: milliseconds(100), starved: milliseconds(50) };
        let second = milliseconds(1_000);
        assert_eq!(stopped(second, used, milliseconds(150)), milliseconds(700));
        assert_eq!(
            stopped(second, used, milliseconds(845)),
            Duration::ZERO,
            "too short to be told"
        );
        assert_eq!(stopped(second, used, milliseconds(900)), Duration::ZERO);
        assert_eq!(
            stopped(second, Usage::default(), milliseconds(150)),
            Duration::ZERO,
            "it is not known how long it ran"
        );
    }

    #[test]
    fn a_slice_ends_where_the_load_does() {
        let mut plan = samples::plan(1, 1, Opening::AtOnce);
        plan.asked.duration = Duration::from_millis(1_250);
        let at = |milliseconds| Moment::START.after(Duration::from_millis(milliseconds));
        for (moment, number, from, to) in
            [(1_000, 0, 1_000, 1_100), (1_249, 2, 1_200, 1_250), (1_250, 3, 1_250, 1_350)]
        {
            let span = Span { number, from: at(from), to: at(to) };
            assert_eq!(Span::of(&plan, at(0), at(moment)), span, "at {moment} ms");
        }
    }
}
