//! The gradual close of a drain: the connections are closed one by one, spread evenly over a time,
//! so that their clients do not all return to another server at once.
//!
//! ```text
//!   SIGUSR2      drain delay       |  1st  2nd  3rd  4th of 4  |    stop
//!      | serve, but not ready      | accept no more            | the rest
//! ```
//!
//! The drain strategy `gradual` of Envoy has the same purpose.

use std::time::Duration;

use crate::os::moment::Moment;
use crate::os::table::Token;

/// The connections that are left to close, and the times of their closes.
#[derive(Debug, Default)]
pub(super) struct GradualClose {
    /// The connections that are left; the last one is closed next. Some may be closed already.
    tokens: Vec<Token>,
    /// How many there were at the beginning.
    count: usize,
    schedule: Option<Schedule>,
}

#[derive(Debug)]
struct Schedule {
    begins: Moment,
    length: Duration,
}

impl GradualClose {
    /// Begins to close `tokens` over a time of `length`. The first one is due now.
    pub(super) fn begin(&mut self, tokens: Vec<Token>, begins: Moment, length: Duration) {
        self.count = tokens.len();
        self.tokens = tokens;
        self.schedule = Some(Schedule { begins, length });
    }

    /// When the next connection is due; [`Moment::NEVER`] if none is left.
    pub(super) fn deadline(&self) -> Moment {
        match &self.schedule {
            Some(Schedule { begins, length }) if !self.tokens.is_empty() => {
                begins.after(share(*length, self.count - self.tokens.len(), self.count))
            }
            _ => Moment::NEVER,
        }
    }

    /// Removes and returns a connection that is due.
    pub(super) fn pop_due(&mut self, now: Moment) -> Option<Token> {
        if now < self.deadline() { None } else { self.tokens.pop() }
    }

    /// Forgets the connections that are left: the server stops.
    pub(super) fn end(&mut self) {
        self.tokens = Vec::new();
    }
}

/// Returns `index / count` of `length`.
fn share(length: Duration, index: usize, count: usize) -> Duration {
    let nanoseconds = length.as_nanos() * index as u128 / count.max(1) as u128;
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Moment {
        Moment::START.after(Duration::from_millis(milliseconds))
    }

    fn closing(count: usize) -> GradualClose {
        let mut closing = GradualClose::default();
        let tokens = (1..=count).map(Token::from_usize).collect();
        closing.begin(tokens, at(1000), Duration::from_secs(1));
        closing
    }

    #[test]
    fn the_connections_are_due_at_equal_distances() {
        let mut closing = closing(4);
        let due = [1000, 1250, 1500, 1750].map(|time| {
            assert_eq!(closing.deadline(), at(time));
            assert_eq!(closing.pop_due(at(time - 1)), None);
            closing.pop_due(at(time)).is_some()
        });
        assert_eq!(due, [true; 4]);
        assert_eq!((closing.deadline(), closing.pop_due(at(9000))), (Moment::NEVER, None));
    }

    #[test]
    fn a_late_loop_finds_all_that_are_due() {
        let mut closing = closing(100);
        let due = std::iter::from_fn(|| closing.pop_due(at(1499))).count();
        assert_eq!(due, 50);
    }

    #[test]
    fn a_longest_time_of_many_connections_does_not_overflow() {
        assert_eq!(share(Duration::MAX, 1, 2), Duration::from_nanos(u64::MAX));
        assert_eq!(share(Duration::from_secs(1), 0, 0), Duration::ZERO);
    }
}
