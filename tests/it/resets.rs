//! Peers that reset their connection: each reset ends one connection, does no harm to the server,
//! and leaves no descriptor open.

use crate::support::frames::{ECHO, frame};
use crate::support::peer::Peer;
use crate::support::server::Server;
use crate::support::{KIB, MIB, repetitions};

/// Checks that the server still serves, and has no more descriptors than at its start.
#[track_caller]
fn check_unharmed(server: &Server, descriptors: usize) {
    let mut peer = server.text();
    peer.send("ECHO still here\n");
    peer.expect("ECHO still here\n");
    drop(peer);
    server.wait_for_descriptors(descriptors);
}

#[test]
fn resets_during_a_large_answer_harm_no_other_peer() {
    let server = Server::start(&[]);
    let descriptors = server.descriptor_count();
    let request = frame(ECHO, vec![b'x'; MIB]);
    for _ in 0..repetitions(100, 1000) {
        let mut peer = server.connect_with_small_window("binary");
        peer.send(&request);
        // After one byte of the answer, the server is still writing it.
        peer.expect([ECHO]);
        peer.reset();
    }
    check_unharmed(&server, descriptors);
}

#[test]
fn resets_before_the_connection_is_accepted_harm_no_other_peer() {
    let server = Server::start(&[]);
    let descriptors = server.descriptor_count();
    server.freeze();
    // They nearly fill the queue of one listener.
    for _ in 0..1000 {
        let mut peer = server.connect("text");
        peer.send("ECHO x\n");
        peer.reset();
    }
    server.thaw();
    check_unharmed(&server, descriptors);
}

#[test]
fn a_reset_is_noticed_while_the_server_does_not_read() {
    let (server, descriptors, peer) = stuck(&["--write-timeout", "off"]);
    peer.reset();
    check_unharmed(&server, descriptors);
}

/// Returns a server, the number of its descriptors, and a peer that reads nothing and has sent
/// until the server took no more.
fn stuck(flags: &[&str]) -> (Server, usize, Peer) {
    let server = Server::start(flags);
    let descriptors = server.descriptor_count();
    let mut peer = server.connect_with_small_window("text");
    peer.send_until_stuck(&[b"ECHO ", [b'x'; KIB].as_slice(), b"\n"].concat());
    (server, descriptors, peer)
}

#[test]
fn a_close_is_noticed_while_the_server_does_not_read() {
    let (server, descriptors, peer) = stuck(&["--write-timeout", "off"]);
    // The kernel makes a reset of it, because the peer has not read all answers.
    drop(peer);
    check_unharmed(&server, descriptors);
}

#[test]
fn an_end_of_input_under_backpressure_leaves_the_write_timeout() {
    let (server, descriptors, mut peer) = stuck(&["--write-timeout", "2s"]);
    peer.half_close();
    check_unharmed(&server, descriptors);
    server.wait_for_log(&["closed", "write timeout"]);
}

#[test]
fn a_reset_in_the_middle_of_a_request_is_no_request() {
    let server = Server::start(&[]);
    let descriptors = server.descriptor_count();
    for protocol in crate::support::PROTOCOLS {
        for _ in 0..50 {
            let mut peer = server.connect(protocol);
            peer.send([ECHO, 0, 0]);
            peer.reset();
        }
    }
    check_unharmed(&server, descriptors);
}
