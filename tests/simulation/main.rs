//! The whole event loop under a simulated operating system: thousands of small worlds, each made from one seed.
//!
//! ```text
//! cargo test --test simulation                            fixed seeds, then fresh ones, for about a minute
//! TINYTCP_SEED=0x1f cargo test --test simulation          one seed, with all that happens in it
//! TINYTCP_SEEDS=10000 cargo test --test simulation        so many fresh seeds; 0..10000 are these
//! TINYTCP_SIM_TIME=10m cargo test --test simulation       fresh seeds for so long
//! ```

mod budget;
#[cfg(target_os = "linux")]
mod model;
mod simulator;
mod tally;

use budget::Budget;
use simulator::{Choices, Report, run};
use tally::Tally;

/// Worlds in which something went wrong once, and what it was.
const NAMED: [(u64, &str); 2] = [
    (0x243, "a long answer to a piece that ends by quiet was no backpressure"),
    (0xa806_ee9a_7435_f189, "half of the answer to a message for which there was no memory waited for an event"),
];

/// Runs the world of `seed`; when that fails, says how to see it again.
fn run_seed(seed: u64) -> Result<Report, String> {
    run(Choices::of_seed(seed))
        .map_err(|failure| format!("{failure}replay it: TINYTCP_SEED={seed:#x} cargo test --test simulation"))
}

fn hold_in(seed: u64) -> Report {
    run_seed(seed).unwrap_or_else(|failure| panic!("seed {seed:#x}: {failure}"))
}

#[test]
fn every_invariant_holds_in_every_world() {
    let budget = Budget::from_environment();
    if let Budget::One(seed) = budget {
        return println!("{}", hold_in(seed).trace.last(None, usize::MAX).join("\n"));
    }
    let tally = budget.run(|seed| run_seed(seed).map(Tally::from)).unwrap_or_else(|failure| panic!("{failure}"));
    println!("{tally}");
    tally.assert_complete();
}

#[test]
fn what_went_wrong_once_does_not_go_wrong_again() {
    for (seed, what) in NAMED {
        println!("{seed:#x}: {what}");
        hold_in(seed);
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_one_another() {
    let hash_of = |seed| hold_in(seed).trace.hash();
    for seed in 0..20 {
        assert_eq!(hash_of(seed), hash_of(seed), "seed {seed:#x}");
        assert_ne!(hash_of(seed), hash_of(seed + 1), "seeds {seed:#x} and the next");
    }
}

#[test]
fn bytes_make_choices_too_and_without_bytes_everything_is_plain() {
    let report = run(Choices::of_bytes(b"")).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(report.faults.iter().sum::<u64>(), 0);
    for len in 0..200 {
        let bytes: Vec<u8> = (0..len).map(|index| (index * 37 + len) as u8).collect();
        run(Choices::of_bytes(&bytes)).unwrap_or_else(|failure| panic!("{bytes:?}: {failure}"));
    }
}
