//! The traffic of a run: the requests, when they are due, and the check of the replies.

mod exchange;
pub mod intervals;
pub mod messages;
pub mod plan;
mod random;
pub mod reply_checker;
pub mod schedule;
pub mod script;
#[cfg_attr(not(feature = "tls"), path = "tls_absent.rs")]
mod tls;
