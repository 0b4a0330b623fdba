//! A program of the guide that runs.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::support::lines::Lines;
use crate::support::peer::Peer;
use crate::support::process::Process;
use crate::support::wait::{wait_for, wait_until};

/// The programs, in the order of the guide.
pub const PROGRAMS: [(&str, &str); 16] = [
    ("0-blocking", env!("CARGO_BIN_EXE_guide-0-blocking")),
    ("1-reading-trap", env!("CARGO_BIN_EXE_guide-1-reading-trap")),
    ("1-reading", env!("CARGO_BIN_EXE_guide-1-reading")),
    ("2-registering-trap", env!("CARGO_BIN_EXE_guide-2-registering-trap")),
    ("2-writing", env!("CARGO_BIN_EXE_guide-2-writing")),
    ("3-backpressure", env!("CARGO_BIN_EXE_guide-3-backpressure")),
    ("4-fairness-trap", env!("CARGO_BIN_EXE_guide-4-fairness-trap")),
    ("4-fairness", env!("CARGO_BIN_EXE_guide-4-fairness")),
    ("5-closing-trap", env!("CARGO_BIN_EXE_guide-5-closing-trap")),
    ("5-closing", env!("CARGO_BIN_EXE_guide-5-closing")),
    ("6-accepting-trap", env!("CARGO_BIN_EXE_guide-6-accepting-trap")),
    ("6-accepting", env!("CARGO_BIN_EXE_guide-6-accepting")),
    ("7-tokens-trap", env!("CARGO_BIN_EXE_guide-7-tokens-trap")),
    ("7-tokens", env!("CARGO_BIN_EXE_guide-7-tokens")),
    ("8-stopping-trap", env!("CARGO_BIN_EXE_guide-8-stopping-trap")),
    ("8-stopping", env!("CARGO_BIN_EXE_guide-8-stopping")),
];

/// A running program; killed when dropped.
pub struct Program {
    child: Child,
    addr: SocketAddr,
    log: Lines,
}

impl Program {
    /// Starts the program `name` on a free port.
    pub fn start(name: &str) -> Self {
        Self::start_with(name, &[])
    }

    /// As [`Program::start`], with arguments after the address.
    pub fn start_with(name: &str, args: &[&str]) -> Self {
        Self::start_under(&[], name, args)
    }

    /// As [`Program::start_with`], by the command `wrapper`, whose process becomes the program.
    pub fn start_under(wrapper: &[&str], name: &str, args: &[&str]) -> Self {
        let (child, addr, stdout) = launch(wrapper, name, args);
        Self { child, addr, log: Lines::collect(stdout) }
    }

    /// As [`Program::start`], with a log whose reader goes away after the first line.
    pub fn start_unread(name: &str) -> Self {
        let (child, addr, _) = launch(&[], name, &[]);
        Self { child, addr, log: Lines::default() }
    }

    pub fn connect(&self) -> Peer {
        Peer::connect(self.addr)
    }

    /// Connects, and returns once the program has accepted and answered.
    pub fn connect_and_greet(&self) -> Peer {
        let mut peer = self.connect();
        greet(&mut peer);
        peer
    }

    /// Connects, if the program still runs.
    pub fn try_connect(&self) -> Option<Peer> {
        Peer::try_connect(self.addr)
    }

    /// Connects, if the kernel has a place for it within `patience`.
    pub fn connect_within(&self, patience: Duration) -> Option<TcpStream> {
        TcpStream::connect_timeout(&self.addr, patience).ok()
    }

    pub fn connect_with_small_window(&self) -> Peer {
        Peer::connect_with_small_window(self.addr)
    }

    pub fn connect_with_small_segments(&self) -> Peer {
        Peer::connect_with_small_segments(self.addr)
    }

    pub fn process(&self) -> Process {
        Process { id: self.child.id() }
    }

    /// What it has printed after its first line.
    pub fn log(&self) -> Vec<String> {
        let lines = self.log.raw().into_iter();
        lines.map(|line| String::from_utf8(line).expect("text")).collect()
    }

    /// Waits for a line of the log that contains `part`.
    pub fn wait_for_log(&self, part: &str) {
        wait_until(part, || self.log().iter().any(|line| line.contains(part)));
    }

    /// Stops the program, lets `act` prepare what it finds, and has it go on.
    pub fn while_stopped(&self, act: impl FnOnce()) {
        // A program under `strace` is in state t for the time of each call.
        wait_until("the program waits for events", || self.process().state() == 'S');
        self.process().signal("STOP");
        wait_until("the program is stopped", || matches!(self.process().state(), 'T' | 't'));
        act();
        self.process().signal("CONT");
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        wait_for("the program ends", || self.child.try_wait().expect("a child"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only when the program has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a program and reads its first line, which names its address.
fn launch(
    wrapper: &[&str],
    name: &str,
    args: &[&str],
) -> (Child, SocketAddr, BufReader<ChildStdout>) {
    let (_, path) =
        PROGRAMS.iter().find(|(program, _)| *program == name).expect("a program of the guide");
    let mut words = wrapper.iter().chain([path]);
    let mut command = Command::new(words.next().expect("the program itself is a word"));
    command.args(words).arg("127.0.0.1:0").args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the program starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a first line");
    let addr = line.trim().strip_prefix("listening on ").expect("an address");
    (child, addr.parse().expect("an address"), stdout)
}

/// One request and its answer.
pub fn greet(peer: &mut Peer) {
    peer.send("hello\n");
    peer.expect("hello\n");
}

/// Returns once the program has handled all that had arrived before. It has one thread, so two
/// answers on another connection show that.
pub fn settle(bystander: &mut Peer) {
    greet(bystander);
    greet(bystander);
}
