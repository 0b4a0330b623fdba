//! Shared by the black-box tests: the real server as a process, a raw peer, and waits with a
//! deadline.
//!
//! Only two tables of the server's code are used, the codes of `binary` and the methods of HTTP.
//! The server starts as for a user, and the tests check the bytes that it sends.

// Each test file is a program of its own and uses only its part of this module.
#![allow(dead_code, unused_imports)]

pub mod behaviour;
pub mod broker;
pub mod cargo;
pub mod certificates;
pub mod clock;
pub mod complaint;
pub mod consoles;
pub mod dialogue;
pub mod documents;
pub mod encrypted;
pub mod frames;
pub mod help;
pub mod lines;
pub mod messages;
pub mod open_files;
pub mod peer;
pub mod process;
pub mod program;
pub mod server;
pub mod text_model;
pub mod tls_client;
pub mod tls_server;
pub mod tool;
pub mod transcripts;
pub mod unix;
pub mod wait;

pub use text_model::BANNER;

/// The number of repetitions in a test: `full` where `TINYTCP_TEST_FULL` is set, as `.ci/run` sets
/// it, and `short` elsewhere.
pub fn repetitions(short: usize, full: usize) -> usize {
    if std::env::var_os("TINYTCP_TEST_FULL").is_some() { full } else { short }
}

/// The names of the four protocols, as in a URL.
pub const PROTOCOLS: [&str; 4] = ["text", "binary", "echo", "chat"];

/// The bytes of one unit in sizes such as `64 * KIB`.
pub const KIB: usize = 1 << 10;

/// The bytes of one unit in sizes such as `16 * MIB`.
pub const MIB: usize = 1 << 20;
