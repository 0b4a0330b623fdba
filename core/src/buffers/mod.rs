//! Buffers: queues of bytes, and the pool that lends them their storage.

// A length that is cut is a wrong length: code that casts one says why it fits.
#![cfg_attr(not(test), deny(clippy::cast_possible_truncation))]

pub mod block;
pub mod buffer;
pub mod pool;
