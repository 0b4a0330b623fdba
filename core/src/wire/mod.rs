//! What travels on the wire: pure functions from bytes to items, shared by the server, the client
//! and the load generator.

// What a peer sends reaches this code first: no value of it may panic, and no length of it may be
// cut.
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
pub mod telnet;
pub mod tls;
