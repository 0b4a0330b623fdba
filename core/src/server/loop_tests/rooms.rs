//! Tests of rooms: how many turns and sends a message costs, how long others wait, and what slow
//! members hold.

use std::sync::Arc;

use super::super::turn_budget::TOLD_MAX;
use super::*;
use crate::limits::LOW_WATER_BYTES;

/// A loop with a listener for each protocol that has rooms, without a limit on the rate.
fn rooms_with(limits: Limits) -> LoopHarness {
    let limits = limits.with_say_rate_max(None);
    let settings = Settings { connections_max: 20_000, limits, ..Settings::default() };
    let protocols: Vec<Arc<dyn Protocol>> =
        vec![Arc::new(Text::new()), Arc::new(Binary::new()), Arc::new(chat::protocol())];
    LoopHarness::with_listeners(protocols, settings)
}

fn rooms() -> LoopHarness {
    rooms_with(Limits::default())
}

/// Connects members of a room in `text`.
fn members(harness: &mut LoopHarness, count: usize) -> Vec<FakePeer> {
    let peers: Vec<FakePeer> = (0..count).map(|_| harness.queue_peer()).collect();
    harness.run_until_idle();
    peers.iter().for_each(|peer| peer.send(b"JOIN tea\n"));
    harness.run_until_idle();
    peers.iter().for_each(|peer| drop(peer.take_sent()));
    peers
}

fn writes(peers: &[FakePeer]) -> usize {
    peers.iter().map(|peer| peer.link.borrow().writes).sum()
}

/// A burst of messages, each with its number.
fn burst(count: usize) -> String {
    (0..count).map(|number| format!("SAY {number}\n")).collect()
}

/// The lines of a burst of connection 1, as a member gets them.
fn told(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|number| format!("FROM guest-1 {number}\n")).collect()
}

#[test]
fn a_burst_of_100_messages_costs_1000_members_one_send_each() {
    let mut harness = rooms();
    let peers = members(&mut harness, 1001);
    let before = writes(&peers);
    peers[0].send(burst(100).as_bytes());
    harness.run_until_idle();
    assert!(writes(&peers) - before <= 1200, "{} sends", writes(&peers) - before);
    assert!(peers[1..].iter().all(|peer| peer.take_sent() == told(0..100)));
    assert_eq!(peers[0].take_sent(), "SAID 1000\n".repeat(100), "the sender has no echo");
    assert_eq!(harness.event_loop.shared.status.total().open(), 1001);
}

#[test]
fn a_portion_of_the_members_has_a_turn_in_a_round() {
    let mut harness = rooms();
    let peers = members(&mut harness, 10_000);
    peers[0].send(b"SAY hi\n");
    harness.event_loop.round().expect("a round");
    let mut rounds = 0;
    loop {
        let before = writes(&peers);
        let told = |peer: &FakePeer| peer.link.borrow().sent.ends_with(b"hi\n");
        if peers[1..].iter().all(told) {
            break;
        }
        harness.event_loop.round().expect("a round");
        rounds += 1;
        assert!(writes(&peers) - before <= TOLD_MAX, "a round reaches a portion");
    }
    assert!(rounds <= 10_000 / TOLD_MAX + 1, "{rounds} rounds");
}

#[test]
fn a_bystander_is_answered_in_its_round_while_members_are_told() {
    let mut harness = rooms();
    let bystander = harness.peer();
    let peers = members(&mut harness, 10_000);
    peers[0].send(b"SAY hi\n");
    harness.event_loop.round().expect("a round");
    for round in 0..100 {
        let before = writes(&peers);
        bystander.send(format!("ECHO {round}\n").as_bytes());
        harness.event_loop.round().expect("a round");
        assert_eq!(bystander.take_sent(), format!("ECHO {round}\n"));
        assert!(writes(&peers) - before <= TOLD_MAX);
    }
}

#[test]
fn a_bystander_waits_few_rounds_while_members_get_long_bursts() {
    let mut harness = rooms();
    let bystander = harness.peer();
    let peers = members(&mut harness, 1000);
    peers[0].send(format!("SAY {}\n", "x".repeat(1000)).repeat(100).as_bytes());
    let sent = || peers.iter().map(|peer| peer.link.borrow().sent.len()).sum::<usize>();
    for _ in 0..100 {
        let before = sent();
        bystander.send(b"ECHO x\n");
        for _ in 0..4 {
            harness.event_loop.round().expect("a round");
        }
        assert_eq!(bystander.take_sent(), "ECHO x\n");
        assert!(sent() - before <= 24 * LOW_WATER_BYTES, "{} bytes", sent() - before);
    }
}

#[test]
fn members_that_never_read_hold_the_ring_and_a_low_output_each() {
    let mut harness = rooms();
    let peers = members(&mut harness, 101);
    peers[1..].iter().for_each(|peer| peer.set_room(0));
    for _ in 0..100 {
        peers[0].send(format!("SAY {}\n", "x".repeat(4000)).repeat(25).as_bytes());
        harness.run_until_idle();
    }
    let held = harness.event_loop.shared.pool.lent_bytes();
    assert!(held <= 100 * LOW_WATER_BYTES, "{held} bytes");
    assert_eq!(peers[0].take_sent().len(), "SAID 100\n".len() * 2500);
}

#[test]
fn a_slow_member_is_told_how_many_messages_it_has_missed() {
    let mut harness = rooms_with(Limits::default().with_room_memory_bytes_max(20_000));
    let peers = members(&mut harness, 2);
    peers[1].set_room(0);
    for number in 0..100 {
        peers[0].send(format!("SAY {number} {}\n", "x".repeat(1000)).as_bytes());
        harness.run_until_idle();
    }
    peers[1].set_room(usize::MAX);
    harness.run_until_idle();
    let text = peers[1].take_sent();
    let mut next = 0;
    let mut gaps = 0;
    for line in text.lines() {
        if let Some(missed) = line.strip_prefix("MISSED ") {
            next += missed.parse::<usize>().expect("a number");
            gaps += 1;
        } else {
            assert!(line.starts_with(&format!("FROM guest-1 {next} ")), "{line}");
            next += 1;
        }
    }
    assert_eq!((next, gaps), (100, 1));
    assert!(harness.event_loop.shared.rooms.status().missed > 0);
}

#[test]
fn requests_of_a_slow_member_are_answered_while_others_chatter() {
    let mut harness = rooms();
    let peers = members(&mut harness, 2);
    peers[1].set_room(0);
    peers[0].send(format!("SAY {}\n", "x".repeat(1000)).repeat(50).as_bytes());
    harness.run_until_idle();
    peers[1].send(b"ECHO ha");
    harness.run_until_idle();
    peers[1].send(b"lf\nLEAVE\n");
    harness.run_until_idle();
    assert_eq!(peers[1].link.borrow().inbound_len(), 0, "its requests are read");
    peers[0].send(b"SAY anyone?\n");
    harness.run_until_idle();
    assert!(peers[0].take_sent().ends_with("SAID 0\n"), "it has left");
    peers[1].set_room(usize::MAX);
    harness.run_until_idle();
    assert!(peers[1].take_sent().ends_with("\nECHO half\nLEFT tea\n"));
}

#[test]
fn a_message_before_quit_is_delivered() {
    let mut harness = rooms();
    let peers = members(&mut harness, 2);
    peers[0].send(b"SAY bye\nQUIT\nSAY never\n");
    harness.run_until_idle();
    assert_eq!(peers[0].take_sent(), "SAID 1\nBYE\n");
    assert_eq!(peers[1].take_sent(), "FROM guest-1 bye\n");
    peers[1].send(b"WHO\n");
    harness.run_until_idle();
    assert_eq!(peers[1].take_sent(), "MEMBERS 1 guest-2\n", "a client that has quit is gone");
}

#[test]
fn members_leave_the_room_by_a_reset_a_close_or_an_end_of_input() {
    let mut harness = rooms();
    let peers = members(&mut harness, 4);
    peers[1].reset();
    peers[2].send_and_end(b"SAY bye\n");
    harness.run_until_idle();
    peers[0].send(b"WHO\n");
    harness.run_until_idle();
    assert_eq!(peers[0].take_sent(), "FROM guest-3 bye\nMEMBERS 2 guest-1 guest-4\n");
    [&peers[0], &peers[3]].into_iter().for_each(FakePeer::reset);
    harness.run_until_idle();
    let status = *harness.event_loop.shared.rooms.status();
    assert_eq!((status.rooms, status.members), (0, 0));
}

#[test]
fn a_room_goes_across_the_protocols() {
    let mut harness = rooms();
    let peers = [0, 1, 2].map(|listener| {
        let peer = harness.queue_peer_at(listener);
        harness.run_until_idle();
        peer
    });
    let joins: [&[u8]; 3] = [b"JOIN tea\n", b"\x10\0\0\0\x03tea", b"/join tea\r\n"];
    for (peer, join) in peers.iter().zip(joins) {
        peer.send(join);
        harness.run_until_idle();
        peer.take_sent();
    }
    peers[1].send(b"\x12\0\0\0\x02hi");
    harness.run_until_idle();
    assert_eq!(peers[0].take_sent(), "FROM guest-2 hi\n");
    assert_eq!(peers[2].take_sent(), "guest-2: hi\r\n");
    peers[2].send(b"/say ho\r\n");
    harness.run_until_idle();
    assert_eq!(peers[1].take_sent(), "\x12\0\0\0\x012\x13\0\0\0\nguest-3 ho");
}

#[test]
fn a_member_without_news_is_closed_at_the_idle_timeout() {
    let mut harness = rooms();
    let peers = members(&mut harness, 2);
    let half = IDLE / 2 + SECOND;
    harness.run_for(half);
    peers[0].send(b"SAY hi\n");
    harness.run_for(half);
    assert!(!peers[1].is_closed(), "a message that is sent is traffic");
    harness.run_for(half);
    assert!(peers[1].take_sent().ends_with("FROM guest-1 hi\nERROR IDLE_TIMEOUT\n"));
}

#[test]
fn a_member_that_takes_no_message_is_reset_at_the_write_timeout() {
    let mut harness = rooms();
    let peers = members(&mut harness, 2);
    peers[1].set_room(0);
    peers[0].send(b"SAY hi\n");
    harness.run_for(WRITE + SECOND);
    assert!(peers[1].link.borrow().was_reset);
    peers[0].send(b"WHO\n");
    harness.run_until_idle();
    assert!(peers[0].take_sent().ends_with("MEMBERS 1 guest-1\n"));
}

#[test]
fn an_eviction_does_not_close_a_member_that_reads() {
    let limits = Limits::default().with_memory_bytes_max(Limits::MEMORY_BYTES_MIN);
    let mut harness = rooms_with(limits);
    let peers = members(&mut harness, 200);
    peers[1..150].iter().for_each(|peer| peer.set_room(0));
    for _ in 0..10 {
        peers[0].send(format!("SAY {}\n", "x".repeat(4000)).repeat(5).as_bytes());
        harness.run_until_idle();
    }
    assert!(closed_for(&harness, CloseReason::MemoryLimit) > 0, "members that do not read go");
    assert!(peers[150..].iter().all(|peer| !peer.is_closed()));
}

#[test]
fn a_reload_changes_the_rate_of_members() {
    let mut harness = rooms();
    let peers = members(&mut harness, 2);
    let mut settings = Settings::default();
    settings.limits = settings.limits.with_say_rate_max(Some(1));
    harness.event(Event::Mail(Mail::Reload(Box::new(settings))));
    peers[0].send(b"SAY one\nSAY two\n");
    harness.run_until_idle();
    assert_eq!(peers[0].take_sent(), "SAID 1\nERROR TOO_FAST\n");
    harness.run_for(SECOND);
    peers[0].send(b"SAY three\n");
    harness.run_until_idle();
    assert_eq!(peers[0].take_sent(), "SAID 1\n");
}

#[test]
fn rooms_and_members_over_the_limits_are_counted() {
    let limits = Limits::default().with_rooms_max(1).with_room_members_max(2);
    let mut harness = rooms_with(limits);
    let peers = members(&mut harness, 3);
    peers[2].send(b"JOIN tea\nJOIN coffee\nJOIN coffee\nJOIN x y\n");
    peers[1].send(b"JOIN tea\n");
    harness.run_until_idle();
    assert_eq!(peers[1].take_sent(), "JOINED tea\n", "a member stays where it is");
    harness.event_loop.round().expect("a round");
    let rooms = harness.event_loop.shared.status.rooms;
    assert_eq!((rooms.rooms_refused, rooms.members_refused), (2, 2));
}
