//! The client program from outside: its arguments, its output and its exit codes, against servers
//! of every kind.
#![cfg(feature = "client")]

#[path = "../support/mod.rs"]
mod support;

mod arguments;
mod colours;
mod conformance;
mod demo;
mod failures;
mod originals;
mod our_server;
mod rooms;
mod runs;
mod scripts;
mod shell;
mod status;
mod terminal;
mod terminal_modes;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
mod tls_failures;
#[cfg(feature = "tls")]
mod tls_openssl;
mod unix;
