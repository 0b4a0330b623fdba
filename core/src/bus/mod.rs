//! The bus: rooms that several servers share through a broker of NATS core.
//!
//! ```text
//!   rooms of this server --> envelope --> PUB tinytcp.room.tea --> broker --> other servers
//!   rooms of this server <-- envelope <-- MSG tinytcp.room.tea <-- broker <-- other servers
//! ```
//!
//! | module | idea |
//! |---|---|
//! | `settings` | how to reach the broker, and how the server authenticates itself |
//! | `envelope` | the payload: the origin of a message, its sender and its text |
//! | `subject` | the subject of a room |
//! | `subscriptions` | the rooms with members on this server, and which of them the broker knows |
//! | `session` | the conversation with the broker, without I/O and without a clock |
//! | `percent` | percent-encoding, for subjects and URLs |
//! | `backoff` | how long to wait before the next attempt to connect |
//!
//! `server/bus` owns the socket and the times. Delivery is at most once: NATS core stores nothing.

// This code reads the bytes of a broker: none may cause a panic, and no length may be truncated.
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

pub mod backoff;
pub mod envelope;
mod percent;
pub mod session;
pub mod settings;
pub mod subject;
mod subscriptions;
