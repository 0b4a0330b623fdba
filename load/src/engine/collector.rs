//! Combines the counts of all threads to the outcome of a run.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, SystemTime};

use tinytcp_core::os::moment::Moment;

use super::connect;
use super::interruption::Interruption;
use super::slice_recorder::{SlicePart, SliceSpan};
use super::start_barrier::StartBarrier;
use crate::measurement::counts::Counts;
use crate::measurement::latency::Latency;
use crate::measurement::outcome::{RunOutcome, Slice};
use crate::traffic::plan::Plan;

/// Longest delay before an interruption is noticed.
const INTERRUPTION_DELAY_MAX: Duration = Duration::from_millis(20);

/// An observer of the course of a run.
pub trait Observer {
    /// `opened` of the `requested` connections are open, before the first slice.
    fn opening(&mut self, opened: usize, requested: usize);

    /// A slice is complete, `elapsed` after the start of the run, with `unsent` requests that are
    /// due.
    fn slice(&mut self, slice: &Slice, unsent: u64, elapsed: Duration);

    /// The run is over.
    fn finish(&mut self);
}

/// Combines the counts of all threads.
pub(super) struct Collector<'a> {
    plan: &'a Plan,
    barrier: &'a StartBarrier,
    total: Counts,
    slices: BTreeMap<u32, PartialSlice>,
    /// Open connections and reached connections of each thread.
    open: Vec<usize>,
    reached: Vec<usize>,
    /// When the last connection of each thread ended, and its requests that are due and not sent.
    last_closed: Vec<Option<Moment>>,
    unsent: Vec<u64>,
    finish: Moment,
}

impl<'a> Collector<'a> {
    pub(super) fn new(plan: &'a Plan, barrier: &'a StartBarrier) -> Self {
        let threads = plan.settings.threads;
        Self {
            plan,
            barrier,
            total: Counts::default(),
            slices: BTreeMap::new(),
            open: vec![0; threads],
            reached: vec![0; threads],
            last_closed: vec![None; threads],
            unsent: vec![0; threads],
            finish: Moment::START,
        }
    }

    pub(super) fn collect(
        mut self,
        parts: &Receiver<SlicePart>,
        interruption: &Interruption,
        observer: &mut impl Observer,
    ) -> Self {
        loop {
            match parts.recv_timeout(INTERRUPTION_DELAY_MAX) {
                Ok(part) => self.take(part, observer),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if interruption.signal().is_some() {
                self.barrier.stop();
            }
        }
        observer.finish();
        self
    }

    fn take(&mut self, mut part: SlicePart, observer: &mut impl Observer) {
        self.open[part.worker] = part.open;
        self.reached[part.worker] = part.reached;
        self.last_closed[part.worker] = part.last_closed;
        self.unsent[part.worker] = part.unsent;
        self.finish = self.finish.max(part.span.1);
        let counted = |start: &Moment| self.plan.counted(*start).0 <= part.span.0;
        let Some(start) = self.barrier.started().filter(counted) else {
            self.total.merge_failures(&part.counts);
            return observer.opening(self.reached.iter().sum(), self.plan.settings.connections);
        };
        let (base, end) = self.plan.counted(start);
        if part.span.0 >= end {
            // While the generator waits for the last replies it is idle, which would distort its
            // load.
            (part.counts.cpu, part.counts.starved) = (Duration::ZERO, Duration::ZERO);
        }
        self.total.merge(&part.counts);
        let span = SliceSpan::of(self.plan, start, part.span.0);
        let partial =
            self.slices.entry(span.number).or_insert_with(|| PartialSlice::new(span, base));
        partial.add(&part, self.plan.is_open_loop());
        let slice = &partial.slice;
        if partial.parts == self.plan.settings.threads {
            let elapsed = part.span.1.since(base) + self.plan.settings.warmup;
            observer.slice(slice, self.unsent.iter().sum(), elapsed);
        }
    }

    /// Returns how long after the start of the load the last connection ended, if the server then
    /// accepted no other one.
    fn server_gone(&self) -> Option<Duration> {
        // If the generator closed all connections itself, a probe would be an unrequested
        // connection.
        let has_failed = self.total.endings.total() + self.total.connect_errors.total() > 0;
        if !has_failed || self.open.iter().any(|open| *open > 0) {
            return None;
        }
        let last_closed = self.last_closed.iter().flatten().max()?;
        let start = self.barrier.started().unwrap_or(Moment::START);
        (!self.plan.endpoints.iter().any(connect::takes_connections))
            .then(|| last_closed.since(start))
    }

    pub(super) fn outcome(self, started: SystemTime, interrupted_by: Option<i32>) -> RunOutcome {
        let (base, end) = self.plan.counted(self.barrier.started().unwrap_or(self.finish));
        let server_gone = self.server_gone();
        let open_last = self.open.iter().sum();
        // A thread without a core skips slices, and their sums then lack its connections.
        let open_most =
            self.slices.values().map(|partial| partial.open_most).max().unwrap_or(0).max(open_last);
        let mut slices: Vec<Slice> =
            self.slices.into_values().map(|partial| partial.slice).collect();
        if let Some(last) = slices.last_mut() {
            last.length = self.finish.since(base).saturating_sub(last.start).min(last.length);
        }
        RunOutcome {
            settings: self.plan.settings.clone(),
            opening: self.plan.opening,
            lifetime: self.plan.lifetime,
            started,
            counted: end.min(self.finish).since(base),
            cores: self.plan.settings.threads.min(cores()),
            total: self.total,
            open_most,
            slices,
            reached: self.reached.iter().sum(),
            open_last,
            server_gone,
            interrupted_by,
        }
    }
}

/// Returns the number of cores that the process may use; one if the system does not report it.
fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// A slice, complete when all threads have sent their parts.
struct PartialSlice {
    slice: Slice,
    /// Number of threads whose parts have arrived.
    parts: usize,
    /// Sum, over the threads, of the most connections that each had open at once.
    open_most: usize,
}

impl PartialSlice {
    fn new(span: SliceSpan, base: Moment) -> Self {
        let (start, length) = (span.from.since(base), span.to.since(span.from));
        let latency = Latency::default();
        Self {
            slice: Slice { start, length, sent: 0, correct: 0, errors: 0, open: 0, latency },
            parts: 0,
            open_most: 0,
        }
    }

    fn add(&mut self, part: &SlicePart, is_open_loop: bool) {
        self.parts += 1;
        self.open_most += part.open_most;
        self.slice.sent += part.counts.sent;
        self.slice.correct += part.counts.correct;
        self.slice.errors += part.counts.errors.total();
        self.slice.open += part.open;
        self.slice.latency.merge(if is_open_loop {
            &part.counts.from_schedule
        } else {
            &part.counts.from_send
        });
    }
}
