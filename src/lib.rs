//! tinytcp
pub mod base;
pub mod cli;
pub mod wire;
