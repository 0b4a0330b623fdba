//! Tests of closing and lingering, and of sessions that close or misbehave.

use super::*;

#[test]
fn after_its_last_answer_the_server_waits_for_the_peer_to_close() {
    let mut harness = text();
    let peer = harness.peer();
    peer.send(b"QUIT\n");
    harness.run_until_idle();
    assert!(peer.link.borrow().sent_end && !peer.is_closed());
    peer.send(b"still sending");
    harness.run_until_idle();
    assert!(!peer.is_closed());
    peer.send_and_end(b"");
    harness.run_until_idle();
    assert!(peer.is_closed());
    assert_eq!(closed_for(&harness, CloseReason::Quit), 1);
}

#[test]
fn lingering_ends_after_its_timeout() {
    let mut harness = text();
    let peer = harness.peer();
    peer.send(b"QUIT\n");
    harness.run_for(LINGER_TIMEOUT - MILLISECOND);
    assert!(!peer.is_closed());
    harness.run_for(MILLISECOND);
    assert!(peer.is_closed());
}

#[test]
fn lingering_discards_a_bounded_number_of_bytes_and_then_waits() {
    let mut harness = text();
    let peer = harness.peer();
    peer.send(b"QUIT\n");
    harness.run_until_idle();
    peer.send(&vec![b'x'; 2 * LINGER_BYTES_MAX as usize]);
    harness.run_until_idle();
    assert!(peer.link.borrow().inbound_len() > 0, "the flood is not read to its end");
    assert!(!peer.is_closed(), "closing now would reset bytes in transit");
    harness.run_for(LINGER_TIMEOUT);
    assert!(peer.is_closed());
}

#[test]
fn a_reset_closes_one_connection_and_no_other() {
    let mut harness = text();
    let (peer, other) = (harness.peer(), harness.peer());
    peer.reset();
    harness.run_until_idle();
    assert!(peer.is_closed() && !other.is_closed());
    assert_eq!(closed_for(&harness, CloseReason::Reset), 1);
}

#[test]
fn a_session_can_close_for_any_reason() {
    let full = FnSession {
        advance: |input, _| (input.len(), Step::Close(CloseReason::ServerBusy)),
        drops_refused: true,
    };
    let mut harness = LoopHarness::new(full, Settings::default());
    let peer = harness.peer();
    peer.send_and_end(b"x");
    harness.run_until_idle();
    assert!(peer.is_closed());
    assert_eq!(closed_for(&harness, CloseReason::ServerBusy), 1);
}

#[test]
fn a_session_that_keeps_a_refused_message_is_closed() {
    let limits = Limits { memory_bytes_max: Limits::MEMORY_BYTES_MIN, ..Limits::default() };
    let stubborn =
        FnSession { advance: |_, _| (0, Step::Incomplete { missing: None }), drops_refused: false };
    let mut harness = LoopHarness::new(stubborn, Settings { limits, ..Settings::default() });
    let peer = harness.peer();
    peer.send(&vec![0; 4 << 20]);
    harness.run_until_idle();
    assert!(peer.is_closed());
    assert_eq!(closed_for(&harness, CloseReason::MemoryLimit), 1);
}

#[test]
fn sessions_with_refused_messages_stay_under_the_memory_limit() {
    let limits = Limits { memory_bytes_max: Limits::MEMORY_BYTES_MIN, ..Limits::default() };
    let stubborn =
        FnSession { advance: |_, _| (0, Step::Incomplete { missing: None }), drops_refused: false };
    let mut harness = LoopHarness::new(stubborn, Settings { limits, ..Settings::default() });
    let peers: Vec<_> = (0..40).map(|_| harness.peer()).collect();
    for peer in &peers {
        peer.send(&[0; 50_000]);
        harness.run_until_idle();
        assert!(harness.event_loop.shared.pool.lent_bytes() <= Limits::MEMORY_BYTES_MIN);
    }
    let closed = peers.iter().filter(|peer| peer.is_closed()).count();
    assert_eq!(closed_for(&harness, CloseReason::MemoryLimit), closed as u64);
    assert!((20..40).contains(&closed), "{closed} of 40 were closed");
}

#[test]
fn a_session_is_not_called_until_its_missing_bytes_arrive() {
    let counting = FnSession {
        advance: |input, context| {
            context.refused("called");
            let missing = 10 - input.len().min(10);
            if missing > 0 {
                (0, Step::Incomplete { missing: Some(missing) })
            } else {
                (input.len(), Step::Done)
            }
        },
        drops_refused: true,
    };
    let mut harness = LoopHarness::new(counting, Settings::default());
    let peer = harness.peer();
    for byte in b"0123456789" {
        peer.send(&[*byte]);
        harness.run_until_idle();
    }
    peer.reset();
    harness.run_until_idle();
    // Once after the greeting, and once when all ten bytes have arrived.
    assert_eq!(harness.event_loop.shared.status.total().messages, 2);
}

#[test]
fn a_paused_session_is_called_until_no_input_is_left() {
    let swallowing =
        FnSession { advance: |input, _| (input.len().min(1), Step::Paused), drops_refused: true };
    let mut harness = LoopHarness::new(swallowing, Settings::default());
    let peer = harness.peer();
    peer.send(b"swallowed one by one");
    harness.run_until_idle();
    assert_eq!(harness.event_loop.shared.pool.lent_bytes(), 0);
}

#[test]
fn after_the_last_close_no_storage_is_held_and_the_counts_agree() {
    let mut harness = text();
    for _ in 0..10 {
        let peer = harness.peer();
        peer.send(b"TIME\nECHO half a li");
        harness.run_until_idle();
        peer.reset();
    }
    harness.run_until_idle();
    assert_eq!(harness.event_loop.inspect().connections.len(), 0);
    assert_eq!(harness.event_loop.shared.pool.lent_bytes(), 0);
    assert_eq!(harness.event_loop.shared.status.total().accepted, 10);
    assert_eq!(harness.event_loop.shared.status.total().closed_in_all(), 10);
}
