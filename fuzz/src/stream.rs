//! Everything at once: the whole loop on a simulated kernel, with as many peers, bytes and faults
//! as the fuzzer chooses.

use crate::simulator::{Choices, run};

/// Every byte is a choice that the simulation would otherwise make from its seed; every invariant
/// of it holds.
pub fn check(data: &[u8]) {
    if let Err(failure) = run(Choices::of_bytes(data)) {
        panic!("{failure}");
    }
}
