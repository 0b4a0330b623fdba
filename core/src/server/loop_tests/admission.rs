//! Tests of accepting: limits, listeners, lost connections, and probes.

use std::sync::Arc;
use std::time::Duration;

use super::harness::{FakePeer, LoopHarness};
use crate::close_reason::CloseReason;
use crate::limits::Settings;
use crate::os::mailbox::Mail;
use crate::os::system::Event;
use crate::protocol::text::Text;
use crate::protocol::{Protocol, echo};
use crate::server::config::Config;

const SECOND: Duration = Duration::from_secs(1);

fn full(connections_max: usize, rejected_max: usize) -> LoopHarness {
    LoopHarness::new(Text::new(), Settings { connections_max, rejected_max, ..Settings::default() })
}

/// The first listener speaks `text`, the second one `echo`.
fn two_listeners() -> LoopHarness {
    let protocols: Vec<Arc<dyn Protocol>> = vec![Arc::new(Text::new()), Arc::new(echo::protocol())];
    LoopHarness::with_listeners(protocols, Settings::default())
}

fn answer(harness: &mut LoopHarness, peer: &FakePeer) -> String {
    peer.take_sent();
    peer.send(b"ECHO a\n");
    harness.run_until_idle();
    peer.take_sent()
}

#[test]
fn rejected_connections_linger_up_to_a_limit_others_close() {
    let mut harness = full(1, 2);
    let first = harness.peer();
    let rejected: Vec<FakePeer> = (0..3).map(|_| harness.queue_peer()).collect();
    harness.run_until_idle();
    assert!(
        rejected.iter().all(|peer| peer.take_sent() == "ERROR SERVER_BUSY\n"),
        "all get the error"
    );
    assert_eq!(rejected.iter().map(FakePeer::is_closed).collect::<Vec<_>>(), [false, false, true]);
    rejected[0].send_and_end(b"");
    harness.run_until_idle();
    let next = harness.queue_peer();
    harness.run_until_idle();
    assert!(!next.is_closed(), "the closed connection has made room for another one that lingers");
    assert_eq!(answer(&mut harness, &first), "ECHO a\n");
    assert_eq!(harness.event_loop.shared.status.total().closed_for(CloseReason::ServerBusy), 2);
}

#[test]
fn connections_are_served_exactly_up_to_the_limit() {
    let mut harness = full(3, 8);
    let peers: Vec<FakePeer> = (0..4).map(|_| harness.queue_peer()).collect();
    harness.run_until_idle();
    let welcomed: Vec<bool> =
        peers.iter().map(|peer| peer.take_sent().starts_with("WELCOME")).collect();
    assert_eq!(welcomed, [true, true, true, false]);
}

#[test]
fn each_listener_serves_its_own_protocol() {
    let mut harness = two_listeners();
    for (listener, expected) in
        [(1, "Server received: ECHO a\n"), (0, "ECHO a\n"), (1, "Server received: ECHO a\n")]
    {
        let peer = harness.queue_peer_at(listener);
        harness.run_until_idle();
        assert_eq!(answer(&mut harness, &peer), expected);
    }
}

#[test]
fn all_listeners_accept_in_a_round_and_none_during_a_pause() {
    let mut harness = two_listeners();
    let peers = [0, 1].map(|listener| harness.queue_peer_at(listener));
    harness.event_loop.round().expect("a round");
    assert!(peers.iter().all(|peer| peer.token().is_some()));
    for listener in [0, 1] {
        harness.fail_accept_at(listener, libc::EMFILE);
        harness.event(Event::Listener(listener));
    }
    harness.event_loop.round().expect("a round");
    assert_eq!(harness.event_loop.shared.status.accept_pauses, 1);
}

#[test]
fn a_failing_listener_does_not_block_the_others() {
    let mut harness = two_listeners();
    (0..40).for_each(|_| harness.fail_accept(libc::EMFILE));
    let (first, second) = (harness.queue_peer_at(0), harness.queue_peer_at(1));
    // The two listeners take turns in beginning a round.
    harness.run_for(Duration::from_millis(100));
    assert_eq!(answer(&mut harness, &second), "Server received: ECHO a\n");
    assert!(first.token().is_none(), "its listener still fails");
    harness.run_for(60 * SECOND);
    assert_eq!(answer(&mut harness, &first), "ECHO a\n");
    assert_eq!(harness.event_loop.shared.status.accept_pauses, 40);
}

#[test]
fn a_stop_accepts_a_full_queue_but_not_an_endless_flood() {
    let mut harness = LoopHarness::new(Text::new(), Config { backlog: 64, ..Config::default() });
    let flood: Vec<FakePeer> = (0..900).map(|_| harness.queue_peer()).collect();
    harness.event(Event::Mail(Mail::Stop));
    harness.event_loop.round().expect("a round");
    let accepted = flood.iter().filter(|peer| peer.token().is_some()).count();
    assert!((64..=160).contains(&accepted), "{accepted} of 900 with a queue of 64");
}

#[test]
fn connections_lost_before_accept_are_counted() {
    let mut harness = full(1000, 8);
    (0..3).for_each(|_| harness.fail_accept(libc::ECONNABORTED));
    let peer = harness.peer();
    assert_eq!(harness.event_loop.shared.status.accepts_lost, 3);
    assert_eq!(answer(&mut harness, &peer), "ECHO a\n");
}

#[test]
fn a_connection_without_a_byte_is_a_probe_within_one_second() {
    let mut harness = full(1000, 8);
    for (silence, probes) in [(SECOND - Duration::from_millis(1), 1), (SECOND, 1), (2 * SECOND, 1)]
    {
        let peer = harness.peer();
        harness.run_for(silence);
        peer.send_and_end(b"");
        harness.run_until_idle();
        assert!(peer.is_closed());
        assert_eq!(harness.event_loop.shared.status.total().probes, probes, "after {silence:?}");
    }
    let client = harness.peer();
    client.send_and_end(b"\n");
    harness.run_until_idle();
    assert_eq!(harness.event_loop.shared.status.total().probes, 1, "a byte makes it a client");
}
