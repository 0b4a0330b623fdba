//! Tests of encrypted conversations without faults.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::version::TLS13;

use super::super::harness::LoopHarness;
use super::super::{FnSession, SECOND, closed_for};
use super::client::{
    TlsPeer, VERSIONS, client_config, connect, connect_with, encrypted, settings,
    settings_for_records,
};
use crate::buffers::pool::BLOCK_LEN;
use crate::close_reason::CloseReason;
use crate::limits::Settings;
use crate::protocol::Step;
use crate::protocol::binary::{self, Binary};
use crate::protocol::text::{BANNER, Text};
use crate::server::config::Listener;
use crate::wire::frame::Header;

fn text() -> LoopHarness {
    encrypted(Text::new(), Settings::default())
}

#[test]
fn both_versions_are_greeted_and_answered() {
    for version in VERSIONS {
        let mut harness = text();
        let mut client = connect_with(&mut harness, client_config(version));
        assert_eq!(client.take_received(), format!("{BANNER}\n"), "{version:?}");
        assert_eq!(client.ask(&mut harness, b"ECHO a\n"), "ECHO a\n");
        assert_eq!(client.ask(&mut harness, b"QUIT\n"), "BYE\n");
        assert!(client.has_ended, "no close_notify before the end of the output");
        assert!(client.peer.link.borrow().sent_end);
    }
}

#[test]
fn the_network_may_split_every_record_at_every_byte() {
    for version in VERSIONS {
        let mut harness = text();
        let mut client = TlsPeer::new(harness.queue_peer(), client_config(version));
        while client.tls.is_handshaking() || client.tls.wants_write() {
            for byte in client.take_records() {
                client.peer.send(&[byte]);
                harness.run_until_idle();
            }
            harness.run_until_idle();
            client.open();
        }
        for byte in client.seal(b"ECHO a\nECHO b\n") {
            client.peer.send(&[byte]);
            harness.run_until_idle();
        }
        client.open();
        assert_eq!(client.take_received(), format!("{BANNER}\nECHO a\nECHO b\n"), "{version:?}");
    }
}

#[test]
fn data_in_the_segment_of_the_handshakes_end_is_answered() {
    for version in VERSIONS {
        let mut harness = text();
        let mut client = TlsPeer::new(harness.queue_peer(), client_config(version));
        harness.run_until_idle();
        while client.tls.is_handshaking() {
            let mut records = client.take_records();
            if !client.tls.is_handshaking() {
                records.extend(client.seal(b"ECHO a\n"));
            }
            client.peer.send(&records);
            harness.run_until_idle();
            client.open();
        }
        let mut records = client.take_records();
        records.extend(client.seal(b"ECHO b\n"));
        client.peer.send(&records);
        client.exchange(&mut harness);
        assert_eq!(client.take_received(), format!("{BANNER}\nECHO b\n"), "{version:?}");
    }
}

#[test]
fn a_half_closed_client_gets_the_answers_to_what_it_has_sent() {
    let mut harness = text();
    let mut client = connect(&mut harness);
    let records = client.seal(b"ECHO 1\nECHO 2\n");
    client.peer.send(&records);
    client.send_close_notify();
    harness.run_until_idle();
    client.open();
    assert_eq!(client.take_received(), "ECHO 1\nECHO 2\n");
    assert!(client.has_ended);
    assert_eq!(closed_for(&harness, CloseReason::PeerClosed), 1);
}

#[test]
fn a_long_message_in_many_records_is_answered_to_the_byte() {
    let payload: Vec<u8> = (0..1_000_000_u32).map(|it| (it % 251) as u8).collect();
    let header = Header { code: binary::ECHO, payload_len: 1_000_000 }.encode();
    let request = [&header[..], &payload[..]].concat();
    let mut harness = encrypted(Binary::new(), Settings::default());
    let mut client = connect(&mut harness);
    for part in request.chunks(50_000) {
        let records = client.seal(part);
        client.peer.send(&records);
        harness.run_until_idle();
        client.open();
    }
    assert!(client.received == request, "{} bytes of an answer", client.received.len());
}

#[test]
fn messages_in_the_layer_are_answered_without_another_event() {
    let mut harness = text();
    let mut client = connect(&mut harness);
    // A line that is almost complete leaves the input no room for all records of the next read.
    let line = format!("ECHO {}", "x".repeat(30_000));
    let records = client.seal(line.as_bytes());
    client.peer.send(&records);
    // After a while without interactive clients, a read may take a whole block.
    harness.run_for(SECOND);
    let others = "ECHO a\n".repeat(7_000);
    let records = client.seal(format!("\n{others}").as_bytes());
    assert!(records.len() < BLOCK_LEN, "one read takes them all, and empties the socket");
    client.peer.send(&records);
    harness.run_until_idle();
    client.open();
    assert!(client.take_received() == format!("{line}\n{others}"), "records sleep in the layer");
}

#[test]
fn a_client_that_reads_nothing_is_not_read_from() {
    let mut harness = encrypted(Text::new(), Settings::default());
    let mut client = connect(&mut harness);
    client.peer.set_room(0);
    for _ in 0..40 {
        let records = client.seal(&b"ECHO a longer line than most\n".repeat(500));
        client.peer.send(&records);
        harness.run_until_idle();
    }
    assert!(client.peer.link.borrow().inbound_len() > 300_000, "it was read from");
    assert!(harness.event_loop.inspect().lent_bytes < 400_000, "its answers are held");
    client.peer.set_room(usize::MAX);
    harness.run_until_idle();
    client.open();
    assert_eq!(client.take_received(), "ECHO a longer line than most\n".repeat(20_000));
}

#[test]
fn keys_are_renewed_before_they_seal_too_many_records() {
    let settings = settings_for_records(&TLS13, 8);
    let listener = Listener::new([], Arc::new(Text::new())).encrypted(settings);
    let mut harness = LoopHarness::with_listeners(vec![listener.service()], Settings::default());
    let mut client = connect_with(&mut harness, client_config(&TLS13));
    client.take_received();
    let long = format!("ECHO {}\n", "x".repeat(60_000));
    for _ in 0..20 {
        assert_eq!(client.ask(&mut harness, b"ECHO a\n"), "ECHO a\n");
        assert!(client.ask(&mut harness, long.as_bytes()) == long);
    }
}

#[test]
fn a_ticket_resumes_a_session() {
    for version in VERSIONS {
        let mut harness = text();
        let mut config = client_config(version);
        config.resumption = Resumption::in_memory_sessions(4);
        for _ in 0..2 {
            let mut client = connect_with(&mut harness, config.clone());
            assert_eq!(client.ask(&mut harness, b"QUIT\n"), format!("{BANNER}\nBYE\n"));
        }
        let total = harness.event_loop.shared.status.total();
        assert_eq!((total.full_handshakes, total.resumed_handshakes), (1, 1), "{version:?}");
    }
}

#[test]
fn the_handshake_follows_the_header_of_a_proxy() {
    let header = b"PROXY TCP4 192.0.2.7 198.51.100.1 51234 40000\r\n";
    for is_one_segment in [false, true] {
        let subnet = "127.0.0.0/8".parse().expect("a subnet");
        let show = FnSession {
            advance: |input, context| {
                let peer = context.peer().to_string();
                context.output().append(peer.as_bytes());
                (input.len(), Step::Done)
            },
            drops_refused: true,
        };
        let listener = Listener::new([], Arc::new(show)).for_proxies([subnet]);
        let services = vec![listener.encrypted(settings()).service()];
        let mut harness = LoopHarness::with_listeners(services, Settings::default());
        let mut client = TlsPeer::new(harness.queue_peer(), client_config(&TLS13));
        harness.run_until_idle();
        assert_eq!(client.peer.link.borrow().sent, b"");
        let mut first = header.to_vec();
        if is_one_segment {
            first.extend(client.take_records());
        }
        client.peer.send(&first);
        client.exchange(&mut harness);
        client.take_received();
        assert_eq!(client.ask(&mut harness, b"?"), "192.0.2.7:51234");
    }
}

#[test]
fn a_session_knows_what_the_handshake_has_agreed_on() {
    let show = FnSession {
        advance: |input, context| {
            let info = context.tls().map_or_else(|| "plain".into(), ToString::to_string);
            context.output().append(info.as_bytes());
            (input.len(), Step::Done)
        },
        drops_refused: true,
    };
    let mut harness = encrypted(show, Settings::default());
    let mut client = connect(&mut harness);
    assert_eq!(client.ask(&mut harness, b"?"), "TLS 1.3, TLS13_AES_256_GCM_SHA384");
    let mut harness = LoopHarness::new(show, Settings::default());
    let peer = harness.peer();
    peer.send(b"?");
    harness.run_until_idle();
    assert_eq!(peer.take_sent(), "plain");
}
