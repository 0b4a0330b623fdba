//! The message rate of the peer's address: when a connection is delayed, and until when.

use super::timeouts::Wait;
use super::{Connection, Phase, Shared, Stopping};
use crate::close_reason::CloseReason;
use crate::os::moment::Moment;
use crate::os::system::Socket;

/// How the limits of connections and the limits per address treat a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// It was rejected over a limit.
    Rejected,
    /// It does not count for an address.
    Unlimited,
    /// It counts for its address, which may send messages.
    Within,
    /// It has something to read, and waits because its address has sent too many messages.
    Delayed,
}

impl Allowance {
    /// True if the connection counts for its address.
    #[inline]
    pub(super) const fn is_limited(self) -> bool {
        matches!(self, Self::Within | Self::Delayed)
    }
}

impl<S: Socket> Connection<S> {
    /// True if the peer of the connection is known, and it does not count for its address.
    #[must_use]
    pub fn may_count_for_address(&self) -> bool {
        let is_shaking_hands = self.phase == Phase::Opening && self.conversation.layer().is_some();
        self.allowance == Allowance::Unlimited && (self.phase == Phase::Open || is_shaking_hands)
    }

    /// Notes that the connection counts for its address until it is closed, if it does.
    pub const fn count_for_address(&mut self, is_counted: bool) {
        if is_counted {
            self.allowance = Allowance::Within;
        }
    }

    /// Returns why the connection was rejected with an answer, if it was.
    #[must_use]
    pub const fn rejection(&self) -> Option<CloseReason> {
        match (self.allowance, self.phase) {
            (Allowance::Rejected, Phase::Flushing(reason) | Phase::Lingering(reason)) => {
                Some(reason)
            }
            _ => None,
        }
    }

    /// Checks whether the address of the connection may send more messages. If not, the connection
    /// reads nothing until it may. After a stop nothing is delayed: what has arrived is answered.
    pub(super) fn update_allowance(&mut self, shared: &mut Shared) {
        let was_delayed = self.allowance == Allowance::Delayed;
        let is_delayed = self.wants_read()
            && self.stopping == Stopping::No
            && !shared.address_limits.may_send(&self.peer, shared.clock.now());
        if is_delayed {
            self.allowance = Allowance::Delayed;
            let listener = self.peer.listener();
            shared.status.count(listener, |counters| counters.delays += u64::from(!was_delayed));
        } else if was_delayed {
            self.end_delay(shared.clock.now());
        }
    }

    /// Ends the delay of a connection, which checks the rate again before it reads.
    pub(super) const fn end_delay(&mut self, now: Moment) {
        self.allowance = Allowance::Within;
        self.restart_incomplete(now);
    }

    /// Returns the wait of a delayed connection that ends first, and its deadline. A delay extends
    /// neither the idle timeout nor the write timeout.
    pub(super) fn delayed_wait(&self, shared: &Shared) -> (Wait, Moment) {
        let (timeouts, now) = (&shared.timeouts, shared.clock.now());
        let other = if self.is_flushed() {
            (Wait::Idle, self.last_received.max(self.last_sent).deadline(timeouts.idle))
        } else {
            (Wait::Write, self.last_sent.deadline(timeouts.write))
        };
        let token = (Wait::Token, shared.address_limits.may_send_at(&self.peer, now));
        if token.1 < other.1 { token } else { other }
    }
}
