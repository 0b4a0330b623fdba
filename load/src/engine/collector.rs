//! Combines the counts of all threads to the outcome of a run.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, SystemTime};

use tinytcp_core::os::moment::Moment;

use super::connect;
use super::interruption::Interruption;
use super::slice_recorder::{Part, Span};
use super::start_barrier::Muster;
use crate::measurement::counts::Tally;
use crate::measurement::latency::Latency;
use crate::measurement::outcome::{Outcome, Slice};
use crate::traffic::plan::Plan;

/// Longest delay before an interruption is noticed.
const LOOK_AROUND: Duration = Duration::from_millis(20);

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
    muster: &'a Muster,
    total: Tally,
    slices: BTreeMap<u32, Gathered>,
    /// Open connections and reached connections of each thread.
    open: Vec<usize>,
    reached: Vec<usize>,
    /// When the last connection of each thread ended, and its requests that are due and not sent.
    emptied: Vec<Option<Moment>>,
    unsent: Vec<u64>,
    finish: Moment,
}

impl<'a> Collector<'a> {
    pub(super) fn new(plan: &'a Plan, muster: &'a Muster) -> Self {
        let threads = plan.asked.threads;
        Self {
            plan,
            muster,
            total: Tally::default(),
            slices: BTreeMap::new(),
            open: vec![0; threads],
            reached: vec![0; threads],
            emptied: vec![None; threads],
            unsent: vec![0; threads],
            finish: Moment::START,
        }
    }

    pub(super) fn collect(
        mut self,
        parts: &Receiver<Part>,
        interruption: &Interruption,
        observer: &mut impl Observer,
    ) -> Self {
        loop {
            match parts.recv_timeout(LOOK_AROUND) {
                Ok(part) => self.take(part, observer),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if interruption.signal().is_some() {
                self.muster.stop();
            }
        }
        observer.finish();
        self
    }

    fn take(&mut self, mut part: Part, observer: &mut impl Observer) {
        self.open[part.worker] = part.open;
        self.reached[part.worker] = part.reached;
        self.emptied[part.worker] = part.emptied;
        self.unsent[part.worker] = part.unsent;
        self.finish = self.finish.max(part.span.1);
        let counted = |start: &Moment| self.plan.counted(*start).0 <= part.span.0;
        let Some(start) = self.muster.started().filter(counted) else {
            self.total.merge_failures(&part.tally);
            return observer.opening(self.reached.iter().sum(), self.plan.asked.connections);
        };
        let (base, end) = self.plan.counted(start);
        if part.span.0 >= end {
            // While the generator waits for the last replies it is idle, which would distort its
            // load.
            (part.tally.cpu, part.tally.starved) = (Duration::ZERO, Duration::ZERO);
        }
        self.total.merge(&part.tally);
        let span = Span::of(self.plan, start, part.span.0);
        let gathered = self.slices.entry(span.number).or_insert_with(|| Gathered::new(span, base));
        gathered.add(&part, self.plan.is_open_loop());
        let slice = &gathered.slice;
        if gathered.parts == self.plan.asked.threads {
            let elapsed = part.span.1.since(base) + self.plan.asked.warmup;
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
        let emptied = self.emptied.iter().flatten().max()?;
        let start = self.muster.started().unwrap_or(Moment::START);
        (!self.plan.endpoints.iter().any(connect::takes_connections)).then(|| emptied.since(start))
    }

    pub(super) fn outcome(self, started: SystemTime, interrupted_by: Option<i32>) -> Outcome {
        let (base, end) = self.plan.counted(self.muster.started().unwrap_or(self.finish));
        let server_gone = self.server_gone();
        let open_last = self.open.iter().sum();
        // A thread without a core skips slices, and their sums then lack its connections.
        let open_most = self
            .slices
            .values()
            .map(|gathered| gathered.open_most)
            .max()
            .unwrap_or(0)
            .max(open_last);
        let mut slices: Vec<Slice> =
            self.slices.into_values().map(|gathered| gathered.slice).collect();
        if let Some(last) = slices.last_mut() {
            last.length = self.finish.since(base).saturating_sub(last.start).min(last.length);
        }
        Outcome {
            asked: self.plan.asked.clone(),
            opening: self.plan.opening,
            lifetime: self.plan.lifetime,
            started,
            counted: end.min(self.finish).since(base),
            cores: self.plan.asked.threads.min(cores()),
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
struct Gathered {
    slice: Slice,
    /// Number of threads whose parts have arrived.
    parts: usize,
    /// Sum, over the threads, of the most connections that each had open at once.
    open_most: usize,
}

impl Gathered {
    fn new(span: Span, base: Moment) -> Self {
        let (start, length) = (span.from.since(base), span.to.since(span.from));
        let latency = Latency::default();
        Self {
            slice: Slice { start, length, sent: 0, correct: 0, errors: 0, open: 0, latency },
            parts: 0,
            open_most: 0,
        }
    }

    fn add(&mut self, part: &Part, is_open_loop: bool) {
        self.parts += 1;
        self.open_most += part.open_most;
        self.slice.sent += part.tally.sent;
        self.slice.correct += part.tally.correct;
        self.slice.errors += part.tally.errors.total();
        self.slice.open += part.open;
        self.slice.latency.merge(if is_open_loop {
            &part.tally.from_schedule
        } else {
            &part.tally.from_send
        });
    }
}
