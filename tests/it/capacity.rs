//! More peers than places, or than descriptors: the rest is refused or waits, and a free place is
//! used again.

use crate::support::frames::{ECHO, error, frame};
use crate::support::peer::Peer;
use crate::support::server::{Server, listen_flags, program_under};
use crate::support::wait::wait_for;
use crate::support::{BANNER, MIB, PROTOCOLS, repetitions};

/// The reply of a full server.
fn busy(protocol: &str) -> Vec<u8> {
    match protocol {
        "binary" => error("SERVER_BUSY"),
        _ => b"ERROR SERVER_BUSY\n".to_vec(),
    }
}

/// Requests that a peer sends at once, before it is accepted.
fn eager(protocol: &str) -> Vec<u8> {
    match protocol {
        "binary" => frame(ECHO, "hello").repeat(200),
        _ => b"ECHO hello\n".repeat(200),
    }
}

/// Opens `count` peers, for all places of a server.
fn fill(server: &Server, count: usize) -> Vec<Peer> {
    (0..count).map(|_| server.text()).collect()
}

#[test]
fn the_peer_in_the_last_place_is_served_and_the_next_is_not() {
    let server = Server::start(&["--max-connections", "10"]);
    let mut peers = fill(&server, 10);
    assert_eq!(server.connect("text").read_to_end(), busy("text"));
    for peer in &mut peers {
        peer.send("ECHO in\n");
        peer.expect("ECHO in\n");
    }
}

#[test]
fn peers_over_the_limit_get_an_error_and_a_clean_end() {
    let server = Server::start(&["--max-connections", "10"]);
    let peers = fill(&server, 10);
    for protocol in PROTOCOLS {
        for _ in 0..40 {
            assert_eq!(server.connect(protocol).read_to_end(), busy(protocol), "{protocol}");
        }
    }
    drop(peers);
}

#[test]
fn peers_over_the_limit_that_have_sent_at_once_see_no_reset() {
    let server = Server::start(&["--max-connections", "10"]);
    let peers = fill(&server, 10);
    for protocol in PROTOCOLS {
        for _ in 0..40 {
            let mut peer = server.connect(protocol);
            peer.send(eager(protocol));
            assert_eq!(peer.read_to_end(), busy(protocol), "{protocol}");
        }
    }
    drop(peers);
}

#[test]
fn many_peers_over_the_limit_at_once_all_get_an_error() {
    let server = Server::start(&["--max-connections", "10"]);
    let peers = fill(&server, 10);
    server.freeze();
    let mut refused: Vec<_> =
        PROTOCOLS.iter().cycle().take(800).map(|name| (name, server.connect(name))).collect();
    for (protocol, peer) in &mut refused {
        peer.send(eager(protocol));
    }
    server.thaw();
    for (protocol, peer) in &mut refused {
        assert_eq!(peer.read_to_end(), busy(protocol), "{protocol}");
    }
    drop(peers);
}

#[test]
fn a_free_place_is_used_again() {
    let server = Server::start(&["--max-connections", "10"]);
    let mut peers = fill(&server, 10);
    for _ in 0..20 {
        let mut leaver = peers.remove(3);
        leaver.send("QUIT\n");
        leaver.expect("BYE\n");
        leaver.expect_eof();
        drop(leaver);
        // The place is free once the server has seen the close, which the peer cannot observe.
        peers.push(wait_for("a free place", || {
            let mut peer = server.connect("text");
            (peer.read_line().as_bytes() == BANNER).then_some(peer)
        }));
        assert_eq!(
            server.connect("text").read_to_end(),
            busy("text"),
            "one place was free, not two"
        );
    }
}

#[test]
fn rooms_and_members_over_the_limits_are_refused_and_logged() {
    let server = Server::start(&["--rooms-max", "1", "--room-members-max", "1"]);
    let [mut ann, mut bob] = [server.text(), server.text()];
    ann.send("JOIN tea\n");
    ann.expect("JOINED tea\n");
    bob.send("JOIN tea\nJOIN coffee\n");
    bob.expect("ERROR ROOM_FULL\nERROR TOO_MANY_ROOMS\n");
    server.wait_for_log(&[
        "refusing members of the room tea: its limit of 1 is reached; raise --room-members-max",
    ]);
    server.wait_for_log(&["refusing new rooms: the limit of 1 is reached; raise --rooms-max"]);
}

#[test]
fn the_memory_of_refused_peers_is_freed() {
    let count = repetitions(10_000, 100_000);
    let server = Server::start(&["--max-connections", "1", "--activity-log", "1"]);
    let peer = server.text();
    let refuse = |count| {
        for _ in 0..count {
            assert_eq!(server.connect("text").read_to_end(), busy("text"));
        }
    };
    refuse(1000);
    let before = server.process().resident_bytes();
    refuse(count);
    let grown = server.process().resident_bytes().saturating_sub(before);
    assert!(grown < MIB, "{count} refused peers cost {grown} bytes");
    drop(peer);
}

/// Starts a server with descriptors for a few of twenty peers. The rest waits in the queue of the
/// kernel.
fn exhausted() -> (Server, Vec<Peer>) {
    let server = Server::start(&[]);
    let process = server.process();
    process.limit_descriptors(process.lowest_free_descriptor() + 2);
    let peers: Vec<Peer> = (0..20).map(|_| server.connect("text")).collect();
    (server, peers)
}

/// Waits until one of `peers` has its greeting, and returns its index.
fn welcomed(peers: &mut [Peer]) -> usize {
    wait_for("a peer that is welcomed", || peers.iter_mut().position(|peer| peer.has_bytes()))
}

#[test]
fn once_descriptors_are_free_again_every_waiting_peer_is_served() {
    let (server, mut peers) = exhausted();
    welcomed(&mut peers);
    server.process().limit_descriptors(1000);
    for peer in &mut peers {
        peer.expect(BANNER);
    }
}

#[test]
fn when_descriptors_are_exhausted_a_close_admits_a_waiting_peer() {
    let (_server, mut peers) = exhausted();
    while !peers.is_empty() {
        let index = welcomed(&mut peers);
        let mut peer = peers.remove(index);
        peer.expect(BANNER);
        peer.send("QUIT\n");
        peer.expect("BYE\n");
        peer.expect_eof();
    }
}

#[test]
fn while_descriptors_are_exhausted_the_served_peers_are_served() {
    let (_server, mut peers) = exhausted();
    let index = welcomed(&mut peers);
    peers[index].expect(BANNER);
    for _ in 0..100 {
        peers[index].send("ECHO on\n");
        peers[index].expect("ECHO on\n");
    }
}

#[test]
fn while_descriptors_are_exhausted_the_server_does_not_spin() {
    let (server, mut peers) = exhausted();
    welcomed(&mut peers);
    server.process().check_sleeps();
}

#[test]
fn the_soft_limit_of_descriptors_is_raised_and_logged() {
    let mut command = program_under(&["prlimit", "--nofile=64:500"]);
    command.args(listen_flags());
    let server = Server::launch(command);
    assert_eq!(server.process().descriptor_limits(), (500, 500));
    server.wait_for_log(&["64", "500", "468"]);
}

#[test]
fn the_hard_limit_of_descriptors_bounds_the_connections() {
    let mut command = program_under(&["prlimit", "--nofile=64:64"]);
    command.args(listen_flags());
    let server = Server::launch(command);
    let mut peers = fill(&server, 64 - 32);
    assert_eq!(server.connect("text").read_to_end(), busy("text"));
    for peer in &mut peers {
        peer.send("ECHO in\n");
        peer.expect("ECHO in\n");
    }
}

#[test]
fn six_hundred_peers_fit_the_queue_of_a_stopped_server() {
    let server = Server::start(&[]);
    server.freeze();
    let mut peers: Vec<Peer> = (0..600).map(|_| server.connect("text")).collect();
    server.thaw();
    for peer in &mut peers {
        peer.expect(BANNER);
    }
}
