//! The observers of a run: progress, live rows, metrics, conditions that end it, and hangups.

use std::fmt;
use std::io::{self, Write};
use std::mem;
use std::time::Duration;

use tinytcp_core::display::escape::shown;

use super::arguments::Arguments;
use super::hangups::{Hangups, Request};
use super::output_arguments::OutputArguments;
use super::{NAME, WIDTH, progress};
use crate::engine::collector::{Collector, Observer};
use crate::engine::interruption::Interruption;
use crate::error::LoadError;
use crate::judgement::gates::{Gate, GateResult};
use crate::judgement::search::course::Trial;
use crate::measurement::logged_request::RequestLog;
use crate::measurement::outcome::{RunOutcome, Slice};
use crate::measurement::settings::{Pace, RunSettings};
use crate::report::live::metrics::MetricsEndpoint;
use crate::report::live::request_log::RequestLogFile;
use crate::report::live::rows::LiveFile;
use crate::report::progress::ProgressDisplay;
use crate::report::{self, Report};

/// Interval at which the conditions of --abort-if are checked and the metrics published.
const SECOND: Duration = Duration::from_secs(1);

/// Observes a run.
pub struct Monitor<'a> {
    output: &'a OutputArguments,
    interruption: &'a Interruption,
    hangups: Hangups,
    progress: ProgressDisplay,
    live: Option<LiveFile>,
    log: Option<RequestLogFile>,
    metrics: Option<MetricsEndpoint>,
    is_closed_loop: bool,
    /// When the conditions are checked next, after the start of the load.
    due: Duration,
    /// True if a second is over since the last check.
    is_due: bool,
    open: usize,
    aborted_by: Option<GateResult>,
}

impl<'a> Monitor<'a> {
    /// Creates the observers that the arguments request.
    ///
    /// # Errors
    /// Fails with one line if a file cannot be written, or an address is in use.
    pub fn new(
        arguments: &'a Arguments,
        settings: &RunSettings,
        interruption: &'a Interruption,
        hangups: Hangups,
    ) -> Result<Self, LoadError> {
        let output = &arguments.output;
        let live = output.live.as_ref().map(|path| LiveFile::new(path, output.live_format()));
        let log = output.log_requests.as_deref().map(RequestLogFile::create);
        let metrics = output.prometheus.map(|address| {
            MetricsEndpoint::open(address).map_err(|error| LoadError::System {
                action: "listen for --prometheus",
                error,
                remedy: "choose another address",
            })
        });
        let metrics = metrics.transpose()?;
        if let Some(metrics) = metrics.as_ref().filter(|_| !output.quiet) {
            print(&format!("Metrics at http://{}/metrics\n", metrics.address()));
        }
        Ok(Self {
            output,
            interruption,
            hangups,
            progress: progress(settings, output.quiet),
            live: live.transpose()?,
            log: log.transpose()?,
            metrics,
            is_closed_loop: !matches!(settings.pace, Pace::Open { .. }),
            due: SECOND,
            is_due: false,
            open: 0,
            aborted_by: None,
        })
    }

    /// Shows the run as one of a search.
    pub const fn show_trial(&mut self, trial: Trial) {
        self.progress.of(trial);
    }

    /// Returns the report of the finished run, and the first error of a live row or a logged
    /// request that could not be written.
    pub fn report(self, outcome: &RunOutcome) -> (Report, Result<(), LoadError>) {
        let report = Report::new(outcome, &self.output.fail_if);
        let report = match self.aborted_by {
            Some(result) => report.aborted_by(outcome, result),
            None => report,
        };
        let report = report.with_notes(self.log.as_ref().and_then(RequestLogFile::note));
        let (live, log) = (self.live.map(LiveFile::finish), self.log.map(RequestLogFile::finish));
        (report, [live, log].into_iter().flatten().collect())
    }

    /// Writes the report so far to its files, or to stderr without files.
    fn report_so_far(&self, run: &Collector<'_>) {
        let report = Report::new(&run.so_far(), &self.output.fail_if).of_part();
        let paths = self.output.paths().without_stdout();
        self.progress.suspended(|| match report::write_files(&report, &paths) {
            Ok(written) if written.is_empty() => print(&report::text(&report, false, WIDTH)),
            Ok(_) if self.output.quiet => {}
            Ok(written) => {
                let names = written.join(", ");
                print(&format!("Wrote {}; the run goes on\n", shown(names.as_bytes())));
            }
            Err(error) => tinytcp_cli::complain(NAME, error),
        });
    }

    /// Returns the first condition of --abort-if that is met.
    fn met_condition(&self, run: &Collector<'_>) -> Option<GateResult> {
        let measured = report::measurements(run.total(), run.counted(), run.reached());
        self.output.abort_if.iter().find_map(|gate: &Gate| gate.check_so_far(&measured))
    }
}

impl fmt::Debug for Monitor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("due", &self.due).finish_non_exhaustive()
    }
}

/// Prints `text` on stderr. A closed stderr is no failure.
fn print(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

impl Observer for Monitor<'_> {
    fn opening(&mut self, opened: usize, requested: usize) {
        self.open = opened;
        self.progress.opening(opened, requested);
    }

    fn step(&mut self, step: &Slice, unsent: u64, elapsed: Duration) {
        self.open = step.open;
        self.progress.step(step, unsent, elapsed);
        if let Some(live) = &mut self.live {
            live.step(step, unsent, elapsed);
        }
        self.is_due |= elapsed >= self.due;
        while self.due <= elapsed {
            self.due += SECOND;
        }
    }

    fn requests(&mut self, log: RequestLog) {
        if let Some(file) = &mut self.log {
            file.add(&log);
        }
    }

    fn goes_on(&mut self, run: &Collector<'_>) -> bool {
        match self.hangups.take() {
            Some(Request::Report) => self.report_so_far(run),
            Some(Request::End) => self.interruption.interrupt(libc::SIGHUP),
            None => {}
        }
        if mem::take(&mut self.is_due) {
            if let Some(metrics) = &self.metrics {
                metrics.update(run.total(), self.open, self.is_closed_loop);
            }
            self.aborted_by = self.aborted_by.take().or_else(|| self.met_condition(run));
        }
        self.aborted_by.is_none() && !run.needs_tls()
    }

    fn finish(&mut self) {
        self.progress.finish();
    }
}
