//! Tests of listeners for proxies: the header that names the peer of a connection.

use std::sync::Arc;

use super::harness::{FakePeer, LoopHarness};
use super::{IDLE, LINGER_TIMEOUT, MILLISECOND, SECOND, WRITE, closed_for};
use crate::close_reason::CloseReason;
use crate::limits::{Limits, Settings};
use crate::os::mailbox::Mail;
use crate::os::system::Event;
use crate::protocol::{Accepted, Context, Output, Protocol, Session, Step};
use crate::server::config::{Config, Listener};
use crate::wire::proxy::{self, V1_BYTES_MAX, V2_BYTES_MAX, V2_PREFIX, Version};

const HEADER: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 51234 40000\r\n";
const GREETING: &str = "hello 192.0.2.7:51234\n";

/// A protocol that greets its peer by address and echoes.
struct Greeter;

impl Protocol for Greeter {
    fn name(&self) -> &'static str {
        "greeter"
    }

    fn session(&self, accepted: &Accepted) -> Box<dyn Session> {
        Box::new(GreeterSession(accepted.peer().to_string()))
    }
}

struct GreeterSession(String);

impl Session for GreeterSession {
    fn greet(&mut self, output: &mut Output<'_>) {
        output.append(format!("hello {}\n", self.0).as_bytes());
    }

    fn advance(&mut self, input: &[u8], context: &mut Context<'_>) -> (usize, Step) {
        context.output().append(input);
        (input.len(), Step::Done)
    }
}

fn proxied_from(subnet: &str, config: impl Into<Config>) -> LoopHarness {
    let subnet = subnet.parse().expect(subnet);
    let listener = Listener::new([], Arc::new(Greeter)).for_proxies([subnet]);
    LoopHarness::with_listeners(vec![listener.service()], config)
}

/// The peers of the harness come from 127.0.0.1.
fn proxied() -> LoopHarness {
    proxied_from("127.0.0.0/8", Settings::default())
}

fn connect(harness: &mut LoopHarness) -> FakePeer {
    let peer = harness.queue_peer();
    harness.run_until_idle();
    peer
}

fn send(harness: &mut LoopHarness, peer: &FakePeer, bytes: &[u8]) -> String {
    peer.send(bytes);
    harness.run_until_idle();
    peer.take_sent()
}

#[test]
fn the_greeting_waits_for_the_header_and_names_the_client() {
    for version in [Version::V1, Version::V2] {
        let mut harness = proxied();
        let peer = connect(&mut harness);
        let source = "192.0.2.7:51234".parse().expect("an address");
        let destination = "198.51.100.1:40000".parse().expect("an address");
        let header = proxy::encode(version, Some((source, destination)));
        let (last, rest) = header.split_last().expect("a header");
        for byte in rest {
            assert_eq!(send(&mut harness, &peer, &[*byte]), "");
        }
        assert_eq!(send(&mut harness, &peer, &[*last]), GREETING, "{version:?}");
        assert_eq!(send(&mut harness, &peer, b"a"), "a");
    }
}

#[test]
fn bytes_after_the_header_are_those_of_the_client() {
    let mut harness = proxied();
    let peer = connect(&mut harness);
    let answers = send(&mut harness, &peer, &[HEADER, b"request"].concat());
    assert_eq!(answers, format!("{GREETING}request"));
    let total = harness.event_loop.shared.status.total();
    assert_eq!(total.received_bytes, 7, "the header is not counted");
}

#[test]
fn the_end_of_input_may_follow_the_header_at_once() {
    let mut harness = proxied();
    let peer = connect(&mut harness);
    peer.send_and_end(&[HEADER, b"request"].concat());
    harness.run_until_idle();
    assert_eq!(peer.take_sent(), format!("{GREETING}request"));
    assert!(peer.is_closed());
}

#[test]
fn a_header_without_a_client_keeps_the_address_of_the_proxy() {
    let forged = [V2_PREFIX, b"\x20\x11\0\x0c", &[9; 12]].concat();
    for header in [b"PROXY UNKNOWN\r\n".to_vec(), proxy::encode(Version::V2, None), forged] {
        let mut harness = proxied();
        let peer = connect(&mut harness);
        assert_eq!(send(&mut harness, &peer, &header), "hello 127.0.0.1:1\n");
    }
}

#[test]
fn the_first_wrong_byte_closes_the_connection() {
    let mut harness = proxied();
    for (count, bytes) in [&b"T"[..], b"PRX", b"\r\n\r\nX", b"\x16"].into_iter().enumerate() {
        let peer = connect(&mut harness);
        assert_eq!(send(&mut harness, &peer, bytes), "");
        assert!(peer.is_closed());
        assert_eq!(closed_for(&harness, CloseReason::BadProxyHeader), count as u64 + 1);
    }
}

#[test]
fn a_header_over_its_limit_closes_the_connection() {
    let mut harness = proxied();
    let longest = [b"PROXY UNKNOWN".as_slice(), &[b' '; V1_BYTES_MAX - 13]].concat();
    let peer = connect(&mut harness);
    send(&mut harness, &peer, &longest[..V1_BYTES_MAX - 1]);
    assert!(!peer.is_closed());
    send(&mut harness, &peer, &longest[V1_BYTES_MAX - 1..]);
    assert!(peer.is_closed());
    for (len, is_closed) in [(V2_BYTES_MAX - 16, false), (V2_BYTES_MAX - 15, true)] {
        let peer = connect(&mut harness);
        let len = u16::try_from(len).expect("16 bits").to_be_bytes();
        send(&mut harness, &peer, &[V2_PREFIX, b"\x21\x11", &len].concat());
        assert_eq!(peer.is_closed(), is_closed);
    }
    assert_eq!(closed_for(&harness, CloseReason::BadProxyHeader), 2);
}

#[test]
fn a_header_has_3_seconds_however_often_bytes_arrive() {
    let mut harness = proxied();
    let peer = connect(&mut harness);
    for byte in &HEADER[..29] {
        harness.run_for(100 * MILLISECOND);
        send(&mut harness, &peer, &[*byte]);
    }
    harness.run_for(100 * MILLISECOND - MILLISECOND);
    assert!(!peer.is_closed());
    harness.run_for(MILLISECOND);
    assert!(peer.is_closed());
    assert_eq!(closed_for(&harness, CloseReason::ProxyHeaderTimeout), 1);
}

#[test]
fn the_greeting_has_the_whole_write_timeout_after_a_slow_header() {
    let mut harness = proxied();
    let peer = connect(&mut harness);
    peer.set_room(0);
    harness.run_for(2 * SECOND);
    send(&mut harness, &peer, HEADER);
    harness.run_for(WRITE - MILLISECOND);
    assert!(!peer.is_closed());
    harness.run_for(MILLISECOND);
    assert_eq!(closed_for(&harness, CloseReason::WriteTimeout), 1);
}

#[test]
fn a_header_counts_that_arrived_while_the_process_was_stopped() {
    let mut harness = proxied();
    let peer = connect(&mut harness);
    peer.send(HEADER);
    harness.move_clock(10 * SECOND);
    harness.run_until_idle();
    assert_eq!(peer.take_sent(), GREETING);
    harness.run_for(IDLE - MILLISECOND);
    assert!(!peer.link.borrow().sent_end, "the idle timeout runs from the header on");
    harness.run_for(MILLISECOND + LINGER_TIMEOUT);
    assert_eq!(closed_for(&harness, CloseReason::IdleTimeout), 1);
}

#[test]
fn an_address_that_is_no_proxy_is_closed_at_once() {
    let mut harness = proxied_from("10.0.0.0/8", Settings::default());
    let peer = harness.queue_peer();
    peer.link.borrow_mut().inbound_push(HEADER);
    harness.run_until_idle();
    assert!(peer.is_closed());
    assert_eq!((peer.take_sent().as_str(), peer.link.borrow().reads), ("", 0));
    assert_eq!(closed_for(&harness, CloseReason::UntrustedProxy), 1);
}

#[test]
fn a_connection_without_a_header_counts_against_the_limit() {
    let settings = Settings { connections_max: 1, ..Settings::default() };
    let mut harness = proxied_from("127.0.0.1", settings);
    let first = connect(&mut harness);
    let second = connect(&mut harness);
    assert_eq!(first.take_sent(), "");
    assert_eq!(send(&mut harness, &second, HEADER), "", "it is refused before its header");
    second.send_and_end(b"");
    harness.run_until_idle();
    assert!(second.is_closed());
    assert_eq!(closed_for(&harness, CloseReason::ServerBusy), 1);
    assert_eq!(send(&mut harness, &first, HEADER), GREETING);
}

#[test]
fn an_untrusted_connection_over_the_limit_takes_no_place() {
    let settings = Settings { connections_max: 0, ..Settings::default() };
    let mut harness = proxied_from("10.0.0.0/8", settings);
    (0..3).for_each(|_| drop(connect(&mut harness)));
    assert_eq!(closed_for(&harness, CloseReason::UntrustedProxy), 3);
}

#[test]
fn a_stop_serves_a_connection_only_if_its_header_has_arrived() {
    let mut harness = proxied();
    let (without, half, with) =
        (connect(&mut harness), connect(&mut harness), connect(&mut harness));
    send(&mut harness, &half, &HEADER[..10]);
    with.send(&[HEADER, b"request"].concat());
    harness.event(Event::Mail(Mail::Stop));
    harness.run_for(LINGER_TIMEOUT);
    assert_eq!(with.take_sent(), format!("{GREETING}request"));
    assert!(without.is_closed() && half.is_closed());
    assert_eq!(closed_for(&harness, CloseReason::Shutdown), 3);
}

#[test]
fn an_end_of_input_within_the_header_is_a_bad_header() {
    let mut harness = proxied();
    for (bytes, reason) in
        [(&b""[..], CloseReason::PeerClosed), (&HEADER[..20], CloseReason::BadProxyHeader)]
    {
        let peer = connect(&mut harness);
        peer.send_and_end(bytes);
        harness.run_until_idle();
        assert!(peer.is_closed());
        assert_eq!(closed_for(&harness, reason), 1);
    }
    assert_eq!(harness.event_loop.shared.status.total().probes, 1);
}

#[test]
fn a_reset_before_the_header_is_counted_as_one() {
    let mut harness = proxied();
    let peer = connect(&mut harness);
    peer.reset();
    harness.run_until_idle();
    assert!(peer.is_closed());
    assert_eq!(closed_for(&harness, CloseReason::Reset), 1);
}

#[test]
fn a_plain_listener_reads_a_header_as_bytes_of_the_client() {
    let mut harness = LoopHarness::new(Greeter, Settings::default());
    let peer = connect(&mut harness);
    assert_eq!(peer.take_sent(), "hello 127.0.0.1:1\n");
    assert_eq!(send(&mut harness, &peer, HEADER).as_bytes(), HEADER);
}

#[test]
fn limits_per_address_hold_for_the_client_that_a_proxy_names() {
    let limits = Limits::default().with_address_connections_max(Some(1));
    let settings = Settings { limits, ..Settings::default() };
    let mut harness = proxied_from("127.0.0.0/8", settings);
    let peers = [(); 3].map(|()| connect(&mut harness));
    assert_eq!(send(&mut harness, &peers[0], HEADER), GREETING);
    assert_eq!(send(&mut harness, &peers[1], HEADER), "", "the protocol has no word for it");
    assert!(peers[1].link.borrow().sent_end);
    let other = b"PROXY TCP4 192.0.2.8 198.51.100.1 51234 40000\r\n";
    assert_eq!(send(&mut harness, &peers[2], other), "hello 192.0.2.8:51234\n");
    peers[1].send_and_end(b"");
    harness.run_until_idle();
    assert_eq!(closed_for(&harness, CloseReason::AddressConnections), 1);
}

#[test]
fn the_accept_rate_holds_for_the_client_that_a_proxy_names() {
    let limits = Limits::default().with_address_accept_rate_max(Some(1));
    let settings = Settings { limits, ..Settings::default() };
    let mut harness = proxied_from("127.0.0.0/8", settings);
    let peers = [(); 2].map(|()| connect(&mut harness));
    assert_eq!(send(&mut harness, &peers[0], HEADER), GREETING);
    assert_eq!(send(&mut harness, &peers[1], HEADER), "");
    assert!(peers[1].is_closed() && peers[1].link.borrow().was_reset);
    assert_eq!(closed_for(&harness, CloseReason::AddressAcceptRate), 1);
}

#[test]
fn a_full_server_answers_each_connection_of_a_proxy() {
    let limits = Limits::default().with_address_accept_rate_max(Some(1));
    let settings = Settings { connections_max: 1, limits, ..Settings::default() };
    let mut harness = proxied_from("127.0.0.0/8", settings);
    let served = connect(&mut harness);
    assert_eq!(send(&mut harness, &served, HEADER), GREETING);
    let _rejected = [(); 3].map(|()| connect(&mut harness));
    harness.run_for(LINGER_TIMEOUT);
    assert_eq!(closed_for(&harness, CloseReason::ServerBusy), 3);
    assert_eq!(closed_for(&harness, CloseReason::AddressAcceptRate), 0, "the peer is a proxy");
}
