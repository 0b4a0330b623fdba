//! The free connections of an open loop, and the delay of due requests that the generator causes.
//!
//! ```text
//!   connection free:   due ------------- sent     delay of the generator
//!   no connection:     due -- reply -- sent       delay of the server
//!   after a pause of the generator, the requests that queue wait because of the pause:
//!     due  due  due [pause ends] sent sent sent
//! ```
//!
//! Each waiting request is charged to the generator, up to the delays that the generator has caused
//! since the queue was last empty. A pause is therefore charged for all requests that it delayed,
//! including those that find no free connection after it. For a queue that a slow server causes,
//! the generator is charged only microseconds per round.

use std::collections::VecDeque;
use std::time::Duration;

use tinytcp_core::os::moment::Moment;
use tinytcp_core::os::table::Token;

/// A longer round means that the thread was stopped or had no core. Without a free connection, a
/// shorter round is not charged: a request would have waited for a reply in any case.
pub const PAUSE_MIN: Duration = Duration::from_millis(10);

/// The free connections, and the delays that the generator has caused.
#[derive(Debug, Default)]
pub struct FreeConnections {
    /// Connections with room for a request, longest free first.
    free: VecDeque<Token>,
    /// True if a connection was free at the end of the last look: only the generator has delayed
    /// the requests that are due since then.
    had_free: bool,
    /// When the loop last looked for due requests; `None` before the first time.
    looked: Option<Moment>,
    /// The delays that the generator has caused since the queue was last empty.
    lag: Duration,
}

impl FreeConnections {
    /// Adds a connection with room.
    pub fn push(&mut self, token: Token) {
        self.free.push_back(token);
    }

    /// Removes and returns the connection that has been free longest.
    pub fn pop(&mut self) -> Option<Token> {
        self.free.pop_front()
    }

    /// Returns the number of entries, including ended connections.
    #[must_use]
    pub fn len(&self) -> usize {
        self.free.len()
    }

    /// Returns true if no connection is free.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.free.is_empty()
    }

    /// Removes the connections for which `is_there` returns false.
    pub fn retain(&mut self, is_there: impl FnMut(&Token) -> bool) {
        self.free.retain(is_there);
    }

    /// Returns true if the loop has looked at or after `end`: later no request is sent.
    #[must_use]
    pub fn was_closed(&self, end: Moment) -> bool {
        self.looked.is_some_and(|looked| looked >= end)
    }

    /// Returns true if requests may be sent at `now`: until `end`, and once after it the requests
    /// that only the generator delayed.
    #[must_use]
    pub fn may_send(&self, now: Moment, end: Moment) -> bool {
        now < end || (self.had_free && !self.was_closed(end))
    }

    /// Starts a look at `now`. The oldest waiting request was due at `due`, and the loop should
    /// have woken at `woken`.
    pub fn begin_look(&mut self, now: Moment, due: Moment, woken: Moment) {
        if self.had_free {
            self.lag += now.since(due);
        } else {
            let round = now.since(woken);
            self.lag += if round >= PAUSE_MIN { round } else { Duration::ZERO };
        }
    }

    /// Ends a look; `is_waiting` is true if requests still wait.
    pub fn end_look(&mut self, now: Moment, is_waiting: bool) {
        self.looked = Some(now);
        self.had_free = !self.free.is_empty();
        if !is_waiting {
            self.lag = Duration::ZERO;
        }
    }

    /// Returns the upper bound of a request's delay that the generator has caused.
    #[must_use]
    pub const fn lag(&self) -> Duration {
        self.lag
    }
}

#[cfg(test)]
mod tests {
    use tinytcp_core::os::table::Table;

    use super::*;

    fn at(milliseconds: u64) -> Moment {
        Moment::START.after(Duration::from_millis(milliseconds))
    }

    fn milliseconds(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    /// One connection has room at the moment 0.
    fn with_a_free_connection() -> FreeConnections {
        let mut free = FreeConnections::default();
        free.push(Table::<()>::default().next_token());
        free.end_look(at(0), false);
        free
    }

    #[test]
    fn a_delay_while_a_connection_was_free_is_the_generators() {
        let mut free = with_a_free_connection();
        free.begin_look(at(1_000), at(3), at(3));
        assert_eq!(free.lag(), milliseconds(997));
        free.pop();
        free.end_look(at(1_000), true);
        // Others of that pause still wait, and no connection is free.
        free.begin_look(at(1_002), at(4), at(1_001));
        assert_eq!(free.lag(), milliseconds(997));
        free.end_look(at(1_003), false);
        assert_eq!(free.lag(), Duration::ZERO, "no request waits any more");
    }

    #[test]
    fn a_delay_while_no_connection_was_free_is_the_servers() {
        let mut free = FreeConnections::default();
        free.end_look(at(0), false);
        free.begin_look(at(500), at(3), at(499));
        assert_eq!(free.lag(), Duration::ZERO);
        free.end_look(at(500), true);
        free.begin_look(at(1_500), at(3), at(550));
        assert_eq!(free.lag(), milliseconds(950), "the loop was to be woken at 550 ms");
    }

    #[test]
    fn after_the_end_only_requests_the_generator_delayed_are_sent() {
        let free = with_a_free_connection();
        assert!(free.may_send(at(9), at(10)) && free.may_send(at(11), at(10)));
        let mut closed = with_a_free_connection();
        closed.end_look(at(11), true);
        assert!(closed.was_closed(at(10)) && !closed.may_send(at(12), at(10)));
        let mut busy = FreeConnections::default();
        busy.end_look(at(9), true);
        assert!(busy.may_send(at(9), at(10)) && !busy.may_send(at(10), at(10)));
    }
}
