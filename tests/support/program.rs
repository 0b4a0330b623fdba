//! A program of this workspace that runs to its end, within a deadline.

use super::wait::Countdown;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Longer than any program takes that has to end. Only a program that hangs takes as long.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// How a program ended.
pub struct Ended {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
    /// The time from its start to its end.
    pub elapsed: Duration,
    /// The time that was waited for its end, without pauses of the machine.
    pub waited: Duration,
}

impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ended")
            .field("code", &self.code)
            .field("stdout", &String::from_utf8_lossy(&self.stdout))
            .field("stderr", &self.stderr)
            .field("elapsed", &self.elapsed)
            .finish_non_exhaustive()
    }
}

impl Ended {
    /// What was printed, which is text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("text")
    }

    /// Checks that stderr is one line that names the program.
    #[track_caller]
    pub fn complaining_in_one_line(&self, program: &str) -> &Self {
        assert!(self.stderr.starts_with(&format!("{program}: ")), "{self:?}");
        assert_eq!(self.stderr.matches('\n').count(), 1, "one line: {self:?}");
        assert!(self.stderr.ends_with('\n'), "{self:?}");
        self
    }

    /// Checks that stderr contains `part`.
    #[track_caller]
    pub fn saying(&self, part: &str) -> &Self {
        assert!(self.stderr.contains(part), "{part:?} is missing: {self:?}");
        self
    }

    /// Checks that stdout is exactly `stdout`.
    #[track_caller]
    pub fn printing(&self, stdout: &str) -> &Self {
        assert_eq!(self.text(), stdout, "{self:?}");
        self
    }
}

/// Runs a command to its end.
#[track_caller]
pub fn finish(mut command: Command) -> Ended {
    let start = Instant::now();
    finish_started(command.spawn().expect("the program starts"), start)
}

/// Waits for the end of a child and of its output, within the deadline.
#[track_caller]
pub fn finish_child(child: Child) -> Ended {
    finish_started(child, Instant::now())
}

/// As [`finish_child`], for a child that was started after `start`.
#[track_caller]
fn finish_started(mut child: Child, start: Instant) -> Ended {
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let (status, waited) = wait_measured(&mut child);
    let elapsed = start.elapsed();
    let stdout = stdout.join().expect("no panic");
    let stderr = String::from_utf8(stderr.join().expect("no panic")).expect("text");
    Ended { code: status.code(), stdout, stderr, elapsed, waited }
}

/// Waits for a child; one that hangs is killed and fails the test.
#[track_caller]
pub fn wait(child: &mut Child) -> ExitStatus {
    wait_measured(child).0
}

/// As [`wait`], and returns the time that it has waited, without pauses of the machine.
#[track_caller]
fn wait_measured(child: &mut Child) -> (ExitStatus, Duration) {
    let mut countdown = Countdown::start(DEADLINE);
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return (status, countdown.spent());
        }
        if countdown.is_over() {
            let _ = child.kill();
            panic!("the program hangs");
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// The lines of a program, without their endings. The next line is returned as soon as it is there.
pub struct PrintedLines(mpsc::Receiver<String>);

impl PrintedLines {
    /// Reads `output` in a new thread, until it ends or the lines are dropped.
    pub fn of(output: impl Read + Send + 'static) -> Self {
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut lines = BufReader::new(output).lines().map(|line| line.expect("text"));
            lines.try_for_each(|line| sender.send(line))
        });
        Self(lines)
    }
}

impl Iterator for PrintedLines {
    type Item = String;

    /// Returns the next line; `None` at the end of the output. It fails if neither comes within the
    /// deadline.
    #[track_caller]
    fn next(&mut self) -> Option<String> {
        match self.0.recv_timeout(DEADLINE) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("no further line within {DEADLINE:?}"),
        }
    }
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}
