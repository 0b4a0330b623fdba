//! When all connections together hold more than they may: who holds the most gives it up.
//!
//! ```text
//!   held   |----------------------------|----|  limit
//!                                    1/32
//!   over the limit     at once, until it holds again
//!   from there on      one connection a round, until a part of the limit is free
//! ```
//!
//! To reset a connection with all that the kernel holds for it may take 100 microseconds, so that the rest has time. Without
//! it the limit would be in sight all the time, and every message that is longer than a block would be refused at once.

use super::event_loop::EventLoop;
use super::warnings::Warnings;
use crate::base::system::System;

/// What the loop remembers of it.
#[derive(Debug, Default)]
pub(super) struct Relief {
    /// True exactly when the limit was passed and not enough is free again.
    pub(super) goes_on: bool,
    warnings: Warnings,
}

impl<S: System> EventLoop<S> {
    /// After each turn: no more is held than may be.
    #[inline]
    pub(super) fn relieve(&mut self) {
        if self.shared.pool.is_over_limit() {
            self.relieve_at_once();
        }
    }

    #[cold]
    fn relieve_at_once(&mut self) {
        if self.relief.warnings.may_pass(self.shared.clock.now()) {
            log::warn!(
                "the buffers hold all that --memory-limit allows: connections that hold the most give theirs up"
            );
        }
        self.relief.goes_on = true;
        while self.shared.pool.is_over_limit() && self.take_from_largest() {}
    }

    /// Each round: some is free again for what comes.
    pub(super) fn relieve_further(&mut self) {
        if self.relief.goes_on {
            self.relief.goes_on = !self.shared.pool.is_well_under_limit() && self.take_from_largest();
        }
    }

    /// Gives false when nobody holds anything.
    fn take_from_largest(&mut self) -> bool {
        let Some(token) = self.holders.largest().and_then(|key| self.table.token_of(key)) else { return false };
        if let Some(connection) = self.table.get_mut(token) {
            let turn = connection.give_up(&mut self.shared);
            self.after(token, turn);
        }
        true
    }
}
