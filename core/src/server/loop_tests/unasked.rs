//! Tests of a session that sends unasked.

use super::*;

/// Sends `tick` for ever, unasked, and `ok` for each byte that it receives.
const TICKING: FnSession = FnSession {
    advance: |input, context| {
        context.output().append("ok\n".repeat(input.len()).as_bytes());
        context.output().append(b"tick\n");
        (input.len(), Step::Paused)
    },
    drops_refused: true,
};

/// A peer that reads `room` bytes.
fn harness_and_peer(room: usize) -> (LoopHarness, FakePeer) {
    let mut harness = LoopHarness::new(TICKING, Settings::default());
    let peer = harness.queue_peer();
    peer.set_room(room);
    harness.run_until_idle();
    (harness, peer)
}

#[test]
fn a_session_can_send_unasked() {
    let (_stage, peer) = harness_and_peer(12);
    assert_eq!(peer.take_sent(), "tick\ntick\nti");
}

#[test]
fn it_pauses_at_the_high_water_mark_and_resumes() {
    let (mut harness, peer) = harness_and_peer(12);
    assert!(harness.event_loop.shared.pool.lent_bytes() <= BLOCK_LEN);
    peer.set_room(4 * HIGH_WATER_BYTES);
    harness.run_until_idle();
    let ticks = peer.take_sent();
    assert_eq!(ticks.len(), 12 + 4 * HIGH_WATER_BYTES);
    assert!("tick\n".repeat(ticks.len()).starts_with(&ticks));
}

#[test]
fn bytes_of_its_peer_are_read_meanwhile() {
    let (mut harness, peer) = harness_and_peer(12);
    peer.send(b"x");
    harness.run_until_idle();
    assert_eq!(peer.link.borrow().inbound_len(), 1, "under backpressure nothing is read");
    peer.set_room(4 * HIGH_WATER_BYTES);
    harness.run_until_idle();
    assert!(peer.take_sent().contains("tick\nok\ntick\n"));
}

#[test]
fn the_end_of_its_input_does_not_end_it() {
    let (mut harness, peer) = harness_and_peer(0);
    peer.send_and_end(b"");
    peer.set_room(4 * HIGH_WATER_BYTES);
    harness.run_until_idle();
    assert_eq!(peer.take_sent().len(), 4 * HIGH_WATER_BYTES);
    let reads = peer.link.borrow().reads;
    let everything = Readiness { readable: true, writable: true, read_to_end: true };
    harness.event(Event::Connection(peer.token().expect("registered"), everything));
    harness.run_until_idle();
    assert_eq!(peer.link.borrow().reads, reads, "after the end of input nothing is read");
    assert!(!peer.is_closed());
}

#[test]
fn its_peer_is_reset_after_the_write_timeout() {
    let (mut harness, peer) = harness_and_peer(12);
    harness.run_for(WRITE);
    assert!(peer.is_closed() && peer.link.borrow().was_reset);
    assert_eq!(closed_for(&harness, CloseReason::WriteTimeout), 1);
    assert_eq!(harness.event_loop.shared.pool.lent_bytes(), 0);
}

#[test]
fn a_peer_that_reads_everything_does_not_delay_others() {
    let mut harness = LoopHarness::new(TICKING, Settings::default());
    let (greedy, other) = (harness.queue_peer(), harness.queue_peer());
    greedy.set_room(usize::MAX);
    other.set_room(usize::MAX);
    let sent = || [&greedy, &other].map(|peer| peer.link.borrow().sent.len());
    harness.event_loop.round().expect("a round");
    for _ in 0..3 {
        let before = sent();
        // Each session sends more than the budget of a round.
        (0..2).for_each(|_| harness.event_loop.round().expect("a round"));
        assert!(
            sent().iter().zip(before).all(|(now, before)| *now > before),
            "two rounds serve both"
        );
    }
}

#[test]
fn a_shutdown_ends_it() {
    let (mut harness, peer) = harness_and_peer(0);
    peer.set_room(usize::MAX);
    harness.event(Event::Mail(Mail::Stop));
    while !peer.link.borrow().sent_end {
        harness.event_loop.round().expect("a round");
    }
    assert!(peer.take_sent().ends_with("tick\n"), "no answer is cut in half");
}

#[test]
fn a_shutdown_waits_for_its_peer_at_most_the_drain_timeout() {
    let (mut harness, _peer) = harness_and_peer(12);
    harness.event(Event::Mail(Mail::Stop));
    harness.run_for(DRAIN);
    assert!(harness.event_loop.is_over());
}
