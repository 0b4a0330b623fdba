//! Combines the counts of all threads to the outcome of a run.

use std::collections::BTreeMap;
use std::mem;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, SystemTime};

use tinytcp_core::os::moment::Moment;

use super::connect;
use super::interruption::Interruption;
use super::partial_slice::PartialSlice;
use super::slice_recorder::{SlicePart, SliceSpan};
use super::start_barrier::StartBarrier;
use crate::measurement::causes::ConnectError;
use crate::measurement::counts::Counts;
use crate::measurement::logged_request::RequestLog;
use crate::measurement::outcome::{RunOutcome, Slice};
use crate::traffic::plan::Plan;

/// Longest delay before an interruption is noticed.
const INTERRUPTION_DELAY_MAX: Duration = Duration::from_millis(20);

/// An observer of the course of a run.
pub trait Observer {
    /// `opened` of the `requested` connections are open, before the first slice.
    fn opening(&mut self, opened: usize, requested: usize);

    /// A step of at most 1 s is complete, `elapsed` after the start of the run, with `unsent`
    /// requests that are due.
    fn step(&mut self, step: &Slice, unsent: u64, elapsed: Duration);

    /// Requests were answered or failed that are to be logged.
    fn requests(&mut self, log: RequestLog);

    /// The run goes on: this is called at least every 20 ms, and after each part of the counts.
    /// Returns false to end the run.
    fn goes_on(&mut self, run: &Collector<'_>) -> bool;

    /// The run is over.
    fn finish(&mut self);
}

/// Combines the counts of all threads.
#[derive(Clone, Debug)]
pub struct Collector<'a> {
    plan: &'a Plan,
    barrier: &'a StartBarrier,
    total: Counts,
    slices: BTreeMap<u32, PartialSlice>,
    /// The steps of which parts are missing.
    steps: BTreeMap<u32, PartialSlice>,
    /// Wall-clock time of the start.
    started: SystemTime,
    /// Open connections and reached connections of each thread.
    open: Vec<usize>,
    reached: Vec<usize>,
    /// When the last connection of each thread ended, and its requests that are due and not sent.
    last_closed: Vec<Option<Moment>>,
    unsent: Vec<u64>,
    finish: Moment,
}

impl<'a> Collector<'a> {
    pub(super) fn new(plan: &'a Plan, barrier: &'a StartBarrier, started: SystemTime) -> Self {
        let threads = plan.settings.threads;
        Self {
            plan,
            barrier,
            total: Counts::default(),
            slices: BTreeMap::new(),
            steps: BTreeMap::new(),
            started,
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
            if !observer.goes_on(&self) || interruption.signal().is_some() {
                self.barrier.stop();
            }
        }
        for step in mem::take(&mut self.steps).into_values() {
            let slice = step.slice();
            let end = self.plan.settings.warmup + slice.start + slice.length;
            observer.step(slice, self.unsent.iter().sum(), end);
        }
        observer.finish();
        self
    }

    fn take(&mut self, mut part: SlicePart, observer: &mut impl Observer) {
        observer.requests(mem::take(&mut part.log));
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
        let (threads, is_open_loop) = (self.plan.settings.threads, self.plan.is_open_loop());
        let slice = SliceSpan::slice(self.plan, start, part.span.0);
        let new = |span| PartialSlice::new(span, base, threads);
        self.slices.entry(slice.number).or_insert_with(|| new(slice)).add(&part, is_open_loop);
        let span = SliceSpan::step(self.plan, start, part.span.0);
        let step = self.steps.entry(span.number).or_insert_with(|| new(span));
        step.add(&part, is_open_loop);
        if step.parts() == threads
            && let Some(step) = self.steps.remove(&span.number)
        {
            let elapsed = part.span.1.since(base) + self.plan.settings.warmup;
            observer.step(step.slice(), self.unsent.iter().sum(), elapsed);
        }
    }

    /// Returns the counts so far.
    #[must_use]
    pub const fn total(&self) -> &Counts {
        &self.total
    }

    /// Returns the length of the measurement window so far; zero before it.
    #[must_use]
    pub fn counted(&self) -> Duration {
        let (base, end) = self.plan.counted(self.barrier.started().unwrap_or(self.finish));
        end.min(self.finish).since(base)
    }

    /// Returns how many requested connections were open at some time so far.
    #[must_use]
    pub fn reached(&self) -> usize {
        self.reached.iter().sum()
    }

    /// Returns true if the server has rejected connections because they are not encrypted, and has
    /// answered no request. It rejects all others too, unless they go to other addresses.
    #[must_use]
    pub fn needs_tls(&self) -> bool {
        let rejected = self.total.connect_errors.get(ConnectError::TlsRequired);
        rejected > 0 && self.total.correct == 0 && !self.plan.is_spread
    }

    /// Returns the outcome so far. Copies all slices.
    #[must_use]
    pub fn so_far(&self) -> RunOutcome {
        self.clone().into_outcome(None, None)
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

    pub(super) fn outcome(self, interrupted_by: Option<i32>) -> RunOutcome {
        let server_gone = self.server_gone();
        self.into_outcome(server_gone, interrupted_by)
    }

    fn into_outcome(
        self,
        server_gone: Option<Duration>,
        interrupted_by: Option<i32>,
    ) -> RunOutcome {
        let (base, _) = self.plan.counted(self.barrier.started().unwrap_or(self.finish));
        let counted = self.counted();
        let reached = self.reached();
        let open_last = self.open.iter().sum();
        // A thread without a core skips slices, and their sums then lack its connections.
        let open_most =
            self.slices.values().map(PartialSlice::open_most).max().unwrap_or(0).max(open_last);
        let mut slices: Vec<Slice> =
            self.slices.into_values().map(PartialSlice::into_slice).collect();
        if let Some(last) = slices.last_mut() {
            last.length = self.finish.since(base).saturating_sub(last.start).min(last.length);
        }
        let endpoints = self.plan.endpoints.iter().filter(|_| self.plan.is_spread);
        let addresses = endpoints.map(ToString::to_string).collect();
        RunOutcome {
            settings: self.plan.settings.clone(),
            opening: self.plan.opening,
            lifetime: self.plan.lifetime,
            started: self.started,
            counted,
            cores: self.plan.settings.threads.min(cores()),
            total: self.total,
            open_most,
            slices,
            reached,
            open_last,
            addresses,
            server_gone,
            interrupted_by,
        }
    }
}

/// Returns the number of cores that the process may use; one if the system does not report it.
fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}
