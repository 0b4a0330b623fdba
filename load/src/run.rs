//! One run: threads are started, what they count is put together, and the run ends in time whatever
//! happens.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, SystemTime};

use signal_hook::flag;
use tinytcp_core::os::moment::Moment;

use super::connect;
use super::latency::Latency;
use super::ledger::{Part, Span};
use super::muster::Muster;
use super::outcome::{Outcome, Slice};
use super::plan::Plan;
use super::progress::Progress;
use super::tally::Tally;
use super::worker::Worker;

/// How soon an interruption is noticed.
const LOOK_AROUND: Duration = Duration::from_millis(20);

/// Whether a signal has come that ends the run.
#[derive(Debug, Default)]
pub struct Interruption {
    /// The number of the signal, or zero.
    signal: Arc<AtomicUsize>,
}

impl Interruption {
    /// Notices these signals: the first one ends the run with a report, a second one the process.
    ///
    /// # Errors
    /// When one of them cannot be caught.
    pub fn by(signals: &[i32]) -> io::Result<Self> {
        let interruption = Self::default();
        let is_second = Arc::new(AtomicBool::new(false));
        for signal in signals {
            flag::register_conditional_shutdown(*signal, 128 + signal, Arc::clone(&is_second))?;
            flag::register(*signal, Arc::clone(&is_second))?;
            flag::register_usize(
                *signal,
                Arc::clone(&interruption.signal),
                usize::try_from(*signal).unwrap_or(0),
            )?;
        }
        Ok(interruption)
    }

    /// The number of the signal that has come.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        i32::try_from(self.signal.load(Ordering::Acquire)).ok().filter(|signal| *signal != 0)
    }
}

/// Does what `plan` says. Takes at most its duration and its timeout, and much less once
/// interrupted.
///
/// # Errors
/// When the system gives no thread or no poller.
pub fn run(
    plan: Plan,
    interruption: &Interruption,
    progress: &mut Progress,
) -> Result<Outcome, String> {
    let plan = Arc::new(plan);
    let started = SystemTime::now();
    let muster = Arc::new(Muster::new(plan.asked.threads));
    let (sender, receiver) = mpsc::channel();
    let mut threads = Vec::new();
    for index in 0..plan.asked.threads {
        let worker = Worker::new(index, Arc::clone(&plan), Arc::clone(&muster), sender.clone())
            .map_err(|error| {
                format!("cannot watch sockets: {error}; raise the open-file limit: `ulimit -n`")
            })?;
        let name = format!("generator {index}");
        let thread = thread::Builder::new().name(name).spawn(move || worker.run());
        threads.push(thread.map_err(|error| {
            format!("cannot start a thread: {error}; ask for fewer with --threads")
        })?);
    }
    drop(sender);
    let collected = Collector::new(&plan, &muster).collect(&receiver, interruption, progress);
    for thread in threads {
        match thread.join() {
            Ok(result) => result
                .map_err(|error| format!("cannot wait for events: {error}; start the run again"))?,
            Err(_) => {
                return Err(
                    "a generating thread has failed; please report what was asked for".into()
                );
            }
        }
    }
    Ok(collected.outcome(started, interruption.signal()))
}

/// Puts together what the threads count.
struct Collector<'a> {
    plan: &'a Plan,
    muster: &'a Muster,
    total: Tally,
    slices: BTreeMap<u32, Gathered>,
    /// Connections open, and reached, by thread.
    open: Vec<usize>,
    reached: Vec<usize>,
    /// When the last connection of each thread ended, and what was due and not sent.
    emptied: Vec<Option<Moment>>,
    unsent: Vec<u64>,
    finish: Moment,
}

impl<'a> Collector<'a> {
    fn new(plan: &'a Plan, muster: &'a Muster) -> Self {
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

    fn collect(
        mut self,
        parts: &Receiver<Part>,
        interruption: &Interruption,
        progress: &mut Progress,
    ) -> Self {
        loop {
            match parts.recv_timeout(LOOK_AROUND) {
                Ok(part) => self.take(part, progress),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if interruption.signal().is_some() {
                self.muster.stop();
            }
        }
        progress.finish();
        self
    }

    fn take(&mut self, mut part: Part, progress: &mut Progress) {
        self.open[part.worker] = part.open;
        self.reached[part.worker] = part.reached;
        self.emptied[part.worker] = part.emptied;
        self.unsent[part.worker] = part.unsent;
        self.finish = self.finish.max(part.span.1);
        let counted = |start: &Moment| self.plan.counted(*start).0 <= part.span.0;
        let Some(start) = self.muster.started().filter(counted) else {
            self.total.merge_failures(&part.tally);
            return progress.opening(self.reached.iter().sum(), self.plan.asked.connections);
        };
        let (base, end) = self.plan.counted(start);
        if part.span.0 >= end {
            // A generator that waits for the last replies is idle, which tells nothing of the load.
            (part.tally.cpu, part.tally.starved) = (Duration::ZERO, Duration::ZERO);
        }
        self.total.merge(&part.tally);
        let span = Span::of(self.plan, start, part.span.0);
        let gathered = self.slices.entry(span.number).or_insert_with(|| Gathered::new(span, base));
        gathered.add(&part, self.plan.is_open_loop());
        let slice = &gathered.slice;
        if gathered.parts == self.plan.asked.threads {
            let elapsed = part.span.1.since(base) + self.plan.asked.warmup;
            progress.slice(slice, self.unsent.iter().sum(), elapsed);
        }
    }

    /// How long after the start of the load the last connection ended, if the server then took no
    /// other one.
    fn server_gone(&self) -> Option<Duration> {
        // Where the generator closed them all itself, a look at the server would be a connection
        // that was not asked for.
        let has_failed = self.total.endings.total() + self.total.connect_errors.total() > 0;
        if !has_failed || self.open.iter().any(|open| *open > 0) {
            return None;
        }
        let emptied = self.emptied.iter().flatten().max()?;
        let start = self.muster.started().unwrap_or(Moment::START);
        (!self.plan.endpoints.iter().any(connect::takes_connections)).then(|| emptied.since(start))
    }

    fn outcome(self, started: SystemTime, interrupted_by: Option<i32>) -> Outcome {
        let (base, end) = self.plan.counted(self.muster.started().unwrap_or(self.finish));
        let server_gone = self.server_gone();
        let open_last = self.open.iter().sum();
        // A thread that has no core skips slices, whose sums then lack its connections.
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

/// The cores of this machine that the process may use; one where the system does not tell.
fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// A slice in the making.
struct Gathered {
    slice: Slice,
    /// How many threads have handed over their parts.
    parts: usize,
    /// The sum of the most connections that each thread had open at once.
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
