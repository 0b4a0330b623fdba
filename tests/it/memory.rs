//! The memory that peers can make the server hold: the bytes that they have sent, and never more
//! than the limit for all.

use crate::support::frames::{ECHO, REVERSE, error, frame, header};
use crate::support::open_files::OpenFiles;
use crate::support::peer::Peer;
use crate::support::server::Server;
use crate::support::wait::wait_until;
use crate::support::{KIB, MIB};

#[test]
fn a_frame_of_the_limit_is_read_whole_before_its_answer_is() {
    let server = Server::start(&[]);
    let mut peer = server.connect_with_small_window("binary");
    let request = frame(ECHO, (0..16 * MIB).map(|index| (index / 7) as u8).collect::<Vec<u8>>());
    // This returns only if the server reads all of it: the kernels hold a quarter.
    peer.send(&request);
    peer.expect(request);
}

#[test]
fn a_large_text_is_reversed() {
    let server = Server::start(&[]);
    let mut peer = server.connect("binary");
    let text: String = (0..MIB).map(|index| ['a', 'é', '€', '😀'][index % 4]).collect();
    peer.send(frame(REVERSE, &text));
    peer.expect(frame(ECHO, text.chars().rev().collect::<String>()));
}

#[test]
fn ten_thousand_headers_that_claim_the_limit_reserve_no_payload() {
    const PEERS: usize = 10_000;
    let server = Server::start(&["--activity-log", "1"]);
    let _open_files = OpenFiles::take(PEERS);
    let before = server.process().resident_bytes();
    let mut peers: Vec<Peer> = (0..PEERS)
        .map(|_| {
            let mut peer = server.connect("binary");
            peer.send(header(ECHO, 16 * MIB));
            peer
        })
        .collect();
    // One byte of each payload, because a server may reserve memory at the first byte.
    peers.iter_mut().for_each(|peer| peer.send("x"));
    let mut last = server.connect("binary");
    last.send(frame(ECHO, "last"));
    last.expect(frame(ECHO, "last"));
    let grown = server.process().resident_bytes().saturating_sub(before);
    assert!(grown < PEERS * 16 * KIB, "{PEERS} headers cost {grown} bytes");
}

#[test]
fn an_idle_connection_holds_next_to_nothing() {
    const PEERS: usize = 5000;
    let server = Server::start(&["--activity-log", "1"]);
    let _open_files = OpenFiles::take(PEERS);
    // These connections cause all allocations that a server makes only once.
    let _first = use_and_leave_open(&server, 100);
    let before = server.process().resident_bytes();
    let _peers = use_and_leave_open(&server, PEERS);
    let grown = server.process().resident_bytes().saturating_sub(before);
    assert!(grown < PEERS * 250, "{PEERS} idle connections cost {grown} bytes");
}

/// Opens connections on each of which one request is answered.
fn use_and_leave_open(server: &Server, count: usize) -> Vec<Peer> {
    let one = |_| {
        let mut peer = server.text();
        peer.send("ECHO hello\n");
        peer.expect("ECHO hello\n");
        peer
    };
    (0..count).map(one).collect()
}

#[test]
fn a_connection_that_was_busy_once_returns_its_memory() {
    const PEERS: usize = 100;
    let server = Server::start(&[]);
    let request = frame(ECHO, vec![b'x'; MIB]);
    let mut peers: Vec<Peer> = (0..PEERS).map(|_| server.connect("binary")).collect();
    let before = server.process().resident_bytes();
    for peer in &mut peers {
        peer.send(&request);
        peer.expect(&request);
    }
    let grown = server.process().resident_bytes().saturating_sub(before);
    // The server may keep a few buffers for later messages, but not one per connection.
    assert!(grown < 8 * MIB, "{PEERS} connections that were busy once keep {grown} bytes");
}

/// Starts a server whose connections may hold one mebibyte together. Single messages of the tests
/// need more.
fn tight() -> Server {
    Server::start(&["--memory-limit", "1MiB", "--max-line", "4MiB", "--quiet-period", "1h"])
}

#[test]
fn a_frame_over_the_memory_limit_is_refused_and_no_more() {
    let server = tight();
    let mut peer = server.connect("binary");
    peer.send([frame(ECHO, vec![b'x'; 2 * MIB]), frame(ECHO, "next")].concat());
    peer.expect([error("SERVER_BUSY"), frame(ECHO, "next")].concat());
}

#[test]
fn a_message_that_has_no_room_though_it_is_alone_is_warned_of() {
    for len in [2 * MIB, 700 * KIB] {
        let server = tight();
        let mut peer = server.connect("binary");
        peer.send(frame(ECHO, vec![b'x'; len]));
        peer.expect(error("SERVER_BUSY"));
        server.wait_for_log(&["WARN", "exceeds the memory limit (1 MiB)"]);
    }
}

#[test]
fn a_line_over_the_memory_limit_is_refused_and_no_more() {
    let server = tight();
    let mut peer = server.text();
    peer.send([b"ECHO ", "x".repeat(2 * MIB).as_bytes(), b"\nECHO next\n"].concat());
    peer.expect("ERROR SERVER_BUSY\nECHO next\n");
}

#[test]
fn messages_over_the_memory_limit_are_refused_where_they_end() {
    let server = tight();
    for (protocol, answer) in [("echo", "Server received: next"), ("chat", "ACK: Received 'next'")]
    {
        let mut peer = server.connect(protocol);
        peer.send([&vec![b'x'; 2 * MIB], &b"\r\nnext\n"[..]].concat());
        peer.expect(format!("ERROR SERVER_BUSY\r\n{answer}\n"));
    }
}

#[test]
fn the_memory_limit_is_over_all_connections_together() {
    let server = tight();
    // Each alone would fit, but eight of them need twice the limit.
    let mut peers: Vec<Peer> = (0..8).map(|_| server.connect("binary")).collect();
    let payload = vec![b'x'; 256 * KIB];
    for peer in &mut peers {
        peer.send(header(ECHO, payload.len() + 1));
        peer.send(&payload);
    }
    let mut refused = 0;
    for peer in &mut peers {
        peer.send("!");
        let answer = peer.read_exact(5);
        match answer[0] {
            ECHO => assert!(peer.read_exact(payload.len() + 1).starts_with(&payload)),
            _ => {
                assert_eq!([answer, peer.read_exact(11)].concat(), error("SERVER_BUSY"));
                refused += 1;
            }
        }
        peer.send(frame(ECHO, "next"));
        peer.expect(frame(ECHO, "next"));
    }
    assert!((4..8).contains(&refused), "{refused} of 8 refused: some must be, and some must not");
}

#[test]
fn small_pieces_of_many_peers_are_within_the_limit_too() {
    const PEERS: usize = 200;
    let server = tight();
    let before = server.process().resident_bytes();
    let mut peers: Vec<Peer> = (0..PEERS).map(|_| server.text()).collect();
    for peer in &mut peers {
        peer.send([b"ECHO ", [b'x'; 50 * KIB].as_slice()].concat());
    }
    // After one more round trip, each piece has been read.
    let mut last = server.text();
    last.send("ECHO last\n");
    last.expect("ECHO last\n");
    let grown = server.process().resident_bytes().saturating_sub(before);
    assert!(
        grown < 4 * MIB,
        "with a limit of 1 MiB, pieces of 50 KiB of {PEERS} peers cost {grown} bytes"
    );
    let mut refused = 0;
    for peer in &mut peers {
        peer.send("\nECHO next\n");
        refused += usize::from(peer.read_line() == "ERROR SERVER_BUSY\n");
        peer.expect("ECHO next\n");
    }
    assert!(
        (PEERS - 20..PEERS).contains(&refused),
        "{refused} of {PEERS} refused: twenty fit at most, and some do"
    );
}

#[test]
fn no_other_peer_notices_a_peer_over_the_memory_limit() {
    let server = tight();
    let mut others: Vec<Peer> = (0..10).map(|_| server.text()).collect();
    let mut greedy = server.connect("binary");
    greedy.send(header(ECHO, 2 * MIB));
    for _ in 0..20 {
        greedy.send(vec![b'x'; 2 * MIB / 20]);
        for other in &mut others {
            other.send("ECHO unharmed\n");
            other.expect("ECHO unharmed\n");
        }
    }
    greedy.expect(error("SERVER_BUSY"));
}

#[test]
fn the_memory_of_a_peer_that_left_is_free_for_the_next() {
    let server = tight();
    for _ in 0..10 {
        let mut peer = server.connect("binary");
        let request = frame(ECHO, vec![b'x'; 200 * KIB]);
        peer.send(&request[..request.len() - 1]);
        peer.reset();
        crate::support::wait::wait_until("the memory is free again", || {
            let mut peer = server.connect("binary");
            peer.send(&request);
            peer.read_exact(1) == [ECHO]
        });
    }
}

#[test]
fn after_a_burst_the_memory_is_back_though_a_late_peer_stays() {
    const PEERS: usize = 300;
    const HELD_EACH: usize = 100_000;
    let server = Server::start(&["--activity-log", "1"]);
    let mut first = server.connect("binary");
    first.send(frame(ECHO, vec![b'x'; HELD_EACH]));
    first.expect(frame(ECHO, vec![b'x'; HELD_EACH]));
    let (before, descriptors) = (server.process().resident_bytes(), server.descriptor_count());
    // Twice, because an allocator adapts to the blocks that are freed.
    for _ in 0..2 {
        let mut peers: Vec<Peer> = (0..PEERS).map(|_| server.connect("binary")).collect();
        for peer in &mut peers {
            peer.send([header(ECHO, MIB), vec![b'x'; HELD_EACH]].concat());
        }
        wait_until("all of it is held", || {
            server.process().resident_bytes() > before + PEERS * HELD_EACH
        });
        let late = peers.pop();
        drop(peers);
        server.wait_for_descriptors(descriptors + 1);
        let kept = server.process().resident_bytes().saturating_sub(before);
        assert!(kept < 4 * MIB, "{kept} bytes are kept");
        drop(late);
    }
}

/// The memory of the process in addition to the counted blocks: its code, its tables, and free
/// blocks that it keeps.
const RESIDENT_SLACK: usize = 16 * MIB;

#[test]
fn frames_of_chosen_sizes_and_lifetimes_stay_within_the_limit() {
    const LIMIT: usize = 64 * MIB;
    let flags = ["--memory-limit", "64MiB", "--message-timeout", "off", "--activity-log", "off"];
    let server = Server::start(&flags);
    let before = server.process().resident_bytes();
    // An allocator that adapts its threshold to this block keeps shorter ones.
    let whole = frame(ECHO, vec![b'x'; 15 * MIB]);
    let mut first = server.connect("binary");
    first.send(&whole);
    first.expect(&whole);
    drop(first);
    let mut held: Vec<(Peer, usize)> = Vec::new();
    for _ in 0..2 {
        let mut len = 300 * KIB;
        while len <= 16 * MIB {
            while held.iter().map(|(_, len)| len).sum::<usize>() + len <= LIMIT {
                let mut peer = server.connect("binary");
                // The attack includes peers that are refused for lack of memory.
                peer.try_send(&[header(ECHO, len), vec![b'x'; len - 1]].concat());
                held.push((peer, len));
            }
            let mut is_kept = false;
            held.retain(|_| {
                is_kept = !is_kept;
                is_kept
            });
            len = len * 21 / 10;
        }
    }
    let most = server.process().resident_bytes_most();
    assert!(
        most <= LIMIT + LIMIT / 10 + RESIDENT_SLACK,
        "{most} bytes were resident with a limit of {LIMIT}"
    );
    drop(held);
    wait_until("the system has it back", || {
        server.process().resident_bytes() <= before + RESIDENT_SLACK
    });
}

#[test]
fn after_long_texts_were_reversed_their_memory_is_back() {
    let server = Server::start(&["--activity-log", "off"]);
    let before = server.process().resident_bytes();
    let text = vec![b'x'; 16 * MIB];
    let mut peers: Vec<Peer> = (0..6).map(|_| server.connect("binary")).collect();
    let senders: Vec<_> =
        peers.iter().map(|peer| peer.send_in_background(frame(REVERSE, &text))).collect();
    peers.iter_mut().for_each(|peer| peer.expect(frame(ECHO, &text)));
    senders.into_iter().for_each(|sender| sender.join().expect("everything is sent"));
    drop(peers);
    wait_until("the system has it back", || {
        server.process().resident_bytes() <= before + RESIDENT_SLACK
    });
}
