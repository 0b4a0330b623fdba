//! Who is let in, at which listener, and what is remembered of those who say nothing.

use std::sync::Arc;
use std::time::Duration;

use super::config::Config;
use super::scripted::{Peer, Stage};
use crate::close_reason::CloseReason;
use crate::os::mailbox::Mail;
use crate::os::system::Event;
use crate::protocol::text::Text;
use crate::protocol::{Protocol, echo};

const SECOND: Duration = Duration::from_secs(1);

fn full(connections_max: usize, rejected_max: usize) -> Stage {
    Stage::new(Text::new(), &Config { connections_max, rejected_max, ..Config::default() })
}

/// The first listener speaks `text`, the second one `echo`.
fn two_listeners() -> Stage {
    let protocols: Vec<Arc<dyn Protocol>> = vec![Arc::new(Text::new()), Arc::new(echo::protocol())];
    Stage::with_listeners(protocols, &Config::default())
}

fn answer(stage: &mut Stage, peer: &Peer) -> String {
    peer.take_sent();
    peer.send(b"ECHO a\n");
    stage.settle();
    peer.take_sent()
}

#[test]
fn those_who_are_turned_away_linger_up_to_a_number_and_further_ones_are_closed_at_once() {
    let mut stage = full(1, 2);
    let first = stage.peer();
    let rejected: Vec<Peer> = (0..3).map(|_| stage.queue_peer()).collect();
    stage.settle();
    assert!(rejected.iter().all(|peer| peer.take_sent() == "ERROR SERVER_BUSY\n"), "all are told");
    assert_eq!(rejected.iter().map(Peer::is_closed).collect::<Vec<_>>(), [false, false, true]);
    rejected[0].send_and_end(b"");
    stage.settle();
    let next = stage.queue_peer();
    stage.settle();
    assert!(!next.is_closed(), "who left has made room for another one that lingers");
    assert_eq!(answer(&mut stage, &first), "ECHO a\n");
    assert_eq!(stage.event_loop.shared.status.total().closed_for(CloseReason::ServerBusy), 2);
}

#[test]
fn as_many_connections_as_may_be_are_served_and_not_one_more() {
    let mut stage = full(3, 8);
    let peers: Vec<Peer> = (0..4).map(|_| stage.queue_peer()).collect();
    stage.settle();
    let welcomed: Vec<bool> =
        peers.iter().map(|peer| peer.take_sent().starts_with("WELCOME")).collect();
    assert_eq!(welcomed, [true, true, true, false]);
}

#[test]
fn each_listener_serves_its_own_protocol_though_another_one_is_silent() {
    let mut stage = two_listeners();
    for (listener, expected) in
        [(1, "Server received: ECHO a\n"), (0, "ECHO a\n"), (1, "Server received: ECHO a\n")]
    {
        let peer = stage.queue_peer_at(listener);
        stage.settle();
        assert_eq!(answer(&mut stage, &peer), expected);
    }
}

#[test]
fn every_listener_is_asked_in_a_round_and_none_once_accepting_is_paused() {
    let mut stage = two_listeners();
    let peers = [0, 1].map(|listener| stage.queue_peer_at(listener));
    stage.event_loop.round().expect("a round");
    assert!(peers.iter().all(|peer| peer.token().is_some()));
    for listener in [0, 1] {
        stage.fail_accept_at(listener, libc::EMFILE);
        stage.event(Event::Listener(listener));
    }
    stage.event_loop.round().expect("a round");
    assert_eq!(stage.event_loop.shared.status.accept_pauses, 1);
}

#[test]
fn a_listener_without_descriptors_does_not_keep_the_others_from_their_turn() {
    let mut stage = two_listeners();
    (0..40).for_each(|_| stage.fail_accept(libc::EMFILE));
    let (first, second) = (stage.queue_peer_at(0), stage.queue_peer_at(1));
    // Whoever begins, the second round begins with the other one.
    stage.pass(Duration::from_millis(100));
    assert_eq!(answer(&mut stage, &second), "Server received: ECHO a\n");
    assert!(first.token().is_none(), "its listener still fails");
    stage.pass(60 * SECOND);
    assert_eq!(answer(&mut stage, &first), "ECHO a\n");
    assert_eq!(stage.event_loop.shared.status.accept_pauses, 40);
}

#[test]
fn a_stop_accepts_what_the_kernel_may_have_queued_and_not_a_flood_without_end() {
    let mut stage = Stage::new(Text::new(), &Config { backlog: 64, ..Config::default() });
    let flood: Vec<Peer> = (0..900).map(|_| stage.queue_peer()).collect();
    stage.event(Event::Mail(Mail::Stop));
    stage.event_loop.round().expect("a round");
    let accepted = flood.iter().filter(|peer| peer.token().is_some()).count();
    assert!((64..=160).contains(&accepted), "{accepted} of 900 with a queue of 64");
}

#[test]
fn every_connection_that_is_lost_before_it_is_accepted_is_counted() {
    let mut stage = full(1000, 8);
    (0..3).for_each(|_| stage.fail_accept(libc::ECONNABORTED));
    let peer = stage.peer();
    assert_eq!(stage.event_loop.shared.status.accepts_lost, 3);
    assert_eq!(answer(&mut stage, &peer), "ECHO a\n");
}

#[test]
fn who_leaves_without_a_word_within_a_second_was_a_probe_and_later_was_a_client() {
    let mut stage = full(1000, 8);
    for (silence, probes) in [(SECOND - Duration::from_millis(1), 1), (SECOND, 1), (2 * SECOND, 1)]
    {
        let peer = stage.peer();
        stage.pass(silence);
        peer.send_and_end(b"");
        stage.settle();
        assert!(peer.is_closed());
        assert_eq!(stage.event_loop.shared.status.total().probes, probes, "after {silence:?}");
    }
    let speaker = stage.peer();
    speaker.send_and_end(b"\n");
    stage.settle();
    assert_eq!(stage.event_loop.shared.status.total().probes, 1, "a byte is a word");
}
