//! The search for the highest rate.

use std::thread;
use std::time::Duration;

use crate::runs::{measure, refuses};
use crate::servers::{right, text};

#[test]
fn the_highest_rate_that_holds_is_found_below_what_the_server_can_do() {
    // One connection, one request at a time, and five milliseconds for each: 200 a second and no more.
    let url = text(|line| {
        thread::sleep(Duration::from_millis(5));
        right(line)
    });
    let run = measure(&[&url, "--find-max", "p99=1s", "-R", "100", "-c", "1", "-d", "200ms", "--timeout", "2s"]);
    run.exits_with(0);
    let highest = run.number("search.highest_held_per_s");
    assert!((1.0..=205.0).contains(&highest), "{run:?}");
    assert_eq!(run.text("search.objective"), "p99=1s");
    assert_eq!(run.number("asked.pace.from_per_s"), highest, "the report is that of the best run");
    let steps = run["search"]["steps"].as_array().expect("a list");
    assert_eq!(steps[0]["asked_per_s"], 100.0);
    let broken = steps.iter().filter(|step| step["held"] == false);
    assert!(broken.clone().count() >= 2, "the rate that breaks is measured twice: {steps:#?}");
    for step in broken {
        assert!(step["broken_by"].is_string(), "{step:#}");
    }
}

#[test]
fn a_search_has_nothing_to_do_with_what_only_holds() {
    refuses(&["--find-max", "p99=1ms", "--hold"], 2, "cannot be used with");
    refuses(&["--find-max", "p99"], 2, "--find-max");
}
