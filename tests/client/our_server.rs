//! The client with tinytcp-server: every check passes, and every mode works.

use std::process::{Child, Command, Stdio};

use crate::runs::{Run, run};
use crate::support::program::PrintedLines;

/// A server with one listener on a free port; stopped when dropped.
pub struct Server {
    child: Child,
    pub url: String,
}

impl Server {
    pub fn start(protocol: &str, flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tinytcp-server"))
            .args(["--listen", &format!("{protocol}://127.0.0.1:0")])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let mut lines = PrintedLines::of(child.stdout.take().expect("piped"));
        let line = lines.next().expect("the server prints its URL");
        let url = line.strip_prefix("listening on ").expect("its first line").into();
        Self { child, url }
    }

    /// Runs the client on this server.
    #[track_caller]
    pub fn client(&self, arguments: &[&str]) -> Run {
        run(&[&[&self.url[..]], arguments].concat())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn conforms(protocol: &str) {
    // A generous timeout for a busy machine: only the answers count.
    let run = Server::start(protocol, &[]).client(&["test", "--timeout", "20s"]);
    let text = run.ended_with(0).text();
    assert!(text.ends_with(" 0 failed\n") && !text.contains("FAIL"), "{text}");
}

#[test]
fn tinytcp_server_passes_all_checks_of_text() {
    conforms("text");
}

#[test]
fn tinytcp_server_passes_all_checks_of_binary() {
    conforms("binary");
}

#[test]
fn tinytcp_server_passes_all_checks_of_echo() {
    conforms("echo");
}

#[test]
fn tinytcp_server_passes_all_checks_of_chat() {
    conforms("chat");
}

#[test]
fn tinytcp_server_passes_all_checks_with_other_limits() {
    for protocol in ["text", "binary", "echo", "chat"] {
        let server = Server::start(protocol, &["--max-line", "1000B", "--max-frame", "2kB"]);
        let run = server.client(&[
            "test",
            "--timeout",
            "20s",
            "--max-line",
            "1000",
            "--max-frame",
            "2000",
        ]);
        assert!(run.ended_with(0).text().ends_with(" 0 failed\n"), "{run:?}");
    }
}

#[test]
fn every_demo_runs() {
    for (protocol, part) in [
        ("text", "-> ECHO Hello from client\n<- ECHO Hello from client\n-> QUIT\n<- BYE\n"),
        (
            "binary",
            "Enter command > rev custom protocols are fun\n\
             Server Response: nuf era slocotorp motsuc\n",
        ),
        (
            "echo",
            "> How are you?\nServer: Server received: How are you?\n\
             > quit\nDisconnected from server\n",
        ),
        ("chat", "Message >> status\n[Server]: Server is running smoothly on Rust.\n"),
    ] {
        let run = Server::start(protocol, &[]).client(&["demo"]);
        assert!(run.ended_with(0).text().contains(part), "{run:?}");
    }
}

#[test]
fn every_script_ends_without_a_timeout() {
    for (protocol, commands, expected) in [
        ("text", ["ECHO a", "quit"], "ECHO a\nBYE\n"),
        ("binary", ["rev ab", "quit"], "ba\n"),
        ("echo", ["a", "b"], "Server received: a\nServer received: b\n"),
        ("chat", ["a", "exit"], "ACK: Received 'a'\n"),
    ] {
        let server = Server::start(protocol, &[]);
        let [first, second] = commands;
        server
            .client(&["--timeout", "off", "-e", first, "-e", second])
            .ended_with(0)
            .printing(expected);
    }
}

#[test]
fn an_error_of_the_server_is_exit_code_1() {
    let busy = Server::start("text", &["--max-connections", "1"]);
    let port = busy.url.rsplit(':').next().expect("a port").to_string();
    let _only = std::net::TcpStream::connect(("127.0.0.1", port.parse().expect("a number")))
        .expect("the one connection");
    busy.client(&["-e", "TIME"]).ended_with(1).printing("ERROR SERVER_BUSY\n");
    let short = Server::start("binary", &["--max-frame", "5B"]);
    short.client(&["-e", "echo 123456"]).ended_with(1).printing("ERROR FRAME_TOO_LARGE\n");
    let short = Server::start("chat", &["--max-line", "5B"]);
    short.client(&["-e", "123456"]).ended_with(1).printing("ERROR LINE_TOO_LONG\n");
}
