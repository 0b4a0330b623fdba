//! tinytcp
pub mod base;
pub mod wire;
