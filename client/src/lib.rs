//! The client: blocking, on the standard library's sockets, over the same wire code as the server.
//!
//! ```text
//!   connect   a connection, in time      output    stdout, harmless on a terminal
//!   failure   how a run ends, and its exit code
//!   dialogue  what is asked, which answer is due, when it is complete, and in which words it is shown
//!      |
//!      +-- script       all lines of a script at once, answers as they come
//!      +-- shell        a person at a prompt, answers at any time
//!      +-- demo         the sessions that the original clients show
//!      +-- conformance  a server against everything that its protocol promises
//! ```

pub mod conformance;
pub mod connect;
pub mod demo;
pub mod dialogue;
pub mod failure;
pub mod listener;
pub mod output;
mod program;
mod receive;
pub mod script;
pub mod shell;
mod worker;

pub use program::main;
