//! The calls of the start: one that fails is one line and exit code 1. No descriptor is made that a
//! child would inherit.

use crate::support::program::finish;
use crate::tracer::{Fault, Trace, call, count};
use std::process::Stdio;

/// The calls that the start needs, with the errors of their manual pages.
const NEEDED: [(&str, &[&str]); 9] = [
    ("socket", &["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EACCES"]),
    ("bind", &["EADDRINUSE", "EACCES", "EADDRNOTAVAIL", "ENOMEM"]),
    ("listen", &["EADDRINUSE"]),
    ("getsockname", &["ENOBUFS"]),
    ("epoll_create1", &["EMFILE", "ENFILE", "ENOMEM"]),
    ("epoll_ctl", &["ENOMEM", "ENOSPC"]),
    ("eventfd2", &["EMFILE", "ENFILE", "ENODEV", "ENOMEM"]),
    ("socketpair", &["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]),
    ("clone3", &["EAGAIN", "ENOMEM"]),
];

/// The calls that make a descriptor.
const MAKERS: [&str; 13] = [
    "socket",
    "socketpair",
    "accept",
    "accept4",
    "epoll_create",
    "epoll_create1",
    "eventfd2",
    "open",
    "openat",
    "pipe2",
    "dup",
    "dup2",
    "dup3",
];

/// Starts a server, sends requests to it, and ends it. Returns the trace of `calls`.
fn trace_of_a_life(calls: &[&str]) -> Trace {
    let trace = Trace::new();
    let mut server = trace.start(calls, None, &[]);
    let mut peer = server.text();
    peer.send("TIME\nQUIT\n");
    peer.read_to_end();
    server.process().signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0));
    trace
}

/// Checks that a start in which the call at `index` fails with `error` is refused in one line.
#[track_caller]
fn check_refused(call: &'static str, error: &'static str, index: usize) {
    let trace = Trace::new();
    let fault = Fault { call, error, first: index, last: index };
    let mut command = trace.command(&[call], Some(fault), &[]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = finish(command);
    assert!(trace.has_hit(), "{fault:?} is never reached");
    assert_eq!(ended.code, Some(1), "{fault:?}: {ended:?}");
    ended.complaining_in_one_line("tinytcp-server").printing("");
}

#[test]
#[ignore = "needs strace: .ci/run installs it"]
fn a_start_in_which_any_call_fails_is_one_line_and_exit_1() {
    // The first wait for events ends the start.
    let calls: Vec<&str> = NEEDED.iter().map(|(call, _)| *call).chain(["epoll_wait"]).collect();
    let counts = count(&trace_of_a_life(&calls).text());
    for (call, errors) in NEEDED {
        let made = counts.get(call).unwrap_or_else(|| panic!("the start makes no {call}")).starting;
        assert!(made > 0, "the start makes no {call}");
        for error in errors {
            (1..=made).for_each(|index| check_refused(call, error, index));
        }
    }
}

/// Returns the option of each `setsockopt` of a start, in order.
fn options_set() -> Vec<String> {
    let trace = trace_of_a_life(&["setsockopt"]).text();
    let calls = trace.lines().filter(|line| call(line).is_some());
    calls.map(|line| line.split(", ").nth(2).expect("the name of an option").to_owned()).collect()
}

#[test]
#[ignore = "needs strace: .ci/run installs it"]
fn without_the_option_that_restarts_need_a_start_is_exit_1() {
    let options = options_set();
    let index = 1 + options.iter().position(|name| name == "SO_REUSEADDR").expect("it is set");
    check_refused("setsockopt", "ENOPROTOOPT", index);
}

#[test]
#[ignore = "needs strace: .ci/run installs it"]
fn a_start_without_any_tuning_option_serves_and_warns_once() {
    let options = options_set();
    // Keepalive needs four of them.
    let of_the_first = options.iter().take_while(|name| *name != "TCP_NOTSENT_LOWAT").count() + 1;
    for index in (1..=of_the_first).filter(|index| options[index - 1] != "SO_REUSEADDR") {
        let trace = Trace::new();
        let fault = Fault { call: "setsockopt", error: "ENOPROTOOPT", first: index, last: index };
        let mut server = trace.start(&["setsockopt"], Some(fault), &[]);
        let mut peer = server.text();
        peer.send("ECHO in\nQUIT\n");
        peer.expect("ECHO in\nBYE\n");
        drop(peer);
        server.process().signal("TERM");
        assert_eq!(server.wait_for_exit().code(), Some(0), "{fault:?}");
        assert!(trace.has_hit(), "{fault:?} is never reached");
        let warnings =
            server.log.text().into_iter().filter(|line| line.contains("refuses socket options"));
        assert_eq!(warnings.count(), 1, "{fault:?}: {:#?}", server.log.text());
    }
}

#[test]
#[ignore = "needs strace: .ci/run installs it"]
fn a_start_that_cannot_catch_the_signals_is_one_line_and_exit_1() {
    let trace = trace_of_a_life(&["rt_sigaction"]).text();
    // The first ones are made by the C library, before the program begins.
    let calls = trace.lines().filter(|line| call(line).is_some());
    let is_ours =
        |line: &str| ["(SIGTERM", "(SIGINT", "(SIGHUP"].iter().any(|name| line.contains(name));
    let indices: Vec<usize> =
        (1..).zip(calls).filter(|(_, line)| is_ours(line)).map(|(index, _)| index).collect();
    assert!(indices.len() >= 3, "it catches none: {trace}");
    indices.into_iter().for_each(|index| check_refused("rt_sigaction", "EINVAL", index));
}

#[test]
#[ignore = "needs strace: .ci/run installs it"]
fn a_file_limit_that_cannot_be_read_or_raised_is_no_failure() {
    for index in 1..=2 {
        let trace = Trace::new();
        // Two calls for the stack come first, before the program begins.
        let fault = Fault { call: "prlimit64", error: "EPERM", first: 2 + index, last: 2 + index };
        let server = trace.start(&["prlimit64"], Some(fault), &[]);
        server.text();
        drop(server);
        assert!(trace.has_hit(), "{fault:?} is never reached");
    }
}

#[test]
#[ignore = "needs strace: .ci/run installs it"]
fn no_descriptor_is_open_for_children_at_any_moment() {
    let trace = trace_of_a_life(&MAKERS).text();
    let made = |line: &&str| line.contains('(') && !line.contains("= -1 ");
    let makers: Vec<&str> = trace.lines().filter(made).collect();
    for maker in ["socket(", "accept4(", "epoll_create1(", "eventfd2(", "socketpair("] {
        assert!(makers.iter().any(|line| line.contains(maker)), "no {maker} in {trace}");
    }
    let open: Vec<&&str> = makers.iter().filter(|line| !line.contains("CLOEXEC")).collect();
    assert!(open.is_empty(), "{open:#?}");
}
