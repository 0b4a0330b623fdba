//! The preflight check: what a run needs, and what is missing, before any connection.

use std::net::TcpListener;

use crate::runs::{generator, generator_under, run};
use crate::support::program::{self, Ended};

/// A server that must get no connection.
struct Untouched(TcpListener);

impl Untouched {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        Self(listener)
    }

    fn url(&self) -> String {
        format!("text://{}", self.0.local_addr().expect("bound"))
    }

    /// The kernel lists connections here before the program that made them ends.
    #[track_caller]
    fn was_left_alone(&self) {
        let accepted = self.0.accept();
        assert!(accepted.is_err(), "a connection was made: {accepted:?}");
    }
}

#[track_caller]
fn is_refused(ended: &Ended, parts: &[&str]) {
    assert_eq!(ended.code, Some(1), "{ended:?}");
    ended.printing("");
    assert!(ended.stderr.lines().all(|line| line.starts_with("tinytcp-load: ")), "{ended:?}");
    let line = ended.stderr.lines().find(|line| parts.iter().all(|part| line.contains(part)));
    assert!(line.is_some(), "no line with {parts:?}: {ended:?}");
}

#[test]
fn too_few_descriptors_are_reported_before_any_connection() {
    let server = Untouched::new();
    let command = generator_under(&["prlimit", "--nofile=64:64"], &[&server.url(), "-c", "100"]);
    let ended = program::finish(command);
    is_refused(
        &ended,
        &["118 open files are needed for 100 connections", "may open 64", "`ulimit -Hn"],
    );
    ended.complaining_in_one_line("tinytcp-load");
    server.was_left_alone();
}

#[test]
fn members_that_the_descriptors_never_suffice_for_need_a_higher_limit() {
    let server = Untouched::new();
    let broadcast = |limit: &str, members| {
        let arguments = ["broadcast", &server.url(), "-c", members];
        program::finish(generator_under(&["prlimit", limit], &arguments))
    };
    let ended = broadcast("--nofile=30:30", "3");
    is_refused(&ended, &["35 open files are needed for 3 members", "may open 30"]);
    assert!(ended.stderr.ends_with("(`ulimit -Hn 35` as root)\n"), "{ended:?}");
    let ended = broadcast("--nofile=64:64", "100");
    is_refused(&ended, &["132 open files are needed for 100 members", "or use -c 32"]);
    server.was_left_alone();
}

#[test]
fn the_suggested_number_of_connections_is_sufficient() {
    let advised = |connections: &str| {
        let arguments = ["text://127.0.0.1:1", "--preflight", "-c", connections];
        program::finish(generator_under(&["prlimit", "--nofile=64:64"], &arguments))
    };
    let refused = advised("100");
    let (_, connections) = refused.stderr.trim_end().rsplit_once("or use -c ").expect("an advice");
    assert_eq!(advised(connections).code, Some(0), "{refused:?}");
    let one_more = connections.parse::<u64>().expect("a number") + 1;
    assert_eq!(advised(&one_more.to_string()).code, Some(1), "{refused:?}");
}

#[test]
fn the_soft_limit_is_raised_before_the_check() {
    let arguments = ["text://127.0.0.1:1", "--preflight", "-c", "100"];
    let ended = program::finish(generator_under(&["prlimit", "--nofile=64:500"], &arguments));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.text().contains("500 allowed"), "{ended:?}");
}

#[test]
fn more_connections_than_ports_need_more_source_addresses() {
    let server = Untouched::new();
    let too_many = run(&[&server.url(), "-c", "70k"]);
    is_refused(&too_many, &["ports are needed", "--source 127.0.0.2-127.0.0."]);
    server.was_left_alone();
    let more =
        run(&[&server.url(), "-c", "70k", "--source", "127.0.0.2-127.0.0.40", "--preflight"]);
    assert!(!more.stderr.contains("ports"), "{more:?}");
    server.was_left_alone();
}

#[test]
fn a_source_of_another_machine_is_refused() {
    let server = Untouched::new();
    // Reserved for documentation (RFC 5737), so that no machine has it.
    let ended = run(&[&server.url(), "-c", "2", "--source", "127.0.0.2,192.0.2.1"]);
    is_refused(&ended, &["192.0.2.1 is not an address of this machine"]);
    ended.complaining_in_one_line("tinytcp-load");
    server.was_left_alone();
}

#[test]
fn preflight_reports_the_needs_and_opens_nothing() {
    let server = Untouched::new();
    let ended = run(&[&server.url(), "-c", "10", "--preflight"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stderr, "", "{ended:?}");
    let names: Vec<&str> =
        ended.text().lines().filter_map(|line| Some(line.split_once(": ")?.0)).collect();
    assert_eq!(names, ["descriptors", "ports", "memory"], "{ended:?}");
    server.was_left_alone();
}

#[test]
fn preflight_reports_what_is_missing_with_the_needs() {
    let ended = program::finish(generator(&["text://127.0.0.1:1", "-c", "2m", "--preflight"]));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.text().contains("ports: 2,000,000 needed"), "{ended:?}");
    assert!(ended.stderr.contains("ports are needed"), "{ended:?}");
}
