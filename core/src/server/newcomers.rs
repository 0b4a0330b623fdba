//! Connections that have been accepted and have not said anything, of which the activity log is
//! told later.
//!
//! A port scanner or a health check is gone within a second, mostly; the log then counts it as a
//! probe.

use std::time::Duration;

use crate::os::moment::Moment;
use crate::os::table::Token;

/// For how long a silent connection is not logged.
const ANNOUNCE_AFTER: Duration = Duration::from_secs(1);

/// How many silent connections are logged at a time: a few more than the log shows lines in a
/// second.
const NEWCOMERS_MAX: usize = 64;

/// The connections of the last second.
#[derive(Debug)]
pub(super) struct Newcomers {
    tokens: Vec<Token>,
    due: Moment,
}

impl Default for Newcomers {
    fn default() -> Self {
        Self { tokens: Vec::new(), due: Moment::NEVER }
    }
}

impl Newcomers {
    /// A connection was accepted.
    pub(super) fn add(&mut self, token: Token, now: Moment) {
        if self.tokens.len() < NEWCOMERS_MAX {
            self.tokens.push(token);
            self.due = self.due.min(now.after(ANNOUNCE_AFTER));
        }
    }

    /// When [`Newcomers::take_due`] must be called though nothing happens.
    pub(super) const fn deadline(&self) -> Moment {
        self.due
    }

    /// Takes out the connections that are to be logged now, closed ones among them.
    pub(super) fn take_due(&mut self, now: Moment) -> Vec<Token> {
        if now < self.due {
            return Vec::new();
        }
        self.due = Moment::NEVER;
        std::mem::take(&mut self.tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_silent_connections_of_a_flood_are_logged_a_second_after_the_first_one() {
        let mut newcomers = Newcomers::default();
        for number in 0..2 * NEWCOMERS_MAX {
            newcomers.add(
                Token::from_usize(number),
                Moment::START.after(Duration::from_millis(number as u64)),
            );
        }
        let due = Moment::START.after(ANNOUNCE_AFTER);
        assert_eq!(newcomers.deadline(), due);
        assert_eq!(newcomers.take_due(Moment::START).len(), 0);
        assert_eq!(newcomers.take_due(due).len(), NEWCOMERS_MAX);
        assert_eq!(newcomers.deadline(), Moment::NEVER);
    }
}
