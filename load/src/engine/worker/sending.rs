//! Sending requests when they are due.

use std::io;
use std::time::Duration;

use tinytcp_core::os::moment::Moment;
use tinytcp_core::os::table::Token;

use super::Worker;
use crate::engine::connection::Loss;
use crate::measurement::settings::Pace;

/// Number of tokens of ended connections that a queue may hold in any case.
const FREE_SLACK: usize = 64;

impl Worker {
    /// Decides the next action of a connection.
    pub(super) fn schedule_next(&mut self, token: Token) {
        let (now, is_loading, depth) =
            (self.state.now, self.is_loading(), self.plan.settings.depth);
        let Some(connection) = self.connections.get_mut(token) else { return };
        if connection.is_over(now) {
            return self.retire(token);
        }
        if connection.is_logging_in() && connection.start_login(&mut self.state) {
            let result = connection.flush(&self.plan, &mut self.state).map(|()| false);
            return self.flushed(token, result);
        }
        let room = if connection.is_queued { 0 } else { connection.room(depth, now) };
        match self.plan.settings.pace {
            Pace::Closed if is_loading && room > 0 => {
                let pause = self.plan.settings.think + connection.pause();
                if pause.is_zero() {
                    return self.send_next(token, room);
                }
                if connection.is_idle() {
                    self.pause_between(token, pause);
                }
            }
            Pace::Hold(pause) if is_loading && room == depth => self.pause_between(token, pause),
            Pace::Open { .. } if room > 0 => {
                connection.is_queued = true;
                self.free_connections.push(token);
                // Ended connections leave their tokens in the queue, which must not grow without
                // bound.
                if self.free_connections.len() > 2 * self.connections.len() + FREE_SLACK {
                    self.free_connections
                        .retain(|token| self.connections.get_mut(*token).is_some());
                }
            }
            _ => {}
        }
        self.set_deadline(token);
    }

    /// Pauses a connection before its next request.
    fn pause_between(&mut self, token: Token, pause: Duration) {
        let Some(connection) = self.connections.get_mut(token) else { return };
        // The first requests are spread over one pause; otherwise they would stay a burst forever.
        let place =
            self.slots.number(connection.slot) as f64 / self.plan.settings.connections as f64;
        let first = pause.min(self.plan.settings.duration).mul_f64(place);
        let pause = if connection.has_begun() { pause } else { first };
        self.pause(token, self.state.now.after(pause));
    }

    /// Pauses a connection until `over`.
    fn pause(&mut self, token: Token, over: Moment) {
        let Some(connection) = self.connections.get_mut(token) else { return };
        connection.is_queued = true;
        // All pauses except the first have the same length, so the place is at or near the end.
        let place = self.pausing.partition_point(|(other, _)| *other <= over);
        self.pausing.insert(place, (over, token));
    }

    /// Sets the deadline of a connection. A deadline that moved later is corrected when the old one
    /// is due.
    pub(super) fn set_deadline(&mut self, token: Token) {
        let Some(connection) = self.connections.get_mut(token) else { return };
        self.deadlines.bring_forward(token.key(), connection.deadline(&self.plan));
    }

    /// Sends the next `room` requests of a closed loop, or as many as are left.
    fn send_next(&mut self, token: Token, room: usize) {
        let count = room.min(usize::try_from(self.quota).unwrap_or(usize::MAX));
        if count == 0 {
            return self.set_deadline(token);
        }
        let number = self.next;
        self.next += count as u64;
        if self.quota != u64::MAX {
            self.quota -= count as u64;
        }
        self.send(token, count, number, Duration::ZERO);
    }

    /// Sends `count` requests, of which `number` is the first of this thread. The generator
    /// delayed them by at most `lag`.
    fn send(&mut self, token: Token, count: usize, number: u64, lag: Duration) {
        let Some(connection) = self.connections.get_mut(token) else { return };
        connection.start_requests(count, number, lag, &mut self.state);
        let result = connection.flush(&self.plan, &mut self.state).map(|()| connection.is_idle());
        self.flushed(token, result);
    }

    /// Decides the next action of a connection after its requests were sent, as far as its socket
    /// had room; the result is true if none waits for a reply.
    fn flushed(&mut self, token: Token, result: Result<bool, Loss>) {
        match result {
            // Requests without replies are complete when sent. The next ones wait for the next
            // round, so that all connections have a turn.
            Ok(true) if self.plan.settings.pace == Pace::Closed => {
                let Some(connection) = self.connections.get_mut(token) else { return };
                let pause = self.plan.settings.think + connection.pause();
                self.pause(token, self.state.now.after(pause));
            }
            Ok(true) => self.schedule_next(token),
            Ok(false) => self.set_deadline(token),
            Err(loss) => self.handle_loss(token, loss),
        }
    }

    /// Sends the requests that are due by the schedule or by the end of a pause.
    pub(super) fn send_due(&mut self) -> io::Result<()> {
        let now = self.state.now;
        while let Some((_, token)) = self.pausing.pop_front_if(|(over, _)| *over <= now) {
            let is_loading = self.is_loading();
            let Some(connection) = self.connections.get_mut(token) else { continue };
            connection.is_queued = false;
            let room = connection.room(self.plan.settings.depth, now);
            match self.plan.settings.pace {
                Pace::Closed | Pace::Hold(_) if room > 0 && is_loading => {
                    self.send_next(token, room);
                }
                _ => self.schedule_next(token),
            }
            self.state.read_clock();
        }
        self.send_scheduled();
        let is_waiting =
            !self.free_connections.is_empty() && self.free_connections.may_send(now, self.end());
        let next = if !is_waiting { Moment::NEVER } else { self.state.due(self.next) };
        if next != self.alarm && next != Moment::NEVER {
            self.timer.set(next.since(self.state.read_clock()))?;
        }
        self.alarm = next;
        Ok(())
    }

    fn send_scheduled(&mut self) {
        let (now, mut unsent) =
            (self.state.now, usize::try_from(self.unsent()).unwrap_or(usize::MAX));
        if unsent > 0 {
            self.free_connections.begin_look(now, self.state.due(self.next), self.state.woken);
        }
        while unsent > 0
            && self.free_connections.may_send(now, self.end())
            && let Some(token) = self.free_connections.pop()
        {
            // The due requests are spread evenly over the free connections.
            let share = unsent.div_ceil(self.free_connections.len() + 1);
            let Some(connection) = self.connections.get_mut(token) else { continue };
            connection.is_queued = false;
            let count = share.min(connection.room(self.plan.settings.depth, self.state.now));
            if count > 0 {
                let lag = self.free_connections.lag() + self.state.read_clock().since(now);
                self.send(token, count, self.next, lag);
                self.next += count as u64;
                unsent -= count;
            }
            self.schedule_next(token);
        }
        self.free_connections.end_look(now, unsent > 0);
    }
}
