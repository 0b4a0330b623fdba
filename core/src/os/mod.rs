//! The operating system: the traits through which the loop uses it, their implementation, addresses
//! and time.

// A truncated length is a wrong length: code that casts one states why it fits.
#![cfg_attr(not(test), deny(clippy::cast_possible_truncation))]

pub mod clock;
pub mod endpoint;
pub mod hangup;
pub mod inherited;
pub mod kernel;
pub mod listen;
pub mod local_port;
pub mod mailbox;
pub mod moment;
pub mod outgoing;
pub mod peer;
pub mod port_holder;
pub mod running_time;
pub mod shared_port;
pub mod stream;
pub mod subnet;
pub mod system;
pub mod table;
pub mod unix_listener;
pub mod zone;
