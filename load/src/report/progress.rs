//! The progress of a run on stderr: one changing line on a terminal, otherwise one line per second.

use std::fmt;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::engine::collector::{Collector, Observer};
use crate::judgement::search::course::Trial;
use crate::measurement::averages::per_second;
use crate::measurement::format::{count, duration, plural, rate};
use crate::measurement::latency::Latency;
use crate::measurement::logged_request::RequestLog;
use crate::measurement::outcome::Slice;
use crate::measurement::settings::RunSettings;

/// Interval of lines in a log.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// Interval of lines in a run longer than [`LONG_RUN`].
const LINE_EVERY_IN_LONG_RUNS: Duration = Duration::from_secs(10);

const LONG_RUN: Duration = Duration::from_secs(60);

/// The progress of a run.
pub struct ProgressDisplay {
    view: View,
    duration: Duration,
    /// Number of requests after which the run ends.
    requests: Option<u64>,
    line_every: Duration,
    /// Replies since the last line.
    recent: Recent,
    /// When the next line is due, after the start of the run.
    due: Duration,
    /// When the opening connections were last reported, or the run started.
    last_opening: Instant,
    /// The open connections of the last line about them.
    last_opened: Option<usize>,
    errors: u64,
    /// Requests that were answered or failed.
    done: u64,
    /// True if a line was written.
    has_lines: bool,
    /// For a run of a search: its step, rate and remaining time.
    trial: Option<Trial>,
}

enum View {
    Bar(ProgressBar),
    Lines(Box<dyn Write + Send>),
}

#[derive(Default)]
struct Recent {
    correct: u64,
    length: Duration,
    latency: Latency,
    handshake: Latency,
}

impl ProgressDisplay {
    /// Shows the progress of a run on stderr; `is_terminal` is true if stderr is a terminal.
    #[must_use]
    pub fn new(settings: &RunSettings, is_terminal: bool) -> Self {
        let view = if is_terminal {
            View::Bar(bar(settings.requests.unwrap_or_else(|| milliseconds(settings.duration))))
        } else {
            View::Lines(Box::new(io::stderr()))
        };
        Self { requests: settings.requests, ..Self::with_view(settings.duration, view) }
    }

    /// Shows no progress.
    #[must_use]
    pub fn silent(settings: &RunSettings) -> Self {
        let view = View::Lines(Box::new(io::sink()));
        Self { requests: settings.requests, ..Self::with_view(settings.duration, view) }
    }

    /// Shows the progress of a run of this duration on stderr, or nowhere if `is_quiet`.
    #[must_use]
    pub fn lasting(duration: Duration, is_terminal: bool, is_quiet: bool) -> Self {
        let view = match (is_quiet, is_terminal) {
            (true, _) => View::Lines(Box::new(io::sink())),
            (false, true) => View::Bar(bar(milliseconds(duration))),
            (false, false) => View::Lines(Box::new(io::stderr())),
        };
        Self::with_view(duration, view)
    }

    fn with_view(duration: Duration, view: View) -> Self {
        let line_every = if duration > LONG_RUN { LINE_EVERY_IN_LONG_RUNS } else { LINE_EVERY };
        Self {
            view,
            duration,
            requests: None,
            line_every,
            recent: Recent::default(),
            due: line_every,
            last_opening: Instant::now(),
            last_opened: None,
            errors: 0,
            done: 0,
            has_lines: false,
            trial: None,
        }
    }

    /// Marks the run as `trial` of a search.
    pub const fn of(&mut self, trial: Trial) {
        self.trial = Some(trial);
    }

    /// Calls `print`, which writes to stderr, without the changing line.
    pub fn suspended(&self, print: impl FnOnce()) {
        match &self.view {
            View::Bar(bar) => bar.suspend(print),
            View::Lines(_) => print(),
        }
    }

    fn line(&mut self, text: &str) {
        let View::Lines(out) = &mut self.view else { return };
        // One write per line, so that lines of several programs on one stderr do not mix. A closed
        // stderr is no error.
        let _ = out.write_all(format!("{text}\n").as_bytes());
        self.has_lines = true;
    }

    fn text(&self, open: usize, unsent: u64, elapsed: Duration) -> String {
        let recent = &self.recent;
        let replies_per_s = per_second(recent.correct, recent.length.as_secs_f64());
        let p99 = match recent.latency.count() {
            0 => "no reply".into(),
            _ => format!("p99 {}", duration(recent.latency.quantile(0.99))),
        };
        let seconds = |duration: Duration| format!("{:.0} s", duration.as_secs_f64());
        let place = match elapsed.checked_sub(self.duration) {
            None if self.requests.is_some() => {
                let all = plural(self.requests.unwrap_or_default(), "request");
                format!("{} of {all} in {}", count(self.done), seconds(elapsed))
            }
            Some(late) if late >= self.line_every => {
                format!("{} after the end, waiting for replies", seconds(late))
            }
            _ => format!("{} of {}", seconds(elapsed.min(self.duration)), seconds(self.duration)),
        };
        let step = self.trial.map(|trial| step(trial, elapsed)).unwrap_or_default();
        let unsent = if unsent > 0 { format!(", {} unsent", count(unsent)) } else { String::new() };
        let handshakes = match recent.handshake.count() {
            0 => String::new(),
            number => {
                let (per_s, p99) = (
                    per_second(number, recent.length.as_secs_f64()),
                    recent.handshake.quantile(0.99),
                );
                format!(", {} handshakes with p99 {}", rate(per_s), duration(p99))
            }
        };
        format!(
            "{step}{place}: {}, {p99}, {} open{handshakes}{unsent}, {}",
            rate(replies_per_s),
            count(open as u64),
            plural(self.errors, "error"),
        )
    }
}

impl Observer for ProgressDisplay {
    fn opening(&mut self, opened: usize, requested: usize) {
        let text =
            format!("{} of {} open", count(opened as u64), plural(requested as u64, "connection"));
        match &self.view {
            View::Bar(bar) => bar.set_message(text),
            // A log needs no line that repeats the one before it.
            View::Lines(_) if self.last_opened == Some(opened) => {}
            View::Lines(_) if self.last_opening.elapsed() < self.line_every => {}
            View::Lines(_) => {
                (self.last_opening, self.last_opened) = (Instant::now(), Some(opened));
                self.line(&text);
            }
        }
    }

    fn step(&mut self, step: &Slice, unsent: u64, elapsed: Duration) {
        self.errors += step.errors;
        self.done += step.correct + step.errors;
        self.recent.correct += step.correct;
        self.recent.length += step.length;
        self.recent.latency.merge(&step.latency);
        self.recent.handshake.merge(&step.handshake);
        // A terminal shows every step; in a log, several steps can share a line.
        if matches!(self.view, View::Lines(_)) && elapsed < self.due {
            return;
        }
        while self.due <= elapsed {
            self.due += self.line_every;
        }
        let text = self.text(step.open, unsent, elapsed);
        match &self.view {
            View::Bar(bar) => {
                bar.set_message(text);
                bar.set_position(match self.requests {
                    Some(_) => self.done,
                    None => milliseconds(elapsed.min(self.duration)),
                });
            }
            View::Lines(_) => self.line(&text),
        }
        self.recent = Recent::default();
    }

    fn requests(&mut self, _: RequestLog) {}

    fn goes_on(&mut self, _: &Collector<'_>) -> bool {
        true
    }

    fn finish(&mut self) {
        match &self.view {
            View::Bar(bar) => bar.finish_and_clear(),
            // An empty line separates the lines from the report that follows.
            View::Lines(_) if self.has_lines => self.line(""),
            View::Lines(_) => {}
        }
    }
}

impl fmt::Debug for ProgressDisplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgressDisplay").field("duration", &self.duration).finish_non_exhaustive()
    }
}

/// `step 3, 4,000/s, at least 20 s left, `
fn step(trial: Trial, elapsed: Duration) -> String {
    let left = trial.left.saturating_sub(elapsed).as_secs_f64();
    let about = if trial.is_bracketed { "about" } else { "at least" };
    format!("step {}, {}, {about} {left:.0} s left, ", trial.number, rate(trial.rate))
}

fn bar(length: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    // The template is a constant; if the library rejected it, its default would be shown.
    if let Ok(style) = ProgressStyle::with_template("{bar:20} {wide_msg}") {
        bar.set_style(style.progress_chars("━╸┈"));
    }
    bar
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::fixtures;

    /// A stderr that records its bytes.
    #[derive(Clone, Default)]
    struct RecordedStderr(Arc<Mutex<Vec<u8>>>);

    impl Write for RecordedStderr {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no thread panics").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Returns the lines of a run of `seconds` with a slice each `step`.
    fn lines(seconds: u64, step: Duration) -> Vec<String> {
        let page = RecordedStderr::default();
        let mut progress = ProgressDisplay::with_view(
            Duration::from_secs(seconds),
            View::Lines(Box::new(page.clone())),
        );
        let slice =
            Slice { length: step, errors: 1, ..fixtures::closed().done().slices[0].clone() };
        let mut elapsed = step;
        while elapsed <= Duration::from_secs(seconds) {
            progress.step(&slice, 0, elapsed);
            elapsed += step;
        }
        progress.finish();
        let bytes = page.0.lock().expect("no thread panics").clone();
        String::from_utf8(bytes).expect("text").lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_line_per_second_shows_rate_latency_connections_and_errors() {
        let lines = lines(3, Duration::from_secs(1));
        assert_eq!((lines.len(), lines[3].as_str()), (4, ""), "the report follows after it");
        assert_eq!(lines[1], "2 s of 3 s: 10,000/s, p99 1.00 ms, 10 open, 2 errors");
    }

    #[test]
    fn a_log_has_a_line_for_each_change_of_the_open_connections() {
        let page = RecordedStderr::default();
        let view = View::Lines(Box::new(page.clone()));
        let mut progress = ProgressDisplay::with_view(Duration::from_secs(1), view);
        progress.line_every = Duration::ZERO;
        for opened in [0, 0, 0, 2, 2, 3] {
            progress.opening(opened, 3);
        }
        let bytes = page.0.lock().expect("no thread panics").clone();
        let expected = [0, 2, 3].map(|opened| format!("{opened} of 3 connections open\n"));
        assert_eq!(String::from_utf8(bytes).expect("text"), expected.concat());
    }

    #[test]
    fn short_slices_are_combined_and_long_runs_have_fewer_lines() {
        let quick = lines(2, Duration::from_millis(100));
        assert_eq!(quick.len(), 3, "{quick:?}");
        assert!(quick[0].contains("100,000/s") && quick[0].ends_with("10 errors"), "{quick:?}");
        assert_eq!(lines(120, Duration::from_secs(1)).len(), 13);
    }

    #[test]
    fn the_wait_after_the_end_is_shown() {
        let mut progress =
            ProgressDisplay::with_view(Duration::from_secs(2), View::Lines(Box::new(io::sink())));
        progress.recent.correct = 1;
        let text = |elapsed| progress.text(10, 0, Duration::from_millis(elapsed));
        assert!(text(2_300).starts_with("2 s of 2 s: "), "{}", text(2_300));
        assert!(
            text(5_000).starts_with("3 s after the end, waiting for replies: "),
            "{}",
            text(5_000)
        );
    }

    #[test]
    fn a_line_shows_requests_due_and_not_sent() {
        let progress =
            ProgressDisplay::with_view(Duration::from_secs(5), View::Lines(Box::new(io::sink())));
        let text = progress.text(0, 3_214, Duration::from_secs(2));
        assert_eq!(text, "2 s of 5 s: 0/s, no reply, 0 open, 3,214 unsent, 0 errors");
    }

    #[test]
    fn a_line_of_a_number_of_requests_shows_those_that_are_done() {
        let mut settings = fixtures::closed().done().settings;
        settings.requests = Some(50_000);
        let mut progress = ProgressDisplay::silent(&settings);
        (progress.done, progress.errors) = (1_234, 4);
        let text = progress.text(10, 0, Duration::from_secs(2));
        assert_eq!(text, "1,234 of 50,000 requests in 2 s: 0/s, no reply, 10 open, 4 errors");
    }

    #[test]
    fn a_run_of_a_search_shows_step_rate_and_remaining_time() {
        let seconds = Duration::from_secs;
        let trial = Trial {
            number: 3,
            rate: 4_000.0,
            duration: seconds(3),
            left: seconds(21),
            is_bracketed: false,
        };
        let text = |trial| {
            let mut progress =
                ProgressDisplay::with_view(seconds(3), View::Lines(Box::new(io::sink())));
            progress.of(trial);
            progress.text(9, 0, seconds(1))
        };
        assert!(
            text(trial).starts_with("step 3, 4,000/s, at least 20 s left, 1 s of 3 s: "),
            "{}",
            text(trial)
        );
        let trial = Trial { is_bracketed: true, ..trial };
        assert!(text(trial).starts_with("step 3, 4,000/s, about 20 s left, "), "{}", text(trial));
    }

    #[test]
    fn slowly_opening_connections_are_shown() {
        let page = RecordedStderr::default();
        let mut progress = ProgressDisplay::with_view(
            Duration::from_secs(10),
            View::Lines(Box::new(page.clone())),
        );
        progress.line_every = Duration::ZERO;
        progress.opening(5, 10);
        assert_eq!(*page.0.lock().expect("no thread panics"), b"5 of 10 connections open\n");
        progress.line_every = Duration::from_secs(86_400);
        progress.opening(6, 10);
        assert_eq!(
            page.0.lock().expect("no thread panics").iter().filter(|byte| **byte == b'\n').count(),
            1
        );
    }

    #[test]
    fn a_closed_stderr_does_not_stop_the_run() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut progress =
            ProgressDisplay::with_view(Duration::from_secs(1), View::Lines(Box::new(Closed)));
        progress.step(&fixtures::closed().done().slices[0], 0, Duration::from_secs(1));
        progress.finish();
    }

    #[test]
    fn a_terminal_line_shows_the_position() {
        let bar = ProgressBar::with_draw_target(Some(4_000), ProgressDrawTarget::hidden());
        let mut progress =
            ProgressDisplay::with_view(Duration::from_secs(4), View::Bar(bar.clone()));
        progress.opening(5, 10);
        assert_eq!(bar.message(), "5 of 10 connections open");
        progress.step(&fixtures::closed().done().slices[0], 0, Duration::from_secs(1));
        assert_eq!(
            (bar.position(), bar.message().as_str()),
            (1_000, "1 s of 4 s: 10,000/s, p99 1.00 ms, 10 open, 0 errors")
        );
        progress.finish();
        assert!(bar.is_finished());
    }
}
