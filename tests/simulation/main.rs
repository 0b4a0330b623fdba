//! The simulation: the whole event loop on a simulated operating system, in thousands of small
//! worlds. Each world is generated from one seed.
//!
//! ```text
//! cargo test --test simulation                         the fixed seeds, the same every time
//! TINYTCP_SIM_TIME=10m cargo test --test simulation    then fresh seeds, until the time is over
//! TINYTCP_SEEDS=10000 cargo test --test simulation     10,000 fresh seeds; 0..10000 are these
//! TINYTCP_SEED=0x1f cargo test --test simulation       one seed, with its whole trace
//! ```

mod budget;
#[cfg(target_os = "linux")]
mod model;
mod simulator;
mod tally;
#[path = "../support/text_model.rs"]
mod text_model;

use std::collections::BTreeSet;

use budget::Budget;
use simulator::{Choices, Report, run};
use tally::Tally;

/// Runs the world of `seed`. The error contains the command that replays it.
fn run_seed(seed: u64) -> Result<Report, String> {
    run(Choices::of_seed(seed)).map_err(|failure| {
        format!(
            "{failure}replay it: TINYTCP_SEED={seed:#x} cargo test --test simulation -- --nocapture"
        )
    })
}

fn hold_in(seed: u64) -> Report {
    run_seed(seed).unwrap_or_else(|failure| panic!("seed {seed:#x}: {failure}"))
}

/// Prints the trace of the world of `seed`.
fn show(seed: u64) {
    let outcome = run(Choices::of_seed(seed));
    let trace = outcome.as_ref().map_or_else(|failure| &failure.trace, |report| &report.trace);
    println!("{}", trace.last(None, usize::MAX).join("\n"));
    if let Err(failure) = outcome {
        panic!("seed {seed:#x}: {failure}");
    }
}

#[test]
fn every_invariant_holds_in_every_world() {
    let budget = Budget::from_environment();
    if let Budget::One(seed) = budget {
        return show(seed);
    }
    let tally = budget
        .run(|seed| run_seed(seed).map(Tally::from))
        .unwrap_or_else(|failure| panic!("{failure}"));
    println!("{tally}");
    tally.assert_complete();
}

#[test]
fn equal_seeds_make_equal_traces_and_other_seeds_others() {
    let hashes = || (0..12).map(|seed| hold_in(seed).trace.hash()).collect::<Vec<_>>();
    let (once, again) = (hashes(), hashes());
    assert_eq!(once, again);
    assert_eq!(
        once.iter().collect::<BTreeSet<_>>().len(),
        once.len(),
        "two worlds are equal: {once:x?}"
    );
}

#[test]
fn choices_can_come_from_bytes_and_no_bytes_mean_no_faults() {
    let report = run(Choices::of_bytes(b"")).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(report.faults.iter().sum::<u64>(), 0);
    for len in 0..200 {
        let bytes: Vec<u8> = (0..len).map(|index| (index * 37 + len) as u8).collect();
        run(Choices::of_bytes(&bytes)).unwrap_or_else(|failure| panic!("{bytes:?}: {failure}"));
    }
}
