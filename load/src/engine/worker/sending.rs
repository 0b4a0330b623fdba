//! Sending requests when they are due.

use std::io;
use std::time::Duration;

use tinytcp_core::os::moment::Moment;
use tinytcp_core::os::table::Token;

use super::Worker;
use crate::measurement::settings::Pace;

/// Number of tokens of ended connections that a queue may hold in any case.
const FREE_SLACK: usize = 64;

impl Worker {
    /// Decides the next action of a connection.
    pub(super) fn settle(&mut self, token: Token) {
        let (now, is_loading, depth) = (self.shared.now, self.is_loading(), self.plan.asked.depth);
        let Some(peer) = self.peers.get_mut(token) else { return };
        if peer.is_over(now) {
            return self.retire(token);
        }
        let room = if peer.is_queued { 0 } else { peer.room(depth, now) };
        match self.plan.asked.pace {
            Pace::Closed if is_loading && room > 0 => {
                return self.send(token, room, 0, Duration::ZERO);
            }
            Pace::Hold(pause) if is_loading && room == depth => {
                // The first heartbeats are spread over one interval; otherwise they would stay a
                // burst forever.
                let place =
                    self.roster.number(peer.slot) as f64 / self.plan.asked.connections as f64;
                let first = pause.min(self.plan.asked.duration).mul_f64(place);
                let pause = if peer.has_begun() { pause } else { first };
                self.pause(token, now.after(pause));
            }
            Pace::Open { .. } if room > 0 => {
                peer.is_queued = true;
                self.backlog.push(token);
                // Ended connections leave their tokens in the queue, which must not grow without
                // bound.
                if self.backlog.len() > 2 * self.peers.len() + FREE_SLACK {
                    self.backlog.retain(|token| self.peers.get_mut(*token).is_some());
                }
            }
            _ => {}
        }
        self.arm(token);
    }

    /// Pauses a connection until `over`.
    pub(super) fn pause(&mut self, token: Token, over: Moment) {
        let Some(peer) = self.peers.get_mut(token) else { return };
        peer.is_queued = true;
        // All pauses except the first have the same length, so the place is at or near the end.
        let place = self.pausing.partition_point(|(other, _)| *other <= over);
        self.pausing.insert(place, (over, token));
    }

    /// Sets the deadline of a connection. A deadline that moved later is corrected when the old one
    /// is due.
    pub(super) fn arm(&mut self, token: Token) {
        let Some(peer) = self.peers.get_mut(token) else { return };
        self.deadlines.bring_forward(token.key(), peer.deadline(&self.plan));
    }

    /// Sends `count` requests, of which `number` is the first in the schedule. The generator
    /// delayed them by at most `lag`.
    pub(super) fn send(&mut self, token: Token, count: usize, number: u64, lag: Duration) {
        let Some(peer) = self.peers.get_mut(token) else { return };
        peer.begin(count, number, lag, &mut self.shared);
        match peer.flush(&self.plan, &mut self.shared) {
            // Requests without replies are complete when sent. The next ones wait for the next
            // round, so that all connections have a turn.
            Ok(()) if peer.is_idle() && self.plan.asked.pace == Pace::Closed => {
                self.pause(token, self.shared.now)
            }
            Ok(()) if peer.is_idle() => self.settle(token),
            Ok(()) => self.arm(token),
            Err(loss) => self.lose(token, loss),
        }
    }

    /// Sends the requests that are due by the schedule or by the end of a pause.
    pub(super) fn send_due(&mut self) -> io::Result<()> {
        let now = self.shared.now;
        while let Some((_, token)) = self.pausing.pop_front_if(|(over, _)| *over <= now) {
            let is_loading = self.is_loading();
            let Some(peer) = self.peers.get_mut(token) else { continue };
            peer.is_queued = false;
            let has_room = peer.room(1, now) > 0;
            match self.plan.asked.pace {
                Pace::Hold(_) if has_room && is_loading => self.send(token, 1, 0, Duration::ZERO),
                _ => self.settle(token),
            }
            self.shared.read_clock();
        }
        self.send_scheduled();
        let is_waiting = !self.backlog.is_empty() && self.backlog.may_send(now, self.end());
        let next = if !is_waiting { Moment::NEVER } else { self.shared.due(self.next) };
        if next != self.alarm && next != Moment::NEVER {
            self.timer.set(next.since(self.shared.read_clock()))?;
        }
        self.alarm = next;
        Ok(())
    }

    pub(super) fn send_scheduled(&mut self) {
        let (now, mut unsent) =
            (self.shared.now, usize::try_from(self.unsent()).unwrap_or(usize::MAX));
        if unsent > 0 {
            self.backlog.begin_look(now, self.shared.due(self.next), self.shared.woken);
        }
        while unsent > 0
            && self.backlog.may_send(now, self.end())
            && let Some(token) = self.backlog.pop()
        {
            // The due requests are spread evenly over the free connections.
            let share = unsent.div_ceil(self.backlog.len() + 1);
            let Some(peer) = self.peers.get_mut(token) else { continue };
            peer.is_queued = false;
            let count = share.min(peer.room(self.plan.asked.depth, self.shared.now));
            if count > 0 {
                let lag = self.backlog.lag() + self.shared.read_clock().since(now);
                self.send(token, count, self.next, lag);
                self.next += count as u64;
                unsent -= count;
            }
            self.settle(token);
        }
        self.backlog.end_look(now, unsent > 0);
    }
}
