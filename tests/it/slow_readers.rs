//! Peers that read slowly or never: their memory is bounded, and so is their time, and they lose no
//! byte that they do read.

use crate::support::frames::{ECHO, QUIT, frame};
use crate::support::server::Server;
use crate::support::wait::{undisturbed, wait_until};
use crate::support::{BANNER, KIB, MIB};
use std::thread;
use std::time::{Duration, Instant};

/// The most that one connection holds in the server: a line and a block of input, and answers up to
/// the high-water mark and one more answer, each of about 64 KiB.
const CONNECTION_MAX: usize = 4 * 64 * KIB;

/// The growth of the process for other reasons: the log, and pages of the allocator.
const SLACK: usize = 2 * MIB;

/// Checks the memory under twenty peers that send `request` until the server takes no more, and
/// read nothing.
#[track_caller]
fn check_memory(protocol: &str, request: &[u8]) {
    const PEERS: usize = 20;
    let server = Server::start(&["--write-timeout", "off"]);
    let mut peers: Vec<_> =
        (0..PEERS).map(|_| server.connect_with_small_window(protocol)).collect();
    let before = server.process().resident_bytes();
    let requests = request.repeat(1 + 64 * KIB / request.len());
    thread::scope(|scope| {
        for peer in &mut peers {
            scope.spawn(|| peer.send_until_stuck(&requests));
        }
    });
    let grown = server.process().resident_bytes().saturating_sub(before);
    assert!(
        grown <= PEERS * CONNECTION_MAX + SLACK,
        "{PEERS} peers that never read cost {grown} bytes"
    );
}

#[test]
fn peers_that_never_read_hold_bounded_memory() {
    check_memory("text", &[b"ECHO ", [b'x'; KIB].as_slice(), b"\n"].concat());
}

#[test]
fn short_requests_with_long_answers_hold_bounded_memory_too() {
    check_memory("text", b"HELP\n");
}

#[test]
fn unread_errors_hold_bounded_memory_too() {
    check_memory("binary", &frame(9, ""));
}

#[test]
fn unread_answers_to_single_bytes_hold_bounded_memory_too() {
    check_memory("echo", b"\n");
}

#[test]
fn a_million_unread_answers_end_with_the_write_timeout() {
    let server = Server::start(&["--write-timeout", "1s", "--activity-log", "1000"]);
    let descriptors = server.descriptor_count();
    let peer = server.connect_with_small_window("text");
    let address = peer.address().to_string();
    let before = server.process().resident_bytes();
    let mut twin = peer.twin();
    let sender = thread::spawn(move || twin.try_send(&b"HELP\n".repeat(1_000_000)));
    let mut most = 0;
    wait_until("the server lets go", || {
        most = most.max(server.process().resident_bytes());
        server.descriptor_count() <= descriptors
    });
    assert!(
        !sender.join().expect("the sender does not panic"),
        "the server has not taken a million"
    );
    server.wait_for_log(&["closed", &address, "write timeout"]);
    let grown = most.saturating_sub(before);
    assert!(grown <= CONNECTION_MAX + SLACK, "a peer that never reads cost {grown} bytes");
}

#[test]
fn the_kernel_holds_bounded_memory_for_a_peer_that_never_reads() {
    /// Twice the limit of unsent bytes. The rest is for bytes in transit.
    const HELD_MAX: usize = 2 * 256 * KIB;
    let server = Server::start(&["--write-timeout", "off"]);
    let mut peer = server.connect_with_small_window("text");
    let sent = peer.send_until_stuck(&[b"ECHO ", [b'x'; 60 * KIB].as_slice(), b"\n"].concat());
    let held =
        server.process().unacknowledged_bytes(server.address("text").port(), peer.address().port());
    assert!(sent > HELD_MAX && held > 0, "the peer has asked for {sent} bytes, {held} are held");
    assert!(held <= HELD_MAX, "{held} bytes are held");
}

#[test]
fn a_peer_that_takes_no_byte_is_cut_off_after_the_write_timeout() {
    let server = Server::start(&["--write-timeout", "1s"]);
    let descriptors = server.descriptor_count();
    let mut peer = server.connect_with_small_window("text");
    let request = [b"ECHO ", [b'x'; KIB].as_slice(), b"\n"].concat();
    let sender = peer.twin();
    let sender = thread::spawn(move || {
        let mut sender = sender;
        while sender.try_send(&request) {}
    });
    server.wait_for_descriptors(descriptors);
    sender.join().expect("the sender sees the end of the connection");
    assert!(peer.is_ended_by_server());
}

#[test]
fn a_peer_that_reads_slowly_is_not_cut_off() {
    const TIMEOUT: Duration = Duration::from_secs(1);
    let server = Server::start(&["--write-timeout", "1s"]);
    let answer = frame(ECHO, vec![b'x'; 15 * MIB]);
    undisturbed(|| {
        let mut peer = server.connect("binary");
        peer.send(&answer);
        let mut read_at = Instant::now();
        // The reading takes two seconds in total, twice the timeout, with pauses far below it.
        for part in answer.chunks(answer.len().div_ceil(40)) {
            thread::sleep(TIMEOUT / 20);
            let read_before = std::mem::replace(&mut read_at, Instant::now());
            if peer.read_until_ended(part.len()) != part {
                // The timeout can only have passed if the machine has paused this test.
                let pause = read_before.elapsed();
                assert!(pause >= TIMEOUT, "cut off {pause:?} after it has begun to read");
                return None;
            }
        }
        Some(())
    });
}

#[test]
fn a_slow_reader_that_quits_after_a_large_answer_gets_all_of_it() {
    let server = Server::start(&[]);
    let mut peer = server.connect_with_small_window("text");
    let lines: Vec<u8> =
        (0..MIB / KIB).flat_map(|index| format!("ECHO {index:0>1018}\n").into_bytes()).collect();
    let sender = peer.send_in_background([&lines, &b"QUIT\n"[..]].concat());
    peer.expect(BANNER);
    for line in lines.chunks(4 * KIB) {
        peer.expect(line);
    }
    peer.expect("BYE\n");
    peer.expect_eof();
    sender.join().expect("everything is sent");
}

#[test]
fn unread_input_after_quit_does_not_cost_the_last_answer() {
    let server = Server::start(&[]);
    let mut peer = server.connect_with_small_window("binary");
    let answer = frame(ECHO, vec![b'x'; MIB]);
    let unread = frame(ECHO, vec![b'y'; 100 * KIB]);
    let sender = peer.send_in_background([answer.clone(), frame(QUIT, ""), unread].concat());
    for part in answer.chunks(4 * KIB) {
        peer.expect(part);
    }
    peer.expect_eof();
    sender.join().expect("everything is sent");
}
