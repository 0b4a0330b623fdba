//! Tests of handshakes that are slow, wrong, or too many.

use std::sync::Arc;
use std::time::Duration;

use rustls::version::{TLS12, TLS13};

use super::super::harness::{FakePeer, LoopHarness};
use super::super::{MILLISECOND, SECOND, closed_for};
use super::client::{TlsPeer, client_config, connect, connect_with, encrypted, settings};
use crate::close_reason::CloseReason;
use crate::limits::{Limits, Settings};
use crate::os::mailbox::Mail;
use crate::os::system::Event;
use crate::protocol::admin::Admin;
use crate::protocol::binary::Binary;
use crate::protocol::text::{BANNER, Text};
use crate::protocol::{Protocol, chat, echo};
use crate::server::config::Listener;
use crate::tls::layer::{BUSY_ALERT, HANDSHAKE_BYTES_MAX};
use crate::wire::tls::HANDSHAKE;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

fn text() -> LoopHarness {
    encrypted(Text::new(), Settings::default())
}

/// A client that has not sent its first message, which is returned too.
fn greeted(harness: &mut LoopHarness) -> (TlsPeer, Vec<u8>) {
    let mut client = TlsPeer::new(harness.queue_peer(), client_config(&TLS13));
    harness.run_until_idle();
    let hello = client.take_records();
    (client, hello)
}

fn connect_plain(harness: &mut LoopHarness) -> FakePeer {
    let peer = harness.queue_peer();
    harness.run_until_idle();
    peer
}

/// The bytes that the server has sent since the last call.
fn take_sent(peer: &FakePeer) -> Vec<u8> {
    std::mem::take(&mut peer.link.borrow_mut().sent)
}

#[test]
fn the_greeting_and_the_first_answer_leave_in_one_write_with_the_last_message() {
    let mut harness = text();
    let (mut client, hello) = greeted(&mut harness);
    client.peer.send(&hello);
    harness.run_until_idle();
    client.open();
    let mut finished = client.take_records();
    finished.extend(client.seal(b"ECHO a\n"));
    let writes = client.peer.link.borrow().writes;
    client.peer.send(&finished);
    harness.run_until_idle();
    assert_eq!(client.peer.link.borrow().writes, writes + 1);
    client.open();
    assert_eq!(client.take_received(), format!("{BANNER}\nECHO a\n"));
}

#[test]
fn a_plain_client_gets_one_error_of_its_protocol_and_is_not_run() {
    type Case = (Arc<dyn Protocol>, &'static [u8], &'static [u8]);
    let cases: [Case; 5] = [
        (Arc::new(Text::new()), b"TIME\nTIME\n", b"ERROR TLS_REQUIRED\n"),
        (Arc::new(Binary::new()), b"\x01\0\0\0\0", b"\xff\0\0\0\x0cTLS_REQUIRED"),
        (Arc::new(echo::protocol()), b"hello", b"ERROR TLS_REQUIRED\n"),
        (Arc::new(chat::protocol()), b"hello\n", b"ERROR TLS_REQUIRED\n"),
        (Arc::new(Admin::new()), b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 Bad Request\r\n"),
    ];
    for (protocol, request, answer) in cases {
        let name = protocol.name();
        let mut harness = encrypted(protocol, Settings::default());
        let peer = connect_plain(&mut harness);
        peer.send(request);
        harness.run_until_idle();
        let sent = take_sent(&peer);
        assert!(sent.starts_with(answer), "{name}: {}", sent.escape_ascii());
        assert!(peer.link.borrow().sent_end && !peer.link.borrow().was_reset, "{name}");
        peer.send_and_end(b"");
        harness.run_until_idle();
        assert_eq!(closed_for(&harness, CloseReason::TlsRequired), 1, "{name}");
        let total = harness.event_loop.shared.status.total();
        assert_eq!((total.messages, total.failed_handshakes), (0, 1), "{name}");
    }
}

#[test]
fn a_handshake_must_be_complete_in_time() {
    for sends_hello in [false, true] {
        let mut harness = text();
        let (client, hello) = greeted(&mut harness);
        if sends_hello {
            client.peer.send(&hello);
        }
        harness.run_for(HANDSHAKE_TIMEOUT - MILLISECOND);
        assert!(!client.peer.is_closed());
        harness.run_for(MILLISECOND);
        assert!(client.peer.is_closed());
        assert_eq!(closed_for(&harness, CloseReason::TlsHandshakeTimeout), 1);
    }
}

#[test]
fn bytes_do_not_put_the_end_of_a_handshake_off() {
    let mut harness = text();
    let (client, hello) = greeted(&mut harness);
    for byte in &hello[..6] {
        client.peer.send(&[*byte]);
        harness.run_for(SECOND);
    }
    assert!(client.peer.is_closed());
    assert_eq!(closed_for(&harness, CloseReason::TlsHandshakeTimeout), 1);
}

#[test]
fn a_handshake_without_a_timeout_may_take_long() {
    let mut settings = Settings::default();
    settings.timeouts = settings.timeouts.with_handshake(None);
    let mut harness = encrypted(Text::new(), settings);
    let (mut client, hello) = greeted(&mut harness);
    harness.run_for(1000 * SECOND);
    client.peer.send(&hello);
    client.exchange(&mut harness);
    assert!(!client.tls.is_handshaking());
}

#[test]
fn the_bytes_of_a_handshake_are_bounded() {
    // A message of 65,535 bytes in records of 16 KiB, and one of 10 bytes in records of one.
    let long = [&[HANDSHAKE, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff][..], &[0; 0x3ffc]].concat();
    let record = [&[HANDSHAKE, 3, 1, 0x40, 0][..], &[0; 0x4000]].concat();
    let mut harness = text();
    let peer = connect_plain(&mut harness);
    peer.send(&long);
    for _ in 0..10 {
        peer.send(&record);
        harness.run_until_idle();
    }
    let received = harness.event_loop.shared.status.total().received_bytes;
    assert!(received as usize <= 3 * HANDSHAKE_BYTES_MAX + 7, "{received} bytes");
    peer.send_and_end(b"");
    harness.run_until_idle();
    assert_eq!(closed_for(&harness, CloseReason::TlsHandshake), 1);
}

#[test]
fn a_peer_that_has_left_costs_no_handshake() {
    let mut harness = text();
    let (client, hello) = greeted(&mut harness);
    client.peer.send_and_end(&hello);
    harness.run_until_idle();
    assert_eq!(take_sent(&client.peer), b"");
    assert_eq!(closed_for(&harness, CloseReason::TlsHandshake), 1);
}

#[test]
fn a_peer_that_leaves_in_the_middle_is_a_failed_handshake() {
    let mut harness = text();
    let (client, hello) = greeted(&mut harness);
    client.peer.send(&hello);
    harness.run_until_idle();
    assert!(!take_sent(&client.peer).is_empty());
    client.peer.send_and_end(b"");
    harness.run_until_idle();
    assert_eq!(closed_for(&harness, CloseReason::TlsHandshake), 1);
    assert_eq!(harness.event_loop.shared.status.total().failed_handshakes, 1);
}

#[test]
fn a_cut_message_with_the_end_in_one_read_is_a_failed_handshake() {
    let mut harness = text();
    let (mut client, hello) = greeted(&mut harness);
    client.peer.send(&hello);
    harness.run_until_idle();
    client.open();
    let finished = client.take_records();
    client.peer.send_and_end(&finished[..finished.len() - 1]);
    harness.run_until_idle();
    assert!(client.peer.is_closed(), "it waits for an event that never comes");
    assert_eq!(closed_for(&harness, CloseReason::TlsHandshake), 1);
}

#[test]
fn a_peer_that_sends_nothing_is_a_probe() {
    let mut harness = text();
    let peer = connect_plain(&mut harness);
    peer.send_and_end(b"");
    harness.run_until_idle();
    let total = harness.event_loop.shared.status.total();
    assert_eq!((total.probes, total.failed_handshakes), (1, 0));
}

#[test]
fn a_wrong_handshake_is_answered_by_an_alert_before_the_close() {
    let hello_of_ssl2 = [HANDSHAKE, 2, 0, 0, 4, 1, 0, 0, 0];
    let no_hello = [HANDSHAKE, 3, 1, 0, 4, 2, 0, 0, 0];
    for garbage in [&hello_of_ssl2[..], &no_hello, &[HANDSHAKE; 100]] {
        let mut harness = text();
        let peer = connect_plain(&mut harness);
        peer.send(garbage);
        harness.run_until_idle();
        let sent = take_sent(&peer);
        assert!(matches!(sent[..], [0x15, 3, _, 0, 2, 2, _]), "{}", sent.escape_ascii());
        assert!(peer.link.borrow().sent_end && !peer.link.borrow().was_reset);
        assert!(!peer.is_closed(), "the alert may be in transit");
        peer.send_and_end(b"");
        harness.run_until_idle();
        assert_eq!(closed_for(&harness, CloseReason::TlsHandshake), 1);
    }
}

#[test]
fn a_connection_over_the_limit_gets_an_alert_and_no_handshake() {
    let settings = Settings { connections_max: 1, ..Settings::default() };
    let mut harness = encrypted(Text::new(), settings);
    let _first = connect(&mut harness);
    let (mut client, hello) = greeted(&mut harness);
    assert_eq!(client.peer.link.borrow().sent, BUSY_ALERT);
    client.open();
    let error = client.error.as_ref().expect("an alert").to_string();
    assert!(error.contains("InternalError"), "{error}");
    client.peer.send_and_end(&hello);
    harness.run_until_idle();
    assert_eq!(closed_for(&harness, CloseReason::ServerBusy), 1);
    assert_eq!(harness.event_loop.shared.status.total().failed_handshakes, 0);
}

#[test]
fn the_limits_of_an_address_hold_before_the_handshake() {
    let limits = Limits::default().with_address_connections_max(Some(1));
    let mut harness = encrypted(Text::new(), Settings { limits, ..Settings::default() });
    let first = connect_plain(&mut harness);
    let second = connect_plain(&mut harness);
    assert_eq!(take_sent(&second), BUSY_ALERT);
    first.send_and_end(b"");
    second.send_and_end(b"");
    harness.run_until_idle();
    assert_eq!(closed_for(&harness, CloseReason::AddressConnections), 1);
    connect(&mut harness);
}

#[test]
fn a_round_runs_a_few_steps_of_handshakes() {
    let mut harness = text();
    let clients: Vec<_> = (0..20).map(|_| greeted(&mut harness)).collect();
    harness.run_until_idle();
    clients.iter().for_each(|(client, hello)| client.peer.send(hello));
    let mut answered = 0;
    while answered < clients.len() {
        harness.event_loop.round().expect("a simulated wait never fails");
        let now = clients.iter().filter(|(it, _)| !it.peer.link.borrow().sent.is_empty()).count();
        assert!((1..=4).contains(&(now - answered)), "{} steps in a round", now - answered);
        answered = now;
    }
}

#[test]
fn an_interactive_client_waits_for_one_step_of_a_handshake() {
    let plain = Listener::new([], Arc::new(Text::new()));
    let services = vec![plain.service(), plain.encrypted(settings()).service()];
    let mut harness = LoopHarness::with_listeners(services, Settings::default());
    let polite = harness.peer();
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let mut client = TlsPeer::new(harness.queue_peer_at(1), client_config(&TLS13));
            harness.run_until_idle();
            let hello = client.take_records();
            (client, hello)
        })
        .collect();
    clients.iter().for_each(|(client, hello)| client.peer.send(hello));
    let mut answered = 0;
    while answered < clients.len() {
        polite.send(b"ECHO a\n");
        harness.event_loop.round().expect("a simulated wait never fails");
        assert_eq!(polite.take_sent(), "ECHO a\n", "the request has waited");
        let now = clients.iter().filter(|(it, _)| !it.peer.link.borrow().sent.is_empty()).count();
        assert!(now - answered <= 1, "{} steps beside a request", now - answered);
        answered = now;
    }
}

#[test]
fn a_stop_closes_connections_without_a_handshake() {
    let mut harness = text();
    let (client, hello) = greeted(&mut harness);
    client.peer.send(&hello);
    let silent = connect_plain(&mut harness);
    harness.event(Event::Mail(Mail::Stop));
    harness.run_until_idle();
    assert!(client.peer.is_closed() && silent.is_closed());
    assert_eq!(closed_for(&harness, CloseReason::Shutdown), 2);
}

#[test]
fn a_flood_of_empty_records_ends_in_a_close() {
    let mut harness = text();
    let peer = connect_plain(&mut harness);
    peer.send(&[HANDSHAKE, 3, 1, 0, 0].repeat(100));
    harness.run_until_idle();
    peer.send_and_end(b"");
    harness.run_until_idle();
    assert_eq!(closed_for(&harness, CloseReason::TlsHandshake), 1);
}

#[test]
fn a_flood_of_warnings_ends_in_a_close() {
    let mut harness = text();
    let (client, hello) = greeted(&mut harness);
    client.peer.send(&hello);
    harness.run_until_idle();
    let user_canceled = [0x15, 3, 3, 0, 2, 1, 90];
    client.peer.send(&user_canceled.repeat(10));
    harness.run_until_idle();
    client.peer.send_and_end(b"");
    harness.run_until_idle();
    assert_eq!(closed_for(&harness, CloseReason::TlsHandshake), 1);
}

#[test]
fn a_flood_of_key_updates_ends_in_a_close() {
    let mut harness = text();
    let mut client = connect(&mut harness);
    for _ in 0..100 {
        client.tls.refresh_traffic_keys().expect("a connection of TLS 1.3");
        let records = client.take_records();
        client.peer.send(&records);
    }
    harness.run_until_idle();
    client.peer.send_and_end(b"");
    harness.run_until_idle();
    assert_eq!(closed_for(&harness, CloseReason::TlsFailed), 1);
}

#[test]
fn new_keys_change_nothing_for_the_session() {
    let mut harness = text();
    let mut client = connect(&mut harness);
    for _ in 0..100 {
        client.tls.refresh_traffic_keys().expect("a connection of TLS 1.3");
        assert_eq!(client.ask(&mut harness, b"ECHO a\n"), "ECHO a\n");
    }
}

#[test]
fn handshakes_are_counted_by_version() {
    let mut harness = text();
    connect_with(&mut harness, client_config(&TLS12));
    connect_with(&mut harness, client_config(&TLS13));
    let total = harness.event_loop.shared.status.total();
    assert_eq!((total.full_handshakes, total.tls12_handshakes), (2, 1));
}
