//! Tests of encrypted listeners.

mod client;
mod conversing;
