//! Tests of the memory limit.

use super::*;

fn small() -> LoopHarness {
    let mut settings = Settings::default();
    settings.limits.memory_bytes_max = Limits::MEMORY_BYTES_MIN;
    LoopHarness::new(Binary::new(), settings)
}

fn header(payload_len: u32) -> Vec<u8> {
    Header { code: 1, payload_len }.encode().to_vec()
}

#[test]
fn a_session_goes_on_after_a_message_over_the_memory_limit() {
    let mut harness = small();
    let (peer, other) = (harness.peer(), harness.peer());
    peer.send(&header(4 << 20));
    peer.send(&vec![b'x'; 2 << 20]);
    harness.run_until_idle();
    assert_eq!(std::mem::take(&mut peer.link.borrow_mut().sent), error("SERVER_BUSY"));
    other.send(&[header(2), b"hi".to_vec()].concat());
    harness.run_until_idle();
    assert_eq!(
        other.link.borrow().sent,
        [header(2), b"hi".to_vec()].concat(),
        "the other peer is not affected"
    );
    peer.send(&vec![b'x'; 2 << 20]);
    peer.send(&[header(2), b"ok".to_vec()].concat());
    harness.run_until_idle();
    assert_eq!(peer.link.borrow().sent, [header(2), b"ok".to_vec()].concat());
    assert!(
        harness.event_loop.shared.pool.lent_bytes_most() <= Limits::MEMORY_BYTES_MIN,
        "within a turn too"
    );
}

#[test]
fn the_error_of_an_evicted_message_survives_short_writes() {
    let mut harness = small();
    let peers: Vec<_> = (0..40).map(|_| harness.peer()).collect();
    for peer in &peers {
        peer.link.borrow_mut().write_max = 3;
        peer.send(&[header(100_000), vec![b'x'; 50_000]].concat());
        harness.run_until_idle();
    }
    let answers: Vec<_> = peers.iter().map(|peer| peer.link.borrow().sent.clone()).collect();
    assert!(answers.iter().any(|answer| !answer.is_empty()), "no message is refused");
    assert!(
        answers.iter().all(|answer| answer.is_empty() || *answer == error("SERVER_BUSY")),
        "{answers:?}"
    );
}

#[test]
fn many_incomplete_messages_together_stay_under_the_limit() {
    let mut harness = small();
    let peers: Vec<_> = (0..40).map(|_| harness.peer()).collect();
    for peer in &peers {
        peer.send(&header(100_000));
        peer.send(&[b'x'; 50_000]);
        harness.run_until_idle();
        assert!(harness.event_loop.shared.pool.lent_bytes() <= Limits::MEMORY_BYTES_MIN);
    }
    let refused = peers.iter().filter(|peer| !peer.link.borrow().sent.is_empty()).count();
    assert!((20..40).contains(&refused), "{refused} of 40 were refused");
}

#[test]
fn unread_answers_stay_under_the_limit() {
    let mut harness = small();
    let peers: Vec<_> = (0..100).map(|_| harness.peer()).collect();
    for peer in &peers {
        peer.set_room(0);
        peer.send(&[header(60_000), vec![b'x'; 60_000]].concat());
        harness.run_until_idle();
        assert!(harness.event_loop.shared.pool.lent_bytes() <= Limits::MEMORY_BYTES_MIN);
    }
    assert!(closed_for(&harness, CloseReason::MemoryLimit) > 0);
    assert!(peers.iter().any(|peer| !peer.is_closed()));
}

#[test]
fn peers_that_read_are_answered_although_all_exceed_the_limit() {
    let mut harness = small();
    let requests = [header(2), b"hi".to_vec()].concat().repeat(TURN_BYTES_MAX / 4);
    let peers: Vec<_> = (0..40).map(|_| harness.peer()).collect();
    peers.iter().for_each(|peer| peer.send(&requests));
    harness.run_until_idle();
    assert_eq!(closed_for(&harness, CloseReason::MemoryLimit), 0);
    assert!(peers.iter().all(|peer| peer.link.borrow().sent == requests), "all peers are answered");
    assert!(harness.event_loop.shared.pool.lent_bytes_most() <= Limits::MEMORY_BYTES_MIN);
}

#[test]
fn requests_after_unread_answers_stay_under_the_limit() {
    let limits = Limits { memory_bytes_max: Limits::MEMORY_BYTES_MIN, ..Limits::default() };
    let mut harness = LoopHarness::new(Text::new(), Settings { limits, ..Settings::default() });
    let peers: Vec<_> = (0..40).map(|_| harness.peer()).collect();
    for peer in &peers {
        peer.set_room(0);
        peer.send(&b"HELP\n".repeat(10_000));
        harness.run_until_idle();
        assert!(harness.event_loop.shared.pool.lent_bytes() <= Limits::MEMORY_BYTES_MIN);
    }
    assert!(closed_for(&harness, CloseReason::MemoryLimit) > 0);
    assert!(peers.iter().any(|peer| !peer.is_closed()));
}

/// A server whose memory is completely filled by incomplete frames.
fn full() -> (LoopHarness, Vec<FakePeer>) {
    let mut harness = small();
    let count = (Limits::MEMORY_BYTES_MIN - 4 * BLOCK_LEN) / BLOCK_LEN;
    let peers: Vec<_> = (0..count).map(|_| harness.peer()).collect();
    for peer in &peers {
        peer.send(&[header(100_000), vec![b'x'; 50_000]].concat());
        harness.run_until_idle();
        assert_eq!(peer.take_sent(), "");
    }
    (harness, peers)
}

#[test]
fn the_beginning_of_a_message_is_kept_in_full_memory() {
    let (mut harness, _peers) = full();
    let peer = harness.peer();
    peer.send(&header(2)[..3]);
    harness.run_until_idle();
    peer.send(&[&header(2)[3..], b"hi"].concat());
    harness.run_until_idle();
    assert_eq!(peer.link.borrow().sent, [header(2), b"hi".to_vec()].concat());
}

/// A server whose memory limit is exceeded by the incomplete frames of many peers; that of the
/// first peer is the largest by far.
fn exceeded(room_of_first: usize) -> (LoopHarness, Vec<FakePeer>) {
    let mut harness = small();
    let peers: Vec<_> = (0..20).map(|_| harness.peer()).collect();
    peers[0].set_room(room_of_first);
    for (peer, len) in peers.iter().zip([200_000].into_iter().chain(std::iter::repeat(50_000))) {
        peer.send(&[header(300_000), vec![b'x'; len]].concat());
        harness.run_until_idle();
        if !peers[0].link.borrow().sent.is_empty() {
            break;
        }
    }
    assert!(peers[1..].iter().all(|peer| !peer.is_closed() && peer.link.borrow().sent.is_empty()));
    (harness, peers)
}

#[test]
fn the_largest_holder_is_evicted_and_its_session_goes_on() {
    let (mut harness, peers) = exceeded(usize::MAX);
    peers[0].send(&[vec![b'x'; 100_000], header(2), b"hi".to_vec()].concat());
    harness.run_until_idle();
    assert_eq!(
        peers[0].link.borrow().sent,
        [error("SERVER_BUSY"), header(2), b"hi".to_vec()].concat()
    );
}

#[test]
fn an_evicted_peer_that_does_not_read_the_error_is_reset() {
    let (harness, peers) = exceeded(5);
    assert!(peers[0].is_closed() && peers[0].link.borrow().was_reset);
    assert_eq!(closed_for(&harness, CloseReason::MemoryLimit), 1);
}

#[test]
fn a_small_holder_is_served_beside_peers_that_read_no_answers() {
    let mut harness = small();
    let polite = harness.peer();
    polite.send(&[header(2), b"h".to_vec()].concat());
    let greedy: Vec<_> = (0..100).map(|_| harness.peer()).collect();
    for peer in &greedy {
        peer.set_room(0);
        peer.send(&[header(60_000), vec![b'x'; 60_000]].concat());
        harness.run_until_idle();
    }
    assert!(closed_for(&harness, CloseReason::MemoryLimit) > 50);
    polite.send(b"i");
    harness.run_until_idle();
    assert_eq!(polite.link.borrow().sent, [header(2), b"hi".to_vec()].concat());
}

#[test]
fn a_new_message_is_accepted_by_evicting_old_incomplete_ones() {
    let (mut harness, peers) = full();
    harness.run_for(SECOND);
    let newcomer = harness.peer();
    newcomer.send(&[header(150_000), vec![b'y'; 149_999]].concat());
    harness.run_until_idle();
    newcomer.send(b"y");
    harness.run_until_idle();
    assert!(
        newcomer.link.borrow().sent == [header(150_000), vec![b'y'; 150_000]].concat(),
        "the new message is answered"
    );
    assert!(
        peers.iter().any(|peer| peer.link.borrow().sent == error("SERVER_BUSY")),
        "an older one is evicted"
    );
}

#[test]
fn a_message_that_can_never_fit_is_refused_without_evictions() {
    let (mut harness, peers) = full();
    let newcomer = harness.peer();
    newcomer.send(&[header(5_000_000), vec![b'y'; 1_000_000]].concat());
    harness.run_until_idle();
    assert_eq!(newcomer.link.borrow().sent, error("SERVER_BUSY"));
    let evicted = peers.iter().filter(|peer| !peer.link.borrow().sent.is_empty()).count();
    assert!(evicted <= 2, "{evicted} others were evicted, more than for the block of one read");
}

#[test]
fn an_eviction_frees_a_reserve() {
    let mut harness = small();
    let mut peers = Vec::new();
    while peers.iter().all(|peer: &FakePeer| peer.link.borrow().sent.is_empty()) {
        peers.push(harness.peer());
        peers[peers.len() - 1].send(&[header(2000), vec![b'x'; 1000]].concat());
        harness.run_until_idle();
    }
    let refused = peers.iter().filter(|peer| !peer.link.borrow().sent.is_empty()).count();
    assert_eq!(harness.event_loop.shared.pool.excess(), 0);
    assert!((10..peers.len() / 10).contains(&refused), "{refused} of {} were refused", peers.len());
}

#[test]
fn a_nearly_complete_frame_gets_no_more_room_than_it_needs() {
    let mut harness = LoopHarness::new(Binary::new(), Settings::default());
    harness.peer().send(&[header(600_000), vec![b'x'; 590_000]].concat());
    harness.run_until_idle();
    let held = harness.event_loop.shared.pool.lent_bytes();
    assert!(held < 600_000 + BLOCK_LEN, "{held} bytes for a frame of 600,000");
}

#[test]
fn a_claimed_length_allocates_nothing() {
    let mut harness = LoopHarness::new(Binary::new(), Settings::default());
    for _ in 0..100 {
        harness.peer().send(&header(16 << 20));
        harness.run_until_idle();
    }
    let held = harness.event_loop.shared.pool.lent_bytes();
    assert!(held <= 100 * Block::SHORT_LEN, "100 headers hold {held} bytes");
}

fn error(token: &str) -> Vec<u8> {
    let header =
        Header { code: 255, payload_len: u32::try_from(token.len()).expect("short") }.encode();
    [&header[..], token.as_bytes()].concat()
}
