//! The load generator: many connections, honest numbers.

pub mod connect;
pub mod latency;
pub mod message;
pub mod muster;
pub mod outcome;
pub mod peer;
pub mod plan;
pub mod processor;
pub mod reader;
pub mod schedule;
pub mod script;
pub mod source;
pub mod tally;
pub mod timer;
pub mod worker;
