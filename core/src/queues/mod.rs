//! What the loop chooses from: connections that can move, and deadlines.

// A length that is cut is a wrong length: code that casts one says why it fits.
#![cfg_attr(not(test), deny(clippy::cast_possible_truncation))]

pub mod deadlines;
pub mod run_queue;
