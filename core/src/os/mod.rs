//! The operating system: the one seam that the loop sees of it, what runs behind that seam,
//! addresses and time.

// A length that is cut is a wrong length: code that casts one says why it fits.
#![cfg_attr(not(test), deny(clippy::cast_possible_truncation))]

pub mod clock;
pub mod endpoint;
pub mod kernel;
pub mod listen;
pub mod mailbox;
pub mod moment;
pub mod outgoing;
pub mod own_port;
pub mod peer;
pub mod port_holder;
pub mod running_time;
pub mod stream;
pub mod system;
pub mod table;
pub mod unix_listener;
pub mod zone;
