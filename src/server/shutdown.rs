//! Stopping: accept nothing more, answer what has arrived, close, and be gone in time.
//!
//! ```text
//!   first request          half of the time          all of it, or a second request
//!        |  read and answer      |  answer only             |  close
//! ```
//!
//! Who was waiting to be accepted has arrived too. A connection is over as soon as a read finds nothing more; the half is
//! for peers that never stop sending, or that take their answers so slowly that the rest of their requests cannot be read.

use super::event_loop::EventLoop;
use crate::base::moment::Moment;
use crate::base::system::System;
use crate::connection::Connection;

/// How far stopping has come.
#[derive(Debug)]
pub(super) struct Shutdown {
    requests: u32,
    /// True exactly when the first request has been acted on.
    started: bool,
    stop_reading_at: Moment,
    ends: Moment,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { requests: 0, started: false, stop_reading_at: Moment::NEVER, ends: Moment::NEVER }
    }
}

impl Shutdown {
    /// Somebody asked for it.
    pub(super) fn request(&mut self) {
        self.requests = self.requests.saturating_add(1);
    }

    /// When the loop must look here though nothing happens.
    pub(super) fn deadline(&self) -> Moment {
        self.stop_reading_at.min(self.ends)
    }
}

impl<S: System> EventLoop<S> {
    /// True exactly when there is nothing left to serve.
    pub(super) fn is_over(&self) -> bool {
        let Shutdown { requests, started, ends, .. } = self.shutdown;
        started && (self.table.is_empty() || requests > 1 || self.shared.clock.now() >= ends)
    }

    /// Takes the next step of a shutdown, when one is due.
    pub(super) fn shut_down(&mut self) {
        let now = self.shared.clock.now();
        if self.shutdown.requests > 0 && !self.shutdown.started {
            log::info!("stopping: {} connections are open", self.table.len());
            let timeout = self.shared.timeouts.drain;
            self.shutdown.started = true;
            self.shutdown.stop_reading_at = now.deadline(timeout.map(|timeout| timeout / 2));
            self.shutdown.ends = now.deadline(timeout);
            self.accept_queue();
            self.acceptor.stop();
            self.system.close_listeners();
            self.enqueue_all(Connection::stop);
        }
        if now >= self.shutdown.stop_reading_at {
            self.shutdown.stop_reading_at = Moment::NEVER;
            self.enqueue_all(Connection::stop_reading);
        }
    }
}
