//! Open loop: requests are due whether or not replies arrive, and latencies count from the
//! schedule.

use std::thread;
use std::time::Duration;

use crate::runs::{measure, measure_whole};
use crate::servers::{Answer, right, says_when_asked_and_leaves, text, text_but};

#[test]
fn the_rate_determines_the_number_of_requests() {
    let url = text(right);
    for rate in ["500", "100:900", "900:100"] {
        for threads in ["1", "3"] {
            let arguments = [&url, "-R", rate, "-c", "60", "-d", "400ms", "--threads", threads];
            let run = measure_whole(|| measure(&arguments));
            assert_eq!(run.is_flawless().count("requests.sent"), 200, "{rate}: {run:?}");
            assert_eq!(run.durations("latency.from_schedule"), 200, "{rate}: {run:?}");
        }
    }
}

#[test]
fn a_stall_counts_for_all_requests_due_in_it() {
    const STALL: Duration = Duration::from_millis(100);
    // Of 600 requests, 100 are due during the stall and wait for 50 ms on average; one is sent into
    // it. A busy machine makes these waits longer, and never shorter.
    let run = measure_whole(|| {
        let url = text_but(200, |line| {
            thread::sleep(STALL);
            right(line)
        });
        measure(&[&url, "-R", "1000", "-c", "1", "-d", "600ms"])
    });
    assert_eq!(run.is_flawless().count("requests.sent"), 600);
    let schedule = run.number("latency.from_schedule.p90_us");
    assert!(schedule > 20e3, "p90 from the schedule hides the stall: {run:?}");
    let [send, schedule] =
        ["from_send", "from_schedule"].map(|from| run.number(&format!("latency.{from}.mean_us")));
    let waited = (schedule - send) * 600.0;
    assert!(waited > 4.5e6, "only {waited} us of waiting are counted from the schedule: {run:?}");
    for from in ["from_send", "from_schedule"] {
        assert!(
            run.number(&format!("latency.{from}.max_us")) >= 99e3,
            "{from} hides the stall: {run:?}"
        );
    }
    assert!(!run.verdicts().contains(&"valid"), "{run:?}");
}

#[test]
fn requests_without_a_free_connection_are_unsent() {
    let url = text(|line| {
        thread::sleep(Duration::from_millis(50));
        right(line)
    });
    let run = measure(&[&url, "-R", "200", "-c", "1", "-d", "300ms", "--timeout", "300ms"]);
    run.exits_with(0);
    // 60 are due, and 6 can be sent within the duration. No request is sent after it.
    assert!(run.count("requests.sent") <= 6, "{run:?}");
    assert_eq!(run.count("requests.sent") + run.count("errors.unsent"), 60, "{run:?}");
    assert!(
        run.verdicts().iter().any(|kind| ["server_overloaded", "generator_limited"].contains(kind)),
        "{run:?}"
    );
}

#[test]
fn every_due_request_is_counted_even_without_replies() {
    let run = measure(&[
        &text(|_| Answer::Nothing),
        "-R",
        "100",
        "-c",
        "1",
        "-d",
        "200ms",
        "--timeout",
        "100ms",
    ]);
    run.exits_with(1).all_zero("errors", &["late", "missing", "unsent"]);
    assert_eq!(run.count("errors.total"), 20, "{run:?}");
}

#[test]
fn a_closed_loop_has_no_schedule() {
    let run = measure(&[&text(right), "-c", "1", "-d", "100ms"]);
    assert!(run.is_flawless()["latency"]["from_schedule"].is_null());
    assert_eq!(run.text("asked.pace.kind"), "closed");
}

#[test]
fn requests_due_while_the_server_is_full_are_counted() {
    let url = format!("text://127.0.0.1:{}", says_when_asked_and_leaves(b"ERROR SERVER_BUSY\n"));
    let run = measure(&[&url, "-c", "2", "-R", "20", "-d", "500ms", "--timeout", "1s"]);
    assert_eq!(run.count("errors.total"), 10, "{run:?}");
    run.all_zero("errors", &["missing", "unsent", "total"]);
}

#[test]
fn a_run_without_open_connections_ends_on_time() {
    let url = text(right);
    // A run that waits for its timeout counts as hanging.
    let run = measure(&[
        &url,
        "-c",
        "5",
        "--lifetime",
        "1",
        "-R",
        "100k",
        "-d",
        "300ms",
        "--timeout",
        "60s",
    ]);
    assert!(run.count("errors.unsent") > 0, "{run:?}");
}
