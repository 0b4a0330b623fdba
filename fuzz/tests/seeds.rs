//! Every target with the seeds as inputs, which need no fuzzer: each uncut, and with cuts that once
//! found a defect.

use std::path::Path;

use tinytcp_fuzz::{TARGETS, seeds};

/// Choices of a plan: one byte at a time, each in a crowd, each before a pause, and pieces of
/// several lengths.
const CUTS: [&[u8]; 6] = [b"", b"\x00", b"\x40", b"\x80", b"\x02\x41\x07", b"\x04\xc3\x00\x5f"];

fn seeds() -> Vec<seeds::Seed> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol.md");
    seeds::of_page(&std::fs::read_to_string(page).expect("the page stands beside this package"))
}

#[test]
fn every_target_holds_on_every_seed_however_it_is_cut() {
    for seed in seeds() {
        let (_, check) = TARGETS
            .into_iter()
            .find(|(name, _)| *name == seed.target)
            .expect("a seed is for a target");
        let (knobs, stream) = seed.bytes.split_first().expect("a seed begins with its knobs");
        for cut in CUTS {
            println!("{} on {} cut by {cut:x?}", seed.target, seed.name);
            check(&[&[knobs | cut.len() as u8], cut, stream].concat());
        }
    }
}

#[test]
fn every_target_has_seeds_and_a_program() {
    let seeds = seeds();
    for (target, _) in TARGETS {
        let program =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets").join(format!("{target}.rs"));
        assert!(program.is_file(), "{} is missing", program.display());
        assert!(seeds.iter().any(|seed| seed.target == target), "{target} has no seed");
    }
}
