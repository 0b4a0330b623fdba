//! The load generator.

pub mod arguments;
pub mod averages;
pub mod backlog;
pub mod causes;
pub mod connect;
pub mod conversation;
pub mod exchange;
pub mod figures;
pub mod gates;
pub mod latency;
pub mod ledger;
pub mod merge;
pub mod message;
pub mod muster;
pub mod objective;
pub mod origin;
pub mod outcome;
pub mod peer;
pub mod plan;
pub mod preflight;
pub mod processor;
mod program;
pub mod progress;
pub mod reader;
pub mod report;
pub mod roster;
pub mod run;
#[cfg(test)]
mod samples;
pub mod schedule;
pub mod script;
pub mod search;
pub mod shared;
pub mod source;
pub mod tally;
pub mod timer;
pub mod trial;
pub mod verdict;
pub mod worker;

pub use program::main;
