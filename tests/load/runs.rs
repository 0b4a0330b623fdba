//! Runs of the generator, which always end, and their reports.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::support::program::{self, Ended};
use crate::support::server::without_settings;
use crate::support::wait::{PATIENCE, undisturbed};

/// Time that a loaded machine may add to a run: starting the process, closing its connections,
/// writing its report.
const SLACK: Duration = PATIENCE;

/// Returns the command of the generator, without settings from the environment.
pub fn generator(arguments: &[&str]) -> Command {
    prepared(Command::new(env!("CARGO_BIN_EXE_tinytcp-load")), arguments)
}

/// Returns the command of the generator started by another program, such as `prlimit --nofile=64`.
pub fn generator_under(wrapper: &[&str], arguments: &[&str]) -> Command {
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).arg(env!("CARGO_BIN_EXE_tinytcp-load"));
    prepared(command, arguments)
}

fn prepared(command: Command, arguments: &[&str]) -> Command {
    let mut command = without_settings(command);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the generator to its end.
#[track_caller]
pub fn run(arguments: &[&str]) -> Ended {
    program::finish(generator(arguments))
}

/// Makes a run and reads its report. Its stderr must be empty.
#[track_caller]
pub fn measure(arguments: &[&str]) -> Run {
    Running::start(generator(arguments)).finish()
}

/// Makes a run that sends every request of its schedule. A busy machine can pause the generator at
/// the end of a run, so that requests are not sent; then the run is repeated.
#[track_caller]
pub fn measure_whole(mut run: impl FnMut() -> Run) -> Run {
    undisturbed(|| Some(run()).filter(|run| run.count("errors.unsent") == 0))
}

/// Checks that the generator refuses `arguments` with this code and one line that contains `part`,
/// and prints nothing.
#[track_caller]
pub fn refuses(arguments: &[&str], code: i32, part: &str) {
    let ended = run(arguments);
    assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
    ended.complaining_in_one_line("tinytcp-load").saying(part).printing("");
}

/// A file in the folder of this build's tests, removed when dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(ending: &str) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("load-{}-{number}.{ending}", std::process::id());
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    pub fn path(&self) -> &str {
        self.0.to_str().expect("a path in UTF-8")
    }

    /// Returns the content of the file, if it exists.
    pub fn text(&self) -> Option<String> {
        fs::read_to_string(&self.0).ok()
    }

    /// Returns the content of the file as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text().expect("a report")).expect("a report in JSON")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The file does not exist if the run was refused.
        let _ = fs::remove_file(&self.0);
    }
}

/// A run in progress.
pub struct Running {
    pub child: Child,
    pub report: Scratch,
}

impl Running {
    /// Starts `command`, which must be a run, with `--quiet` and a report.
    pub fn start(mut command: Command) -> Self {
        let report = Scratch::new("json");
        let child =
            command.args(["-q", "--json", report.path()]).spawn().expect("the generator starts");
        Self { child, report }
    }

    /// Waits for its end.
    #[track_caller]
    pub fn finish(self) -> Run {
        let ended = program::finish_child(self.child);
        assert_eq!(ended.stderr, "", "{ended:?}");
        let run = Run { report: Report(self.report.json()), ended };
        run.report.check_sums();
        run.check_end();
        run
    }
}

/// How a run ended, and its report.
#[derive(Debug)]
pub struct Run {
    pub ended: Ended,
    pub report: Report,
}

impl Deref for Run {
    type Target = Report;

    fn deref(&self) -> &Report {
        &self.report
    }
}

impl Run {
    /// Checks that the run has ended at most its duration and its timeout after its start.
    #[track_caller]
    fn check_end(&self) {
        let runs = self.report["search"]["steps"].as_array().map_or(1, Vec::len);
        let seconds = self.number("asked.duration_s") + self.number("asked.timeout_s");
        let allowed = Duration::from_secs_f64(seconds * runs as f64) + SLACK;
        assert!(
            self.ended.waited < allowed,
            "it took {:?}: {}",
            self.ended.waited,
            self.ended.text()
        );
    }

    #[track_caller]
    pub fn exits_with(&self, code: i32) -> &Self {
        assert_eq!(self.ended.code, Some(code), "{}", self.ended.text());
        self
    }

    /// Checks the verdicts, worst first.
    #[track_caller]
    pub fn is_judged(&self, kinds: &[&str]) -> &Self {
        assert_eq!(self.flaws(), kinds, "{}", self.ended.text());
        self
    }

    /// Checks that no connection and no reply failed, in a run as requested.
    #[track_caller]
    pub fn is_flawless(&self) -> &Self {
        self.exits_with(0).is_judged(&[]);
        // A generator without a core misses its schedule, and reports it.
        let may_lack: &[&str] =
            if self.verdicts().contains(&"generator_limited") { &["unsent"] } else { &[] };
        self.all_zero("errors", may_lack)
            .all_zero("connections.failed", &[])
            .all_zero("connections.ended", &[]);
        assert!(self.count("replies.correct") > 0, "{}", self.ended.text());
        self
    }
}

/// A report of `--json`. Keys are paths: `errors.wrong`.
#[derive(Clone, Debug)]
pub struct Report(Value);

impl Deref for Report {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

impl Report {
    pub const fn new(value: Value) -> Self {
        Self(value)
    }

    #[track_caller]
    pub fn at(&self, path: &str) -> &Value {
        let pointer = format!("/{}", path.replace('.', "/"));
        self.0.pointer(&pointer).unwrap_or_else(|| panic!("no {path} in {:#}", self.0))
    }

    /// Returns the number at `path`, whose key ends with `_count`.
    #[track_caller]
    pub fn count(&self, path: &str) -> u64 {
        self.at(&format!("{path}_count")).as_u64().expect(path)
    }

    /// Returns the number of bytes at `path`, whose key ends with `_bytes`.
    #[track_caller]
    pub fn count_bytes(&self, path: &str) -> u64 {
        self.at(&format!("{path}_bytes")).as_u64().expect(path)
    }

    /// Returns the number at `path`, whose key includes its unit.
    #[track_caller]
    pub fn number(&self, path: &str) -> f64 {
        self.at(path).as_f64().expect(path)
    }

    /// Returns the number of durations of the distribution at `path`.
    #[track_caller]
    pub fn durations(&self, path: &str) -> u64 {
        self.at(&format!("{path}.count")).as_u64().expect(path)
    }

    #[track_caller]
    pub fn text(&self, path: &str) -> &str {
        self.at(path).as_str().expect(path)
    }

    /// Checks that all counts of causes under `path` except `others` are zero.
    #[track_caller]
    pub fn all_zero(&self, path: &str, others: &[&str]) -> &Self {
        for (key, count) in causes(self.at(path)) {
            assert!(others.contains(&key) || count == 0, "{path}.{key}: {:#}", self.at(path));
        }
        self
    }

    /// Checks that the only errors are `count` of `cause`.
    #[track_caller]
    pub fn only_error(&self, cause: &str, count: u64) -> &Self {
        assert_eq!(self.count(&format!("errors.{cause}")), count, "{:#}", self.at("errors"));
        self.all_zero("errors", &[cause])
    }

    /// Returns the kinds of the verdicts, worst first; none if the run is valid.
    ///
    /// Verdicts about the speed of the generator and the schedule are left out, because they depend
    /// on the machine of the test; [`verdicts`](Self::verdicts) returns all.
    pub fn flaws(&self) -> Vec<&str> {
        const OF_THE_MACHINE: [&str; 4] =
            ["valid", "generator_limited", "server_overloaded", "tail_queued"];
        self.verdicts().into_iter().filter(|kind| !OF_THE_MACHINE.contains(kind)).collect()
    }

    /// Returns the kinds of all verdicts, worst first.
    pub fn verdicts(&self) -> Vec<&str> {
        let further = self.0["further_verdicts"].as_array().expect("a list");
        [&self.0["verdict"]]
            .into_iter()
            .chain(further)
            .filter_map(|verdict| verdict["kind"].as_str())
            .collect()
    }

    pub fn slices(&self) -> Vec<Self> {
        self.0["slices"].as_array().expect("a list").iter().cloned().map(Self).collect()
    }

    /// Checks that the numbers of a report add up, whatever the server does.
    #[track_caller]
    fn check_sums(&self) {
        let sum_of_slices =
            |key: &str| self.slices().iter().map(|slice| slice.count(key)).sum::<u64>();
        let errors: u64 = causes(self.at("errors")).into_iter().map(|(_, count)| count).sum();
        let failed: u64 =
            causes(self.at("connections.failed")).into_iter().map(|(_, count)| count).sum();
        let (correct, sent) = (self.count("replies.correct"), self.count("requests.sent"));
        let [begun, opened] =
            ["begun", "opened"].map(|key| self.count(&format!("connections.{key}")));
        // The server can reject a connection that has opened.
        let rejected: u64 = ["busy", "tls_alert", "tls_required"]
            .map(|cause| self.count(&format!("connections.failed.{cause}")))
            .iter()
            .sum();
        let opening =
            if self.at("tls").is_null() { "latency.connect" } else { "latency.tls_handshake" };
        let report = format!("{:#}", self.0);
        assert_eq!(errors, self.count("errors.total"), "{report}");
        assert_eq!(
            correct,
            self.durations("latency.from_send"),
            "each correct reply has a latency: {report}"
        );
        assert_eq!(
            opened,
            if opened > 0 { self.durations(opening) } else { 0 },
            "each open connection has a latency: {report}"
        );
        assert_eq!(correct, sum_of_slices("correct"), "{report}");
        assert_eq!(sent, sum_of_slices("sent"), "{report}");
        assert!(sum_of_slices("errors") <= errors, "{report}");
        assert!(opened + failed <= begun + rejected, "{report}");
        assert!(self.count("connections.reached") <= self.count("connections.asked"), "{report}");
        let rate = self.number("throughput.replies_per_s") * self.number("ran_s");
        assert!(
            rate <= correct as f64 * (1.0 + 1e-6),
            "only correct replies are throughput: {report}"
        );
        if self.text("asked.pace.kind") == "open" && self.number("asked.warmup_s") == 0.0 {
            assert!(
                rate >= correct as f64 * (1.0 - 1e-6),
                "each request was due in the measurement window: {report}"
            );
            let max = |distribution: &str| {
                self.at(&format!("{distribution}.max_us")).as_f64().unwrap_or(0.0)
            };
            assert!(
                max("generator.lag") <= max("latency.from_schedule"),
                "a part does not exceed the whole: {report}"
            );
        }
        assert!(
            self.count("connections.open_most") >= self.count("connections.open_last"),
            "{report}"
        );
        let busy = self.number("generator.cpu_ratio");
        assert!((0.0..=1.0).contains(&busy), "a share is at most 1: {report}");
    }
}

/// Returns each cause with its count.
fn causes(counts: &Value) -> Vec<(&str, u64)> {
    let entries = counts.as_object().expect("an object").iter();
    let counts =
        entries.filter_map(|(key, value)| Some((key.strip_suffix("_count")?, value.as_u64()?)));
    counts.filter(|(key, _)| *key != "total").collect()
}
