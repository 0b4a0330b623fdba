//! Held connections: which of them stay alive, and how the others end.

use std::net::TcpStream;

use crate::agreement::{stop, url};
use crate::runs::{Run, Running, generator, measure};
use crate::servers::{Answer, Counter, right, session, text};
use crate::support::BANNER;
use crate::support::behaviour::{hold, reset, serve};
use crate::support::process::Process;
use crate::support::server::Server;
use crate::support::wait::{undisturbed, wait_until};

#[test]
fn held_connections_get_heartbeats() {
    let (run, totals) = undisturbed(|| {
        let server = Server::start(&[]);
        let url = url(&server, "text");
        let heartbeats = ["--hold", "--heartbeat", "100ms"];
        let run = measure(&[&[&url[..], "-c", "20", "-d", "550ms"], &heartbeats[..]].concat());
        // A busy machine can pause the generator for most of the run.
        (run.count("requests.sent") >= 2 * 20).then(|| (run, stop(server)))
    });
    run.is_flawless();
    assert_eq!(run.text("asked.pace.kind"), "hold");
    assert_eq!(run.count("connections.open_last"), 20);
    assert_eq!((run.count("connections.begun"), totals.connections), (20, 20));
    // The first heartbeat shows that the connection works; up to five more follow.
    let sent = run.count("requests.sent");
    assert_eq!(sent, totals.messages);
    assert!(sent <= 20 * 6, "{sent} heartbeats");
}

#[test]
fn wrong_replies_do_not_hurry_the_heartbeats() {
    let url = text(|_| Answer::Bytes(b"ERROR OOPS\n".to_vec()));
    let run = measure(&[&url, "-c", "2", "--hold", "--heartbeat", "100ms", "-d", "450ms"]);
    assert!((2..=2 * 5).contains(&run.count("errors.wrong")), "{run:?}");
}

/// Makes a run of three connections to a server that answers the first heartbeat on each, and
/// handles the second one with `end`.
fn held(end: fn(TcpStream)) -> Run {
    let port = serve(move |stream| {
        let lines = Counter::default();
        drop(session(stream, BANNER, |line| {
            if lines.add() == 0 { right(line) } else { Answer::Own(end) }
        }));
    });
    let url = format!("text://127.0.0.1:{port}");
    measure(&[
        &url,
        "-c",
        "3",
        "--hold",
        "--heartbeat",
        "50ms",
        "--timeout",
        "300ms",
        "-d",
        "700ms",
    ])
}

#[test]
fn endings_are_distinguished_and_connections_not_reopened() {
    for (end, ending, error) in [
        (hold as fn(TcpStream), "silent", "late"),
        (drop, "closed", "missing"),
        (reset, "reset", "missing"),
    ] {
        let run = held(end);
        run.exits_with(4)
            .is_judged(&["connections_ended", "unanswered"])
            .only_error(error, 3)
            .all_zero("connections.ended", &[ending]);
        assert_eq!(run.count(&format!("connections.ended.{ending}")), 3, "{run:?}");
        assert_eq!(
            (run.count("connections.begun"), run.count("connections.open_last")),
            (3, 0),
            "{run:?}"
        );
        assert_eq!(run.count("replies.correct"), 3, "{run:?}");
    }
}

#[test]
fn idle_timeouts_are_recognised_in_every_protocol() {
    let server = Server::start(&["--idle-timeout", "200ms"]);
    for protocol in ["text", "binary", "echo", "chat"] {
        let url = url(&server, protocol);
        let run = measure(&[&url, "-c", "4", "--hold", "--heartbeat", "10s", "-d", "1500ms"]);
        run.exits_with(4).is_judged(&["connections_ended"]).all_zero("errors", &[]);
        run.all_zero("connections.ended", &["idle_timeout"]);
        assert_eq!(run.count("connections.ended.idle_timeout"), 4, "{protocol}: {run:?}");
        assert!(
            run.ended.text().contains("0 of 4 connections stayed alive"),
            "{}",
            run.ended.text()
        );
    }
}

#[test]
fn a_shutdown_of_the_server_is_not_a_wrong_reply() {
    let mut server = Server::start(&[]);
    let arguments = [&url(&server, "text"), "-c", "4", "--hold", "--heartbeat", "10s", "-d", "4s"];
    let running = Running::start(generator(&arguments));
    wait_until("the heartbeats", || {
        server.log.text().iter().filter(|line| line.contains("ECHO")).count() == 4
    });
    server.process().signal("TERM");
    server.wait_for_exit();
    let run = running.finish();
    run.exits_with(4).all_zero("errors", &[]).all_zero("connections.ended", &["shutdown"]);
    run.is_judged(&["server_gone", "connections_ended"]);
    assert_eq!(run.count("connections.ended.shutdown"), 4, "{run:?}");
}

#[test]
fn a_killed_server_ends_all_held_connections() {
    let mut server = Server::start(&[]);
    let arguments = [&url(&server, "text"), "-c", "8", "--hold", "--heartbeat", "10s", "-d", "20s"];
    let running = Running::start(generator(&arguments));
    let generator = Process { id: running.child.id() };
    wait_until("the first heartbeats", || {
        server.log.text().iter().filter(|line| line.contains("ECHO")).count() == 8
    });
    let open = generator.descriptors().len();
    server.process().signal("KILL");
    server.wait_for_exit();
    wait_until("the generator has noticed", || generator.descriptors().len() == open - 8);
    generator.signal("INT");
    let run = running.finish();
    run.exits_with(130).all_zero("connections.ended", &["closed", "reset"]);
    assert_eq!(
        ["closed", "reset"]
            .iter()
            .map(|end| run.count(&format!("connections.ended.{end}")))
            .sum::<u64>(),
        8
    );
    assert_eq!(run.count("connections.open_last"), 0, "{run:?}");
    // The server logs a message before it sends the reply, so the kill may destroy the last one.
    assert!((7..=8).contains(&run.count("replies.correct")), "{run:?}");
}

#[test]
fn connections_to_a_frozen_server_are_silent() {
    let server = Server::start(&[]);
    server.freeze();
    // The kernel accepts, and no reply comes.
    let run =
        measure(&[&url(&server, "echo"), "-c", "5", "--hold", "--timeout", "300ms", "-d", "500ms"]);
    run.exits_with(1)
        .is_judged(&["nothing_completed", "connections_ended", "unanswered"])
        .only_error("late", 5);
    assert_eq!(run.count("connections.ended.silent"), 5, "{run:?}");
    server.thaw();
}
