//! A simulated operating system, a network and its peers, around the whole event loop.
//!
//! ```text
//!   choices ----> plan, cast          what the server may do, who talks to it
//!      |
//!      v
//!   network: client <--> wire <--> account      one link: a peer, the kernel, the server's acts
//!      ^                   ^
//!      | act               | calls (checked one by one), events (delayed, split, stale, ...)
//!      +------ wait -------+------- EventLoop ------- Witness(protocol)
//!                                       |
//!                  checks after each round: invariants -> Failure, or in the end a Report
//! ```
//!
//! Everything follows from the choices: the same seed gives the same run. [`run`] is all of it.

// The fuzzer includes this module too, and each of the two uses only its part.
#![allow(dead_code, unused_imports)]

mod account;
mod calls;
mod cast;
mod checks;
pub mod choices;
mod client;
mod events;
mod faults;
mod invariant;
mod kernel;
mod network;
mod oracle;
mod plan;
mod sights;
mod speech;
mod trace;
pub mod wire;
mod witness;
mod world;

pub use cast::KINDS;
pub use choices::Choices;
pub use faults::FAULTS;
pub use invariant::{Failure, Invariant};
pub use sights::SIGHTS;
pub use world::{Report, run};
