//! Broadcast: members join rooms, publishers send at a rate, and every delivery is checked.
//!
//! ```text
//!   publisher --SAY--> server --+--> member: its place in the order of the room
//!        |                      +--> member: its gaps, which only MISSED explains
//!        `-- when it was due    `--> member that never reads
//! ```
//!
//! - [`wire`]: the commands and the news of each protocol.
//! - [`payload`]: the text of a message, from which a member learns its publisher, its number and
//!   when it was due.
//! - `room`: the order in which the members of a room receive its messages.
//! - `channel`: one connection, with or without TLS; `member`: what it has received so far.
//! - [`counters`]: the counts of all members, and the violations.
//! - `opening`: members connect and join; `tls_question`: what a silent server demands; [`run`]:
//!   the members publish and read, in one thread.
//! - [`report`]: the outcome as text and JSON; `words`: its text.

mod channel;
pub mod counters;
mod member;
mod opening;
pub mod payload;
pub mod report;
mod room;
pub mod run;
pub mod settings;
mod tls_question;
pub mod wire;
mod words;
