//! The loop under random schedules: whatever the network does, each peer gets the answers to its own messages, in order
//! and in whole.

use proptest::collection::vec;
use proptest::prelude::*;

use super::config::Config;
use super::scripted::{Peer, Stage};
use crate::base::limits::{LINGER_TIMEOUT, Limits, Timeouts};
use crate::base::system::{Event, Readiness};
use crate::protocol::Protocol;
use crate::protocol::binary::Binary;
use crate::protocol::text::Text;
use crate::wire::frame::Header;

const PEERS: usize = 3;

/// One thing that happens. Lengths are small and large, because what breaks at a mark breaks near it.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// A peer sends so many bytes more of what it has to send.
    Send(usize, usize),
    /// A peer takes so many bytes from now on.
    Take(usize, usize),
    /// The poller says something that need not be so.
    Spurious(usize, Readiness),
    /// The loop has a turn, or as many as it likes.
    Turn,
    Settle,
    /// A peer comes and another one leaves without a word.
    Strangers,
}

fn len() -> impl Strategy<Value = usize> {
    prop_oneof![0usize..20, 0usize..5000, 0usize..300_000]
}

fn act() -> impl Strategy<Value = Act> {
    let readiness = (any::<bool>(), any::<bool>(), any::<bool>())
        .prop_map(|(readable, writable, read_to_end)| Readiness { readable, writable, read_to_end });
    prop_oneof![
        4 => (0..PEERS, len()).prop_map(|(peer, len)| Act::Send(peer, len)),
        3 => (0..PEERS, len()).prop_map(|(peer, len)| Act::Take(peer, len)),
        1 => (0..PEERS, readiness).prop_map(|(peer, readiness)| Act::Spurious(peer, readiness)),
        3 => Just(Act::Turn),
        1 => Just(Act::Settle),
        1 => Just(Act::Strangers),
    ]
}

/// Plays `acts` to peers that have `scripts` to send, holds `check` after each, and then has the peers take everything and
/// leave. Whatever happened, all of them are gone at the end, and all that they held is given back.
fn play(stage: &mut Stage, scripts: &[Vec<u8>], acts: &[Act], check: impl Fn(&Stage)) -> Vec<Peer> {
    let peers: Vec<Peer> = scripts.iter().map(|_| stage.peer()).collect();
    let mut unsent: Vec<&[u8]> = scripts.iter().map(Vec::as_slice).collect();
    for act in acts {
        match *act {
            Act::Send(peer, len) => {
                let (now, later) = unsent[peer].split_at(len.min(unsent[peer].len()));
                unsent[peer] = later;
                peers[peer].send(now);
            }
            Act::Take(peer, len) => peers[peer].set_room(len),
            Act::Spurious(peer, readiness) => {
                let token = peers[peer].token().expect("registered");
                stage.event(Event::Connection(token, readiness));
            }
            Act::Turn => stage.event_loop.turn().expect("a turn"),
            Act::Settle => stage.settle(),
            Act::Strangers => stage.queue_peer().send_and_end(b""),
        }
        check(stage);
    }
    for (peer, rest) in peers.iter().zip(unsent) {
        peer.set_room(usize::MAX);
        peer.send_and_end(rest);
    }
    stage.settle();
    assert!(peers.iter().all(Peer::is_closed), "the end of an input was not seen");
    stage.pass(LINGER_TIMEOUT);
    let counters = &stage.event_loop.counters;
    assert_eq!(counters.accepted, counters.closed_in_all());
    assert_eq!(stage.event_loop.shared.pool.lent_bytes(), 0);
    peers
}

/// A loop in which nobody is ever late.
fn stage(protocol: impl Protocol + 'static, limits: Limits) -> Stage {
    let timeouts = Timeouts { idle: None, message: None, write: None, ..Timeouts::default() };
    Stage::new(protocol, &Config { timeouts, limits, ..Config::default() })
}

/// Asserts that messages which are answered with themselves come back to those who sent them.
fn assert_come_back(protocol: impl Protocol + 'static, scripts: &[Vec<u8>], acts: &[Act]) {
    let peers = play(&mut stage(protocol, Limits::default()), scripts, acts, |_| {});
    for (peer, script) in peers.iter().zip(scripts) {
        assert!(peer.wire.borrow().sent == *script, "another answer, or none");
    }
}

/// What each peer has to send: a message of each length in `lens`.
fn scripts(message: impl Fn(usize, usize) -> Vec<u8>, lens: &[Vec<usize>]) -> Vec<Vec<u8>> {
    let script = |(peer, lens): (usize, &Vec<usize>)| lens.iter().flat_map(|len| message(peer, *len)).collect();
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
    fn no_turn_leaves_more_held_than_may_be(lens in lens(), acts in vec(act(), 0..60)) {
        let limits = Limits { memory_bytes_max: Limits::MEMORY_BYTES_MIN, ..Limits::default() };
        play(&mut stage(Binary::new(), limits), &scripts(frame, &lens), &acts, |stage| {
            assert!(stage.event_loop.shared.pool.lent_bytes() <= Limits::MEMORY_BYTES_MIN);
        });
    }
}
