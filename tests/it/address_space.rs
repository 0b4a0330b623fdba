//! The memory limit against peers that claim all the memory they can, with a bounded address space:
//! an allocation beyond it would end the process.

use crate::support::frames::{ECHO, REVERSE, frame, header};
use crate::support::open_files::OpenFiles;
use crate::support::peer::Peer;
use crate::support::server::Server;
use crate::support::wait::wait_until;
use crate::support::{KIB, MIB};
use std::thread;

const MEMORY_LIMIT: usize = 32 * MIB;

/// The memory of the process beyond its limit: tables, and what the allocator keeps. It has no room
/// for the stack of a new thread.
const SLACK: usize = 16 * MIB;

/// Opens peers that send halves of the longest frames.
fn half_frames(server: &Server) -> Vec<Peer> {
    let half = [header(ECHO, 16 * MIB), vec![b'x'; 8 * MIB]].concat();
    send_from_each((0..30).map(|_| server.connect("binary")).collect(), &half)
}

/// Opens peers whose answers are longer than the kernels hold.
fn unread_frames(server: &Server) -> Vec<Peer> {
    let peers = (0..30).map(|_| server.connect_with_small_window("binary")).collect();
    send_from_each(
        peers,
        &[frame(ECHO, vec![b'x'; 3 * MIB]), frame(REVERSE, "xyz".repeat(MIB))].concat(),
    )
}

/// Opens peers that send requests as long as the server takes them, and read nothing.
fn unread_answers(server: &Server) -> Vec<Peer> {
    let peers = (0..50).map(|_| server.connect_with_small_window("text")).collect();
    // More than both kernels hold for a connection, so that the server holds the rest.
    send_from_each(peers, &[b"ECHO ", [b'x'; KIB].as_slice(), b"\n"].concat().repeat(8 * KIB))
}

/// Opens peers that begin a line.
fn half_lines(server: &Server) -> Vec<Peer> {
    let peers =
        (0..1000).map(|index| server.connect(["text", "echo", "chat"][index % 3])).collect();
    send_from_each(peers, &vec![b'x'; 60 * KIB])
}

/// Sends `bytes` from every peer, as far as the server takes them. Some are refused, and some
/// connections are reset.
fn send_from_each(mut peers: Vec<Peer>, bytes: &[u8]) -> Vec<Peer> {
    for peer in &peers {
        peer.set_send_patience(std::time::Duration::from_millis(20));
    }
    for peer in &mut peers {
        peer.try_send(bytes);
    }
    peers
}

/// Checks that a polite peer is served, or is answered that the server is busy, and nothing else.
fn check_serves(server: &Server) {
    let mut peer = server.text();
    for index in 0..50 {
        peer.send(format!("ECHO {index}\n"));
        peer.expect(format!("ECHO {index}\n"));
    }
}

#[test]
fn under_attack_the_server_stays_within_its_memory_and_serves() {
    let _open_files = OpenFiles::take(4000);
    let limit = format!("{MEMORY_LIMIT}");
    let flags = [
        "--memory-limit",
        &limit,
        "--quiet-period",
        "1h",
        "--write-timeout",
        "1h",
        "--activity-log",
        "1",
    ];
    let server = Server::start(&flags);
    let descriptors = server.descriptor_count();
    check_serves(&server);
    let process = server.process();
    process.limit_address_space(process.address_space_bytes() + MEMORY_LIMIT + SLACK);
    for _ in 0..2 {
        thread::scope(|scope| {
            let attacks: [fn(&Server) -> Vec<Peer>; 4] =
                [half_frames, unread_frames, unread_answers, half_lines];
            let server = &server;
            let attacks = attacks.map(|attack| scope.spawn(move || attack(server)));
            check_serves(server);
            let peers = attacks.map(|attack| attack.join().expect("an attack does not fail"));
            check_serves(server);
            drop(peers);
        });
        server.wait_for_descriptors(descriptors);
    }
    wait_until("what they held is free", || {
        let mut peer = server.connect("binary");
        peer.send(frame(ECHO, vec![b'x'; 8 * MIB]));
        peer.read_exact(1) == [ECHO]
    });
}
