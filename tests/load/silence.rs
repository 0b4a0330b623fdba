//! Servers that accept connections and never answer, or never completely: the run still ends.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use crate::runs::{Run, measure};
use crate::servers::{Answer, text, text_but};
use crate::support::PROTOCOLS;
use crate::support::behaviour::{hold, ignore, serve};
use crate::support::wait::undisturbed;

/// A run long enough for a first request to become late well before its end.
const PATIENT: [&str; 6] = ["-c", "2", "-d", "600ms", "--timeout", "200ms"];

/// Checks that no reply arrived and at least two requests were late.
#[track_caller]
fn stays_silent(run: &Run) {
    run.exits_with(1).is_judged(&["nothing_completed", "unanswered"]);
    run.all_zero("connections.failed", &[]).all_zero("connections.ended", &["silent"]);
    assert!(run.count("connections.ended.silent") >= 2, "{run:?}");
    assert!(run.count("errors.late") >= 2, "{run:?}");
}

#[test]
fn a_server_that_never_answers_is_silent_in_every_protocol() {
    let port = serve(hold);
    for protocol in PROTOCOLS {
        let url = format!("{protocol}://127.0.0.1:{port}");
        let run = measure(&[&[&url[..]], &PATIENT[..]].concat());
        stays_silent(&run);
        // At the end, some replies are due for less than the timeout.
        run.all_zero("errors", &["late", "missing"]);
    }
}

#[test]
fn a_server_that_never_accepts_is_silent() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("text://{}", listener.local_addr().expect("bound"));
    let run = measure(&[&[&url[..]], &PATIENT[..]].concat());
    stays_silent(&run);
    run.all_zero("errors", &["late", "missing"]);
}

#[test]
fn an_endless_slow_reply_is_late() {
    let port = serve(|mut stream| {
        while stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let run = undisturbed(|| {
        let run = measure(&[&[&format!("echo://127.0.0.1:{port}")[..]], &PATIENT[..]].concat());
        // On a busy machine a thread of the server may not run within the timeout.
        (run.count("connections.ended.silent") == 0).then_some(run)
    });
    run.exits_with(1).is_judged(&["nothing_completed", "unanswered"]);
    run.all_zero("errors", &["late", "truncated", "missing"])
        .all_zero("connections.ended", &["late"]);
    assert!(
        run.count("connections.ended.late") >= 2,
        "bytes arrived, so they were not silent: {run:?}"
    );
}

#[test]
fn an_endless_flood_of_an_old_reply_blocks_nothing() {
    let port = serve(|mut stream| {
        let flood = b"a\n".repeat(64 * 1024);
        let asked = stream.read(&mut [0; 16]);
        while asked.is_ok() && stream.write_all(&flood).is_ok() {}
    });
    let target = format!("tcp://127.0.0.1:{port}");
    let run =
        measure(&[&[&target[..], "--raw", "-m", "a\\n", "-m", "b\\n"], &PATIENT[..]].concat());
    assert!(run.count("errors.surplus") > 0, "{run:?}");
    assert!(run.count("connections.ended.late") > 0, "{run:?}");
}

#[test]
fn after_a_late_reply_all_others_are_missing() {
    let run = undisturbed(|| {
        let url = text_but(0, |_| Answer::Own(hold));
        let run = measure(&[&url, "-c", "1", "-P", "4", "-d", "1s", "--timeout", "500ms"]);
        // On a busy machine a reply of the second connection can be late too.
        (run.count("errors.late") == 1).then_some(run)
    });
    run.exits_with(4).all_zero("errors", &["late", "missing"]);
    assert_eq!(
        ["late", "missing"].map(|cause| run.count(&format!("errors.{cause}"))),
        [1, 3],
        "{run:?}"
    );
    run.is_judged(&["unanswered"]);
}

#[test]
fn a_server_that_reads_nothing_does_not_block_the_run() {
    let port = serve(ignore);
    let url = format!("echo://127.0.0.1:{port}");
    let run = measure(&[
        &url,
        "--size",
        "1MiB",
        "-P",
        "16",
        "-c",
        "2",
        "-d",
        "600ms",
        "--timeout",
        "200ms",
    ]);
    run.exits_with(1).all_zero("errors", &["late", "missing"]);
    assert!(run.count("errors.late") >= 2, "{run:?}");
    assert!(
        run.count("requests.sent") < run.count("errors.total"),
        "the kernel cannot buffer all of them: {run:?}"
    );
}

#[test]
fn requests_in_flight_at_the_end_are_waited_for() {
    let url = text(|line| {
        thread::sleep(Duration::from_millis(300));
        Answer::Bytes(line.to_vec())
    });
    // The only request of each connection is answered after the time for sending.
    measure(&[&url, "-c", "2", "-d", "100ms"]).is_flawless();
}
