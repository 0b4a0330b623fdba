//! The slice recorder of a thread: it cuts the counts into slices and sends them to the collector.

use std::mem;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tinytcp_core::os::moment::Moment;

use super::cpu_usage::CpuUsage;
use super::free_connections::PAUSE_MIN;
use super::slots::ConnectionSlots;
use super::thread_state::ThreadState;
use crate::measurement::counts::Counts;
use crate::measurement::logged_request::RequestLog;
use crate::traffic::plan::Plan;

/// The counts of a thread since its last part.
#[derive(Debug)]
pub struct SlicePart {
    /// Index of the thread.
    pub worker: usize,
    /// Its start and end.
    pub span: (Moment, Moment),
    /// The counts.
    pub counts: Counts,
    /// The requests to log.
    pub log: RequestLog,
    /// Connections of the thread open at its end.
    pub open: usize,
    /// When the last open connection ended; `None` while one is open, and before the first.
    pub last_closed: Option<Moment>,
    /// Requests due at its end and not sent.
    pub unsent: u64,
    /// Most connections open at once.
    pub open_most: usize,
    /// Number of the thread's connections that were open at some time.
    pub reached: usize,
}

/// Cuts the counts of a thread into parts.
#[derive(Debug)]
pub struct SliceRecorder {
    worker: usize,
    parts: Sender<SlicePart>,
    /// Start and planned end of the current part.
    before: Moment,
    next: Moment,
    usage: CpuUsage,
}

impl SliceRecorder {
    /// Creates the recorder of thread `worker`, which sends its parts to `parts`.
    #[must_use]
    pub fn new(worker: usize, parts: Sender<SlicePart>) -> Self {
        Self {
            worker,
            parts,
            before: Moment::START,
            next: Moment::START,
            usage: CpuUsage::default(),
        }
    }

    /// Starts recording. Must run on the thread whose processor time is measured.
    pub fn begin(&mut self, plan: &Plan, start: Moment, now: Moment) {
        self.usage = CpuUsage::of_this_thread();
        self.before = now;
        self.next = next_cut(plan, start, now);
    }

    /// Returns the planned end of the current part.
    #[must_use]
    pub const fn next(&self) -> Moment {
        self.next
    }

    /// Ends the part if it is due.
    pub fn round(
        &mut self,
        plan: &Plan,
        start: Moment,
        now: Moment,
        state: &mut ThreadState,
        slots: &mut ConnectionSlots,
        unsent: u64,
    ) {
        if now >= self.next {
            self.cut(plan, start, now, state, slots, unsent);
        }
    }

    /// Ends the part and sends it.
    pub fn cut(
        &mut self,
        plan: &Plan,
        start: Moment,
        now: Moment,
        state: &mut ThreadState,
        slots: &mut ConnectionSlots,
        unsent: u64,
    ) {
        let usage = CpuUsage::of_this_thread();
        let used = usage.since(mem::replace(&mut self.usage, usage));
        let mut counts = mem::take(&mut state.counts);
        counts.cpu = used.busy;
        counts.starved = used.starved + stopped(now.since(self.before), used, counts.waited);
        // The collector is gone when the program is about to end.
        let _ = self.parts.send(SlicePart {
            worker: self.worker,
            span: (mem::replace(&mut self.before, now), now),
            counts,
            log: state.log.as_mut().map(RequestLog::take).unwrap_or_default(),
            open: slots.open(),
            last_closed: slots.last_closed(),
            unsent,
            open_most: slots.take_open_most(),
            reached: slots.reached(),
        });
        self.next = next_cut(plan, start, now);
    }
}

/// Returns the part of the time `all` in which a thread was stopped: it neither ran, nor lacked a
/// core, nor waited. A result within the measurement error counts as zero.
fn stopped(all: Duration, used: CpuUsage, waited: Duration) -> Duration {
    let stopped = all.saturating_sub(used.busy + used.starved + waited);
    // If the system does not report the CPU time, this is unknown too.
    if used == CpuUsage::default() || stopped < PAUSE_MIN { Duration::ZERO } else { stopped }
}

/// Returns the next boundary: of a slice in the measurement window; before it, of the warm-up, and
/// often enough for the progress display.
fn next_cut(plan: &Plan, start: Moment, now: Moment) -> Moment {
    let (base, _) = plan.counted(start);
    if now < base { now.after(plan.step()).min(base) } else { SliceSpan::step(plan, start, now).to }
}

/// The position of a slice, or of a step of it, in the measurement window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceSpan {
    /// Its number.
    pub number: u32,
    /// Its start.
    pub from: Moment,
    /// Its planned end.
    pub to: Moment,
}

impl SliceSpan {
    /// Returns the slice of `moment`, which is not before the measurement window. One slice ends
    /// where the load does, so that the wait for the last replies is measured separately.
    #[must_use]
    pub fn slice(plan: &Plan, start: Moment, moment: Moment) -> Self {
        Self::of(plan.slice(), plan.counted(start), moment)
    }

    /// Returns the step of `moment`, like [`slice`](Self::slice).
    #[must_use]
    pub fn step(plan: &Plan, start: Moment, moment: Moment) -> Self {
        Self::of(plan.step(), plan.counted(start), moment)
    }

    fn of(length: Duration, (base, end): (Moment, Moment), moment: Moment) -> Self {
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
    use super::*;
    use crate::fixtures;
    use crate::measurement::settings::Opening;

    #[test]
    fn slices_start_at_the_end_of_the_warm_up() {
        // One second of warm-up and a measurement window of ten seconds, in slices of 100 ms.
        let plan = fixtures::plan(1, 1, Opening::AtOnce);
        assert_eq!(plan.slice(), Duration::from_millis(100));
        let at = |milliseconds| Moment::START.after(Duration::from_millis(milliseconds));
        let start = at(30);
        assert_eq!(next_cut(&plan, Moment::NEVER, at(7)), at(107), "before the load has begun");
        assert_eq!(next_cut(&plan, start, at(970)), at(1030));
        assert_eq!(next_cut(&plan, start, at(1030)), at(1130));
        assert_eq!(next_cut(&plan, start, at(1375)), at(1430));
    }

    #[test]
    fn a_long_slice_has_steps_of_a_second() {
        let mut plan = fixtures::plan(1, 1, Opening::AtOnce);
        plan.settings.duration = Duration::from_secs(3_600);
        assert_eq!((plan.slice(), plan.step()), (Duration::from_secs(7), Duration::from_secs(1)));
        let at = |seconds| Moment::START.after(Duration::from_secs(seconds));
        assert_eq!(next_cut(&plan, at(0), at(9)), at(10));
        for moment in 1..3_605 {
            let span = |of: fn(&Plan, Moment, Moment) -> SliceSpan| of(&plan, at(0), at(moment));
            let (slice, step) = (span(SliceSpan::slice), span(SliceSpan::step));
            assert!(slice.from <= step.from && step.to <= slice.to, "{slice:?} {step:?}");
        }
    }

    #[test]
    fn a_thread_that_neither_ran_nor_waited_was_stopped() {
        let milliseconds = Duration::from_millis;
        let used = CpuUsage { busy: milliseconds(100), starved: milliseconds(50) };
        let second = milliseconds(1_000);
        assert_eq!(stopped(second, used, milliseconds(150)), milliseconds(700));
        assert_eq!(
            stopped(second, used, milliseconds(845)),
            Duration::ZERO,
            "within the measurement error"
        );
        assert_eq!(stopped(second, used, milliseconds(900)), Duration::ZERO);
        assert_eq!(
            stopped(second, CpuUsage::default(), milliseconds(150)),
            Duration::ZERO,
            "it is not known how long it ran"
        );
    }

    #[test]
    fn a_slice_ends_where_the_load_does() {
        let mut plan = fixtures::plan(1, 1, Opening::AtOnce);
        plan.settings.duration = Duration::from_millis(1_250);
        let at = |milliseconds| Moment::START.after(Duration::from_millis(milliseconds));
        for (moment, number, from, to) in
            [(1_000, 0, 1_000, 1_100), (1_249, 2, 1_200, 1_250), (1_250, 3, 1_250, 1_350)]
        {
            let span = SliceSpan { number, from: at(from), to: at(to) };
            assert_eq!(SliceSpan::slice(&plan, at(0), at(moment)), span, "at {moment} ms");
        }
    }
}
