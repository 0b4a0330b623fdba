//! The generator and our server count the same requests, connections and bytes.

use crate::runs::{Run, measure};
use crate::support::server::Server;
use crate::support::{BANNER, KIB, PROTOCOLS};

/// The totals that the server logs when it has stopped.
#[derive(Debug)]
pub struct Totals {
    pub connections: u64,
    pub messages: u64,
    received_bytes: u64,
    sent_bytes: u64,
}

/// Stops the server and returns its totals.
#[track_caller]
pub fn stop(mut server: Server) -> Totals {
    server.process().signal("TERM");
    server.wait_for_exit();
    let line = server.log.find(&["stopped: "]).expect("the last line of the log");
    let (_, counts) = line.split_once("stopped: ").expect("found");
    let number = |unit: &str| {
        let part = counts.split(", ").find_map(|part| part.strip_suffix(unit)).expect(unit);
        part.trim().parse().expect("a number")
    };
    Totals {
        connections: number("connections"),
        messages: number("messages"),
        received_bytes: number("bytes in"),
        sent_bytes: number("bytes out"),
    }
}

/// Returns the URL of the server of this test.
pub fn url(server: &Server, protocol: &str) -> String {
    format!("{protocol}://{}", server.address(protocol))
}

/// Makes a run without a flaw against a new server, and checks that both count the same.
#[track_caller]
fn agree(protocol: &str, arguments: &[&str]) -> Run {
    let server = Server::start(&[]);
    let run = measure(&[&[&url(&server, protocol)[..]], arguments].concat());
    let totals = stop(server);
    run.is_flawless();
    let sent = run.count("requests.sent");
    assert_eq!(sent, totals.messages, "{protocol} {arguments:?}: {totals:?}");
    assert_eq!(sent, run.count("replies.correct"), "{protocol} {arguments:?}");
    assert_eq!(run.count_bytes("requests.sent"), totals.received_bytes, "{protocol} {arguments:?}");
    let connections = totals.connections;
    // A connection that is closed while it opens is open for the server.
    assert!(
        (run.count("connections.opened")..=run.count("connections.begun")).contains(&connections),
        "{totals:?}: {run:?}"
    );
    run
}

#[test]
fn every_protocol_agrees() {
    for protocol in PROTOCOLS {
        let run = agree(protocol, &["-c", "8", "-d", "200ms"]);
        assert_eq!(run.text("asked.protocol"), protocol);
        assert_eq!(run.count("connections.opened"), 8);
        assert_eq!(run.count("connections.open_last"), 8);
    }
}

#[test]
fn several_requests_in_flight_agree() {
    for protocol in PROTOCOLS {
        agree(protocol, &["-c", "4", "-P", "16", "-n", "4000"]);
    }
}

#[test]
fn several_threads_agree() {
    let run = agree("text", &["-c", "5", "--threads", "2", "-P", "2", "-d", "200ms"]);
    assert_eq!(run.count("generator.threads"), 2);
    assert_eq!(run.count("connections.opened"), 5);
}

#[test]
fn schedules_agree() {
    for (protocol, rate) in [("binary", "500"), ("text", "100:900")] {
        let run = agree(protocol, &["-c", "4", "-R", rate, "-d", "200ms"]);
        assert_eq!(run.count("requests.sent") + run.count("errors.unsent"), 100, "{run:?}");
    }
}

#[test]
fn messages_of_every_size_agree() {
    // The line may have 64 KiB without its end, `ECHO ` included; a frame has no such limit.
    let longest = (64 * KIB - "ECHO ".len()).to_string();
    for (protocol, size) in [
        ("text", "0"),
        ("text", "1"),
        ("text", &longest),
        ("echo", "1"),
        ("echo", "64KiB"),
        ("chat", "0"),
        ("chat", "64KiB"),
        ("binary", "0"),
        ("binary", "1"),
        ("binary", "1MiB"),
    ] {
        agree(protocol, &["-c", "2", "-n", "100", "--size", size]);
    }
}

#[test]
fn errors_about_long_messages_are_not_throughput() {
    let server = Server::start(&["--max-line", "1KiB", "--max-frame", "1KiB"]);
    for protocol in PROTOCOLS {
        let run = measure(&[
            &url(&server, protocol),
            "--size",
            "1025",
            "-c",
            "2",
            "-d",
            "100ms",
            "--timeout",
            "500ms",
        ]);
        run.exits_with(1);
        assert_eq!(run.flaws()[..2], ["nothing_completed", "wrong_replies"], "{protocol}: {run:?}");
        assert!(run.count("errors.wrong") > 0, "{protocol}: {run:?}");
    }
}

#[test]
fn messages_of_the_command_line_agree() {
    agree(
        "text",
        &["-m", "TIME", "-m", "ECHO  a  b ", "-m", "help", "-c", "3", "-P", "3", "-n", "900"],
    );
    agree("binary", &["-m", "rev abc", "-m", "echo", "-c", "2", "-n", "900"]);
    agree("echo", &["-m", "hi", "-m", "", "-m", "-x", "-c", "2", "-n", "900"]);
    agree(
        "chat",
        &[
            "-m",
            "what TIME is it",
            "-m",
            "hello",
            "-m",
            "status",
            "-m",
            "other",
            "-c",
            "2",
            "-n",
            "900",
        ],
    );
}

#[test]
fn a_mix_sends_each_message_by_its_weight() {
    let run = agree("text", &["--mix", "TIME:1,ECHO hello:3", "-c", "2", "-n", "2000"]);
    let sent = run.count("requests.sent");
    // `ECHO hello` is 11 bytes long and `TIME` 5.
    let times = (sent * 11 - run.count_bytes("requests.sent")) / 6;
    assert!(
        (times * 4).abs_diff(sent) <= 4 * 2,
        "{times} of {sent}: within one on each connection"
    );
    assert_eq!(run.text("asked.messages"), "TIME:1,ECHO hello:3");
}

#[test]
fn the_warm_up_is_left_out() {
    let server = Server::start(&[]);
    let run = measure(&[&url(&server, "echo"), "-c", "2", "-d", "400ms", "--warmup", "200ms"]);
    let totals = stop(server);
    run.is_flawless();
    assert!(run.count("requests.sent") < totals.messages, "{totals:?}: {run:?}");
    assert_eq!(run.count("connections.opened"), totals.connections, "connections always count");
    assert!(run.number("ran_s") < run.number("asked.duration_s"), "{run:?}");
}

#[test]
fn bytes_agree_in_both_directions() {
    for (protocol, greeting) in
        [("binary", 0), ("echo", 0), ("chat", 0), ("text", BANNER.len() as u64)]
    {
        let server = Server::start(&[]);
        let run = measure(&[&url(&server, protocol), "-c", "3", "-P", "4", "-n", "900"]);
        let totals = stop(server);
        // Greetings that arrive before the first request are not counted as received bytes.
        let uncounted = totals.sent_bytes - run.count_bytes("replies.received");
        assert!(uncounted <= 3 * greeting, "{protocol}: {totals:?}: {run:?}");
    }
}
