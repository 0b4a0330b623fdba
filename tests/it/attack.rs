//! The parts of `benches/attack` whose faults a run would not show: its parsers and its
//! computations.

#[path = "../../benches/attack/choice.rs"]
mod choice;
#[allow(dead_code)]
#[path = "../../benches/attack/journal.rs"]
mod journal;
#[path = "../../benches/attack/slope.rs"]
mod slope;

use choice::{Choice, Part};
use journal::{Journal, Totals};
use slope::Slope;
use std::time::{Duration, SystemTime};
use tinytcp::{CloseReason, Counters, Limits, Status};

#[test]
fn a_straight_line_has_its_slope_and_no_error() {
    let points: Vec<(f64, f64)> =
        (0..100).map(|time| (f64::from(time), 1e12 + 3.0 * f64::from(time))).collect();
    let Slope { per_unit, error } = Slope::of(&points).expect("enough points");
    assert!((per_unit - 3.0).abs() < 1e-6 && error < 1e-3, "{per_unit} {error}");
}

#[test]
fn scatter_around_a_level_is_the_error_of_the_slope() {
    // The points are 1 above and 1 below the level, so the residuals are 1. The sum of the squares
    // of the times around their mean is (n^3 - n) / 12.
    let points: Vec<(f64, f64)> =
        (0..1000).map(|time| (f64::from(time), f64::from(time % 2 * 2))).collect();
    let Slope { per_unit, error } = Slope::of(&points).expect("enough points");
    let expected = (1000.0 / 998.0 / ((1e9 - 1e3) / 12.0_f64)).sqrt();
    assert!((error / expected - 1.0).abs() < 1e-3, "{error} for {expected}");
    assert!(per_unit.abs() < 3.0 * error, "{per_unit} ± {error}");
}

#[test]
fn too_few_points_have_no_slope() {
    assert_eq!(Slope::of(&[]), None);
    assert_eq!(Slope::of(&[(1.0, 1.0), (2.0, 2.0)]), None);
    assert_eq!(Slope::of(&[(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)]), None);
}

#[test]
fn the_closing_line_is_read_as_the_server_writes_it() {
    let mut counters = Counters::default();
    counters.accepted = 57;
    counters.received_bytes = 4;
    counters.sent_bytes = 5;
    counters.messages = 6;
    counters.closed[CloseReason::PeerClosed as usize] = 50;
    counters.closed[CloseReason::WriteTimeout as usize] = 7;
    let mut status = Status::new(&["text"], Limits::default(), 1, SystemTime::UNIX_EPOCH);
    status.listeners[0].counters = counters;
    status.held_bytes_most = 65_536;
    let mut journal = Journal::default();
    journal.note("2026-11-21T03:28:53.611Z INFO  stopping with 12 connections open");
    journal.note(&format!("2026-11-21T03:28:53.611Z INFO  stopped: {status}"));
    let expected = Totals {
        connections: 57,
        messages: 6,
        received_bytes: 4,
        sent_bytes: 5,
        held_bytes_most: 65_536,
        closed: vec![("client closed".into(), 50), ("write timeout".into(), 7)],
    };
    assert_eq!(journal.open_at_stop, Some(12));
    assert_eq!(journal.totals, Some(expected));
}

#[test]
fn lines_and_their_sums_are_added_up() {
    let mut journal = Journal::default();
    for line in [
        "tinytcp-server 0.1.0 listens on text://127.0.0.1:40000",
        "open files: soft limit 1024, hard limit 20000; at most 19968 connections",
        "opened text 127.0.0.1:54384",
        "text 127.0.0.1:54384: ECHO suppressed in the last second: 9 opened",
        "closed text 127.0.0.1:54384: client closed; 9 bytes in, 9 bytes out, 1 message, 0.001 s",
        "suppressed in the last second: 213 opened, 220 messages, \
         9 closed (7 write timeout, 2 client closed)",
        "suppressed in the last second: 1 opened, 1 message",
    ] {
        journal.note(&format!("2026-11-21T03:28:53.611Z INFO  {line}"));
    }
    assert_eq!(
        (journal.opened, journal.commands, journal.closed, journal.complaints),
        (215, 222, 10, 0)
    );
}

#[test]
fn complaints_are_counted_and_the_first_are_kept() {
    let mut journal = Journal::default();
    (0..100).for_each(|_| {
        journal.note(
            "2026-11-21T03:28:53.611Z WARN  rejecting connections: the limit of 10 is reached",
        )
    });
    assert_eq!(journal.complaints, 100);
    assert_eq!(journal.first_complaints.len(), 10);
}

#[test]
fn a_run_is_the_usual_one_a_quick_one_or_a_soak() {
    let attack = |words: &[&str]| match Choice::parse(words) {
        Ok(Part::Attack(choice)) => choice,
        other => panic!("{words:?} is {other:?}"),
    };
    assert!(!attack(&[]).is_soak);
    let quick = attack(&["--quick"]);
    assert!(quick.is_quick && quick.beside < Duration::from_secs(10));
    let soak = attack(&["--soak", "20m"]);
    assert_eq!((soak.beside, soak.is_soak), (Duration::from_secs(1200), true));
    assert_eq!(Choice::parse(&["--fairness"]), Ok(Part::Fairness));
    assert_eq!(Choice::parse(&["--memory"]), Ok(Part::Memory));
    for wrong in [&["--slow"][..], &["--soak"], &["--soak", "0"], &["--quick", "--soak", "1m"]] {
        assert!(Choice::parse(wrong).is_err(), "{wrong:?}");
    }
}
