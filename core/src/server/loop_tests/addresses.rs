//! Tests of the limits per address.

use std::sync::Arc;

use super::*;
use crate::os::peer::PeerAddr;
use crate::protocol::admin::Admin;

/// A loop with limits on connections, accepted connections and messages of one address.
fn limited(connections: u32, accepts: u32, messages: u32) -> LoopHarness {
    text_with(|settings| settings.limits = limits(connections, accepts, messages))
}

/// The limits; 0 is none.
fn limits(connections: u32, accepts: u32, messages: u32) -> Limits {
    let limit = |count| (count > 0).then_some(count);
    Limits::default()
        .with_address_connections_max(limit(connections))
        .with_address_accept_rate_max(limit(accepts))
        .with_address_message_rate_max(limit(messages))
}

/// Connects a peer from 192.0.2.`host`.
fn peer_from(harness: &mut LoopHarness, host: u8) -> FakePeer {
    let peer = harness.queue_peer_from(([192, 0, 2, host], 1).into(), 0);
    harness.run_until_idle();
    peer
}

fn is_served(peer: &FakePeer) -> bool {
    peer.take_sent().starts_with("WELCOME")
}

fn answers(peer: &FakePeer) -> usize {
    peer.take_sent().lines().count()
}

fn delays(harness: &LoopHarness) -> u64 {
    harness.event_loop.shared.status.total().delays
}

#[test]
fn an_address_at_its_limit_is_rejected_until_a_close() {
    let mut harness = limited(2, 0, 0);
    let peers = [(); 2].map(|()| peer_from(&mut harness, 1));
    assert!(peers.iter().all(is_served));
    let rejected = peer_from(&mut harness, 1);
    assert_eq!(rejected.take_sent(), "ERROR SERVER_BUSY\n");
    assert!(is_served(&peer_from(&mut harness, 2)), "another address has its own number");
    peers[0].send_and_end(b"");
    harness.run_until_idle();
    assert!(is_served(&peer_from(&mut harness, 1)));
    harness.run_for(LINGER_TIMEOUT);
    assert_eq!(closed_for(&harness, CloseReason::AddressConnections), 1);
}

#[test]
fn rejected_connections_do_not_count_for_their_address() {
    let mut harness = text_with(|settings| {
        settings.connections_max = 1;
        settings.limits = limits(1, 0, 0);
    });
    let first = peer_from(&mut harness, 1);
    assert_eq!(peer_from(&mut harness, 2).take_sent(), "ERROR SERVER_BUSY\n");
    first.send_and_end(b"");
    harness.run_until_idle();
    assert!(is_served(&first) && is_served(&peer_from(&mut harness, 2)));
}

#[test]
fn a_connection_over_the_accept_rate_is_reset_without_an_answer() {
    let mut harness = limited(0, 2, 0);
    let peers: Vec<FakePeer> = (0..5).map(|_| peer_from(&mut harness, 1)).collect();
    assert_eq!(peers.iter().filter(|peer| is_served(peer)).count(), 2);
    for peer in &peers[2..] {
        assert!(peer.link.borrow().was_reset && peer.is_closed() && peer.take_sent().is_empty());
    }
    assert_eq!(closed_for(&harness, CloseReason::AddressAcceptRate), 3);
    harness.run_for(SECOND / 2);
    assert!(is_served(&peer_from(&mut harness, 1)));
    assert!(!is_served(&peer_from(&mut harness, 1)));
    assert_eq!(harness.event_loop.shared.status.total().open(), 3);
}

#[test]
fn messages_over_the_rate_are_read_when_the_rate_allows() {
    let mut harness = limited(0, 0, 10);
    let peer = peer_from(&mut harness, 1);
    peer.take_sent();
    peer.send(&b"ECHO a\n".repeat(25));
    harness.run_until_idle();
    assert_eq!(answers(&peer), 25, "the messages of one read run together");
    peer.send(&b"ECHO b\n".repeat(2));
    harness.run_for(SECOND + 599 * MILLISECOND);
    assert_eq!(answers(&peer), 0, "15 tokens are repaid in 1.5 s, and one more in 0.1 s");
    assert!(peer.link.borrow().inbound_len() > 0, "what waits is not read");
    harness.run_for(MILLISECOND);
    assert_eq!((answers(&peer), delays(&harness)), (2, 1));
}

#[test]
fn a_delayed_connection_does_not_delay_another_address() {
    let mut harness = limited(0, 0, 1);
    let (first, second) = (peer_from(&mut harness, 1), peer_from(&mut harness, 2));
    for _ in 0..2 {
        first.send(&b"ECHO a\n".repeat(100));
        harness.run_until_idle();
    }
    second.take_sent();
    second.send(b"ECHO b\n");
    harness.run_until_idle();
    assert_eq!(second.take_sent(), "ECHO b\n");
}

#[test]
fn connections_of_an_address_share_its_rate_and_none_starves() {
    let mut harness = limited(0, 0, 10);
    let peers: Vec<FakePeer> = (0..20).map(|_| peer_from(&mut harness, 1)).collect();
    peers.iter().for_each(|peer| drop(peer.take_sent()));
    for _ in 0..10 {
        peers.iter().for_each(|peer| peer.send(b"ECHO a\n"));
        harness.run_for(10 * SECOND);
        assert!(peers.iter().all(|peer| answers(peer) == 1));
    }
}

#[test]
fn delayed_connections_do_not_keep_the_loop_busy() {
    let mut harness = limited(0, 0, 100);
    let peers: Vec<FakePeer> = (0..500).map(|_| peer_from(&mut harness, 1)).collect();
    for _ in 0..20 {
        peers.iter().for_each(|peer| peer.link.borrow_mut().inbound_push(b"ECHO a\n"));
        peers.iter().for_each(|peer| peer.send(b""));
        harness.event_loop.round().expect("a round");
    }
    let before = delays(&harness);
    harness.run_for(10 * SECOND);
    let woken = delays(&harness) - before;
    assert!(woken <= 10 * 500 * 2, "{woken} waits of 500 connections in 10 s");
}

#[test]
fn a_client_that_would_wait_too_long_is_closed_as_idle() {
    let mut harness = limited(0, 0, 1);
    let peer = peer_from(&mut harness, 1);
    for _ in 0..2 {
        peer.send(&b"ECHO a\n".repeat(1000));
        harness.run_until_idle();
    }
    peer.take_sent();
    harness.run_for(IDLE);
    assert_eq!(peer.take_sent(), "ERROR IDLE_TIMEOUT\n");
}

#[test]
fn the_time_of_a_message_starts_when_its_delay_ends() {
    let mut harness = limited(0, 0, 1);
    let peer = peer_from(&mut harness, 1);
    peer.send(&[&b"ECHO a\n".repeat(41)[..], b"ECHO "].concat());
    harness.run_until_idle();
    peer.take_sent();
    peer.send(b"later");
    harness.run_for(41 * SECOND);
    assert_eq!(peer.take_sent(), "", "its message is not late");
    harness.run_for(MESSAGE - SECOND);
    peer.send(b"\n");
    harness.run_until_idle();
    assert_eq!(peer.take_sent(), "ECHO later\n");
}

#[test]
fn a_stop_answers_the_messages_of_delayed_connections() {
    let mut harness = limited(0, 0, 1);
    let peer = peer_from(&mut harness, 1);
    peer.send(&b"ECHO a\n".repeat(100));
    harness.run_until_idle();
    peer.send(b"ECHO last\n");
    harness.run_until_idle();
    peer.take_sent();
    harness.event(Event::Mail(Mail::Stop));
    harness.run_until_idle();
    assert_eq!(peer.take_sent(), "ECHO last\nBYE\n");
}

#[test]
fn unix_peers_and_admin_listeners_have_no_limits_per_address() {
    let settings = Settings { limits: limits(1, 1, 1), ..Settings::default() };
    let protocols: Vec<Arc<dyn Protocol>> =
        vec![Arc::new(Text::new()), Arc::new(Admin::with_hosts([]))];
    let mut harness = LoopHarness::with_listeners(protocols, settings);
    for number in 0..4 {
        let unix = harness.queue_peer_from(PeerAddr::Unix(number), 0);
        let admin = harness.queue_peer_at(1);
        harness.run_until_idle();
        assert!(is_served(&unix));
        admin.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        harness.run_until_idle();
        assert!(admin.take_sent().starts_with("HTTP/1.1 200 OK"));
    }
    assert!(is_served(&peer_from(&mut harness, 1)));
    assert!(!is_served(&peer_from(&mut harness, 1)));
}

#[test]
fn limits_that_are_reloaded_hold_for_open_connections() {
    let mut harness = text();
    let peers = [(); 2].map(|()| peer_from(&mut harness, 1));
    let reload = |harness: &mut LoopHarness, limits| {
        let settings = Settings { limits, ..Settings::default() };
        harness.event(Event::Mail(Mail::Reload(Box::new(settings))));
        harness.run_until_idle();
    };
    reload(&mut harness, limits(2, 0, 1));
    assert!(peers.iter().all(is_served));
    assert_eq!(peer_from(&mut harness, 1).take_sent(), "ERROR SERVER_BUSY\n");
    for expected in [1, 0] {
        peers[0].send(b"ECHO a\n");
        harness.run_until_idle();
        assert_eq!(answers(&peers[0]), expected);
    }
    reload(&mut harness, Limits::default());
    assert_eq!(answers(&peers[0]), 1, "no limit, no delay");
    assert!(is_served(&peer_from(&mut harness, 1)));
    peers.iter().for_each(|peer| peer.send_and_end(b""));
    harness.run_until_idle();
    reload(&mut harness, limits(1, 0, 0));
    assert_eq!(
        peer_from(&mut harness, 1).take_sent(),
        "ERROR SERVER_BUSY\n",
        "the last one counts"
    );
}
