//! The memory limit: while it is exceeded, the loop evicts connections.

use super::event_loop::EventLoop;
use crate::os::system::System;

impl<S: System> EventLoop<S> {
    /// Evicts connections until the memory limit holds. The loop calls it after each turn.
    #[inline]
    pub(super) fn enforce_memory_limit(&mut self) {
        if !self.shared.pool.is_over_limit() && !self.shared.pool.is_short() {
            return;
        }
        self.eviction.begin(&mut self.shared.pool, self.shared.clock.now());
        while self.shared.pool.is_over_limit() && self.evict() {}
    }

    /// Evicts one more connection if an eviction is in progress. Once the limit holds there is no
    /// hurry, and one reset can take 100 microseconds, because the kernel frees what it holds for
    /// the connection. So a round evicts only one.
    pub(super) fn continue_eviction(&mut self) {
        if self.eviction.is_active() {
            self.evict();
        }
    }

    /// Evicts one connection, which releases the memory that it holds. Returns false when there is
    /// none to evict.
    fn evict(&mut self) -> bool {
        let now = self.shared.clock.now();
        let Some(token) = self.eviction.next(&self.table, &mut self.shared.pool, now) else {
            return false;
        };
        self.shared.turn_of = token;
        if let Some(connection) = self.table.get_mut(token) {
            let turn = connection.evict(&mut self.shared);
            self.finish_turn(token, turn);
        }
        true
    }
}
