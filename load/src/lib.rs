//! The load generator: many connections, honest numbers.
//!
//! ```text
//!   arguments -> conversation             the command line, and what it asks for
//!   plan      what a run is to do            preflight  whether this machine can do it
//!   message -> script                        what is asked, what has to come back
//!   schedule                                 when a request is due, whatever the server does
//!   reader    judges what comes              tally      counts it        exchange   keeps the first of each error
//!   peer      one connection: script -> requests -> socket -> reader -> tally
//!   worker    the loop of a thread           roster     which connections to open, and when
//!   backlog   what keeps a request that is due from leaving
//!   ledger    hands over what was counted    muster     where threads meet
//!   run       plan -> threads -> slices -> outcome
//!      |
//!      +-- verdict, gates   what the outcome is worth
//!      +-- search, trial    many runs, one objective
//!      +-- report, merge    the outcome for people and programs
//! ```

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
