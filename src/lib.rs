//! tinytcp
pub mod base;
pub mod cli;
#[cfg(feature = "client")]
pub mod client;
pub mod connection;
pub mod protocol;
pub mod server;
pub mod wire;
