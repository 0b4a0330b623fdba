//! Tests of the end of a connection, when other events happen at the same time.

use std::time::Duration;

use super::config::Config;
use super::scripted::{Peer, Stage};
use crate::buffers::pool::BLOCK_LEN;
use crate::close_reason::CloseReason;
use crate::connection::TURN_BYTES_MAX;
use crate::limits::{LINGER_BYTES_MAX, LINGER_TIMEOUT};
use crate::os::mailbox::Mail;
use crate::os::system::{Event, Readiness};
use crate::os::table::Token;
use crate::protocol::chat;
use crate::protocol::text::Text;

fn text() -> Stage {
    Stage::new(Text::new(), &Config::default())
}

fn closed_for(stage: &Stage, reason: CloseReason) -> u64 {
    stage.event_loop.shared.status.total().closed_for(reason)
}

/// A chat that has received `exit` without a newline when `end` happens.
fn exit_at(end: impl FnOnce(&mut Stage, &Peer)) -> Stage {
    let mut config = Config::default();
    config.timeouts.quiet = None;
    let mut stage = Stage::new(chat::protocol(), &config);
    let peer = stage.peer();
    peer.send(b"exit");
    stage.settle();
    assert!(!peer.wire.borrow().sent_end, "more of the line may come");
    end(&mut stage, &peer);
    stage.pass(Duration::from_secs(2));
    assert_eq!(peer.take_sent(), "");
    stage
}

#[test]
fn exit_without_a_newline_counts_at_the_end_of_input_and_at_a_stop() {
    let stage = exit_at(|_, peer| peer.send_and_end(b""));
    assert_eq!(closed_for(&stage, CloseReason::Quit), 1);
    let stage = exit_at(|stage, _| stage.event(Event::Mail(Mail::Stop)));
    assert_eq!(closed_for(&stage, CloseReason::Quit), 1);
}

#[test]
fn a_reset_after_the_farewell_does_not_change_the_close_reason() {
    let mut stage = text();
    let (draining, lingering) = (stage.peer(), stage.peer());
    draining.set_room(0);
    draining.send(b"QUIT\n");
    lingering.send(b"QUIT\n");
    stage.settle();
    draining.reset();
    lingering.reset();
    stage.settle();
    assert!(draining.is_closed() && lingering.is_closed());
    assert_eq!(closed_for(&stage, CloseReason::Quit), 2);
}

#[test]
fn a_peer_that_has_gone_is_not_lingered_for() {
    let mut stage = text();
    let peer = stage.peer();
    peer.wire.borrow_mut().has_gone = true;
    peer.send(b"QUIT\n");
    stage.settle();
    assert!(peer.is_closed());
    assert_eq!(closed_for(&stage, CloseReason::Quit), 1);
}

#[test]
fn a_write_that_fails_closes_the_connection() {
    let mut stage = text();
    let peer = stage.peer();
    peer.set_room(0);
    peer.send(b"ECHO a\n");
    stage.settle();
    let reads = peer.wire.borrow().reads;
    peer.reset();
    stage.settle();
    assert!(peer.is_closed());
    assert_eq!(peer.wire.borrow().reads, reads, "the write came first and returned the error");
    assert_eq!(closed_for(&stage, CloseReason::Reset), 1);
}

#[test]
fn a_partial_write_is_followed_by_another_without_an_event() {
    let mut stage = text();
    let peer = stage.peer();
    peer.wire.borrow_mut().write_max = 3;
    peer.send(b"ECHO abcdef\n");
    stage.settle();
    assert_eq!(peer.take_sent(), "ECHO abcdef\n");
}

#[test]
fn a_full_socket_is_not_written_to_until_it_has_room() {
    let mut stage = text();
    let peer = stage.peer();
    peer.set_room(3);
    peer.send(b"ECHO a\n");
    stage.settle();
    let writes = peer.wire.borrow().writes;
    peer.send(b"ECHO b\n");
    stage.settle();
    assert_eq!(peer.wire.borrow().writes, writes);
    peer.set_room(usize::MAX);
    stage.settle();
    assert_eq!(peer.take_sent(), "ECHO a\nECHO b\n");
}

#[test]
fn after_the_end_of_input_no_event_causes_a_read() {
    let mut stage = text();
    let peer = stage.peer();
    peer.set_room(0);
    // One read takes all requests, and their answers exceed the output.
    peer.send_and_end(&b"HELP\n".repeat(2000));
    stage.settle();
    let reads = peer.wire.borrow().reads;
    let everything = Readiness { readable: true, writable: false, read_to_end: true };
    stage.event(Event::Connection(peer.token().expect("registered"), everything));
    stage.settle();
    assert_eq!(peer.wire.borrow().reads, reads);
    assert!(!peer.is_closed(), "answers wait");
    peer.set_room(usize::MAX);
    stage.settle();
    assert_eq!(peer.take_sent().lines().count(), 2000);
    assert_eq!(closed_for(&stage, CloseReason::PeerClosed), 1);
}

#[test]
fn lingering_discards_at_most_a_block_more_than_its_limit() {
    let mut stage = text();
    let peer = stage.peer();
    peer.send(b"QUIT\n");
    stage.settle();
    peer.send(b"x");
    stage.settle();
    let len = 3 * LINGER_BYTES_MAX as usize;
    peer.send(&vec![b'x'; len]);
    stage.settle();
    let dropped = len + 1 - peer.wire.borrow().inbound_len();
    assert!(
        (LINGER_BYTES_MAX as usize..=LINGER_BYTES_MAX as usize + BLOCK_LEN).contains(&dropped),
        "{dropped}"
    );
}

#[test]
fn only_the_first_bytes_of_a_connection_can_be_a_tls_handshake() {
    let mut stage = text();
    let peers = [
        (&b"\x16\x03\x01\x02\n"[..], "ERROR NOT_TLS\n", 1),
        (b"\n\x16\x03\x01\n", "ERROR UNKNOWN_COMMAND\n", 1),
    ];
    for (bytes, answer, closed) in peers {
        let peer = stage.peer();
        peer.send(bytes);
        stage.pass(LINGER_TIMEOUT);
        assert_eq!(peer.take_sent(), answer);
        assert_eq!(closed_for(&stage, CloseReason::Tls), closed);
    }
}

#[test]
fn a_queued_key_of_a_closed_connection_is_harmless() {
    let mut stage = text();
    let peer = stage.peer();
    peer.send(&b"ECHO a\n".repeat(TURN_BYTES_MAX));
    stage.event_loop.round().expect("a round");
    assert!(peer.wire.borrow().inbound_len() > 0, "the connection waits for its next turn");
    stage.event_loop.close(peer.token().expect("registered"), CloseReason::MemoryLimit);
    assert!(peer.is_closed());
    let next = stage.peer();
    assert_eq!(next.token().map(Token::key), peer.token().map(Token::key), "the key is reused");
    next.send(b"ECHO a\n");
    stage.settle();
    assert_eq!(next.take_sent(), "ECHO a\n");
}

#[test]
fn a_stop_answers_requests_that_wait_for_a_full_socket() {
    let mut stage = text();
    let peer = stage.peer();
    peer.set_room(0);
    peer.send(&b"HELP\n".repeat(2000));
    stage.settle();
    stage.event(Event::Mail(Mail::Stop));
    stage.settle();
    assert!(!peer.is_closed());
    peer.set_room(usize::MAX);
    stage.settle();
    let sent = peer.take_sent();
    assert_eq!((sent.lines().count(), sent.lines().last()), (2001, Some("BYE")));
}

#[test]
fn a_stop_answers_all_that_had_arrived_in_many_turns() {
    for len in [10, 60, 4000, 40_000] {
        let mut stage = text();
        let peer = stage.peer();
        let line = format!("ECHO {}\n", "x".repeat(len));
        let count = (1 << 20) / line.len();
        peer.send(line.repeat(count).as_bytes());
        stage.event(Event::Mail(Mail::Stop));
        stage.settle();
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
    let config = Config::default();
    let half = config.timeouts.drain.expect("a default timeout") / 2;
    let millisecond = Duration::from_millis(1);
    for (after, is_all_answered) in [(half - millisecond, true), (half, false)] {
        let mut stage = Stage::new(Text::new(), &config);
        let peer = stage.peer();
        peer.set_room(0);
        peer.send(&b"HELP\n".repeat(50_000));
        stage.event(Event::Mail(Mail::Stop));
        stage.pass(after);
        peer.set_room(usize::MAX);
        stage.settle();
        let sent = peer.take_sent();
        assert_eq!(sent.lines().count() > 50_000, is_all_answered, "after {after:?}");
        assert_eq!(sent.lines().last(), Some("BYE"), "after {after:?}");
    }
}

#[test]
fn every_byte_in_and_out_is_counted_once() {
    let mut stage = text();
    let peer = stage.peer();
    peer.set_room(3);
    peer.send(b"ECHO a\nECHO b\n");
    stage.settle();
    peer.set_room(usize::MAX);
    peer.send_and_end(b"ECHO c\n");
    stage.settle();
    let counters = &stage.event_loop.shared.status.total();
    let banner_len = "WELCOME, I'm TinyServer not pressure\n".len() as u64;
    assert_eq!(
        (counters.received_bytes, counters.sent_bytes, counters.messages),
        (21, banner_len + 21, 3)
    );
}

#[test]
fn a_stopped_loop_counts_the_connections_that_it_closes() {
    let mut stage = text();
    let (polite, stubborn) = (stage.peer(), stage.peer());
    stubborn.set_room(0);
    polite.send_and_end(b"ECHO a\n");
    stubborn.send(b"ECHO b\n");
    stage.event(Event::Mail(Mail::Stop));
    stage.settle();
    stage.pass(Duration::from_millis(200));
    stage.event(Event::Mail(Mail::Stop));
    let counters = stage.event_loop.run().expect("a simulated wait never fails").total();
    assert_eq!(polite.take_sent(), "ECHO a\n");
    assert!(stubborn.is_closed());
    assert_eq!((counters.accepted, counters.messages), (2, 2));
    assert_eq!(counters.closed_for(CloseReason::PeerClosed), 1);
    assert_eq!(counters.closed_for(CloseReason::Shutdown), 1);
}
