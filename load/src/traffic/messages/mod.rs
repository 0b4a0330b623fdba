//! The messages of each protocol, with their expected replies, and the notation of messages.

pub mod list;
pub mod message;
pub mod mix;
pub mod protocols;
pub mod raw;
pub mod steps_file;
pub mod template;
