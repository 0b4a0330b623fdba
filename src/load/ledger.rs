//! The slices of a thread: what it counts is cut off and handed over from time to time.

use std::mem;
use std::sync::mpsc::Sender;

use super::plan::Plan;
use super::processor::Usage;
use super::roster::Roster;
use super::tally::Tally;
use crate::base::moment::Moment;

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
    /// The end of the last round in which a reply was right; `None` when there was none.
    pub last_correct: Option<Moment>,
}

/// Cuts what a thread counts into parts.
#[derive(Debug)]
pub struct Ledger {
    worker: usize,
    parts: Sender<Part>,
    /// Where the current part began, and where it is to end.
    before: Moment,
    next: Moment,
    /// Right replies of this part up to the last round.
    correct: u64,
    last_correct: Option<Moment>,
    usage: Usage,
}

impl Ledger {
    /// For thread `worker`, which hands its parts to `parts`.
    #[must_use]
    pub fn new(worker: usize, parts: Sender<Part>) -> Self {
        let usage = Usage::default();
        Self { worker, parts, before: Moment::START, next: Moment::START, correct: 0, last_correct: None, usage }
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

    /// Takes note of a round, and ends the part when its time has come.
    pub fn round(
        &mut self,
        plan: &Plan,
        start: Moment,
        now: Moment,
        tally: &mut Tally,
        roster: &mut Roster,
        unsent: u64,
    ) {
        if tally.correct != self.correct {
            self.correct = tally.correct;
            self.last_correct = Some(now);
        }
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
        (tally.cpu, tally.starved) = (used.busy, used.starved);
        self.correct = 0;
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
            last_correct: self.last_correct.take(),
        });
        self.next = next_cut(plan, start, now);
    }
}

/// The next boundary: of a slice while counting; before that, of the warm-up, and often enough for the progress to move.
fn next_cut(plan: &Plan, start: Moment, now: Moment) -> Moment {
    let slice = plan.slice();
    let base = start.after(plan.asked.warmup);
    if now < base {
        return now.after(slice).min(base);
    }
    let passed = now.since(base).as_nanos() / slice.as_nanos().max(1) + 1;
    base.after(slice.saturating_mul(u32::try_from(passed).unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::super::plan::Opening;
    use super::super::samples;
    use super::*;
    use std::time::Duration;

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
}
