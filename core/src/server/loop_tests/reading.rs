//! Tests of reading.

use super::*;

#[test]
fn one_request_costs_one_read() {
    let mut harness = text();
    let peer = harness.peer();
    let before = peer.link.borrow().reads;
    peer.send(b"ECHO a\n");
    harness.run_until_idle();
    assert_eq!(peer.take_sent(), "ECHO a\n");
    assert_eq!(peer.link.borrow().reads - before, 1, "a short read ends readiness");
}

#[test]
fn an_end_of_input_after_the_last_bytes_needs_no_event() {
    let mut harness = text();
    let peer = harness.peer();
    peer.send_and_end(b"ECHO a\n");
    harness.run_until_idle();
    assert_eq!(peer.take_sent(), "ECHO a\n");
    assert!(peer.is_closed());
    assert_eq!(closed_for(&harness, CloseReason::PeerClosed), 1);
}

#[test]
fn bytes_after_an_urgent_mark_are_read_after_a_short_read() {
    let mut harness = text();
    let peer = harness.peer();
    peer.link.borrow_mut().read_max = 3;
    let token = peer.token().expect("registered");
    peer.link.borrow_mut().inbound_push(b"ECHO a\n");
    harness.event(Event::Connection(
        token,
        Readiness { readable: true, writable: false, read_to_end: true },
    ));
    harness.run_until_idle();
    assert_eq!(peer.take_sent(), "ECHO a\n");
}

#[test]
fn a_turn_that_spent_its_budget_is_continued_without_an_event() {
    let mut harness = text();
    let peer = harness.peer();
    let lines = "ECHO 123456789\n".repeat(4 * TURN_BYTES_MAX / 15);
    peer.send(lines.as_bytes());
    harness.run_until_idle();
    assert!(peer.take_sent() == lines, "every answer, in order");
}

/// Four blocks of frames.
fn flood() -> Vec<u8> {
    let frame = [&Header { code: 1, payload_len: 27 }.encode()[..], &[b'x'; 27]].concat();
    frame.repeat(4 * BLOCK_LEN / frame.len())
}

#[test]
fn a_flood_is_read_in_whole_blocks_without_interactive_clients() {
    let mut harness = LoopHarness::new(Binary::new(), Settings::default());
    let peer = harness.peer();
    // The small rest of a flood is not an interactive turn.
    peer.send(&[flood(), flood()[..1024].to_vec()].concat());
    harness.run_until_idle();
    peer.link.borrow_mut().sent.clear();
    let before = peer.link.borrow().reads;
    peer.send(&flood());
    harness.run_until_idle();
    assert!(peer.link.borrow().sent == flood(), "every answer");
    let reads = peer.link.borrow().reads - before;
    assert!((4..8).contains(&reads), "{reads} reads");
}

#[test]
fn an_interactive_client_is_answered_between_turns_of_a_flood() {
    let mut harness = LoopHarness::new(Binary::new(), Settings::default());
    let (polite, peer) = (harness.peer(), harness.peer());
    polite.send(&flood()[..32]);
    harness.run_until_idle();
    peer.send(&flood());
    // Its first turn is large, because its class is not known yet.
    harness.event_loop.round().expect("a round");
    let mut rounds = 0;
    while peer.link.borrow().sent.len() < flood().len() {
        rounds += 1;
        assert!(rounds < 100, "the flood is not answered");
        polite.link.borrow_mut().sent.clear();
        polite.send(&flood()[..32]);
        let answered = peer.link.borrow().sent.len();
        harness.event_loop.round().expect("a round");
        assert_eq!(polite.link.borrow().sent, flood()[..32], "in round {rounds}");
        assert!(peer.link.borrow().sent.len() - answered <= BLOCK_LEN / 4, "in round {rounds}");
    }
    assert!(peer.link.borrow().sent == flood(), "every answer");
}

#[test]
fn a_spurious_event_changes_nothing() {
    let mut harness = text();
    let peer = harness.peer();
    let token = peer.token().expect("registered");
    harness.event(Event::Connection(
        token,
        Readiness { readable: true, writable: true, read_to_end: true },
    ));
    harness.run_until_idle();
    assert!(!peer.is_closed());
    peer.send(b"ECHO a\n");
    harness.run_until_idle();
    assert_eq!(peer.take_sent(), "ECHO a\n");
}

#[test]
fn an_event_of_a_closed_connection_does_not_reach_its_successor() {
    let mut harness = text();
    let first = harness.peer();
    let stale = first.token().expect("registered");
    first.send_and_end(b"");
    harness.run_until_idle();
    let second = harness.peer();
    let reads = second.link.borrow().reads;
    assert_eq!(second.token().map(|token| token.key()), Some(stale.key()), "the key is reused");
    harness.event(Event::Connection(
        stale,
        Readiness { readable: true, writable: true, read_to_end: true },
    ));
    harness.run_until_idle();
    assert_eq!(second.link.borrow().reads, reads);
}
