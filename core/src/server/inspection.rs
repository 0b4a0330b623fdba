//! What a loop holds between two rounds, for tests and for who embeds it: to be looked at, never to
//! steer by.

use crate::connection::inspection::Inspection as ConnectionInspection;
use crate::os::moment::Moment;
use crate::os::table::Token;
use crate::status::Status;

/// What a loop holds between two rounds.
#[derive(Clone, Debug)]
pub struct Inspection<'a> {
    /// What it has seen since it was started.
    pub status: &'a Status,
    /// How many bytes of storage its connections hold together.
    pub lent_bytes: usize,
    /// True exactly when it was told to stop and nothing is left to do but
    /// [`EventLoop::run`](super::EventLoop::run) it to its end.
    pub is_over: bool,
    /// Every connection that is open.
    pub connections: Vec<OpenConnection>,
}

/// One connection that is open.
#[derive(Clone, Copy, Debug)]
pub struct OpenConnection {
    /// What the poller names it by.
    pub token: Token,
    /// When the loop looks at it though nothing happens, if not before.
    pub entered_deadline: Moment,
    /// What it remembers and holds.
    pub state: ConnectionInspection,
}
