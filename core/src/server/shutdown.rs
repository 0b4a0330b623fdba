//! Stopping: accept nothing more, answer what has arrived, close, and be gone in time.
//!
//! ```text
//!   first request          half of the time          all of it, or a second request
//!        |  read and answer      |  answer only             |  close
//! ```
//!
//! Requests that come together are one: a shell that ends sends SIGINT and SIGTERM, or one of them
//! twice.
//!
//! Who was waiting to be accepted has arrived too. A connection is over as soon as a read finds
//! nothing more; the half is for peers that never stop sending, or that take their answers so
//! slowly that the rest of their requests cannot be read.

use std::time::Duration;

use crate::os::moment::Moment;

/// A request that follows the first one within this time is no second one: no person asks twice so
/// quickly.
const MERGED_WITHIN: Duration = Duration::from_millis(200);

/// What a shutdown does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Accept what is queued and nothing more, and end each connection once what has arrived is
    /// answered.
    StopAccepting,
    /// Read nothing more.
    StopReading,
}

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

    /// The step that is due now, of a shutdown that may take `timeout`.
    pub(super) fn next_step(&mut self, now: Moment, timeout: Option<Duration>) -> Option<Step> {
        if std::mem::take(&mut self.requested) {
            if !self.started {
                self.started = true;
                self.stop_reading_at = now.deadline(timeout.map(|timeout| timeout / 2));
                self.ends = now.deadline(timeout);
                return Some(Step::StopAccepting);
            }
            self.is_urgent |= now >= self.merged_until;
        }
        if now >= self.stop_reading_at {
            self.stop_reading_at = Moment::NEVER;
            return Some(Step::StopReading);
        }
        None
    }

    /// Nothing more is accepted, as of `now`. To accept the queue may take long, and what came
    /// meanwhile came together with the first request.
    pub(super) fn stopped_accepting(&mut self, now: Moment) {
        self.merged_until = now.after(MERGED_WITHIN);
    }

    /// True exactly when the server is to end, with `open` connections left.
    pub(super) fn is_over(&self, open: usize, now: Moment) -> bool {
        self.started && (open == 0 || self.is_urgent || now >= self.ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAIN: Option<Duration> = Some(Duration::from_secs(4));

    fn at(milliseconds: u64) -> Moment {
        Moment::START.after(Duration::from_millis(milliseconds))
    }

    /// A shutdown that was requested at the start.
    fn requested() -> Shutdown {
        let mut shutdown = Shutdown::default();
        shutdown.request();
        assert_eq!(shutdown.next_step(at(0), DRAIN), Some(Step::StopAccepting));
        shutdown.stopped_accepting(at(0));
        shutdown
    }

    #[test]
    fn reading_ends_after_half_of_the_time_and_everything_after_all_of_it() {
        let mut shutdown = requested();
        assert_eq!(shutdown.next_step(at(1999), DRAIN), None);
        assert_eq!(shutdown.next_step(at(2000), DRAIN), Some(Step::StopReading));
        assert!(!shutdown.is_over(1, at(3999)) && shutdown.is_over(1, at(4000)));
    }

    #[test]
    fn it_is_over_when_no_connection_is_left() {
        assert!(requested().is_over(0, at(1)));
        assert!(!Shutdown::default().is_over(0, at(1)), "no request, no end");
    }

    #[test]
    fn a_second_request_ends_it_unless_it_came_together_with_the_first() {
        for (after, is_over) in [(199, false), (200, true)] {
            let mut shutdown = requested();
            shutdown.request();
            shutdown.next_step(at(after), DRAIN);
            assert_eq!(shutdown.is_over(1, at(after)), is_over, "{after} ms after the first");
        }
    }
}
