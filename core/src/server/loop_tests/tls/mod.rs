//! Tests of encrypted listeners.

mod client;
mod conversing;
mod ending;
mod handshakes;
mod memory;
