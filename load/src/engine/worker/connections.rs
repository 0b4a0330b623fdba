//! Opening, losing and replacing connections.

use tinytcp_core::os::moment::Moment;
use tinytcp_core::os::table::Token;

use super::{INTEREST, Worker};
use crate::engine::connect;
use crate::engine::connection::{LoadConnection, Loss, RemainingLife};
use crate::measurement::causes::{ConnectError, ConnectionEnd, ReplyError};
use crate::measurement::settings::Pace;

/// Maximum number of connections opened per round. Each costs the kernel tens of microseconds,
/// during which replies wait.
const OPENED_PER_ROUND_MAX: usize = 32;

impl Worker {
    /// Opens the connections that are due, a limited number per round.
    pub(super) fn open_due(&mut self) {
        for _ in 0..OPENED_PER_ROUND_MAX {
            if self.state.now >= self.end() {
                return;
            }
            let Some(slot) = self.slots.pop_due(self.state.now) else { return };
            self.connect(slot);
        }
    }

    fn connect(&mut self, slot: usize) {
        let attempt = self.slots.attempt(slot, self.barrier.address());
        let begun = self.state.read_clock();
        self.state.counts.connects += u64::from(attempt.is_first);
        let token = self.connections.next_token();
        let started = connect::start(&self.plan, attempt, &mut self.state.counts.connects);
        let registered = started.and_then(|mut stream| {
            self.poll.registry().register(&mut stream, mio::Token(token.to_usize()), INTEREST)?;
            Ok(stream)
        });
        match registered {
            Ok(stream) => {
                let life = RemainingLife::new(self.plan.lifetime, begun);
                self.connections.insert(LoadConnection::new(
                    stream,
                    (slot, attempt.number),
                    attempt.address,
                    &self.plan.script,
                    life,
                ));
                self.slots.begun();
                self.set_deadline(token);
            }
            Err(error) => {
                self.attempt_failed((slot, attempt.address), connect::cause(&error), begun);
            }
        }
    }

    /// Tries the next address if `cause` belongs to this one; counts a failure after all addresses.
    fn attempt_failed(
        &mut self,
        (slot, address): (usize, usize),
        cause: ConnectError,
        now: Moment,
    ) {
        // Missing ports or descriptors affect every address.
        let is_ours = matches!(cause, ConnectError::NoPort | ConnectError::NoDescriptor);
        if is_ours || !self.slots.try_next_address(slot, now) {
            self.state.counts.connect_errors.add(cause, 1);
            if self.plan.is_spread {
                self.state.counts.by_address.of(address).failed += 1;
            }
            self.slots.failed(slot, now);
        }
    }

    /// Closes a connection at the end of its lifetime, and opens the next one in its slot if there
    /// are requests left for it.
    pub(super) fn retire(&mut self, token: Token) {
        if let Some(connection) = self.remove(token)
            && self.quota > 0
        {
            self.slots.reopen(connection.slot, self.state.now);
        }
    }

    pub(super) fn handle_loss(&mut self, token: Token, loss: Loss) {
        let Some(mut connection) = self.remove(token) else { return };
        let now = self.state.now;
        match loss {
            Loss::Refused(cause) => {
                self.attempt_failed((connection.slot, connection.address), cause, now);
            }
            Loss::Rejected(cause) => {
                // Scheduled requests must appear in some count; a closed loop sends them again.
                if self.state.has_schedule() && !connection.is_logging_in() {
                    connection.fail_all(ReplyError::Missing, &mut self.state);
                } else {
                    let discarded = connection.discard_in_flight(&mut self.state);
                    self.quota = self.quota.saturating_add(discarded);
                }
                self.state.counts.connect_errors.add(cause, 1);
                if self.plan.is_spread {
                    self.state.counts.by_address.of(connection.address).failed += 1;
                }
                self.slots.rejected(connection.slot, now);
            }
            Loss::Ended(ending) => {
                let oldest = match ending {
                    ConnectionEnd::Silent | ConnectionEnd::Late => ReplyError::Late,
                    // An unreadable reply is already counted; a closing message is not a part of a
                    // reply.
                    ConnectionEnd::Unreadable
                    | ConnectionEnd::IdleTimeout
                    | ConnectionEnd::MessageTimeout
                    | ConnectionEnd::Shutdown => ReplyError::Missing,
                    ConnectionEnd::Closed
                    | ConnectionEnd::Reset
                    | ConnectionEnd::TlsTruncated
                    | ConnectionEnd::TlsFailed => connection.error_of_oldest(),
                };
                connection.fail_all(oldest, &mut self.state);
                self.state.counts.endings.add(ending, 1);
                match self.plan.settings.pace {
                    // The end of a held connection is the result; a new one in its place would hide
                    // it.
                    Pace::Hold(_) => {}
                    _ if connection.has_completed() => self.slots.reopen(connection.slot, now),
                    _ => self.slots.reopen_later(connection.slot, now),
                }
            }
        }
    }

    fn remove(&mut self, token: Token) -> Option<LoadConnection> {
        self.deadlines.remove(token.key());
        let mut connection = self.connections.remove(token)?;
        self.slots.closed(connection.is_open(), self.state.now);
        connection.end(&self.plan);
        Some(connection)
    }

    /// Checks the connections whose deadlines are due.
    pub(super) fn expire(&mut self) {
        let now = self.state.now;
        while let Some(key) = self.deadlines.pop_due(now) {
            let Some(token) = self.connections.token_of(key) else { continue };
            let Some(connection) = self.connections.get_mut(token) else { continue };
            if connection.deadline(&self.plan) > now {
                self.set_deadline(token);
            } else if !connection.is_open() {
                let loss = connection.timed_out();
                self.handle_loss(token, loss);
            } else if connection.is_idle() {
                self.schedule_next(token);
            } else {
                let ending = connection.overdue();
                self.handle_loss(token, Loss::Ended(ending));
            }
        }
    }
}
