//! Raw runs: any bytes to any server, and the bytes expected back.

use std::io::Read;

use crate::runs::{measure, refuses};
use crate::servers::{Answer, Counter, lines, session};
use crate::support::behaviour::serve;
use crate::support::wait::{undisturbed, wait_until};

/// A server with one command of Redis.
fn pong(line: &[u8]) -> Answer {
    Answer::Bytes(if line == b"PING\r\n" {
        b"+PONG\r\n".to_vec()
    } else {
        b"-ERR unknown command\r\n".to_vec()
    })
}

const SHORT: [&str; 4] = ["-c", "2", "-d", "100ms"];

#[test]
fn raw_bytes_are_sent_and_expected_exactly() {
    let target = format!("tcp://{}", lines(pong));
    let run = measure(
        &[&[&target, "--raw", "-m", r"PING\r\n", "--expect", r"+PONG\r\n"], &SHORT[..]].concat(),
    );
    run.is_flawless();
    assert_eq!((run.text("asked.protocol"), run.text("asked.target")), ("raw", &target[..]));
    assert_eq!(run.count_bytes("requests.sent"), 6 * run.count("requests.sent"));
    assert_eq!(run.count_bytes("replies.received"), 7 * run.count("replies.correct"));
}

#[test]
fn an_unexpected_reply_is_wrong() {
    let address = lines(pong);
    let run = measure(
        &[&[&address, "--raw", "-m", r"PANG\r\n", "--expect", r"+PONG\r\n"], &SHORT[..]].concat(),
    );
    run.exits_with(1)
        .is_judged(&["nothing_completed", "wrong_replies"])
        .all_zero("errors", &["wrong"]);
}

#[test]
fn any_reply_with_the_expected_end_is_correct() {
    let number = Counter::default();
    let address =
        lines(move |_| Answer::Bytes(format!("number {}\r\n", number.add()).into_bytes()));
    let (host, port) = address.split_once(':').expect("an address");
    measure(
        &[&[host, port, "--raw", "-m", r"NEXT\n", "--expect-end", r"\r\n", "-P", "3"], &SHORT[..]]
            .concat(),
    )
    .is_flawless();
}

#[test]
fn by_default_the_request_is_the_expected_reply() {
    let address = lines(|line| Answer::Bytes(line.to_vec()));
    measure(&[&[&address, "--raw", "-m", r"a\x00b\n"], &SHORT[..]].concat()).is_flawless();
}

#[test]
fn a_greeting_is_expected_first() {
    let port = serve(|stream| drop(session(stream, b"220 ready\r\n", pong)));
    let address = format!("127.0.0.1:{port}");
    let ping =
        [&address[..], "--raw", "-m", r"PING\r\n", "--expect", r"+PONG\r\n", "--timeout", "300ms"];
    measure(&[&ping[..], &["--greeting", r"220 ready\r\n"], &SHORT[..]].concat()).is_flawless();
    for other in [r"220 steady\r\n", ""] {
        let run = measure(&[&ping[..], &["--greeting", other], &SHORT[..]].concat());
        assert!(!run.flaws().is_empty(), "{other}: {run:?}");
    }
}

#[test]
fn requests_without_replies_are_complete_when_sent() {
    let received = Counter::default();
    let counted = received.clone();
    let port = serve(move |mut stream| {
        let mut block = [0; 64 << 10];
        while let Ok(len @ 1..) = stream.read(&mut block) {
            counted.add_many(len as u64);
        }
    });
    let run = measure(&[
        &format!("127.0.0.1:{port}"),
        "--raw",
        "-m",
        "x",
        "--expect",
        "",
        "-R",
        "1000",
        "-n",
        "100",
    ]);
    run.is_flawless();
    assert_eq!((run.count("requests.sent"), run.count("replies.correct")), (100, 100));
    wait_until("all of them arrive", || received.get() == 100);
}

#[test]
fn replies_are_surplus_if_none_is_expected() {
    let url = lines(pong);
    let arguments = [&[&url, "--raw", "-m", r"PING\r\n", "--expect", ""], &SHORT[..]].concat();
    let run = undisturbed(|| {
        // A busy machine can pause the server until the run, which waits for no reply, is over.
        Some(measure(&arguments)).filter(|run| run.count("errors.surplus") > 0)
    });
    run.exits_with(4).is_judged(&["wrong_replies"]).all_zero("errors", &["surplus"]);
}

#[test]
fn a_raw_run_needs_bytes_and_a_port() {
    for (arguments, part) in [
        (&["--raw", "127.0.0.1:1"][..], "--raw needs the bytes to send"),
        (&["--raw", "tcp://127.0.0.1", "-m", "x"], "--raw needs a port"),
        (&["--raw", "text://127.0.0.1:1", "-m", "x"], "tcp://HOST:PORT"),
        (&["--raw", "-m", "x"], "tcp://HOST:PORT"),
        (&["tcp://127.0.0.1:1"], "add --raw"),
        (&["--raw", "127.0.0.1:1", "-m", r"\q"], "after a backslash"),
        (&["--raw", "127.0.0.1:1", "-m", ""], "nothing to send"),
        (&["--raw", "127.0.0.1:1", "-m", "x", "--expect-end", ""], "--expect-end needs a byte"),
        (&["127.0.0.1:1", "--expect", "x"], "--raw"),
    ] {
        refuses(arguments, 2, part);
    }
}
