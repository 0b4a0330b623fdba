//! What the server logs of its connections, and how often it warns.

pub mod activity;
pub mod warnings;
