//! Before anything is opened: what the run needs, and what is missing.

use std::net::TcpListener;

use crate::runs::{generator, generator_under, run};
use crate::support::program::{self, Ended};

/// A server to which nobody may connect.
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
        assert!(accepted.is_err(), "somebody has connected: {accepted:?}");
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
fn too_few_descriptors_are_said_before_anything_is_opened() {
    let server = Untouched::new();
    let command = generator_under(&["prlimit", "--nofile=64:64"], &[&server.url(), "-c", "100"]);
    let ended = program::finish(command);
    is_refused(&ended, &["100 connections need", "this process may have 64", "`ulimit -Hn"]);
    ended.complaining_in_one_line("tinytcp-load");
    server.was_left_alone();
}

#[test]
fn as_many_as_it_says_are_enough() {
    let advised = |connections: &str| {
        let arguments = ["text://127.0.0.1:1", "--preflight", "-c", connections];
        program::finish(generator_under(&["prlimit", "--nofile=64:64"], &arguments))
    };
    let refused = advised("100");
    let (_, connections) = refused.stderr.trim_end().rsplit_once("or -c ").expect("an advice");
    assert_eq!(advised(connections).code, Some(0), "{refused:?}");
    let one_more = connections.parse::<u64>().expect("a number") + 1;
    assert_eq!(advised(&one_more.to_string()).code, Some(1), "{refused:?}");
}

#[test]
fn the_soft_limit_is_raised_before_it_is_judged() {
    let arguments = ["text://127.0.0.1:1", "--preflight", "-c", "100"];
    let ended = program::finish(generator_under(&["prlimit", "--nofile=64:500"], &arguments));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.text().contains("500 allowed"), "{ended:?}");
}

#[test]
fn more_connections_than_ports_need_more_source_addresses() {
    let server = Untouched::new();
    let too_many = run(&[&server.url(), "-c", "70k"]);
    is_refused(&too_many, &["as many ports", "--source 127.0.0.2-127.0.0."]);
    server.was_left_alone();
    let more =
        run(&[&server.url(), "-c", "70k", "--source", "127.0.0.2-127.0.0.40", "--preflight"]);
    assert!(!more.stderr.contains("ports"), "{more:?}");
    server.was_left_alone();
}

#[test]
fn a_source_that_is_no_address_of_this_machine_is_named() {
    let server = Untouched::new();
    // Reserved for documentation (RFC 5737), so that no machine has it.
    let ended = run(&[&server.url(), "-c", "2", "--source", "127.0.0.2,192.0.2.1"]);
    is_refused(&ended, &["192.0.2.1 is no address of this machine"]);
    ended.complaining_in_one_line("tinytcp-load");
    server.was_left_alone();
}

#[test]
fn preflight_says_what_is_needed_and_opens_nothing() {
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
fn preflight_says_what_is_missing_beside_what_is_needed() {
    let ended = program::finish(generator(&["text://127.0.0.1:1", "-c", "2m", "--preflight"]));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.text().contains("ports: 2,000,000 needed"), "{ended:?}");
    assert!(ended.stderr.contains("as many ports"), "{ended:?}");
}
