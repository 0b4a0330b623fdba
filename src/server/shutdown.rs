//! Stopping: accept nothing more, answer what has arrived, close, and be gone in time.
//!
//! ```text
//!   first request          half of the time          all of it, or a second request
//!        |  read and answer      |  answer only             |  close
//! ```
//!
//! Requests that come together are one: a shell that ends sends SIGINT and SIGTERM, or one of them twice.
//!
//! Who was waiting to be accepted has arrived too. A connection is over as soon as a read finds nothing more; the half is
//! for peers that never stop sending, or that take their answers so slowly that the rest of their requests cannot be read.

use std::time::Duration;

use super::event_loop::EventLoop;
use crate::base::moment::Moment;
use crate::base::plural::plural;
use crate::base::system::System;
use crate::connection::Connection;

/// A request that follows the first one within this time is no second one: no person asks twice so quickly.
const MERGED_WITHIN: Duration = Duration::from_millis(200);

/// How far stopping has come.
#[derive(Debug)]
pub(super) struct Shutdown {
    /// True exactly when a request has come since the last look.
    requested: bool,
    /// True exactly when the first request has been acted on.
    started: bool,
    /// True exactly when a second request has come.
    is_urgent: bool,
    /// From here on a request is a second one.
    merged_until: Moment,
    stop_reading_at: Moment,
    ends: Moment,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            requested: false,
            started: false,
            is_urgent: false,
            merged_until: Moment::NEVER,
            stop_reading_at: Moment::NEVER,
            ends: Moment::NEVER,
        }
    }
}

impl Shutdown {
    /// Somebody asked for it.
    pub(super) const fn request(&mut self) {
        self.requested = true;
    }

    /// When the loop must look here though nothing happens.
    pub(super) fn deadline(&self) -> Moment {
        self.stop_reading_at.min(self.ends)
    }
}

impl<S: System> EventLoop<S> {
    /// True exactly when there is nothing left to serve.
    pub(super) fn is_over(&self) -> bool {
        let Shutdown { started, is_urgent, ends, .. } = self.shutdown;
        started && (self.table.is_empty() || is_urgent || self.shared.clock.now() >= ends)
    }

    /// Takes the next step of a shutdown, when one is due.
    pub(super) fn shut_down(&mut self) {
        let now = self.shared.clock.now();
        if std::mem::take(&mut self.shutdown.requested) {
            if self.shutdown.started {
                self.shutdown.is_urgent |= now >= self.shutdown.merged_until;
            } else {
                self.start_to_stop(now);
            }
        }
        if now >= self.shutdown.stop_reading_at {
            self.shutdown.stop_reading_at = Moment::NEVER;
            self.enqueue_all(Connection::stop_reading);
        }
    }

    /// Acts on the first request.
    fn start_to_stop(&mut self, now: Moment) {
        log::info!("stopping with {} open", plural(self.table.len() as u64, "connection"));
        let timeout = self.shared.timeouts.drain;
        self.shutdown.started = true;
        self.shutdown.stop_reading_at = now.deadline(timeout.map(|timeout| timeout / 2));
        self.shutdown.ends = now.deadline(timeout);
        self.accept_queue();
        self.acceptor.stop();
        self.system.close_listeners();
        self.enqueue_all(Connection::stop);
        // Read anew: what came while the queue was accepted, which may take long, came together with the first request.
        self.shutdown.merged_until = self.system.read_clocks().moment.after(MERGED_WITHIN);
    }
}
