//! The search for the highest rate.

use std::thread;
use std::time::Duration;

use crate::runs::{measure, refuses};
use crate::servers::{late, right, text};

#[test]
fn the_highest_rate_is_found_below_the_servers_capacity() {
    // One connection, one request at a time, and 5 ms per request: at most 200 per second.
    let url = text(|line| {
        thread::sleep(Duration::from_millis(5));
        right(line)
    });
    let run = measure(&[
        &url,
        "--find-max",
        "p50=1s",
        "-R",
        "100",
        "-c",
        "1",
        "-d",
        "200ms",
        "--timeout",
        "2s",
    ]);
    run.exits_with(0);
    let highest = run.number("search.highest_held_per_s");
    assert!((1.0..=205.0).contains(&highest), "{run:?}");
    assert_eq!(run.text("search.objective"), "p50=1s");
    assert_eq!(run.number("asked.pace.from_per_s"), highest, "the report is that of the best run");
    let steps = run["search"]["steps"].as_array().expect("a list");
    assert_eq!(steps[0]["asked_per_s"], 100.0);
    let broken = steps.iter().filter(|step| step["held"] == false);
    assert!(broken.clone().count() >= 2, "a failing rate is measured twice: {steps:#?}");
    for step in broken {
        assert!(step["broken_by"].is_string(), "{step:#}");
    }
}

#[test]
fn a_search_without_a_result_ends_soon_with_a_reason() {
    let url = late(Duration::from_millis(70));
    let run = measure(&[&url, "--find-max", "p50=10ms", "-R", "200", "-c", "100", "-d", "200ms"]);
    run.exits_with(1).is_judged(&["no_rate_held"]);
    let conclusion = run.text("search.conclusion");
    assert!(conclusion.starts_with("No rate met p50=10ms: even at 50.0/s p50 is "), "{run:?}");
    assert!(conclusion.ends_with("the server takes longer than 10 ms at any rate."), "{run:?}");
    assert_eq!(
        run["search"]["steps"].as_array().expect("a list").len(),
        6,
        "three rates, each twice: {run:?}"
    );
}

#[test]
fn each_rate_is_measured_until_it_has_enough_samples() {
    // Ten replies beyond the median need twenty, which take 400 ms at 50 per second.
    let run = measure(&[
        &late(Duration::ZERO),
        "--find-max",
        "p50=1us",
        "-R",
        "50",
        "-c",
        "4",
        "-d",
        "100ms",
    ]);
    assert!(run.exits_with(1).count("replies.correct") >= 20, "{run:?}");
}

#[test]
fn a_search_cannot_hold_connections() {
    refuses(&["--find-max", "p99=1ms", "--hold"], 2, "cannot be used with");
    refuses(&["--find-max", "p99"], 2, "--find-max");
}
