//! What the black-box tests share: the real server in a process of its own, a raw peer, and waits
//! with a deadline.
//!
//! Nothing here knows the server's code. It is started as a person would start it, told apart by
//! what it prints, and judged by the bytes it sends.

// Each test file is a program of its own and uses only its part of this module.
#![allow(dead_code)]

pub mod behaviour;
pub mod clock;
pub mod complaint;
pub mod consoles;
pub mod dialogue;
pub mod documents;
pub mod frames;
pub mod lines;
pub mod messages;
pub mod peer;
pub mod process;
pub mod program;
pub mod server;
pub mod tool;
pub mod transcripts;
pub mod unix;
pub mod wait;

/// The names of the four protocols, as they stand in a URL.
pub const PROTOCOLS: [&str; 4] = ["text", "binary", "echo", "chat"];

/// What the text protocol says on accept.
pub const BANNER: &[u8] = b"WELCOME, I'm TinyServer not pressure\n";

/// The bytes of one unit in sizes such as `64 * KIB`.
pub const KIB: usize = 1 << 10;

/// The bytes of one unit in sizes such as `16 * MIB`.
pub const MIB: usize = 1 << 20;
