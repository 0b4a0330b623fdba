//! One thread serves all connections: a flood on some of them must not keep the others waiting.
//!
//! These tests have a real kernel and real floods. `core/src/server/loop_tests/fairness.rs` counts
//! the turns before an answer, and the bytes of each turn.
//!
//! All of it is in one thread. The flood moves a portion only after no polite peer had an answer.
//! So the bytes of the flood between a request and its answer measure the fairness of the server,
//! and not the speed of the machine.

use crate::support::MIB;
use crate::support::frames::{ECHO, frame};
use crate::support::open_files::OpenFiles;
use crate::support::peer::Peer;
use crate::support::server::Server;
use crate::support::wait::{Countdown, PATIENCE};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

const FLOODERS: usize = 2;

/// The most that each flooder may send while the polite peers wait for their answers. A turn is 96
/// KiB and a round 1 MiB; the rest is for the kernel, whose buffers grow to 4 and to 6 MiB.
const FLOOD_BYTES_MAX: usize = 16 * MIB;

const POLITE_PEERS: usize = 50;

const ROUNDS: usize = 10;

/// A peer that sends the same bytes repeatedly, and reads everything.
struct Flooder {
    stream: TcpStream,
    bytes: Vec<u8>,
    sent_bytes: usize,
}

impl Flooder {
    fn new(server: &Server, protocol: &str, bytes: &[u8]) -> Self {
        let stream = TcpStream::connect(server.address(protocol)).expect("connect");
        stream.set_nonblocking(true).expect("do not block");
        Self { stream, bytes: bytes.repeat(1 + 16_384 / bytes.len()), sent_bytes: 0 }
    }

    /// Writes a portion and reads one, as far as the kernel has room and bytes. Returns whether
    /// anything was moved.
    fn step(&mut self) -> bool {
        // After a short write, the next one continues in the middle of a message.
        let sent = self.stream.write(&self.bytes[self.sent_bytes % self.bytes.len()..]);
        let sent = moved(sent);
        self.sent_bytes += sent;
        sent + moved(self.stream.read(&mut [0; 65_536])) > 0
    }
}

/// Returns the number of bytes that a call on a socket without blocking has moved.
fn moved(result: std::io::Result<usize>) -> usize {
    result.unwrap_or_else(|error| match error.kind() {
        ErrorKind::WouldBlock => 0,
        _ => panic!("a flooding peer is served too: {error}"),
    })
}

/// Sends a request on each of `polite`, and waits for all answers. Until then it calls `flood`
/// repeatedly, which returns whether it has moved anything.
fn check_round(polite: &mut [Peer], mut flood: impl FnMut() -> bool) {
    let mut countdown = Countdown::start(PATIENCE);
    polite.iter_mut().for_each(|peer| peer.send("ECHO polite\n"));
    let mut waiting: Vec<&mut Peer> = polite.iter_mut().collect();
    while !waiting.is_empty() {
        let is_answered = |peer: &mut &mut Peer| {
            let is_answered = peer.has_bytes();
            if is_answered {
                peer.expect("ECHO polite\n");
            }
            is_answered
        };
        let before = waiting.len();
        waiting.retain_mut(|peer| !is_answered(peer));
        if waiting.len() == before && !flood() {
            thread::sleep(Duration::from_micros(100));
        }
        assert!(!countdown.is_over(), "{} polite peers have no answer", waiting.len());
    }
}

/// Checks polite peers beside two peers that send `flood` as fast as they can.
fn check_polite_peers_beside(protocol: &str, flood: &[u8]) {
    let server = Server::start(&["--activity-log", "1"]);
    let mut flooders = [(); FLOODERS].map(|()| Flooder::new(&server, protocol, flood));
    let mut polite: Vec<Peer> = (0..POLITE_PEERS).map(|_| server.text()).collect();
    for _ in 0..ROUNDS {
        let before = flooders.each_ref().map(|flooder| flooder.sent_bytes);
        check_round(&mut polite, || {
            let is_moved =
                flooders.iter_mut().fold(false, |is_moved, flooder| flooder.step() | is_moved);
            for (flooder, before) in flooders.iter().zip(before) {
                let sent = flooder.sent_bytes - before;
                assert!(sent <= FLOOD_BYTES_MAX, "a flooder has sent {sent} bytes in the meantime");
            }
            is_moved
        });
    }
    // A new connection is served as well.
    server.text().send("QUIT\n");
}

#[test]
fn a_flood_of_lines_leaves_room_for_polite_peers() {
    check_polite_peers_beside("text", b"ECHO flood\n");
}

#[test]
fn a_flood_of_empty_lines_leaves_room_for_polite_peers() {
    check_polite_peers_beside("text", b"\n");
}

#[test]
fn a_flood_of_frames_leaves_room_for_polite_peers() {
    check_polite_peers_beside("binary", &frame(ECHO, "flood"));
}

#[test]
fn a_flood_of_empty_frames_leaves_room_for_polite_peers() {
    check_polite_peers_beside("binary", &frame(ECHO, ""));
}

#[test]
fn a_line_that_never_ends_leaves_room_for_polite_peers() {
    check_polite_peers_beside("echo", b"AAAAAAAAAAAAAAAA");
}

/// The queue of a listener, and the connections that the server accepts in the meantime.
const CONNECTIONS_MAX: usize = 2 * 1024;

#[test]
fn a_flood_of_connections_leaves_room_for_polite_peers() {
    let server = Server::start(&["--activity-log", "1"]);
    let address = server.address("echo");
    let mut polite: Vec<Peer> = (0..POLITE_PEERS).map(|_| server.text()).collect();
    for _ in 0..10 * ROUNDS {
        let mut opened = 0;
        check_round(&mut polite, || {
            // A reset frees the connection in both kernels, so that the flood does not slow down.
            Peer::connect(address).reset();
            opened += 1;
            assert!(opened <= CONNECTIONS_MAX, "{opened} connections were opened in the meantime");
            true
        });
    }
}

#[test]
fn many_peers_at_once_are_all_served() {
    const PEERS: usize = 1000;
    let server = Server::start(&[]);
    let _open_files = OpenFiles::take(PEERS);
    let mut peers: Vec<Peer> = (0..PEERS).map(|_| server.connect("echo")).collect();
    for round in 0..3 {
        for (index, peer) in peers.iter_mut().enumerate() {
            peer.send(format!("{round} {index}\n"));
        }
        for (index, peer) in peers.iter_mut().enumerate() {
            peer.expect(format!("Server received: {round} {index}\n"));
        }
    }
}
