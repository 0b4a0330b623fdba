//! Peers that break off: each costs its own connection, never the server, and leaves no descriptor behind.

mod support;

use support::frames::{ECHO, frame};
use support::server::Server;
use support::{KIB, MIB};

/// The server still serves, and holds no more descriptors than at its start.
#[track_caller]
fn check_unharmed(server: &Server, descriptors: usize) {
    let mut peer = server.text();
    peer.send("ECHO still here\n");
    peer.expect("ECHO still here\n");
    drop(peer);
    server.wait_for_descriptors(descriptors);
}

#[test]
fn resets_during_a_large_answer_harm_nobody() {
    let server = Server::start(&[]);
    let descriptors = server.descriptor_count();
    let request = frame(ECHO, vec![b'x'; MIB]);
    for _ in 0..200 {
        let mut peer = server.connect_with_small_window("binary");
        peer.send(&request);
        // One byte of the answer: the server is in the middle of it.
        peer.expect([ECHO]);
        peer.reset();
    }
    check_unharmed(&server, descriptors);
}

#[test]
fn resets_before_the_connection_is_accepted_harm_nobody() {
    let server = Server::start(&[]);
    let descriptors = server.descriptor_count();
    server.freeze();
    for index in 0..500 {
        let mut peer = server.connect(support::PROTOCOLS[index % 4]);
        peer.send("ECHO x\n");
        peer.reset();
    }
    server.thaw();
    check_unharmed(&server, descriptors);
}

#[test]
fn a_reset_is_noticed_while_the_server_does_not_read() {
    let server = Server::start(&["--write-timeout", "off"]);
    let descriptors = server.descriptor_count();
    let mut peer = server.connect_with_small_window("text");
    let request = [b"ECHO ", [b'x'; KIB].as_slice(), b"\n"].concat();
    peer.send_until_stuck(&request);
    peer.reset();
    check_unharmed(&server, descriptors);
}

#[test]
fn a_reset_in_the_middle_of_a_request_is_no_request() {
    let server = Server::start(&[]);
    let descriptors = server.descriptor_count();
    for protocol in support::PROTOCOLS {
        for _ in 0..50 {
            let mut peer = server.connect(protocol);
            peer.send([ECHO, 0, 0]);
            peer.reset();
        }
    }
    check_unharmed(&server, descriptors);
}
