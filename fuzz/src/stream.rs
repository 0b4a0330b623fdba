//! The whole loop on a simulated kernel, with the peers, bytes and faults that the fuzzer chooses.

use crate::simulator::{Choices, run};

/// Every byte is a choice that the simulation otherwise makes from its seed. Every invariant of the
/// simulation holds.
pub fn check(data: &[u8]) {
    if let Err(failure) = run(Choices::of_bytes(data)) {
        panic!("{failure}");
    }
}
