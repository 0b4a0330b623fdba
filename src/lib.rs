//! tinytcp
pub mod base;
pub mod cli;
pub mod connection;
pub mod protocol;
pub mod server;
pub mod wire;
