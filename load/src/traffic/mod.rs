//! The traffic of a run: the requests, when they are due, and the check of the replies.

mod exchange;
pub mod intervals;
pub mod message;
pub mod mix;
pub mod plan;
pub mod protocols;
mod random;
pub mod raw;
pub mod reply_checker;
pub mod schedule;
pub mod script;
