//! Servers that stop during a run, and the exchanges that show wrong replies.

use crate::agreement::url;
use crate::runs::{Running, generator, measure};
use crate::servers::{Answer, says_and_leaves, text_but};
use crate::support::program;
use crate::support::server::Server;
use crate::support::wait::wait_until;

/// Arguments of a run that is so long that a server stops in its middle.
const LONG: [&str; 8] = ["-c", "3", "-R", "50", "-d", "3s", "--timeout", "2s"];

/// Makes a run on a server that gets `signal` after its first replies.
fn left_by(signal: &str) -> Running {
    let mut server = Server::start(&[]);
    let running = Running::start(generator(&[&[&url(&server, "text")[..]], &LONG[..]].concat()));
    wait_until("the first answers", || server.log.text().iter().any(|line| line.contains("ECHO")));
    server.process().signal(signal);
    server.wait_for_exit();
    running
}

#[test]
fn a_killed_or_stopped_server_is_gone_and_the_exit_code_4() {
    for signal in ["KILL", "TERM"] {
        let run = left_by(signal).finish();
        run.exits_with(4).all_zero("errors", &["missing", "unsent"]);
        assert_eq!(run.flaws()[0], "server_gone", "{run:?}");
        let after = run.number("connections.server_gone_after_s");
        assert!((0.0..3.0).contains(&after), "{after}");
        assert!(run.ended.text().contains("SERVER GONE after "), "{}", run.ended.text());
    }
}

#[test]
fn the_progress_shows_open_connections_and_unsent_requests() {
    let mut server = Server::start(&[]);
    let url = url(&server, "text");
    let child =
        generator(&[&[&url[..]], &LONG[..]].concat()).spawn().expect("the generator starts");
    wait_until("the first answers", || server.log.text().iter().any(|line| line.contains("ECHO")));
    server.process().signal("KILL");
    server.wait_for_exit();
    let ended = program::finish_child(child);
    assert!(
        ended.stderr.lines().any(|line| line.contains(" 0 open, ") && line.contains(" unsent, ")),
        "{ended:?}"
    );
}

#[test]
fn the_first_wrong_reply_is_shown_with_its_exchange() {
    let url = text_but(10, |_| Answer::Bytes(b"ERROR O\x1bPS\n".to_vec()));
    let run = measure(&[&url, "-c", "1", "-m", "ECHO hello", "-R", "200", "-n", "60"]);
    let exchange = &run.exits_with(4).only_error("wrong", 1)["exchanges"][0];
    for (key, text) in
        [("cause", "wrong"), ("sent", r"ECHO hello\n"), ("expected", r"ECHO hello\n")]
    {
        assert_eq!(exchange[key], text, "{exchange:#}");
    }
    assert_eq!(exchange["got"], r"ERROR O\x1bPS\n");
    assert!(run.ended.text().contains(r"got       ERROR O\x1bPS\n"), "{}", run.ended.text());
}

#[test]
fn bytes_of_another_protocol_are_reported_as_such() {
    let url = format!("echo://127.0.0.1:{}", says_and_leaves(b"SSH-2.0-OpenSSH_9.6\r"));
    let run = measure(&[&url, "-c", "1", "-d", "300ms", "--timeout", "300ms"]);
    let said = "20 bytes arrived that are not a line: is it another protocol?";
    assert!(run.exits_with(1).ended.text().contains(said), "{}", run.ended.text());
}
