//! A simulator around the whole event loop: an operating system, a network, and clients.
//!
//! ```text
//!   choices ----> plan, clients       limits and timeouts of the server; its clients
//!      |
//!      v
//!   network: client <--> channel <--> account      one link: client, kernel, acts of the server
//!      ^                   ^
//!      | act               | calls (each is checked), events (delayed, split, stale, ...)
//!      +------ wait -------+------- EventLoop ------- Observer(protocol)
//!                                       |
//!                  checks after each round: invariants -> Failure, or in the end a Report
//! ```
//!
//! All decisions come from the choices: the same seed produces the same run. [`run`] runs it.

// The fuzzer includes this module too, and each of the two programs uses only a part of it.
#![allow(dead_code, unused_imports)]

mod account;
mod addresses;
mod admin;
mod broker;
mod calls;
pub mod channel;
mod checks;
pub mod choices;
mod client;
mod clients;
mod coverage;
mod events;
mod faults;
mod invariant;
mod kernel;
mod members;
mod network;
mod observer;
mod oracle;
mod plan;
mod proxy;
mod reloads;
mod rooms;
pub mod tls;
mod trace;
mod traffic;
mod world;

pub use choices::Choices;
pub use clients::KINDS;
pub use coverage::BEHAVIOURS;
pub use faults::FAULTS;
pub use invariant::{Failure, Invariant};
pub use world::{Report, run};
