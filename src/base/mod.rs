//! The ground floor: storage, time, and the one seam to the operating system. Nothing here knows what
//! is spoken.

// A length that is cut is a wrong length: who casts one says why it fits.
#![cfg_attr(not(test), deny(clippy::cast_possible_truncation))]

pub mod activity;
pub mod block;
pub mod buffer;
pub mod clock;
pub mod close_reason;
pub mod deadlines;
pub mod escape;
pub mod kernel;
pub mod limits;
pub mod listen;
pub mod moment;
pub mod own_port;
pub mod peer;
pub mod plural;
pub mod pool;
pub mod port_holder;
pub mod run_queue;
pub mod running_time;
pub mod system;
pub mod table;
pub mod terminal;
pub mod units;
pub mod zone;
