//! New connections that have sent nothing yet: the activity log shows them only after a second.
//!
//! Most port scanners and health checks close within that second. Their connections are counted as
//! probes instead of being logged twice, as opened and as closed.

use std::time::Duration;

use crate::os::moment::Moment;
use crate::os::table::Token;

/// How long a silent connection stays out of the log.
const ANNOUNCE_AFTER: Duration = Duration::from_secs(1);

/// How many silent connections are remembered: slightly more than the log has lines per second.
/// Those beyond it are logged when they send something or close.
const NEWCOMERS_MAX: usize = 64;

/// The silent connections of the last second.
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
    /// Adds a connection that was accepted now.
    pub(super) fn add(&mut self, token: Token, now: Moment) {
        if self.tokens.len() < NEWCOMERS_MAX {
            self.tokens.push(token);
            self.due = self.due.min(now.after(ANNOUNCE_AFTER));
        }
    }

    /// When [`Newcomers::take_due`] must be called next, even if no event comes.
    pub(super) const fn deadline(&self) -> Moment {
        self.due
    }

    /// Removes and returns the connections that are due for the log. Some may be closed by now.
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
    fn the_first_silent_connections_of_a_flood_are_due_in_a_second() {
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
