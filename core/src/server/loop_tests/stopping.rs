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
    let mut harness = text_with(|config| config.connections_max = 1000);
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
    let mut harness = LoopHarness::new(echo::protocol(), &Config::default());
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
fn a_peer_that_reads_nothing_delays_the_end_by_the_drain_timeout() {
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
fn a_peer_that_never_stops_sending_gets_whole_answers_and_a_farewell() {
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
