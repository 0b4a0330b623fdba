//! The client: blocking, on the standard library's sockets, with the same wire code as the server.
//!
//! ```text
//!   connect     a connection, within a timeout       stream      its bytes, plain or over TLS
//!   error       the ends of a run, exit codes        stepwise    one request at a time
//!   stdout      answers in a pipe, on a terminal     receiver    the thread that reads
//!   entry       the commands that join a room        threads, program (the command line)
//!   dialogue    requests and answers of each protocol
//!      |
//!      +-- script       all lines of a script at once, answers as they arrive
//!      +-- shell        a person at a prompt, answers at any time
//!      +-- demo         the sessions that the original clients show
//!      +-- rooms        listens to a room, and speaks in it
//!      +-- status       the state of the server, once or repeatedly
//!      +-- conformance  checks of every promise of a protocol
//! ```

pub mod conformance;
pub mod connect;
pub mod demo;
pub mod dialogue;
pub mod entry;
pub mod error;
mod greeting;
mod program;
pub mod receiver;
pub mod rooms;
pub mod script;
pub mod shell;
pub mod status;
pub mod stdout;
mod stepwise;
pub mod stream;
mod threads;

pub use program::{command, main};
