//! Tests of the ends of encrypted connections.

use std::sync::Arc;

use rustls::version::TLS12;

use super::super::harness::LoopHarness;
use super::super::{IDLE, LINGER_TIMEOUT, MESSAGE, MILLISECOND, QUIET, SECOND, WRITE, closed_for};
use super::client::{
    TlsPeer, client_config, connect, connect_with, encrypted, settings_for_records,
};
use crate::close_reason::CloseReason;
use crate::limits::Settings;
use crate::os::mailbox::Mail;
use crate::os::system::Event;
use crate::protocol::text::Text;
use crate::protocol::{chat, echo};
use crate::server::config::Listener;

fn text() -> LoopHarness {
    encrypted(Text::new(), Settings::default())
}

/// Asserts that the server has ended its output after a `close_notify`, and waits for the end of
/// the input.
fn assert_ended(client: &mut TlsPeer, what: &str) {
    client.open();
    assert!(client.has_ended, "no close_notify: {what}");
    let link = client.peer.link.borrow();
    assert!(link.sent_end && !link.was_reset, "no end of output: {what}");
}

#[test]
fn a_close_notify_precedes_every_end() {
    type Way = fn(&mut LoopHarness, &mut TlsPeer);
    let ways: [(CloseReason, Way); 5] = [
        (CloseReason::Quit, |harness, client| {
            client.ask(harness, b"QUIT\n");
        }),
        (CloseReason::IdleTimeout, |harness, _| harness.run_for(IDLE + SECOND)),
        (CloseReason::MessageTimeout, |harness, client| {
            client.ask(harness, b"TI");
            harness.run_for(MESSAGE + SECOND);
        }),
        (CloseReason::Shutdown, |harness, _| {
            harness.event(Event::Mail(Mail::Stop));
            harness.run_until_idle();
        }),
        (CloseReason::Shutdown, |harness, _| {
            harness.event(Event::Mail(Mail::Drain));
            harness.run_for(12 * SECOND);
        }),
    ];
    for (reason, end) in ways {
        let mut harness = text();
        let mut client = connect(&mut harness);
        end(&mut harness, &mut client);
        assert_ended(&mut client, reason.label());
        client.send_close_notify();
        client.peer.send_and_end(b"");
        harness.run_until_idle();
        assert!(client.peer.is_closed(), "{reason}");
        assert_eq!(closed_for(&harness, reason), 1, "{reason}");
    }
}

#[test]
fn a_server_that_has_ended_waits_for_its_peer_for_a_while_only() {
    let mut harness = text();
    let mut client = connect(&mut harness);
    client.ask(&mut harness, b"QUIT\n");
    harness.run_for(LINGER_TIMEOUT - MILLISECOND);
    assert!(!client.peer.is_closed());
    harness.run_for(MILLISECOND);
    assert!(client.peer.is_closed());
}

#[test]
fn the_message_that_a_cut_stream_ends_in_is_not_run() {
    let mut harness = text();
    let mut client = connect(&mut harness);
    let records = client.seal(b"ECHO whole\nECHO cut");
    client.peer.send_and_end(&records);
    harness.run_until_idle();
    client.open();
    assert_eq!(client.take_received(), "ECHO whole\n");
    assert_eq!(closed_for(&harness, CloseReason::Truncated), 1);
    assert_eq!(harness.event_loop.shared.status.total().messages, 1);
}

#[test]
fn a_piece_is_run_only_at_an_authentic_end_of_input() {
    for is_cut in [false, true] {
        let harnesses = [
            (encrypted(echo::protocol(), Settings::default()), "Server received: pay 1"),
            (encrypted(chat::protocol(), Settings::default()), ""),
        ];
        for (mut harness, answer) in harnesses {
            let mut client = connect(&mut harness);
            let records = client.seal(b"pay 1");
            client.peer.send(&records);
            if !is_cut {
                client.send_close_notify();
            }
            client.peer.send_and_end(b"");
            harness.run_until_idle();
            client.open();
            let messages = harness.event_loop.shared.status.total().messages;
            assert_eq!(messages, u64::from(!is_cut), "{answer:?}");
            let received = client.take_received();
            assert!(if is_cut { received.is_empty() } else { received.contains(answer) });
            let reason = if is_cut { CloseReason::Truncated } else { CloseReason::PeerClosed };
            assert_eq!(closed_for(&harness, reason), 1, "{reason}");
        }
    }
}

#[test]
fn a_pause_still_completes_a_piece() {
    let mut harness = encrypted(echo::protocol(), Settings::default());
    let mut client = connect(&mut harness);
    client.ask(&mut harness, b"piece");
    harness.run_for(QUIET);
    client.open();
    assert_eq!(client.take_received(), "Server received: piece");
}

#[test]
fn a_stream_that_is_cut_within_a_record_is_truncated() {
    let mut harness = text();
    let mut client = connect(&mut harness);
    let records = client.seal(b"ECHO a\n");
    let (front, _) = records.split_at(records.len() - 1);
    client.peer.send_and_end(front);
    harness.run_until_idle();
    assert_eq!(closed_for(&harness, CloseReason::Truncated), 1);
    client.open();
    assert_eq!((client.take_received().as_str(), client.has_ended), ("", true));
}

#[test]
fn bytes_after_the_close_notify_are_never_run() {
    let mut harness = text();
    let mut client = connect(&mut harness);
    client.tls.send_close_notify();
    let mut bytes = client.take_records();
    bytes.extend(b"\x17\x03\x03\x00\x10TIME\nTIME\nTIME\n!");
    client.peer.send(&bytes);
    harness.run_until_idle();
    client.open();
    assert_eq!((client.take_received().as_str(), client.has_ended), ("", true));
    assert_eq!(closed_for(&harness, CloseReason::PeerClosed), 1);
}

#[test]
fn a_forged_record_ends_the_connection_with_an_alert() {
    let mut harness = text();
    let mut client = connect(&mut harness);
    let mut records = client.seal(b"ECHO a\n");
    *records.last_mut().expect("a record") ^= 1;
    client.peer.send(&records);
    harness.run_until_idle();
    client.open();
    let error = client.error.as_ref().expect("an alert").to_string();
    assert!(error.contains("BadRecordMac"), "{error}");
    assert!(client.peer.link.borrow().sent_end && !client.peer.link.borrow().was_reset);
    assert_eq!(client.take_received(), "");
    client.peer.send_and_end(b"");
    harness.run_until_idle();
    assert_eq!(closed_for(&harness, CloseReason::TlsFailed), 1);
}

#[test]
fn the_close_notify_waits_for_a_client_that_reads_slowly() {
    let mut harness = text();
    let mut client = connect(&mut harness);
    client.peer.set_room(0);
    client.ask(&mut harness, b"ECHO a\nQUIT\n");
    for _ in 0..200 {
        client.peer.set_room(1);
        harness.run_until_idle();
    }
    client.open();
    assert_eq!(client.take_received(), "ECHO a\nBYE\n");
    assert_ended(&mut client, "a byte at a time");
}

#[test]
fn a_client_that_never_reads_the_close_notify_is_reset() {
    let mut harness = text();
    let mut client = connect(&mut harness);
    client.peer.set_room(0);
    client.ask(&mut harness, b"QUIT\n");
    harness.run_for(WRITE + SECOND);
    assert!(client.peer.link.borrow().was_reset);
}

#[test]
fn keys_that_may_seal_no_more_end_a_connection_in_order() {
    // The end of the handshake, the greeting, and two answers.
    let listener =
        Listener::new([], Arc::new(Text::new())).encrypted(settings_for_records(&TLS12, 4));
    let mut harness = LoopHarness::with_listeners(vec![listener.service()], Settings::default());
    let mut client = connect_with(&mut harness, client_config(&TLS12));
    client.take_received();
    for request in ["ECHO a\n", "ECHO b\n"] {
        assert_eq!(client.ask(&mut harness, request.as_bytes()), request);
    }
    assert_eq!(client.ask(&mut harness, b"ECHO c\n"), "");
    assert_ended(&mut client, "no key is left");
    harness.run_for(LINGER_TIMEOUT + SECOND);
    assert_eq!(closed_for(&harness, CloseReason::TlsFailed), 1);
}
