//! How connections are opened, from which addresses, for how long, and how they are closed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::agreement::{stop, url};
use crate::runs::measure;
use crate::servers::{right, session};
use crate::support::behaviour::serve;
use crate::support::server::Server;
use crate::support::wait::{undisturbed, wait_until};
use crate::support::{BANNER, PROTOCOLS};

#[test]
fn a_connection_is_reopened_after_a_number_of_requests() {
    for depth in ["1", "4"] {
        let server = Server::start(&[]);
        let run = measure(&[
            &url(&server, "text"),
            "-c",
            "2",
            "-P",
            depth,
            "--lifetime",
            "5",
            "-d",
            "200ms",
        ]);
        let totals = stop(server);
        run.is_flawless();
        let (sent, opened) = (run.count("requests.sent"), run.count("connections.opened"));
        assert_eq!(sent, totals.messages, "{totals:?}: {run:?}");
        assert!(totals.connections > 2, "{totals:?}");
        // All but the last two have sent five requests.
        assert!(
            (sent.div_ceil(5)..=sent / 5 + 4).contains(&opened),
            "{opened} connections for {sent} requests"
        );
        // The server also counts each connection that was closed because its source port was a
        // default port.
        let begun = run.count("connections.begun") + PROTOCOLS.len() as u64;
        assert!((opened..=begun).contains(&totals.connections), "{totals:?}: {run:?}");
    }
}

#[test]
fn a_connection_is_reopened_after_a_time() {
    let (run, totals) = undisturbed(|| {
        let server = Server::start(&[]);
        let arguments = [&url(&server, "binary"), "-c", "2", "--lifetime", "50ms", "-d", "400ms"];
        let run = measure(&arguments);
        // A busy machine can pause the generator for most of the run.
        (run.count("connections.opened") >= 4).then(|| (run, stop(server)))
    });
    assert_eq!(run.is_flawless().count("requests.sent"), totals.messages, "{totals:?}: {run:?}");
    // Eight times fifty milliseconds.
    let opened = run.count("connections.opened");
    assert!(opened <= 20, "{opened} connections");
}

#[test]
fn reopened_connections_do_not_affect_the_schedule() {
    let server = Server::start(&[]);
    let run =
        measure(&[&url(&server, "echo"), "-c", "3", "--lifetime", "2", "-R", "200", "-n", "60"]);
    assert_eq!(run.is_flawless().count("requests.sent"), 60);
    assert_eq!(stop(server).messages, 60);
    assert!((30..=33).contains(&run.count("connections.opened")), "{run:?}");
}

#[test]
fn connections_close_normally_or_with_a_reset() {
    for (flags, reason) in [(&[][..], "client closed"), (&["--reset"], "connection reset")] {
        let server = Server::start(&[]);
        let url = url(&server, "text");
        let run = measure(&[&[&url[..], "-c", "3", "-R", "50", "-d", "200ms"], flags].concat());
        run.is_flawless();
        expect_closings(&server, 3, reason);
    }
}

/// Waits until the log has `count` closed connections, all with this reason.
#[track_caller]
fn expect_closings(server: &Server, count: usize, reason: &str) {
    let closings = || {
        server
            .log
            .text()
            .iter()
            .filter(|line| line.contains("closed text"))
            .cloned()
            .collect::<Vec<_>>()
    };
    wait_until("all connections are closed", || closings().len() == count);
    assert!(closings().iter().all(|line| line.contains(reason)), "{:#?}", closings());
}

#[test]
fn connections_use_every_source_in_turn() {
    // A silent connection is not logged, so each sends two of the twenty requests.
    let server = Server::start(&[]);
    let sources = "127.0.0.11-127.0.0.13,127.0.0.16/31";
    measure(&[&url(&server, "text"), "-c", "10", "--source", sources, "-R", "50", "-d", "400ms"])
        .is_flawless();
    let log = server.log.text();
    let opened = log.iter().filter_map(|line| line.split_once("opened text ")?.1.rsplit_once(':'));
    let mut connections: Vec<&str> = opened.map(|(source, _)| source).collect();
    assert_eq!(connections.len(), 10, "{log:#?}");
    connections.sort_unstable();
    let expected = ["127.0.0.11", "127.0.0.12", "127.0.0.13", "127.0.0.16", "127.0.0.17"];
    assert_eq!(connections.iter().copied().collect::<BTreeSet<_>>(), expected.into());
    assert!(connections.chunks(2).all(|pair| pair[0] == pair[1]), "two from each: {connections:?}");
}

#[test]
fn connections_are_opened_over_the_time_of_a_ramp() {
    const LAST_DUE_AFTER: Duration = Duration::from_millis(180);
    for opening in [["--ramp", "200ms"], ["--connect-rate", "50"]] {
        let (run, last_after) = undisturbed(|| {
            let accepted_at = Arc::new(Mutex::new(Vec::new()));
            let accepted = Arc::clone(&accepted_at);
            let port = serve(move |stream| {
                accepted.lock().expect("no thread panics").push(Instant::now());
                drop(session(stream, BANNER, right));
            });
            let url = format!("text://127.0.0.1:{port}");
            let began = Instant::now();
            let run = measure(&[&[&url, "-c", "10", "-d", "500ms"], &opening[..]].concat());
            let last = accepted_at.lock().expect("no thread panics").iter().max().copied();
            // A busy machine can pause the generator until the run is too short.
            let is_whole = !run.flaws().contains(&"too_short");
            is_whole.then(|| (run, last.expect("connections") - began))
        });
        assert_eq!(run.is_flawless().count("connections.opened"), 10, "{opening:?}");
        assert!(last_after >= LAST_DUE_AFTER, "{opening:?}: all are open after {last_after:?}");
    }
}

#[test]
fn a_run_that_ends_before_all_are_open_is_too_short() {
    let server = Server::start(&[]);
    for opening in [["--ramp", "20s"], ["--connect-rate", "5"]] {
        let run = measure(
            &[&[&url(&server, "text")[..], "-c", "100", "-d", "300ms"], &opening[..]].concat(),
        );
        run.exits_with(1)
            .is_judged(&["too_short"])
            .all_zero("connections.failed", &[])
            .all_zero("errors", &[]);
        // Two are due in that time; a loaded machine may start later and then open more.
        let reached = run.count("connections.reached");
        assert!((1..=20).contains(&reached), "{opening:?}: {reached} connections");
        assert!(
            run.count("replies.correct") > 0,
            "open connections do not wait for the others: {run:?}"
        );
    }
}
