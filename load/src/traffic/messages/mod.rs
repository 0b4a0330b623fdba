//! Messages: what each protocol sends and expects, and how messages are written.

pub mod list;
pub mod message;
pub mod mix;
pub mod protocols;
pub mod raw;
pub mod steps_file;
pub mod template;
