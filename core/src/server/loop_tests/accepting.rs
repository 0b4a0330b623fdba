//! Tests of accepting after errors and under load.

use super::*;

#[test]
fn without_descriptors_accepting_is_retried_by_a_timer() {
    let mut harness = text();
    for _ in 0..3 {
        harness.fail_accept(libc::EMFILE);
    }
    let peer = harness.queue_peer();
    harness.run_until_idle();
    assert_eq!(peer.token(), None);
    harness.run_for(Duration::from_millis(10 + 20 + 40));
    assert!(peer.take_sent().starts_with("WELCOME"));
    assert_eq!(harness.event_loop.shared.status.accept_pauses, 3);
}

#[test]
fn a_pause_ends_when_the_accept_queue_is_empty() {
    let mut harness = text();
    harness.fail_accept(libc::EMFILE);
    harness.event(Event::Listener(0));
    harness.run_for(SECOND);
    assert_eq!(harness.timeout(), None, "a pause that is over causes no wake-up");
}

#[test]
fn a_descriptor_that_the_server_frees_is_used_at_once() {
    let mut harness = text();
    let first = harness.peer();
    harness.fail_accept(libc::ENFILE);
    let second = harness.queue_peer();
    harness.run_until_idle();
    assert_eq!(second.token(), None);
    first.send_and_end(b"");
    harness.run_until_idle();
    assert!(second.take_sent().starts_with("WELCOME"));
}

#[test]
fn a_connection_that_was_lost_in_the_queue_is_skipped() {
    let lost = [libc::ECONNABORTED, libc::EPROTO, libc::EPERM, libc::ENETDOWN];
    for errno in lost {
        let mut harness = text();
        harness.fail_accept(errno);
        let peer = harness.queue_peer();
        harness.run_until_idle();
        assert!(peer.take_sent().starts_with("WELCOME"), "errno {errno}");
    }
}

#[test]
fn an_unknown_error_of_accept_only_pauses_accepting() {
    for errno in [libc::EINVAL, libc::EOPNOTSUPP, libc::EIO] {
        let mut harness = text();
        harness.fail_accept(errno);
        let peer = harness.queue_peer();
        harness.run_for(SECOND);
        assert!(peer.take_sent().starts_with("WELCOME"), "errno {errno}");
    }
}

#[test]
fn an_unwatchable_connection_is_closed_and_the_next_is_served() {
    let mut harness = text();
    harness.kernel.borrow_mut().watches_left = false;
    let first = harness.queue_peer();
    harness.run_until_idle();
    assert!(first.is_closed());
    harness.kernel.borrow_mut().watches_left = true;
    let second = harness.queue_peer();
    harness.run_until_idle();
    assert!(second.take_sent().starts_with("WELCOME"));
}

#[test]
fn over_the_limit_a_peer_is_rejected_until_a_place_is_free() {
    let mut harness = text_with(|settings| settings.connections_max = 2);
    let (first, _second) = (harness.peer(), harness.peer());
    let third = harness.queue_peer();
    third.send(b"TIME\n");
    harness.run_until_idle();
    assert_eq!(third.take_sent(), "ERROR SERVER_BUSY\n");
    assert!(
        third.link.borrow().sent_end && !third.is_closed(),
        "it lingers: its command is still unread"
    );
    first.send_and_end(b"");
    harness.run_until_idle();
    let fourth = harness.queue_peer();
    harness.run_until_idle();
    assert!(fourth.take_sent().starts_with("WELCOME"), "a lingering connection takes no place");
    harness.run_for(LINGER_TIMEOUT);
    assert_eq!(closed_for(&harness, CloseReason::ServerBusy), 1);
}

#[test]
fn a_flood_of_new_connections_does_not_delay_an_open_one() {
    let mut harness = text_with(|settings| settings.connections_max = 10_000);
    let peer = harness.peer();
    let _flood: Vec<_> = (0..1000).map(|_| harness.queue_peer()).collect();
    peer.send(b"ECHO a\n");
    harness.event_loop.round().expect("a round");
    assert_eq!(peer.take_sent(), "ECHO a\n");
    assert_eq!(
        harness.event_loop.inspect().connections.len(),
        1 + BATCH_MAX,
        "only one batch was accepted before"
    );
}
