//! `accept` and the registration of a new connection fail: the waiting peers are served, even if no
//! further peer connects.

use crate::support::BANNER;
use crate::support::peer::Peer;
use crate::support::server::Server;
use crate::tracer::{Fault, INDEX_MAX, Trace};

/// The errors in the manual page of accept(2), and two errors that mean a defect.
const ACCEPT_ERRORS: [&str; 17] = [
    "EMFILE",
    "ENFILE",
    "ENOBUFS",
    "ENOMEM",
    "ECONNABORTED",
    "EPROTO",
    "EPERM",
    "ENETDOWN",
    "ENETUNREACH",
    "EHOSTDOWN",
    "EHOSTUNREACH",
    "ENOPROTOOPT",
    "ETIMEDOUT",
    "EINTR",
    "ENOSR",
    "EINVAL",
    "EOPNOTSUPP",
];

/// Starts a server whose calls `first` to `last` of `call` fail with `error`.
fn failing(
    trace: &Trace,
    call: &'static str,
    error: &'static str,
    first: usize,
    last: usize,
) -> Server {
    trace.start(&[call], Some(Fault { call, error, first, last }), &[])
}

fn check_served(peer: &mut Peer) {
    peer.expect(BANNER);
    peer.send("ECHO in\n");
    peer.expect("ECHO in\n");
}

/// Ends the server, and checks that the fault has occurred.
#[track_caller]
fn check_ended(mut server: Server, trace: &Trace) {
    server.process().signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0));
    assert!(trace.has_hit(), "no call has failed");
}

#[test]
#[ignore = "needs strace: .ci/run installs it"]
fn after_any_failure_of_accept_the_waiting_peer_is_served() {
    for error in ACCEPT_ERRORS {
        let trace = Trace::new();
        let server = failing(&trace, "accept4", error, 1, 3);
        let descriptors = server.descriptor_count();
        let mut peer = server.connect("text");
        check_served(&mut peer);
        drop(peer);
        server.wait_for_descriptors(descriptors);
        check_ended(server, &trace);
    }
}

#[test]
#[ignore = "needs strace: .ci/run installs it"]
fn after_a_failure_of_accept_every_queued_peer_is_served() {
    for error in ACCEPT_ERRORS {
        let trace = Trace::new();
        let server = failing(&trace, "accept4", error, 3, 4);
        let mut peers: Vec<Peer> = (0..10).map(|_| server.connect("text")).collect();
        peers.iter_mut().for_each(check_served);
        drop(peers);
        check_ended(server, &trace);
    }
}

#[test]
#[ignore = "needs strace: .ci/run installs it"]
fn a_connection_that_cannot_be_watched_is_closed() {
    for error in ["ENOSPC", "ENOMEM"] {
        let trace = Trace::new();
        // The calls for four listeners, the waker and the signals come first.
        let server = failing(&trace, "epoll_ctl", error, 7, 8);
        let descriptors = server.descriptor_count();
        for _ in 0..2 {
            server.connect("text").expect_eof();
        }
        server.wait_for_descriptors(descriptors);
        check_served(&mut server.connect("text"));
        server.wait_for_descriptors(descriptors);
        check_ended(server, &trace);
    }
}

#[test]
#[ignore = "needs strace: .ci/run installs it"]
fn while_accept_fails_open_connections_are_served_until_a_stop() {
    let trace = Trace::new();
    // The fault begins with the second peer. The call before it has reported an empty queue.
    let server = failing(&trace, "accept4", "ENFILE", 3, INDEX_MAX);
    let mut peer = server.connect("text");
    check_served(&mut peer);
    let _waiting = server.connect("text");
    server.wait_for_log(&["cannot accept connections"]);
    for _ in 0..100 {
        peer.send("ECHO on\n");
        peer.expect("ECHO on\n");
    }
    drop(peer);
    check_ended(server, &trace);
}
