//! tinytcp
pub mod base;
pub mod cli;
#[cfg(feature = "client")]
pub mod client;
pub mod wire;
