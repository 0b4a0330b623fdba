//! `agent`: the state of the server for the agent check of haproxy, on a listener of its own.
//!
//! | state | line | haproxy |
//! |---|---|---|
//! | ready | `ready up 100%` | sends new connections, at the full weight |
//! | not ready | `drain` | sends no new connections and leaves the open ones alone |
//! | stopping | `maint` | the same, and pauses its other checks |
//!
//! The server sends the line at once and closes, whatever the client sends. `ready` undoes an
//! earlier `drain` or `maint`; `up` alone would not. The state is that of `/readyz` of the protocol
//! [`http`](super::admin).

use std::io::Write;

use super::{Accepted, Context, Protocol, Session, Step};
use crate::close_reason::CloseReason;
use crate::status::{Obstacle, State, Status};

/// The most connections that a listener of this protocol serves at a time.
const PLACES: usize = 16;

/// The protocol `agent`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Agent;

impl Protocol for Agent {
    fn name(&self) -> &'static str {
        "agent"
    }

    fn session(&self, _accepted: &Accepted) -> Box<dyn Session> {
        Box::new(AgentSession)
    }

    fn own_places(&self) -> Option<usize> {
        Some(PLACES)
    }
}

struct AgentSession;

impl Session for AgentSession {
    fn advance(&mut self, input: &[u8], context: &mut Context<'_>) -> (usize, Step) {
        let state = state(context.status());
        // Writing to an output never fails.
        let _ = writeln!(context.output(), "{state}");
        (input.len(), Step::Close(CloseReason::Quit))
    }
}

/// Returns the state in the words of haproxy.
fn state(status: &Status) -> &'static str {
    match status.obstacle() {
        None => "ready up 100%",
        Some(Obstacle::State(State::Stopping)) => "maint",
        Some(_) => "drain",
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::limits::Limits;

    #[test]
    fn each_state_has_a_line() {
        let mut status = Status::new(&["agent"], Limits::default(), 2, SystemTime::UNIX_EPOCH);
        assert_eq!(state(&status), "ready up 100%");
        status.connections_counted = 2;
        assert_eq!(state(&status), "drain");
        status.state = State::Draining;
        assert_eq!(state(&status), "drain");
        status.state = State::Stopping;
        assert_eq!(state(&status), "maint");
    }
}
