//! One input, cut in every way in which a network can deliver it, and the complete reply.

use super::clock::cover_local_times;
use super::peer::{Peer, difference, shown};
use super::server::Server;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::cell::RefCell;
use std::fmt::{self, Debug};

/// The seed of the random cases of every test. It is printed with each failure.
const SEED: u64 = 0x7469_6e79_7463_7001;

/// A dialogue in one protocol with one server. Each input has a new connection.
pub struct Dialogue<'a> {
    server: &'a Server,
    protocol: &'static str,
    /// A second connection. The server has one thread and is fair: when it has answered here, it
    /// has read what arrived on the first connection before. So pieces arrive separately without a
    /// sleep.
    bystander: RefCell<Peer>,
}

impl<'a> Dialogue<'a> {
    pub fn new(server: &'a Server, protocol: &'static str) -> Self {
        Self { server, protocol, bystander: RefCell::new(server.text()) }
    }

    /// Returns the complete reply to `pieces`, which arrive one after the other, and to the end of
    /// input after them.
    #[track_caller]
    pub fn answer_to(&self, pieces: &[&[u8]]) -> Vec<u8> {
        let mut peer = self.server.connect(self.protocol);
        for (index, piece) in pieces.iter().enumerate() {
            if index > 0 {
                self.settle();
            }
            peer.send(piece);
        }
        peer.half_close();
        cover_local_times(&peer.read_to_end())
    }

    /// Checks that `input` has the reply `expected` and then the server's end: whole, byte by byte,
    /// and cut in two at every place.
    #[track_caller]
    pub fn check_every_way(&self, input: &[u8], expected: &[u8]) {
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        let halves = (1..input.len()).map(|middle| vec![&input[..middle], &input[middle..]]);
        for pieces in [vec![input], bytes].into_iter().chain(halves) {
            let got = self.answer_to(&pieces);
            let cuts: Vec<String> = pieces.iter().map(|piece| shown(piece)).collect();
            assert!(
                got == expected,
                "{} in {cuts:?}: {}",
                self.protocol,
                difference(&got, expected)
            );
        }
    }

    /// Checks inputs drawn from `inputs`, each cut at random, against `oracle`, and prints the
    /// smallest one that fails.
    #[track_caller]
    pub fn check_at_random(
        &self,
        cases: u32,
        inputs: impl Strategy<Value = Stream>,
        oracle: impl Fn(&[u8]) -> Vec<u8>,
    ) {
        let config =
            Config { cases, failure_persistence: None, max_shrink_iters: 400, ..Config::default() };
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&SEED.to_le_bytes());
        let mut runner =
            TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
        let outcome = runner.run(&inputs, |stream| {
            let got = self.answer_to(&stream.pieces());
            let expected = oracle(&stream.input);
            match got == expected {
                true => Ok(()),
                false => Err(TestCaseError::fail(difference(&got, &expected))),
            }
        });
        if let Err(failure) = outcome {
            panic!("{} with seed {SEED:#x}: {failure}", self.protocol);
        }
    }

    /// Returns when the server has read everything that was sent before.
    fn settle(&self) {
        let mut bystander = self.bystander.borrow_mut();
        // The shortest request with an answer, because it must fit the smallest line limit of a
        // test.
        bystander.send("HELP\n");
        assert!(bystander.read_line().starts_with("HELP COMMANDS: "));
    }
}

/// An input and its cuts.
pub struct Stream {
    pub input: Vec<u8>,
    cuts: Vec<usize>,
}

impl Stream {
    /// Draws inputs from `inputs`, each with a few cuts.
    pub fn cut_at_random(inputs: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Self> {
        let cuts = proptest::collection::vec(any::<usize>(), 0..5);
        (inputs, cuts).prop_map(|(input, cuts)| Self { input, cuts })
    }

    /// Returns the input in pieces. A cut is taken modulo the length, so that any number is valid.
    fn pieces(&self) -> Vec<&[u8]> {
        let len = self.input.len();
        let mut places: Vec<usize> =
            self.cuts.iter().map(|cut| cut % (len + 1)).chain([0, len]).collect();
        places.sort_unstable();
        places.dedup();
        places.windows(2).map(|ends| &self.input[ends[0]..ends[1]]).collect()
    }
}

impl Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pieces: Vec<String> = self.pieces().into_iter().map(shown).collect();
        write!(f, "{}", pieces.join(" | "))
    }
}
