//! What tests of a protocol or of a whole server stand on; behind the feature `testing`.
//!
//! A [`SessionHarness`] runs one session without a network. An [`EventLoop`] on a [`System`] of
//! your own runs the whole server on a network and a clock of your own; [`EventLoop::inspect`]
//! shows what it holds.

pub use crate::os::system::{Event, Readiness, Socket, System};
pub use crate::protocol::harness::{Outcome, SessionHarness, clock};
pub use crate::server::{EventLoop, Inspection, OpenConnection};
