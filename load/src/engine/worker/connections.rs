//! Opening, losing and replacing connections.

use std::io;

use tinytcp_core::os::moment::Moment;
use tinytcp_core::os::table::Token;

use super::{INTEREST, Worker};
use crate::engine::connect;
use crate::engine::connection::{Life, Loss, Peer};
use crate::measurement::causes::{ConnectError, Ending, ReplyError};
use crate::measurement::settings::Pace;

/// Maximum number of connections opened per round. Each costs the kernel tens of microseconds,
/// during which replies wait.
const OPENED_PER_ROUND_MAX: usize = 32;

impl Worker {
    /// Opens the connections that are due, a limited number per round.
    pub(super) fn open_due(&mut self) {
        for _ in 0..OPENED_PER_ROUND_MAX {
            if self.shared.now >= self.end() {
                return;
            }
            let Some(slot) = self.roster.pop_due(self.shared.now) else { return };
            self.connect(slot);
        }
    }

    pub(super) fn connect(&mut self, slot: usize) {
        let attempt = self.roster.attempt(slot, self.muster.address());
        let begun = self.shared.read_clock();
        self.shared.tally.connects += u64::from(attempt.is_first);
        let token = self.peers.next_token();
        let started = connect::start(&self.plan, attempt, &mut self.shared.tally.connects);
        let registered = started.and_then(|mut stream| {
            self.poll.registry().register(&mut stream, mio::Token(token.to_usize()), INTEREST)?;
            Ok(stream)
        });
        match registered {
            Ok(stream) => {
                let life = Life::new(self.plan.lifetime, begun);
                // A large step that shares no divisor with usual script lengths: neighbouring
                // connections start far apart.
                let place = attempt.number.wrapping_mul(7919) % self.plan.script.len();
                self.peers.insert(Peer::new(
                    stream,
                    slot,
                    attempt.address,
                    &self.plan.script,
                    place,
                    life,
                ));
                self.roster.begun();
                self.arm(token);
            }
            Err(error) => self.refuse(slot, &error, begun),
        }
    }

    /// Tries the next address if `error` belongs to this one; counts a failure after all addresses.
    pub(super) fn refuse(&mut self, slot: usize, error: &io::Error, now: Moment) {
        let cause = connect::cause(error);
        // Missing ports or descriptors affect every address.
        let is_ours = matches!(cause, ConnectError::NoPort | ConnectError::NoDescriptor);
        if is_ours || !self.roster.try_next_address(slot, now) {
            self.shared.tally.connect_errors.add(cause, 1);
            self.roster.failed(slot, now);
        }
    }

    /// Closes a connection at the end of its lifetime, and opens the next one in its slot.
    pub(super) fn retire(&mut self, token: Token) {
        if let Some(peer) = self.remove(token) {
            self.roster.reopen(peer.slot, self.shared.now);
        }
    }

    pub(super) fn lose(&mut self, token: Token, loss: Loss) {
        let Some(mut peer) = self.remove(token) else { return };
        let now = self.shared.now;
        match loss {
            Loss::Refused(error) => self.refuse(peer.slot, &error, now),
            Loss::Busy => {
                // Scheduled requests must appear in some count; a closed loop sends them again.
                if self.shared.has_schedule() {
                    peer.give_up(ReplyError::Missing, &self.plan.script, &mut self.shared);
                } else {
                    peer.forget(&mut self.shared);
                }
                self.shared.tally.connect_errors.add(ConnectError::Busy, 1);
                self.roster.turned_away(peer.slot, now);
            }
            Loss::Ended(ending) => {
                let oldest = match ending {
                    Ending::Silent | Ending::Late => ReplyError::Late,
                    // An unreadable reply is already counted; a closing message is not a part of a
                    // reply.
                    Ending::Unreadable
                    | Ending::IdleTimeout
                    | Ending::MessageTimeout
                    | Ending::Shutdown => ReplyError::Missing,
                    Ending::Closed | Ending::Reset => peer.loss_of_oldest(),
                };
                peer.give_up(oldest, &self.plan.script, &mut self.shared);
                self.shared.tally.endings.add(ending, 1);
                match self.plan.asked.pace {
                    // The end of a held connection is the result; a new one in its place would hide
                    // it.
                    Pace::Hold(_) => {}
                    _ if peer.is_of_use() => self.roster.reopen(peer.slot, now),
                    _ => self.roster.reopen_later(peer.slot, now),
                }
            }
        }
    }

    pub(super) fn remove(&mut self, token: Token) -> Option<Peer> {
        self.deadlines.remove(token.key());
        let peer = self.peers.remove(token)?;
        self.roster.closed(peer.is_open(), self.shared.now);
        if self.plan.reset {
            connect::reset_on_close(peer.stream());
        }
        Some(peer)
    }

    /// Checks the connections whose deadlines are due.
    pub(super) fn expire(&mut self) {
        let now = self.shared.now;
        while let Some(key) = self.deadlines.pop_due(now) {
            let Some(token) = self.peers.token_of(key) else { continue };
            let Some(peer) = self.peers.get_mut(token) else { continue };
            if peer.deadline(&self.plan) > now {
                self.arm(token);
            } else if !peer.is_open() {
                self.lose(token, Loss::Refused(io::ErrorKind::TimedOut.into()));
            } else if peer.is_idle() {
                self.settle(token);
            } else {
                let ending = peer.overdue();
                self.lose(token, Loss::Ended(ending));
            }
        }
    }
}
