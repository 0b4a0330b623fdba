//! One input, sent in every way in which a network can deliver it, and the whole answer that comes back.

use super::clock::cover_local_times;
use super::peer::{Peer, difference, shown};
use super::server::Server;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use std::cell::RefCell;
use std::fmt::Debug;

/// Where the random cases of every test begin. Printed with each failure; another number gives other cases.
const SEED: u64 = 0x7469_6e79_7463_7001;

/// Talks one protocol with one server, each input on a connection of its own.
pub struct Dialogue<'a> {
    server: &'a Server,
    protocol: &'static str,
    /// A second connection. The server has one thread and is fair: once it has answered here, it has also looked at
    /// what arrived on the first one before. So pieces arrive apart, without a sleep.
    bystander: RefCell<Peer>,
}

impl<'a> Dialogue<'a> {
    pub fn new(server: &'a Server, protocol: &'static str) -> Self {
        Self { server, protocol, bystander: RefCell::new(server.text()) }
    }

    /// All that the server says when `pieces` arrive one after the other and the end of input follows.
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

    /// `input` gets `expected` and the server's end: whole, byte by byte, and cut in two at every place.
    #[track_caller]
    pub fn check_every_way(&self, input: &[u8], expected: &[u8]) {
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        let halves = (1..input.len()).map(|middle| vec![&input[..middle], &input[middle..]]);
        for pieces in [vec![input], bytes].into_iter().chain(halves) {
            let got = self.answer_to(&pieces);
            let cuts: Vec<String> = pieces.iter().map(|piece| shown(piece)).collect();
            assert!(got == expected, "{} in {cuts:?}: {}", self.protocol, difference(&got, expected));
        }
    }

    /// Checks inputs drawn from `inputs`, each cut at random, against `oracle`; prints the smallest that fails.
    #[track_caller]
    pub fn check_at_random<S>(&self, cases: u32, inputs: S, oracle: impl Fn(&[u8]) -> Vec<u8>)
    where
        S: Strategy<Value = (Vec<u8>, Vec<usize>)>,
        S::Value: Debug,
    {
        let config = Config { cases, failure_persistence: None, max_shrink_iters: 400, ..Config::default() };
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&SEED.to_le_bytes());
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
        let outcome = runner.run(&inputs, |(input, cuts)| {
            let got = self.answer_to(&pieces(&input, &cuts));
            let expected = oracle(&input);
            match got == expected {
                true => Ok(()),
                false => Err(TestCaseError::fail(format!("{}: {}", shown(&input), difference(&got, &expected)))),
            }
        });
        if let Err(failure) = outcome {
            panic!("{} with seed {SEED:#x}: {failure}", self.protocol);
        }
    }

    /// Returns when the server has looked at everything that was sent before.
    fn settle(&self) {
        let mut bystander = self.bystander.borrow_mut();
        // The shortest request with an answer: it must fit the smallest line limit of a test.
        bystander.send("HELP\n");
        assert!(bystander.read_line().starts_with("HELP COMMANDS: "));
    }
}

/// `input` cut at the places that `cuts` name, each taken modulo the length so that any number is a place.
fn pieces<'a>(input: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (input.len() + 1)).chain([0, input.len()]).collect();
    places.sort_unstable();
    places.dedup();
    places.windows(2).map(|ends| &input[ends[0]..ends[1]]).collect()
}
