//! The real server as a child process of one test.

use super::frames::{QUIT, STATUS, frame};
use super::lines::Lines;
use super::peer::Peer;
use super::process::Process;
use super::wait::{Countdown, PATIENCE, wait_for, wait_until};
use super::{BANNER, PROTOCOLS, certificates, encrypted};
use libc::{SIGINT, SIGTERM};
use std::collections::HashMap;
use std::env;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The delay of a second request to stop. The server merges requests with a shorter delay.
pub const SECOND_REQUEST_AFTER: Duration = Duration::from_millis(300);

/// A running server. On drop it is stopped, and must end in order. A test build checks at its end
/// that every accepted connection is counted as closed, and that every byte of storage is returned.
/// If the server has ended before without a request, the test fails.
pub struct Server {
    child: Child,
    addresses: HashMap<String, SocketAddr>,
    /// The lines on stdout.
    pub printed: Lines,
    /// The lines on stderr.
    pub log: Lines,
    /// True once the test has seen the end of the process, and so expected it.
    ended: bool,
}

impl Server {
    /// Starts a server with one listener per protocol, and `flags`.
    pub fn start(flags: &[&str]) -> Self {
        let mut command = program();
        command.args(listen_flags()).args(flags);
        Self::launch(command)
    }

    /// Starts a server with `command`, whose arguments must name a listener per protocol.
    pub fn launch(command: Command) -> Self {
        Self::launch_listening(command, PROTOCOLS.len())
    }

    /// Starts a server with `command`, whose arguments must name `count` listeners.
    pub fn launch_listening(command: Command, count: usize) -> Self {
        let mut server = Self::launch_only(command);
        server.read_addresses(count);
        server
    }

    /// Starts a server without waiting for its listeners.
    pub fn launch_only(command: Command) -> Self {
        Self::launch_with_input(command, Stdio::null())
    }

    /// Starts a server with `input` as its stdin, without waiting for its listeners.
    pub fn launch_with_input(mut command: Command, input: Stdio) -> Self {
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("start the server");
        let printed = Lines::collect(child.stdout.take().expect("stdout is piped"));
        let log = Lines::collect(child.stderr.take().expect("stderr is piped"));
        Self { child, addresses: HashMap::new(), printed, log, ended: false }
    }

    /// Waits for `count` lines `listening on PROTOCOL://ADDRESS`, and keeps the addresses.
    pub fn read_addresses(&mut self, count: usize) {
        wait_until("the server says where it listens", || {
            let ended = self.child.try_wait().expect("ask for the child's state");
            assert!(
                ended.is_none(),
                "the server ended at its start, {ended:?}: {:#?}",
                self.log.text()
            );
            self.printed.raw().len() >= count
        });
        for line in self.printed.text() {
            let url = line
                .strip_prefix("listening on ")
                .unwrap_or_else(|| panic!("a strange line on stdout: {line}"));
            let (scheme, address) =
                url.split_once("://").unwrap_or_else(|| panic!("not a URL: {url}"));
            let protocol = scheme.split_once('+').map_or(scheme, |(protocol, _layers)| protocol);
            let address =
                address.parse().unwrap_or_else(|_| panic!("not a numeric address: {url}"));
            self.addresses.insert(protocol.to_owned(), address);
        }
    }

    /// Returns the address of a protocol's listener.
    pub fn address(&self, protocol: &str) -> SocketAddr {
        *self.addresses.get(protocol).unwrap_or_else(|| panic!("no listener for {protocol}"))
    }

    /// Opens a connection, on which nothing is read or sent yet.
    pub fn connect(&self, protocol: &str) -> Peer {
        Peer::connect(self.address(protocol))
    }

    /// Opens a connection whose kernel holds only a few kilobytes for a peer that does not read.
    pub fn connect_with_small_window(&self, protocol: &str) -> Peer {
        Peer::connect_with_small_window(self.address(protocol))
    }

    /// Opens a connection of the text protocol and reads its greeting.
    pub fn text(&self) -> Peer {
        let mut peer = self.connect("text");
        peer.expect(BANNER);
        peer
    }

    /// Returns the process of the server.
    pub fn process(&self) -> Process {
        Process { id: self.child.id() }
    }

    /// Returns the number of open descriptors.
    pub fn descriptor_count(&self) -> usize {
        self.process().descriptors().len()
    }

    /// Waits until the server has at most `count` descriptors, and has freed all others.
    #[track_caller]
    pub fn wait_for_descriptors(&self, count: usize) {
        wait_until("the server frees its connections", || self.descriptor_count() <= count);
    }

    /// Returns the counter or gauge `name` of a server with a plain listener for binary.
    #[track_caller]
    pub fn count(&self, name: &str) -> u64 {
        let mut peer = self.connect("binary");
        peer.send([frame(STATUS, ""), frame(QUIT, "")].concat());
        let status = String::from_utf8_lossy(&peer.read_to_end()).into_owned();
        let mut pairs = status.split_ascii_whitespace().filter_map(|pair| pair.split_once('='));
        let value = pairs.find(|(key, _)| *key == name).and_then(|(_, value)| value.parse().ok());
        value.unwrap_or_else(|| panic!("no count {name} in {status}"))
    }

    /// Stops the process. From here on the kernel collects what peers send.
    pub fn freeze(&self) {
        self.process().signal("STOP");
        wait_until("the server is stopped", || self.process().state() == 'T');
    }

    /// Continues a stopped process.
    pub fn thaw(&self) {
        self.process().signal("CONT");
    }

    /// Waits for a log line that holds every one of `parts`.
    #[track_caller]
    pub fn wait_for_log(&self, parts: &[&str]) -> String {
        wait_for(&format!("a log line with {parts:?}"), || self.log.find(parts))
    }

    /// Waits for the end of the process and of its output.
    #[track_caller]
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let status = wait_for("the server exits", || {
            self.child.try_wait().expect("ask for the child's state")
        });
        self.ended = true;
        wait_until("its output ends", || self.printed.have_ended() && self.log.have_ended());
        status
    }

    /// True while the process runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("ask for the child's state").is_none()
    }
}

impl Server {
    /// Stops the process in order, and returns its status; `None` if it hangs.
    fn end(&mut self) -> Option<ExitStatus> {
        // A stopped process would not receive the signal.
        ["CONT", "TERM"].iter().for_each(|signal| self.process().signal(signal));
        let mut again = Instant::now() + SECOND_REQUEST_AFTER;
        let mut countdown = Countdown::start(PATIENCE);
        while !countdown.is_over() {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            if Instant::now() > again {
                // The server may wait for peers that take no answers. The second request ends that
                // wait.
                self.process().signal("INT");
                again += SECOND_REQUEST_AFTER;
            }
            thread::sleep(Duration::from_millis(1));
        }
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ended_by_itself = !self.ended && matches!(self.child.try_wait(), Ok(Some(_)));
        let is_to_end = !self.ended && !ended_by_itself && !thread::panicking();
        let status = if is_to_end { self.end() } else { None };
        // Both fail only if the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // A server that does not catch signals yet is killed by them.
        let in_order = |status: ExitStatus| {
            status.success() || matches!(status.signal(), Some(SIGINT | SIGTERM))
        };
        if is_to_end {
            assert!(
                status.is_some_and(in_order),
                "no end in order but {status:?}: {:#?}",
                self.log.text()
            );
        }
        if thread::panicking() {
            let log = self.log.text();
            let last = log.iter().skip(log.len().saturating_sub(20));
            eprintln!("the last lines of the server's log:");
            last.for_each(|line| eprintln!("  {line}"));
        } else {
            assert!(!ended_by_itself, "the server died under the test: {:#?}", self.log.text());
        }
    }
}

/// The variable that names a library to load into every server before all others:
/// `tests/faults/shim.c`, under which whole suites run again.
pub const PRELOAD: &str = "TINYTCP_TEST_PRELOAD";

/// Returns the command of the server, without the variables that would change its behaviour.
pub fn program() -> Command {
    let mut command = without_settings(Command::new(env!("CARGO_BIN_EXE_tinytcp-server")));
    command.envs(env::var_os(PRELOAD).map(|library| ("LD_PRELOAD", library)));
    command
}

/// Returns the command of the server under another program that prepares its environment, such as
/// `prlimit --nofile=64`.
pub fn program_under(wrapper: &[&str]) -> Command {
    let mut command = without_settings(Command::new(wrapper[0]));
    command.args(&wrapper[1..]);
    if let Ok(library) = env::var(PRELOAD) {
        // The library is for the server only, not for the wrapper.
        command.arg("env").arg(format!("LD_PRELOAD={library}"));
    }
    command.arg(env!("CARGO_BIN_EXE_tinytcp-server"));
    command
}

/// Returns the flags for one listener per protocol, on free ports of the loopback. They have TLS if
/// the tests run over it.
pub fn listen_flags() -> impl Iterator<Item = String> {
    let folder = encrypted::files();
    let layer = if folder.is_some() { "+tls" } else { "" };
    let listeners = PROTOCOLS.into_iter().flat_map(move |protocol| {
        ["--listen".to_owned(), format!("{protocol}{layer}://127.0.0.1:0")]
    });
    listeners.chain(folder.into_iter().flat_map(|folder| certificates::flags(&folder)))
}

/// Removes the variables that would change the behaviour of our programs.
pub fn without_settings(mut command: Command) -> Command {
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("TINYTCP_") || name == "RUST_LOG") {
            command.env_remove(name);
        }
    }
    command
}
