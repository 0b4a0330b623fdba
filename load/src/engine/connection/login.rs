//! The login of a connection: requests that it sends once, before those of the load.
//!
//! One login request is in flight at a time, and its reply starts the next one. The requests and
//! replies of a login are in no count and no latency; a failed one is an error, and ends the
//! connection.

use std::time::Duration;

use super::{InFlight, LoadConnection};
use crate::engine::thread_state::ThreadState;
use crate::traffic::script::ConnectionScript;

/// The progress of the login of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Login {
    /// A request is to be sent.
    Pending,
    /// A reply is awaited.
    InFlight,
    /// Requests of the load can be sent.
    Done,
}

impl Login {
    /// Returns the state of a login before the next request of `script`.
    pub(super) fn next(script: &ConnectionScript) -> Self {
        match script {
            ConnectionScript::Rendered(dialogue) if dialogue.has_login() => Self::Pending,
            _ => Self::Done,
        }
    }
}

impl LoadConnection {
    /// Returns true if requests of the load cannot be sent yet.
    #[must_use]
    pub fn is_logging_in(&self) -> bool {
        self.login != Login::Done
    }

    /// Starts the next login request, which [`flush`](Self::flush) then sends; returns false if
    /// none is due.
    pub fn start_login(&mut self, state: &mut ThreadState) -> bool {
        let ConnectionScript::Rendered(dialogue) = &mut self.script else { return false };
        if !self.is_open || self.login != Login::Pending {
            return false;
        }
        dialogue.render_login();
        self.login = Login::InFlight;
        let (first, lag) = (0, Duration::ZERO);
        self.batches.push_back(InFlight { first, count: 1, sent: state.now, lag });
        self.in_flight += 1;
        self.unwritten += 1;
        state.in_flight += 1;
        true
    }

    /// Completes the login request in flight.
    pub(super) fn complete_login(&mut self, state: &mut ThreadState) {
        self.remove_oldest(1, state, |_, _, _| {});
        self.login = Login::next(&self.script);
    }
}
