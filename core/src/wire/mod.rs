//! Wire formats: pure functions from bytes to items, shared by the server, the client and the load
//! generator.

// This code is the first to read the bytes of a peer: none may cause a panic, and no length may be
// truncated.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::unreachable,
        clippy::cast_possible_truncation
    )
)]

pub mod frame;
pub mod http;
pub mod line;
pub mod nats;
pub mod proxy;
pub mod telnet;
pub mod tls;
