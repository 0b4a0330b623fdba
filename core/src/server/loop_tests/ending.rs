//! Tests of the end of a connection, when other events happen at the same time.

use std::io;
use std::time::Duration;

use super::harness::{FakePeer, LoopHarness};
use crate::buffers::pool::BLOCK_LEN;
use crate::close_reason::CloseReason;
use crate::connection::TURN_BYTES_MAX;
use crate::limits::{LINGER_BYTES_MAX, LINGER_TIMEOUT, Settings};
use crate::os::mailbox::Mail;
use crate::os::system::{Event, Readiness};
use crate::os::table::Token;
use crate::protocol::chat;
use crate::protocol::text::Text;

fn text() -> LoopHarness {
    LoopHarness::new(Text::new(), Settings::default())
}

fn closed_for(harness: &LoopHarness, reason: CloseReason) -> u64 {
    harness.event_loop.shared.status.total().closed_for(reason)
}

/// A chat that has received `exit` without a newline when `end` happens.
fn exit_at(end: impl FnOnce(&mut LoopHarness, &FakePeer)) -> LoopHarness {
    let mut settings = Settings::default();
    settings.timeouts.quiet = None;
    let mut harness = LoopHarness::new(chat::protocol(), settings);
    let peer = harness.peer();
    peer.send(b"exit");
    harness.run_until_idle();
    assert!(!peer.link.borrow().sent_end, "more of the line may come");
    end(&mut harness, &peer);
    harness.run_for(Duration::from_secs(2));
    assert_eq!(peer.take_sent(), "");
    harness
}

#[test]
fn exit_needs_no_newline_at_the_end_of_input_and_at_a_stop() {
    let harness = exit_at(|_, peer| peer.send_and_end(b""));
    assert_eq!(closed_for(&harness, CloseReason::Quit), 1);
    let harness = exit_at(|harness, _| harness.event(Event::Mail(Mail::Stop)));
    assert_eq!(closed_for(&harness, CloseReason::Quit), 1);
}

#[test]
fn a_reset_after_the_farewell_does_not_change_the_close_reason() {
    let mut harness = text();
    let (flushing, lingering) = (harness.peer(), harness.peer());
    flushing.set_room(0);
    flushing.send(b"QUIT\n");
    lingering.send(b"QUIT\n");
    harness.run_until_idle();
    flushing.reset();
    lingering.reset();
    harness.run_until_idle();
    assert!(flushing.is_closed() && lingering.is_closed());
    assert_eq!(closed_for(&harness, CloseReason::Quit), 2);
}

#[test]
fn a_peer_that_has_gone_is_not_lingered_for() {
    let mut harness = text();
    let peer = harness.peer();
    peer.link.borrow_mut().has_gone = true;
    peer.send(b"QUIT\n");
    harness.run_until_idle();
    assert!(peer.is_closed());
    assert_eq!(closed_for(&harness, CloseReason::Quit), 1);
}

#[test]
fn a_write_that_fails_closes_the_connection() {
    let mut harness = text();
    let peer = harness.peer();
    peer.set_room(0);
    peer.send(b"ECHO a\n");
    harness.run_until_idle();
    let reads = peer.link.borrow().reads;
    peer.link.borrow_mut().error = Some(io::ErrorKind::ConnectionReset);
    peer.set_room(1);
    harness.run_until_idle();
    assert!(peer.is_closed());
    assert_eq!(peer.link.borrow().reads, reads, "only the write returned the error");
    assert_eq!(closed_for(&harness, CloseReason::Reset), 1);
}

#[test]
fn a_partial_write_is_followed_by_another_without_an_event() {
    let mut harness = text();
    let peer = harness.peer();
    peer.link.borrow_mut().write_max = 3;
    peer.send(b"ECHO abcdef\n");
    harness.run_until_idle();
    assert_eq!(peer.take_sent(), "ECHO abcdef\n");
}

#[test]
fn a_full_socket_is_not_written_to_until_it_has_room() {
    let mut harness = text();
    let peer = harness.peer();
    peer.set_room(3);
    peer.send(b"ECHO a\n");
    harness.run_until_idle();
    let writes = peer.link.borrow().writes;
    peer.send(b"ECHO b\n");
    harness.run_until_idle();
    assert_eq!(peer.link.borrow().writes, writes);
    peer.set_room(usize::MAX);
    harness.run_until_idle();
    assert_eq!(peer.take_sent(), "ECHO a\nECHO b\n");
}

#[test]
fn after_the_end_of_input_no_event_causes_a_read() {
    let mut harness = text();
    let peer = harness.peer();
    peer.set_room(0);
    // One read takes all requests, and their answers exceed the output.
    peer.send_and_end(&b"HELP\n".repeat(2000));
    harness.run_until_idle();
    let reads = peer.link.borrow().reads;
    let everything = Readiness { readable: true, writable: false, read_to_end: true };
    harness.event(Event::Connection(peer.token().expect("registered"), everything));
    harness.run_until_idle();
    assert_eq!(peer.link.borrow().reads, reads);
    assert!(!peer.is_closed(), "answers wait");
    peer.set_room(usize::MAX);
    harness.run_until_idle();
    assert_eq!(peer.take_sent().lines().count(), 2000);
    assert_eq!(closed_for(&harness, CloseReason::PeerClosed), 1);
}

#[test]
fn lingering_discards_at_most_a_block_more_than_its_limit() {
    let mut harness = text();
    let peer = harness.peer();
    peer.send(b"QUIT\n");
    harness.run_until_idle();
    peer.send(b"x");
    harness.run_until_idle();
    let len = 3 * LINGER_BYTES_MAX as usize;
    peer.send(&vec![b'x'; len]);
    harness.run_until_idle();
    let dropped = len + 1 - peer.link.borrow().inbound_len();
    assert!(
        (LINGER_BYTES_MAX as usize..=LINGER_BYTES_MAX as usize + BLOCK_LEN).contains(&dropped),
        "{dropped}"
    );
}

#[test]
fn only_the_first_bytes_of_a_connection_can_be_a_tls_handshake() {
    let mut harness = text();
    let peers = [
        (&b"\x16\x03\x01\x02\n"[..], "ERROR NOT_TLS\n", 1),
        (b"\n\x16\x03\x01\n", "ERROR UNKNOWN_COMMAND\n", 1),
    ];
    for (bytes, answer, closed) in peers {
        let peer = harness.peer();
        peer.send(bytes);
        harness.run_for(LINGER_TIMEOUT);
        assert_eq!(peer.take_sent(), answer);
        assert_eq!(closed_for(&harness, CloseReason::Tls), closed);
    }
}

#[test]
fn a_queued_key_of_a_closed_connection_is_harmless() {
    let mut harness = text();
    let peer = harness.peer();
    peer.send(&b"ECHO a\n".repeat(TURN_BYTES_MAX));
    harness.event_loop.round().expect("a round");
    assert!(peer.link.borrow().inbound_len() > 0, "the connection waits for its next turn");
    harness.event_loop.close(peer.token().expect("registered"), CloseReason::MemoryLimit);
    assert!(peer.is_closed());
    let next = harness.peer();
    assert_eq!(next.token().map(Token::key), peer.token().map(Token::key), "the key is reused");
    next.send(b"ECHO a\n");
    harness.run_until_idle();
    assert_eq!(next.take_sent(), "ECHO a\n");
}

#[test]
fn a_stop_answers_requests_that_wait_for_a_full_socket() {
    let mut harness = text();
    let peer = harness.peer();
    peer.set_room(0);
    peer.send(&b"HELP\n".repeat(2000));
    harness.run_until_idle();
    harness.event(Event::Mail(Mail::Stop));
    harness.run_until_idle();
    assert!(!peer.is_closed());
    peer.set_room(usize::MAX);
    harness.run_until_idle();
    let sent = peer.take_sent();
    assert_eq!((sent.lines().count(), sent.lines().last()), (2001, Some("BYE")));
}

#[test]
fn a_stop_answers_all_that_had_arrived_in_many_turns() {
    for len in [10, 60, 4000, 40_000] {
        let mut harness = text();
        let peer = harness.peer();
        let line = format!("ECHO {}\n", "x".repeat(len));
        let count = (1 << 20) / line.len();
        peer.send(line.repeat(count).as_bytes());
        harness.event(Event::Mail(Mail::Stop));
        harness.run_until_idle();
        let sent = peer.take_sent();
        assert_eq!(
            (sent.lines().count(), sent.lines().last()),
            (count + 1, Some("BYE")),
            "lines of {len} bytes"
        );
    }
}

#[test]
fn a_stop_reads_for_half_of_its_timeout_and_then_only_answers() {
    let settings = Settings::default();
    let half = settings.timeouts.drain.expect("a default timeout") / 2;
    let millisecond = Duration::from_millis(1);
    for (after, is_all_answered) in [(half - millisecond, true), (half, false)] {
        let mut harness = LoopHarness::new(Text::new(), settings);
        let peer = harness.peer();
        peer.set_room(0);
        peer.send(&b"HELP\n".repeat(50_000));
        harness.event(Event::Mail(Mail::Stop));
        harness.run_for(after);
        peer.set_room(usize::MAX);
        harness.run_until_idle();
        let sent = peer.take_sent();
        assert_eq!(sent.lines().count() > 50_000, is_all_answered, "after {after:?}");
        assert_eq!(sent.lines().last(), Some("BYE"), "after {after:?}");
    }
}

#[test]
fn every_byte_in_and_out_is_counted_once() {
    let mut harness = text();
    let peer = harness.peer();
    peer.set_room(3);
    peer.send(b"ECHO a\nECHO b\n");
    harness.run_until_idle();
    peer.set_room(usize::MAX);
    peer.send_and_end(b"ECHO c\n");
    harness.run_until_idle();
    let counters = &harness.event_loop.shared.status.total();
    let banner_len = "WELCOME, I'm TinyServer not pressure\n".len() as u64;
    assert_eq!(
        (counters.received_bytes, counters.sent_bytes, counters.messages),
        (21, banner_len + 21, 3)
    );
}

#[test]
fn a_stopped_loop_counts_the_connections_that_it_closes() {
    let mut harness = text();
    let (polite, stubborn) = (harness.peer(), harness.peer());
    stubborn.set_room(0);
    polite.send_and_end(b"ECHO a\n");
    stubborn.send(b"ECHO b\n");
    harness.event(Event::Mail(Mail::Stop));
    harness.run_until_idle();
    harness.run_for(Duration::from_millis(200));
    harness.event(Event::Mail(Mail::Stop));
    let counters = harness.event_loop.run().expect("a simulated wait never fails").total();
    assert_eq!(polite.take_sent(), "ECHO a\n");
    assert!(stubborn.is_closed());
    assert_eq!((counters.accepted, counters.messages), (2, 2));
    assert_eq!(counters.closed_for(CloseReason::PeerClosed), 1);
    assert_eq!(counters.closed_for(CloseReason::Shutdown), 1);
}
