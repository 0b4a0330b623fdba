//! The state of a loop between two rounds, for tests and for programs that embed the loop.

use super::event_loop::EventLoop;
use crate::connection::Connection;
use crate::connection::inspection::Inspection as ConnectionInspection;
use crate::os::moment::Moment;
use crate::os::system::System;
use crate::os::table::Token;
use crate::status::Status;

/// The state of a loop between two rounds. It is read-only.
#[derive(Clone, Debug)]
pub struct Inspection<'a> {
    /// The counters and gauges of the server.
    pub status: &'a Status,
    /// The bytes of storage that all connections hold together.
    pub lent_bytes: usize,
    /// True when a stop or a drain is complete, or its time is over:
    /// [`EventLoop::run`](super::EventLoop::run) would return at once.
    pub is_over: bool,
    /// All open connections.
    pub connections: Vec<OpenConnection>,
}

/// One open connection.
#[derive(Clone, Copy, Debug)]
pub struct OpenConnection {
    /// Its token, under which the poller reports its events.
    pub token: Token,
    /// Its entry in the queue of deadlines, which is never later than its deadline.
    pub entered_deadline: Moment,
    /// Its own state.
    pub state: ConnectionInspection,
}

impl<S: System> EventLoop<S> {
    /// The present state of the loop and of every connection. The cost grows with the number of
    /// connections.
    #[must_use]
    pub fn inspect(&self) -> Inspection<'_> {
        let open = |(token, connection): (Token, &Connection<S::Socket>)| OpenConnection {
            token,
            entered_deadline: self.deadlines.of(token.key()),
            state: connection.inspect(),
        };
        Inspection {
            status: &self.shared.status,
            lent_bytes: self.shared.pool.lent_bytes(),
            is_over: self.is_over(),
            connections: self.table.iter().map(open).collect(),
        }
    }
}
