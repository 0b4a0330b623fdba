//! Tests of fairness: how many turns of other connections come between a request and its answer,
//! and how many bytes such a turn reads.

use std::sync::Arc;

use super::*;

const FLOODERS: usize = 16;
const POLITE_PEERS: usize = 50;
const ROUNDS: usize = 6;

/// The received bytes that wait for each flooder when a round begins: more than a turn may read.
const WAITING_BYTES: usize = 4 * BLOCK_LEN;

/// The most bytes that a turn reads: the last read may exceed the budget by a block.
const TURN_READ_BYTES_MAX: usize = TURN_BYTES_MAX + BLOCK_LEN;

const REQUEST: &[u8] = b"ECHO polite\n";

/// Peers of the second listener that send one message again and again and read all answers.
struct Flood {
    peers: Vec<FakePeer>,
    message: Vec<u8>,
}

impl Flood {
    /// A loop with a listener of `text` and one of `protocol`, and the flood of the second one.
    fn beside_text(
        protocol: impl Protocol + 'static,
        message: &[u8],
        flooders: usize,
    ) -> (LoopHarness, Self) {
        let protocols: Vec<Arc<dyn Protocol>> = vec![Arc::new(Text::new()), Arc::new(protocol)];
        let mut harness = LoopHarness::with_listeners(protocols, Settings::default());
        let peers = (0..flooders).map(|_| harness.queue_peer_at(1)).collect();
        harness.run_until_idle();
        (harness, Self { peers, message: message.to_vec() })
    }

    /// Runs a round in which each flooder has [`WAITING_BYTES`]. Returns the number of bytes that
    /// the server has read from each of them.
    fn run_round(&self, harness: &mut LoopHarness) -> Vec<usize> {
        for peer in &self.peers {
            peer.link.borrow_mut().sent.clear();
            let missing = WAITING_BYTES.saturating_sub(peer.link.borrow().inbound_len());
            peer.send(&self.message.repeat(missing / self.message.len() + 1));
        }
        let waiting = |peer: &FakePeer| peer.link.borrow().inbound_len();
        let before: Vec<usize> = self.peers.iter().map(waiting).collect();
        harness.event_loop.round().expect("a round");
        self.peers.iter().zip(before).map(|(peer, before)| before - waiting(peer)).collect()
    }

    /// Runs rounds as above until the server has classified each flooder by its turns.
    fn begin(&self, harness: &mut LoopHarness) {
        for _ in 0..FLOODERS / 2 {
            harness.move_clock(SECOND);
            self.run_round(harness);
        }
    }
}

/// Each turn of a flood reads a bounded number of bytes, and each flooder has its turn.
fn check_turns(protocol: impl Protocol + 'static, message: &[u8]) {
    let (mut harness, flood) = Flood::beside_text(protocol, message, 2);
    let mut read_bytes = [0; 2];
    for _ in 0..ROUNDS {
        // Without an interactive client a turn has its largest budget.
        harness.move_clock(SECOND);
        for (sum, bytes) in read_bytes.iter_mut().zip(flood.run_round(&mut harness)) {
            assert!(bytes <= TURN_READ_BYTES_MAX, "a turn has read {bytes} bytes");
            *sum += bytes;
        }
    }
    assert!(!read_bytes.contains(&0), "each flooder has a turn: {read_bytes:?}");
}

#[test]
fn a_turn_of_a_flood_of_lines_is_bounded() {
    check_turns(Text::new(), b"ECHO flood\n");
}

#[test]
fn a_turn_of_a_flood_of_empty_lines_is_bounded() {
    check_turns(Text::new(), b"\n");
}

#[test]
fn a_turn_of_a_flood_of_frames_is_bounded() {
    check_turns(Binary::new(), b"\x01\0\0\0\x05flood");
}

#[test]
fn a_turn_of_a_flood_of_empty_frames_is_bounded() {
    check_turns(Binary::new(), b"\x01\0\0\0\0");
}

#[test]
fn a_turn_of_a_line_that_never_ends_is_bounded() {
    check_turns(echo::protocol(), b"A");
}

fn transfers() -> (LoopHarness, Flood) {
    Flood::beside_text(Binary::new(), b"\x01\0\0\0\x05flood", FLOODERS)
}

#[test]
fn a_request_waits_for_one_turn_of_a_flood() {
    let (mut harness, flood) = transfers();
    let polite = harness.peer();
    flood.begin(&mut harness);
    for _ in 0..ROUNDS {
        harness.move_clock(SECOND);
        polite.send(REQUEST);
        let mut turns = 0;
        while polite.take_sent().is_empty() {
            turns += flood.run_round(&mut harness).iter().filter(|bytes| **bytes > 0).count();
            assert!(turns <= 1, "{turns} turns of the flood before the answer");
        }
    }
}

#[test]
fn fifty_requests_wait_for_one_turn_of_a_flood_in_nine() {
    // Eight requests are answered for each turn of the flood, and a turn may be under way.
    const TURNS_MAX: usize = POLITE_PEERS / 8 + 1;
    let (mut harness, flood) = transfers();
    let polite: Vec<FakePeer> = (0..POLITE_PEERS).map(|_| harness.peer()).collect();
    flood.begin(&mut harness);
    for _ in 0..ROUNDS {
        polite.iter().for_each(|peer| peer.send(REQUEST));
        let (mut turns, mut answered) = (0, 0);
        while answered < POLITE_PEERS {
            turns += flood.run_round(&mut harness).iter().filter(|bytes| **bytes > 0).count();
            answered += polite.iter().filter(|peer| !peer.take_sent().is_empty()).count();
            assert!(turns <= TURNS_MAX, "{turns} turns of the flood, {answered} answers");
        }
    }
}

#[test]
fn a_transfer_has_its_turn_beside_requests_without_end() {
    // More requests than a round answers.
    const PEERS: usize = 200;
    let (mut harness, flood) = transfers();
    let polite: Vec<FakePeer> = (0..PEERS).map(|_| harness.peer()).collect();
    flood.begin(&mut harness);
    polite.iter().for_each(|peer| peer.send(REQUEST));
    for round in 0..ROUNDS {
        let read_bytes: usize = flood.run_round(&mut harness).iter().sum();
        assert!(read_bytes > 0, "no turn of a transfer in round {round}");
        for peer in &polite {
            if !peer.take_sent().is_empty() {
                peer.send(REQUEST);
            }
        }
    }
}
