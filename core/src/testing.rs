//! Tools for tests of a protocol or of a whole server, in the feature `testing`.
//!
//! A [`SessionHarness`] runs one session without a network. An [`EventLoop`] on your own [`System`]
//! runs the whole server on a simulated network and clock; [`EventLoop::inspect`] returns its
//! state.

pub use crate::os::system::{Event, Readiness, Socket, System};
pub use crate::protocol::harness::{SessionHarness, Transcript, clock};
pub use crate::rooms::model::{LoneMember, Request};
pub use crate::server::{EventLoop, Inspection, OpenConnection};
