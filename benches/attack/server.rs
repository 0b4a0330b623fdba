//! The server under attack, a process that is observed from outside.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::crowd::Target;
use super::journal::Journal;
use super::process::Process;
use super::processors::Processors;

/// The limit for the buffers of all connections: less than half of what the attackers make the
/// server hold.
pub const MEMORY_LIMIT: usize = 32 << 20;

/// The timeouts are short, so that each of them passes many times in a run.
pub const TIMEOUTS: [&str; 2] = ["--message-timeout=3s", "--write-timeout=3s"];

/// Longer than a shutdown takes after the drain timeout.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    pub process: Process,
    pub target: Target,
    /// The standard output of the server: a line for each listener.
    lines: Lines<BufReader<ChildStdout>>,
    journal: Arc<Mutex<Journal>>,
    reader: JoinHandle<()>,
}

impl Server {
    /// Starts the server on its processor, with a listener for lines and one for frames, a memory
    /// limit in bytes, and more `flags`.
    ///
    /// # Errors
    /// When the server does not start.
    pub fn start(
        processors: Processors,
        memory_limit: usize,
        flags: &[&str],
    ) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tinytcp-server"));
        command
            .args(["--listen", "text://127.0.0.1:0", "--listen", "binary://127.0.0.1:0"])
            .args(flags);
        // The log has one line per second and a summary of the others, which is enough to count.
        command.args(["--memory-limit", &memory_limit.to_string(), "--activity-log", "1"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        processors.be_server()?;
        let child = command.spawn();
        processors.be_generator()?;
        let mut child = child?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("stdout is piped")?).lines();
        let target = Target { text: listener(&mut lines)?, binary: listener(&mut lines)? };
        let log = BufReader::new(child.stderr.take().ok_or("stderr is piped")?);
        let journal = Arc::new(Mutex::new(Journal::default()));
        let journal_too = Arc::clone(&journal);
        let reader = thread::spawn(move || {
            log.lines().map_while(Result::ok).for_each(|line| note(&journal_too, &line))
        });
        Ok(Self { process: Process { id: child.id() }, child, target, lines, journal, reader })
    }

    /// Returns the address of the next listener of `flags`.
    ///
    /// # Errors
    /// When there is none.
    pub fn listener(&mut self) -> Result<SocketAddr, Box<dyn Error>> {
        listener(&mut self.lines)
    }

    /// Returns what the log has reported so far.
    pub fn journal(&self) -> MutexGuard<'_, Journal> {
        lock(&self.journal)
    }

    /// Returns the most bytes that were ever resident.
    pub fn resident_bytes_most(&self) -> Result<usize, Box<dyn Error>> {
        let field = self.process.status_field("VmHWM");
        let kilobytes: usize = field.strip_suffix("kB").ok_or("VmHWM is in kB")?.trim().parse()?;
        Ok(kilobytes * 1024)
    }

    /// Returns the processor time that the server has used.
    pub fn processor_time(&self) -> Duration {
        // A tick is 10 ms.
        Duration::from_millis(10 * self.process.processor_ticks())
    }

    /// Returns the time in which the loop was ready to run and had no processor, because of other
    /// work of the machine.
    ///
    /// # Errors
    /// When the server has ended, or the kernel has no such statistics.
    pub fn starved(&self) -> Result<Duration, Box<dyn Error>> {
        let schedstat = fs::read_to_string(format!("/proc/{}/schedstat", self.process.id))?;
        let nanoseconds = schedstat.split_ascii_whitespace().nth(1).ok_or("no time of waiting")?;
        Ok(Duration::from_nanos(nanoseconds.parse()?))
    }

    /// True exactly when the server runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends the stop signal, and returns what the log has reported.
    ///
    /// # Errors
    /// When the server does not end in time, or with another exit code than 0.
    pub fn stop(mut self) -> Result<Journal, Box<dyn Error>> {
        self.process.signal("TERM");
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match self.child.try_wait()? {
                Some(status) => break status,
                None if Instant::now() > deadline => return Err("the server does not stop".into()),
                None => thread::sleep(LOOK_AGAIN),
            }
        };
        while !self.reader.is_finished() {
            thread::sleep(LOOK_AGAIN);
        }
        let journal = std::mem::take(&mut *lock(&self.journal));
        if status.success() {
            Ok(journal)
        } else {
            Err(format!("the server has ended with {status}").into())
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listener(lines: &mut Lines<BufReader<ChildStdout>>) -> Result<SocketAddr, Box<dyn Error>> {
    let line = lines.next().ok_or("the server did not come up")??;
    let (_, addr) = line.rsplit_once("://").ok_or("no address of a listener")?;
    Ok(addr.parse()?)
}

fn note(journal: &Mutex<Journal>, line: &str) {
    lock(journal).note(line);
}

fn lock(journal: &Mutex<Journal>) -> MutexGuard<'_, Journal> {
    journal.lock().unwrap_or_else(PoisonError::into_inner)
}
