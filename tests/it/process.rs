//! The process as the kernel sees it: ignored signals, descriptors that no child inherits, and
//! processor time.

use crate::support::PROTOCOLS;
use crate::support::peer::Peer;
use crate::support::process::Process;
use crate::support::server::Server;
use crate::support::wait::wait_until;

#[test]
fn sigpipe_is_ignored() {
    const SIGPIPE_BIT: u64 = 0x1000;
    let server = Server::start(&[]);
    let ignored = server.process().status_field("SigIgn");
    let ignored = u64::from_str_radix(&ignored, 16).expect("a mask");
    assert_ne!(ignored & SIGPIPE_BIT, 0, "SigIgn is {ignored:#x}");
}

/// A signal for a thread that writes the log would not interrupt the wait for events.
#[test]
fn signals_come_to_the_thread_that_serves_and_to_no_other() {
    const SIGTERM_BIT: u64 = 0x4000;
    let server = Server::start(&[]);
    let is_blocked_by = |thread: &Process| {
        let blocked = u64::from_str_radix(&thread.status_field("SigBlk"), 16).expect("a mask");
        blocked & SIGTERM_BIT != 0
    };
    // A thread sets its mask shortly after its start.
    wait_until("every thread but one blocks SIGTERM", || {
        let (others, own) =
            server.process().threads().into_iter().partition::<Vec<_>, _>(is_blocked_by);
        others.len() == 3 && own.iter().map(|thread| thread.id).eq([server.process().id])
    });
}

#[test]
fn no_descriptor_would_reach_a_child_process() {
    const CLOSE_ON_EXEC: u32 = 0o2_000_000;
    const STANDARD: std::ops::RangeInclusive<u32> = 0..=2;
    let server = Server::start(&[]);
    let peers: Vec<Peer> = PROTOCOLS.iter().map(|protocol| server.connect(protocol)).collect();
    // After one more round trip, the other connections are accepted.
    server.text();
    let process = server.process();
    // The parent of the tests may pass descriptors to them, and so to the server, with the same
    // numbers.
    let inherited = Process { id: std::process::id() };
    let inherited =
        |number| inherited.descriptor_flags(number).is_some_and(|flags| flags & CLOSE_ON_EXEC == 0);
    let own = process
        .descriptors()
        .into_iter()
        .filter(|number| !STANDARD.contains(number) && !inherited(*number));
    let own: Vec<u32> = own.collect();
    assert!(own.len() > 2 * PROTOCOLS.len(), "listeners and connections are among {own:?}");
    for number in own {
        if let Some(flags) = process.descriptor_flags(number) {
            assert_ne!(
                flags & CLOSE_ON_EXEC,
                0,
                "descriptor {number} is open for children: {flags:o}"
            );
        }
    }
    drop(peers);
}

#[test]
fn peers_add_no_threads() {
    let server = Server::start(&[]);
    // One thread serves. Another one writes the log, because a log may stall.
    let before = server.process().status_field("Threads");
    let _peers: Vec<Peer> =
        PROTOCOLS.iter().cycle().take(200).map(|protocol| server.connect(protocol)).collect();
    server.text();
    assert_eq!(server.process().status_field("Threads"), before);
}

#[test]
fn a_server_without_peers_sleeps() {
    Server::start(&[]).process().check_sleeps();
}

#[test]
fn a_server_with_idle_peers_sleeps() {
    let server = Server::start(&[]);
    let _peers: Vec<Peer> =
        PROTOCOLS.iter().cycle().take(200).map(|protocol| server.connect(protocol)).collect();
    server.process().check_sleeps();
}

#[test]
fn a_server_with_a_message_in_progress_sleeps() {
    let server = Server::start(&["--quiet-period", "1h"]);
    let mut peers: Vec<Peer> = PROTOCOLS.iter().map(|protocol| server.connect(protocol)).collect();
    peers.iter_mut().for_each(|peer| peer.send([1, 0, 0]));
    server.process().check_sleeps();
}

#[test]
fn a_server_with_a_peer_that_does_not_read_sleeps() {
    let server = Server::start(&[]);
    let mut peer = server.connect_with_small_window("text");
    peer.send_until_stuck(&[b"ECHO ", [b'x'; 1024].as_slice(), b"\n"].concat());
    server.process().check_sleeps();
}

#[test]
fn a_server_whose_peers_have_left_sleeps() {
    let server = Server::start(&[]);
    for protocol in PROTOCOLS {
        let mut peer = server.connect(protocol);
        peer.send("x");
        peer.half_close();
        peer.read_to_end();
    }
    server.process().check_sleeps();
}
