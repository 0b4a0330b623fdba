//! The whole event loop under a simulated operating system: thousands of small worlds, each made from one seed.

mod simulator;

use std::time::Instant;

use simulator::{Choices, Report, run};

/// Runs the world of `seed`; on a failure says how to see it again.
fn run_seed(seed: u64) -> Report {
    run(Choices::of_seed(seed)).unwrap_or_else(|failure| {
        panic!("seed {seed:#x}: {failure}\nreplay: TINYTCP_SEED={seed:#x} cargo test --test simulation")
    })
}

fn number_in(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    Some(number.unwrap_or_else(|error| panic!("{variable}={text}: {error}")))
}

#[test]
fn every_invariant_holds_in_every_world() {
    let start = Instant::now();
    let (first, count) = (number_in("TINYTCP_SEED").unwrap_or(0), number_in("TINYTCP_SEEDS").unwrap_or(200));
    let mut rounds = 0;
    for seed in first..first + count {
        rounds += run_seed(seed).rounds;
    }
    println!("{count} seeds, {rounds} rounds in {:?}", start.elapsed());
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..20 {
        assert_eq!(run_seed(seed).hash, run_seed(seed).hash, "seed {seed}");
    }
}
