//! Property tests of the event loop: under each random schedule of the network, each peer gets the
//! answers to its own messages, complete and in order.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::harness::{FakePeer, LoopHarness};
use crate::limits::{LINGER_TIMEOUT, Limits, Settings, Timeouts};
use crate::os::mailbox::Mail;
use crate::os::system::{Event, Readiness};
use crate::protocol::Protocol;
use crate::protocol::binary::Binary;
use crate::protocol::echo;
use crate::protocol::text::Text;
use crate::wire::frame::Header;

const PEERS: usize = 3;

/// One action of a schedule. Lengths are small and large, because defects are likely near the
/// high-water mark and the low-water mark.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// A peer sends the next bytes of its script.
    Send(usize, usize),
    /// A peer has room for this number of bytes from now on.
    Read(usize, usize),
    /// The poller reports a readiness that may be wrong.
    Spurious(usize, Readiness),
    /// The loop runs one round.
    Round,
    /// The loop runs until it is idle.
    Settle,
    /// Time passes.
    Pass(Duration),
    /// Another peer connects and closes without sending a byte.
    Probe,
}

fn len() -> impl Strategy<Value = usize> {
    prop_oneof![0usize..20, 0usize..5000, 0usize..300_000]
}

fn act() -> impl Strategy<Value = Act> {
    let readiness = (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(readable, writable, read_to_end)| Readiness { readable, writable, read_to_end },
    );
    prop_oneof![
        4 => (0..PEERS, len()).prop_map(|(peer, len)| Act::Send(peer, len)),
        3 => (0..PEERS, len()).prop_map(|(peer, len)| Act::Read(peer, len)),
        1 => (0..PEERS, readiness).prop_map(|(peer, readiness)| Act::Spurious(peer, readiness)),
        3 => Just(Act::Round),
        1 => Just(Act::Settle),
        1 => (0u64..1 << 15).prop_map(|ms| Act::Pass(Duration::from_millis(ms))),
        1 => Just(Act::Probe),
    ]
}

/// Runs `acts` with one peer for each of `scripts`, and calls `check` after each act. Returns the
/// peers and the unsent rests of their scripts.
fn play<'a>(
    harness: &mut LoopHarness,
    scripts: &'a [Vec<u8>],
    acts: &[Act],
    mut check: impl FnMut(&mut LoopHarness),
) -> Vec<(FakePeer, &'a [u8])> {
    let mut peers: Vec<(FakePeer, &[u8])> =
        scripts.iter().map(|script| (harness.peer(), script.as_slice())).collect();
    for act in acts {
        match *act {
            Act::Send(peer, len) => {
                let (peer, unsent) = &mut peers[peer];
                let (now, later) = unsent.split_at(len.min(unsent.len()));
                *unsent = later;
                peer.send(now);
            }
            Act::Read(peer, len) => peers[peer].0.set_room(len),
            Act::Spurious(peer, readiness) => {
                let token = peers[peer].0.token().expect("registered");
                harness.event(Event::Connection(token, readiness));
            }
            Act::Round => harness.event_loop.round().expect("a round"),
            Act::Settle => harness.run_until_idle(),
            Act::Pass(time) => harness.run_for(time),
            Act::Probe => harness.queue_peer().send_and_end(b""),
        }
        check(harness);
    }
    peers
}

/// Lets the peers send and read everything and close.
fn end(harness: &mut LoopHarness, peers: &[(FakePeer, &[u8])]) {
    for (peer, unsent) in peers {
        peer.set_room(usize::MAX);
        peer.send_and_end(unsent);
    }
    harness.run_until_idle();
    assert!(peers.iter().all(|(peer, _)| peer.is_closed()), "an end of input was not noticed");
    harness.run_for(LINGER_TIMEOUT);
    assert_all_gone(harness);
}

fn assert_all_gone(harness: &LoopHarness) {
    let counters = &harness.event_loop.shared.status.total();
    assert_eq!(
        (harness.event_loop.inspect().connections.len(), counters.accepted),
        (0, counters.closed_in_all())
    );
    assert_eq!(harness.event_loop.shared.pool.lent_bytes(), 0);
}

/// A loop without timeouts for slow peers.
fn patient(protocol: impl Protocol + 'static, limits: Limits) -> LoopHarness {
    let timeouts = Timeouts { idle: None, message: None, write: None, ..Timeouts::default() };
    LoopHarness::new(protocol, Settings { timeouts, limits, ..Settings::default() })
}

/// Asserts that each peer gets its own messages back, from a protocol that answers each message
/// with the message itself.
fn assert_come_back(protocol: impl Protocol + 'static, scripts: &[Vec<u8>], acts: &[Act]) {
    let mut harness = patient(protocol, Limits::default());
    let peers = play(&mut harness, scripts, acts, |_| {});
    end(&mut harness, &peers);
    for ((peer, _), script) in peers.iter().zip(scripts) {
        assert!(peer.link.borrow().sent == *script, "a wrong or missing answer");
    }
}

/// Asserts that peers that do nothing more are closed when all timeouts have passed.
fn assert_stalled_are_freed(protocol: impl Protocol + 'static, scripts: &[Vec<u8>], acts: &[Act]) {
    let mut harness = LoopHarness::new(protocol, Settings::default());
    play(&mut harness, scripts, acts, |_| {});
    let Timeouts { idle, message, write, quiet, .. } = Timeouts::default();
    harness.run_for(
        [idle, message, write, quiet].into_iter().flatten().sum::<Duration>() + LINGER_TIMEOUT,
    );
    assert_all_gone(&harness);
}

/// Returns the script of each peer: a message of each length in `lens`.
fn scripts(message: impl Fn(usize, usize) -> Vec<u8>, lens: &[Vec<usize>]) -> Vec<Vec<u8>> {
    let script = |(peer, lens): (usize, &Vec<usize>)| {
        lens.iter().flat_map(|len| message(peer, *len)).collect()
    };
    lens.iter().enumerate().map(script).collect()
}

fn line(peer: usize, len: usize) -> Vec<u8> {
    format!("ECHO {}\n", "abc"[peer..=peer].repeat(len % 60_000 + 1)).into_bytes()
}

fn frame(peer: usize, len: usize) -> Vec<u8> {
    let header = Header { code: 1, payload_len: u32::try_from(len).expect("short") };
    [&header.encode()[..], &vec![b'a' + peer as u8; len]].concat()
}

fn lens() -> impl Strategy<Value = Vec<Vec<usize>>> {
    vec(vec(len(), 0..12), PEERS)
}

proptest! {
    // Each case moves megabytes.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lines_come_back(lens in lens(), acts in vec(act(), 0..60)) {
        assert_come_back(Text::new(), &scripts(line, &lens), &acts);
    }

    #[test]
    fn frames_come_back(lens in lens(), acts in vec(act(), 0..60)) {
        assert_come_back(Binary::new(), &scripts(frame, &lens), &acts);
    }

    #[test]
    fn the_memory_limit_holds_after_each_turn(lens in lens(), acts in vec(act(), 0..60)) {
        let limits = Limits { memory_bytes_max: Limits::MEMORY_BYTES_MIN, ..Limits::default() };
        let (mut harness, scripts) = (patient(Binary::new(), limits), scripts(frame, &lens));
        let peers = play(&mut harness, &scripts, &acts, |harness| {
            assert!(harness.event_loop.shared.pool.lent_bytes() <= Limits::MEMORY_BYTES_MIN);
        });
        end(&mut harness, &peers);
    }

    #[test]
    fn a_polite_peer_is_served_beside_peers_that_fill_the_memory(
        lens in lens(),
        acts in vec(act(), 0..60),
    ) {
        let limits = Limits { memory_bytes_max: Limits::MEMORY_BYTES_MIN, ..Limits::default() };
        let (mut harness, scripts) = (patient(Binary::new(), limits), scripts(frame, &lens));
        let polite = harness.peer();
        play(&mut harness, &scripts, &acts, |harness| {
            polite.send(&frame(0, 5));
            harness.run_until_idle();
            assert_eq!(std::mem::take(&mut polite.link.borrow_mut().sent), frame(0, 5));
        });
    }

    #[test]
    fn a_stop_answers_all_that_had_arrived_and_sends_the_farewell(
        lens in lens(),
        acts in vec(act(), 0..60),
    ) {
        let mut harness = patient(Text::new(), Limits::default());
        let scripts = scripts(line, &lens);
        let peers = play(&mut harness, &scripts, &acts, |_| {});
        peers.iter().for_each(|(peer, _)| peer.set_room(usize::MAX));
        harness.event(Event::Mail(Mail::Stop));
        harness.run_until_idle();
        for ((peer, unsent), script) in peers.iter().zip(&scripts) {
            let arrived = script.strip_suffix(*unsent).expect("sent from its front");
            let last_end = arrived.iter().rposition(|byte| *byte == b'\n');
            let answered = last_end.map_or(0, |newline| newline + 1);
            let expected = [&arrived[..answered], b"BYE\n"].concat();
            prop_assert!(peer.link.borrow().sent == expected, "a wrong, missing or cut answer");
            prop_assert!(peer.link.borrow().sent_end);
        }
        harness.run_for(LINGER_TIMEOUT);
        prop_assert!(harness.event_loop.is_over());
    }

    #[test]
    fn a_stalled_connection_is_closed_by_a_deadline(lens in lens(), acts in vec(act(), 0..60)) {
        assert_stalled_are_freed(Text::new(), &scripts(line, &lens), &acts);
        assert_stalled_are_freed(Binary::new(), &scripts(frame, &lens), &acts);
        assert_stalled_are_freed(echo::protocol(), &scripts(line, &lens), &acts);
    }
}
