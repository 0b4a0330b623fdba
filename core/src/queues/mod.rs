//! The two queues of the loop: connections with work to do, and deadlines.

// A truncated length is a wrong length: code that casts one states why it fits.
#![cfg_attr(not(test), deny(clippy::cast_possible_truncation))]

pub mod deadlines;
pub mod run_queue;
