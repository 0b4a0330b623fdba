//! Tests of encrypted listeners.

mod client;
mod conversing;
mod ending;
mod floods;
mod handshakes;
mod memory;
