//! What the tests of the server use too.

#![allow(dead_code)]

#[path = "../../../../tests/support/encrypted.rs"]
mod encrypted;
#[path = "../../../../tests/support/lines.rs"]
pub mod lines;
#[path = "../../../../tests/support/peer.rs"]
pub mod peer;
#[path = "../../../../tests/support/process.rs"]
pub mod process;
#[path = "../../../../tests/support/wait.rs"]
pub mod wait;
