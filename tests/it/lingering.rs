//! The end of a session: the last answer arrives although the peer continues to send, and the
//! server waits for a bounded time.

use crate::support::frames::{ECHO, QUIT, error, frame, header};
use crate::support::server::Server;
use crate::support::{KIB, MIB};

/// The most that a server reads from a peer after its last answer.
const LINGER_MAX: usize = MIB;

/// More than both kernels hold for a connection.
const KERNEL_MAX: usize = 32 * MIB;

#[test]
fn a_browser_that_posts_a_long_body_reads_its_error() {
    let server = Server::start(&[]);
    let mut peer = server.text();
    let body = vec![b'x'; LINGER_MAX - 128 * KIB];
    let sender = peer.send_in_background([b"POST / HTTP/1.1\r\n\r\n", body.as_slice()].concat());
    peer.expect("ERROR NOT_HTTP\n");
    peer.expect_eof();
    sender.join().expect("the server takes it, though it does not look at it");
}

#[test]
fn a_peer_that_goes_on_sending_after_quit_reads_bye() {
    let server = Server::start(&[]);
    for _ in 0..20 {
        let mut peer = server.text();
        let sender =
            peer.send_in_background([b"QUIT\n", "ECHO more\n".repeat(50_000).as_bytes()].concat());
        peer.expect("BYE\n");
        peer.expect_eof();
        sender.join().expect("the server takes it, though it does not look at it");
    }
}

#[test]
fn a_frame_in_progress_does_not_cost_the_error_of_its_timeout() {
    let server = Server::start(&["--message-timeout", "300ms"]);
    let mut peer = server.connect("binary");
    peer.send(header(ECHO, MIB));
    peer.send(vec![b'x'; 500 * KIB]);
    peer.expect(error("MESSAGE_TIMEOUT"));
    peer.send(vec![b'x'; 500 * KIB]);
    peer.expect_eof();
}

#[test]
fn a_peer_that_never_closes_is_closed_by_the_server() {
    let server = Server::start(&[]);
    let descriptors = server.descriptor_count();
    let mut peer = server.connect("binary");
    peer.send(frame(QUIT, ""));
    peer.expect_eof();
    // The test holds its end open, and the server frees its own.
    server.wait_for_descriptors(descriptors);
    drop(peer);
}

#[test]
fn a_peer_that_never_stops_sending_is_cut_off() {
    let server = Server::start(&[]);
    let descriptors = server.descriptor_count();
    let mut peer = server.text();
    peer.send("QUIT\n");
    peer.expect("BYE\n");
    peer.expect_eof();
    // Two seconds are enough for gigabytes. So the limit of bytes ends the connection, not the
    // timeout.
    let mut sent = 0;
    while peer.try_send(&[b'x'; KIB]) {
        sent += KIB;
        assert!(
            sent < LINGER_MAX + KERNEL_MAX,
            "the server has taken {sent} bytes after its last answer"
        );
    }
    server.wait_for_descriptors(descriptors);
}
