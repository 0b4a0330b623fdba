//! The outputs of the server, for its lines and its log, may be closed, full, or without a reader:
//! it serves all the same.

use crate::support::BANNER;
use crate::support::peer::Peer;
use crate::support::process::Process;
use crate::support::server::program;
use crate::support::wait::wait_for;
use std::fs::File;
use std::io::{PipeReader, Write, pipe};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// A server of the text protocol whose output the test cannot read; killed when dropped.
struct Unheard(Child);

impl Unheard {
    fn start(command: &mut Command) -> Self {
        command
            .args(["--listen", "text://127.0.0.1:0", "-v", "--activity-log", "1000000"])
            .stdin(Stdio::null());
        Self(command.spawn().expect("start the server"))
    }

    /// Returns its address, which the kernel reports.
    fn address(&mut self) -> SocketAddr {
        let process = Process { id: self.0.id() };
        let port = wait_for("a listening port", || {
            let ended = self.0.try_wait().expect("ask for the child's state");
            assert!(ended.is_none(), "the server ended: {ended:?}");
            process.listening_ports().first().copied()
        });
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    /// Causes more log lines than a pipe holds, and checks the answer to each command.
    fn check_serves(mut self) {
        let address = self.address();
        for _ in 0..4 {
            let mut peer = Peer::connect(address);
            peer.expect(BANNER);
            let lines: String = (0..500).map(|index| format!("ECHO {index:0>60}\n")).collect();
            let sender = peer.send_in_background(lines.clone().into_bytes());
            peer.expect(lines);
            sender.join().expect("everything is sent");
            peer.send("QUIT\n");
            peer.expect("BYE\n");
            peer.expect_eof();
        }
        assert!(self.0.try_wait().expect("ask for the child's state").is_none(), "it still runs");
    }
}

impl Drop for Unheard {
    fn drop(&mut self) {
        // Both fail only if the process has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns a full pipe that is not read. It stays so while its reader lives.
fn full_pipe() -> (PipeReader, Stdio) {
    const PIPE_CAPACITY: usize = 65_536;
    let (reader, mut writer) = pipe().expect("make a pipe");
    writer.write_all(&vec![b'.'; PIPE_CAPACITY]).expect("fill the pipe");
    (reader, writer.into())
}

/// Returns a pipe without a reader.
fn broken_pipe() -> Stdio {
    let (_, writer) = pipe().expect("make a pipe");
    writer.into()
}

/// Returns a device on which every write fails for lack of space.
fn full_device() -> Stdio {
    File::options().write(true).open("/dev/full").expect("open /dev/full").into()
}

/// Returns the server under a shell that closes descriptors first.
fn with_closed(redirections: &str) -> Command {
    let server = program();
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!(r#"exec "$0" "$@" {redirections}"#)).arg(server.get_program());
    shell.env_remove("RUST_LOG");
    shell
}

#[test]
fn a_closed_stdout_does_not_matter() {
    Unheard::start(with_closed(">&-").stderr(Stdio::null())).check_serves();
}

#[test]
fn a_closed_stderr_does_not_matter() {
    Unheard::start(with_closed("2>&-").stdout(Stdio::null())).check_serves();
}

#[test]
fn everything_closed_does_not_matter() {
    Unheard::start(&mut with_closed("<&- >&- 2>&-")).check_serves();
}

#[test]
fn a_broken_pipe_at_stdout_does_not_matter() {
    Unheard::start(program().stdout(broken_pipe()).stderr(Stdio::null())).check_serves();
}

#[test]
fn a_broken_pipe_at_stderr_does_not_matter() {
    Unheard::start(program().stdout(Stdio::null()).stderr(broken_pipe())).check_serves();
}

#[test]
fn a_full_device_at_stdout_and_stderr_does_not_matter() {
    Unheard::start(program().stdout(full_device()).stderr(full_device())).check_serves();
}

#[test]
fn a_stalled_pipe_at_stdout_does_not_matter() {
    let (_reader, writer) = full_pipe();
    Unheard::start(program().stdout(writer).stderr(Stdio::null())).check_serves();
}

#[test]
fn a_stalled_pipe_at_stderr_does_not_matter() {
    let (_reader, writer) = full_pipe();
    Unheard::start(program().stdout(Stdio::null()).stderr(writer)).check_serves();
}

#[test]
fn a_pipe_that_stalls_later_does_not_matter() {
    let (_reader, writer) = pipe().expect("make a pipe");
    Unheard::start(program().stdout(Stdio::null()).stderr(writer)).check_serves();
}

#[test]
fn a_stalled_log_does_not_hold_up_the_end() {
    let (_reader, writer) = full_pipe();
    let mut server = Unheard::start(program().stdout(Stdio::null()).stderr(writer));
    let mut peer = Peer::connect(server.address());
    peer.expect(BANNER);
    Process { id: server.0.id() }.signal("TERM");
    peer.expect("BYE\n");
    peer.expect_eof();
    drop(peer);
    let status =
        wait_for("the server exits", || server.0.try_wait().expect("ask for the child's state"));
    assert_eq!(status.code(), Some(0));
}
