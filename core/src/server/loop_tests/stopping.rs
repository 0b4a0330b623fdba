//! Tests of the shutdown.

use super::*;

#[test]
fn messages_that_had_arrived_are_answered_before_the_farewell() {
    let mut harness = text();
    let peer = harness.peer();
    // No event has reported these bytes yet.
    peer.link.borrow_mut().inbound_push(b"ECHO a\nECHO b\nECHO ha");
    harness.event(Event::Mail(Mail::Stop));
    harness.run_until_idle();
    assert_eq!(peer.take_sent(), "ECHO a\nECHO b\nBYE\n");
    assert!(peer.link.borrow().sent_end);
    peer.send_and_end(b"");
    harness.run_until_idle();
    assert!(harness.event_loop.is_over());
}

#[test]
fn connections_in_the_accept_queue_are_answered_too() {
    let mut harness = text_with(|settings| settings.connections_max = 1000);
    let peers: Vec<_> = (0..200).map(|_| harness.queue_peer()).collect();
    peers.iter().for_each(|peer| peer.send_and_end(b"ECHO a\n"));
    harness.event(Event::Mail(Mail::Stop));
    harness.run_until_idle();
    let answered = peers.iter().filter(|peer| peer.take_sent().contains("ECHO a\n")).count();
    assert_eq!(answered, 200);
    assert!(harness.event_loop.is_over());
}

#[test]
fn a_message_without_an_ending_is_answered_too() {
    let mut harness = LoopHarness::new(echo::protocol(), Settings::default());
    let peer = harness.peer();
    peer.send(b"hello");
    harness.event(Event::Mail(Mail::Stop));
    harness.run_until_idle();
    assert_eq!(peer.take_sent(), "Server received: hello");
}

#[test]
fn no_connection_is_accepted_after_a_stop() {
    let mut harness = text();
    let _open = harness.peer();
    harness.event(Event::Mail(Mail::Stop));
    harness.run_until_idle();
    let late = harness.queue_peer();
    harness.run_until_idle();
    assert_eq!(late.token(), None);
}

#[test]
fn a_peer_that_reads_nothing_delays_a_stop_by_the_drain_timeout() {
    let mut harness = text();
    let peer = harness.peer();
    peer.set_room(0);
    peer.send(b"ECHO a\n");
    harness.event(Event::Mail(Mail::Stop));
    harness.run_for(DRAIN - MILLISECOND);
    assert!(!harness.event_loop.is_over());
    harness.run_for(MILLISECOND);
    assert!(harness.event_loop.is_over());
}

#[test]
fn a_second_request_ends_the_server_at_once() {
    let mut harness = text();
    let peer = harness.peer();
    peer.set_room(0);
    peer.send(b"ECHO a\n");
    harness.event(Event::Mail(Mail::Stop));
    harness.run_until_idle();
    assert!(!harness.event_loop.is_over());
    harness.run_for(200 * MILLISECOND);
    harness.event(Event::Mail(Mail::Stop));
    harness.run_until_idle();
    assert!(harness.event_loop.is_over());
}

#[test]
fn requests_within_a_fifth_of_a_second_are_one() {
    let mut harness = text();
    let peer = harness.peer();
    peer.set_room(0);
    peer.send(b"ECHO a\n");
    for _ in 0..2 {
        (0..2).for_each(|_| harness.event(Event::Mail(Mail::Stop)));
        harness.run_until_idle();
        harness.run_for(199 * MILLISECOND);
        assert!(!harness.event_loop.is_over(), "this is not a second request");
    }
    peer.set_room(1000);
    harness.run_until_idle();
    assert!(peer.take_sent().ends_with("ECHO a\nBYE\n"));
}

#[test]
fn a_stop_sends_whole_answers_and_bye_to_a_peer_that_floods() {
    let mut harness = text();
    let peer = harness.peer();
    harness.event(Event::Mail(Mail::Stop));
    let mut sent = 0;
    while !peer.link.borrow().sent_end {
        assert!(sent < 10_000, "the server never ends its output");
        sent += 1;
        peer.link.borrow_mut().inbound_push("ECHO a\n".repeat(TURN_BYTES_MAX).as_bytes());
        harness.event_loop.round().expect("a round");
        harness.move_clock(100 * MILLISECOND);
    }
    let answers = peer.take_sent();
    let lines = answers.strip_suffix("BYE\n").expect("a farewell at the end");
    assert!(lines.lines().all(|line| line == "ECHO a"), "no answer is cut in half");
}

/// Requests a drain with a delay of one second, and a gradual close of four.
fn draining(connections: usize) -> (LoopHarness, Vec<FakePeer>) {
    let mut harness = text_with(|settings| {
        settings.timeouts.drain_delay = Some(Duration::from_secs(1));
        settings.timeouts.drain = Some(Duration::from_secs(4));
    });
    let peers = (0..connections).map(|_| harness.peer()).collect();
    harness.event(Event::Mail(Mail::Drain));
    harness.run_until_idle();
    (harness, peers)
}

/// How many of `peers` have got the farewell.
fn dismissed(peers: &[FakePeer]) -> usize {
    peers.iter().filter(|peer| peer.link.borrow().sent_end).count()
}

#[test]
fn a_drain_serves_old_and_new_connections_during_its_delay() {
    let (mut harness, peers) = draining(2);
    let late = harness.peer();
    harness.run_for(999 * MILLISECOND);
    for peer in peers.iter().chain([&late]) {
        peer.send(b"ECHO a\n");
        harness.run_until_idle();
        assert!(peer.take_sent().ends_with("ECHO a\n"));
    }
    assert_eq!(dismissed(&peers), 0);
}

#[test]
fn a_drain_closes_idle_connections_at_equal_distances() {
    let (mut harness, peers) = draining(40);
    harness.run_for(Duration::from_secs(1) - MILLISECOND);
    assert_eq!(dismissed(&peers), 0);
    for tenth in 1..=10 {
        harness.run_for(400 * MILLISECOND);
        assert_eq!(dismissed(&peers), 4 * tenth, "after {tenth} tenths of the time");
    }
    peers.iter().for_each(|peer| peer.send_and_end(b""));
    harness.run_until_idle();
    assert!(harness.event_loop.is_over(), "no connection is left");
}

#[test]
fn a_busy_connection_is_closed_after_its_answers() {
    let (mut harness, peers) = draining(1);
    peers[0].set_room(0);
    peers[0].send(b"ECHO a\nECHO b\n");
    harness.run_for(Duration::from_secs(2));
    assert_eq!(dismissed(&peers), 0, "its answers wait");
    peers[0].set_room(1000);
    harness.run_until_idle();
    assert!(peers[0].take_sent().ends_with("ECHO a\nECHO b\nBYE\n"));
}

#[test]
fn a_message_in_progress_can_end_during_the_gradual_close() {
    let (mut harness, peers) = draining(2);
    peers.iter().for_each(|peer| peer.send(b"ECHO a"));
    harness.run_for(Duration::from_secs(4));
    assert_eq!(dismissed(&peers), 0, "the messages have not ended");
    peers[0].send(b"b\n");
    harness.run_for(Duration::from_secs(1));
    assert!(peers[0].take_sent().ends_with("ECHO ab\nBYE\n"));
    assert!(!peers[1].take_sent().contains("ECHO"));
    assert_eq!(dismissed(&peers), 2, "the shutdown closes the rest");
}

#[test]
fn no_connection_is_accepted_after_the_drain_delay() {
    let (mut harness, _peers) = draining(1);
    harness.run_for(Duration::from_secs(1));
    let late = harness.queue_peer();
    harness.run_until_idle();
    assert_eq!(late.token(), None);
}

#[test]
fn a_stop_in_a_drain_closes_the_rest_and_a_second_ends_at_once() {
    let (mut harness, peers) = draining(40);
    peers[0].set_room(0);
    peers[0].send(b"ECHO a\n");
    harness.run_for(Duration::from_secs(2));
    harness.event(Event::Mail(Mail::Stop));
    harness.run_until_idle();
    assert_eq!(dismissed(&peers), 39);
    assert!(!harness.event_loop.is_over());
    harness.run_for(200 * MILLISECOND);
    harness.event(Event::Mail(Mail::Stop));
    harness.run_until_idle();
    assert!(harness.event_loop.is_over());
}

#[test]
fn after_the_gradual_close_the_rest_has_the_time_of_a_stop() {
    let (mut harness, peers) = draining(1);
    peers[0].set_room(0);
    peers[0].send(b"ECHO a\n");
    harness.run_for(Duration::from_secs(9) - MILLISECOND);
    assert!(!harness.event_loop.is_over());
    harness.run_for(MILLISECOND);
    assert!(harness.event_loop.is_over());
}
