//! Buffers: queues of bytes, and the pool that lends their storage.

// A truncated length is a wrong length: code that casts one states why it fits.
#![cfg_attr(not(test), deny(clippy::cast_possible_truncation))]

pub mod block;
pub mod buffer;
pub mod pool;
