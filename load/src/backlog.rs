//! Under an open loop: which connections have room, and what keeps a request that is due from
//! leaving.
//!
//! ```text
//!   connection free:   due ------------- sent     the generator was late: it is the generator's delay
//!   no connection:     due -- reply -- sent       the server was slow: it is the server's delay
//!   after a pause of the generator:
//!     due  due  due [pause ends] sent sent sent   those that queue for a connection now wait because of the pause
//! ```
//!
//! Each request that waits is charged to the generator up to the delays that the generator has
//! caused since no request waited last. So a pause is charged to all requests that it delayed,
//! those included that find no free connection after it, and a queue that a slow server causes is
//! charged to the generator with no more than the microseconds between two looks.

use std::collections::VecDeque;
use std::time::Duration;

use tinytcp_core::os::moment::Moment;
use tinytcp_core::os::table::Token;

/// A round of the loop that takes longer was stopped, or had no core: while no connection is free,
/// a shorter one delays no request that a reply, which came at the same time, would not have let go
/// as late.
pub const PAUSE_MIN: Duration = Duration::from_millis(10);

/// The connections with room, and the delays that the generator has caused.
#[derive(Debug, Default)]
pub struct Backlog {
    /// Connections with room, those that have had it longest first.
    free: VecDeque<Token>,
    /// Whether there was one at the end of the last look: what is due since then has waited for
    /// the generator alone.
    had_free: bool,
    /// When the loop last looked for requests that are due; `None` before the first time.
    looked: Option<Moment>,
    /// The delays that the generator has caused since no request waited last.
    lag: Duration,
}

impl Backlog {
    /// A connection has room.
    pub fn push(&mut self, token: Token) {
        self.free.push_back(token);
    }

    /// The connection that has had room longest.
    pub fn pop(&mut self) -> Option<Token> {
        self.free.pop_front()
    }

    /// Connections with room, those that have ended included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.free.len()
    }

    /// True exactly when no connection has room.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.free.is_empty()
    }

    /// Forgets the connections that `is_there` does not know.
    pub fn retain(&mut self, is_there: impl FnMut(&Token) -> bool) {
        self.free.retain(is_there);
    }

    /// True exactly when the loop has looked at `end` or after it: what is not sent by then is not
    /// sent any more.
    #[must_use]
    pub fn was_closed(&self, end: Moment) -> bool {
        self.looked.is_some_and(|looked| looked >= end)
    }

    /// Whether requests may be sent at `now`: until `end`, and once after it what the generator
    /// alone has kept from leaving before.
    #[must_use]
    pub fn may_send(&self, now: Moment, end: Moment) -> bool {
        now < end || (self.had_free && !self.was_closed(end))
    }

    /// Begins a look at `now`. The oldest request that waits was due at `due`, and the loop was to
    /// be woken at `woken`.
    pub fn begin_look(&mut self, now: Moment, due: Moment, woken: Moment) {
        if self.had_free {
            self.lag += now.since(due);
        } else {
            let round = now.since(woken);
            self.lag += if round >= PAUSE_MIN { round } else { Duration::ZERO };
        }
    }

    /// Ends a look, after which requests still wait or not.
    pub fn end_look(&mut self, now: Moment, is_waiting: bool) {
        self.looked = Some(now);
        self.had_free = !self.free.is_empty();
        if !is_waiting {
            self.lag = Duration::ZERO;
        }
    }

    /// How much of a request's delay the generator has caused, at most.
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
    fn with_a_free_connection() -> Backlog {
        let mut backlog = Backlog::default();
        backlog.push(Table::<()>::default().next_token());
        backlog.end_look(at(0), false);
        backlog
    }

    #[test]
    fn a_delay_while_a_connection_was_free_is_the_generators() {
        let mut backlog = with_a_free_connection();
        backlog.begin_look(at(1_000), at(3), at(3));
        assert_eq!(backlog.lag(), milliseconds(997));
        backlog.pop();
        backlog.end_look(at(1_000), true);
        // Others of that pause still wait, and no connection is free.
        backlog.begin_look(at(1_002), at(4), at(1_001));
        assert_eq!(backlog.lag(), milliseconds(997));
        backlog.end_look(at(1_003), false);
        assert_eq!(backlog.lag(), Duration::ZERO, "no request waits any more");
    }

    #[test]
    fn a_delay_while_no_connection_was_free_is_the_servers() {
        let mut backlog = Backlog::default();
        backlog.end_look(at(0), false);
        backlog.begin_look(at(500), at(3), at(499));
        assert_eq!(backlog.lag(), Duration::ZERO);
        backlog.end_look(at(500), true);
        backlog.begin_look(at(1_500), at(3), at(550));
        assert_eq!(backlog.lag(), milliseconds(950), "the loop was to be woken at 550 ms");
    }

    #[test]
    fn after_the_end_only_what_the_generator_kept_is_sent_and_only_once() {
        let backlog = with_a_free_connection();
        assert!(backlog.may_send(at(9), at(10)) && backlog.may_send(at(11), at(10)));
        let mut closed = with_a_free_connection();
        closed.end_look(at(11), true);
        assert!(closed.was_closed(at(10)) && !closed.may_send(at(12), at(10)));
        let mut busy = Backlog::default();
        busy.end_look(at(9), true);
        assert!(busy.may_send(at(9), at(10)) && !busy.may_send(at(10), at(10)));
    }
}
