//! The ways to end: a drain, which may precede a shutdown, and the shutdown.
//!
//! ```text
//!  drain            after the delay     shutdown            half the timeout    all of it
//!    |  serve, not ready  |  close one by one  |  read and answer  |  answer only  |  close
//! ```
//!
//! A drain lets a load balancer see that the server should get no new connections. After the drain
//! delay the server accepts no more, and closes its connections one by one, spread over the drain
//! timeout: see [`gradual_close`](super::gradual_close). The shutdown ends what is left then.
//!
//! A request to stop begins the shutdown at once. The connections in the kernel's accept queue have
//! arrived: they are accepted and answered. A connection is over as soon as a read finds nothing
//! more. After the first half of the drain timeout, the server reads no more: this bounds clients
//! that never stop sending, and clients that read their answers so slowly that the server cannot
//! read the rest of their requests. A second request closes all connections at once. Requests that
//! arrive together count as one: a terminal that closes sends several signals.
//!
//! The server first leaves the ports that it shares with other processes, which then get the new
//! connections. A drain goes on meanwhile, and a shutdown waits for it.

use std::time::Duration;

use crate::os::moment::Moment;

/// A request within this time after the first one is part of the first one: no person presses
/// Ctrl-C twice within it.
const MERGED_WITHIN: Duration = Duration::from_millis(200);

/// A part of a drain or a shutdown, which the loop begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Accept the queued connections of the ports that other processes share, and leave them.
    LeaveSharedPorts,
    /// Accept the queued connections and then no more; begin to close the connections one by one.
    CloseGradually,
    /// Accept the queued connections and then no more; close each connection once all that has
    /// arrived is answered.
    StopAccepting,
    /// Read no more.
    StopReading,
}

/// The progress of a drain or a shutdown.
#[derive(Debug)]
pub(super) struct Shutdown {
    /// True when a request has come since the last call of [`Shutdown::next_stage`].
    requested: bool,
    /// When the shared ports are left.
    leaves_at: Moment,
    /// When the gradual close of a drain begins.
    delay_ends: Moment,
    /// When the shutdown begins after the gradual close.
    drain_ends: Moment,
    /// True once the gradual close has begun.
    is_closing: bool,
    /// True once the shutdown has begun.
    started: bool,
    /// True once a second request has come.
    is_urgent: bool,
    /// A request before this moment is part of the first one.
    merged_until: Moment,
    stop_reading_at: Moment,
    ends: Moment,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            requested: false,
            leaves_at: Moment::NEVER,
            delay_ends: Moment::NEVER,
            drain_ends: Moment::NEVER,
            is_closing: false,
            started: false,
            is_urgent: false,
            merged_until: Moment::NEVER,
            stop_reading_at: Moment::NEVER,
            ends: Moment::NEVER,
        }
    }
}

impl Shutdown {
    /// Leaves the ports that other processes share after `time`.
    pub(super) fn leave_shared_ports(&mut self, now: Moment, time: Duration) {
        self.leaves_at = now.after(time);
    }

    /// Notes a request to stop. It waits until the shared ports are left.
    pub(super) fn request(&mut self) {
        if self.leaves_at == Moment::NEVER {
            self.requested = true;
        } else {
            self.drain_ends = self.drain_ends.min(self.leaves_at);
        }
    }

    /// Begins a drain. The gradual close begins after `delay`; without one, the drain lasts until
    /// the shutdown is requested.
    pub(super) fn drain(&mut self, now: Moment, delay: Option<Duration>) {
        self.delay_ends = now.deadline(delay);
    }

    /// When [`Shutdown::next_stage`] must be called next, even if no event comes.
    pub(super) fn deadline(&self) -> Moment {
        let ends = self.stop_reading_at.min(self.ends);
        self.leaves_at.min(self.delay_ends).min(self.drain_ends).min(ends)
    }

    /// Returns the stage that begins now, if any. The gradual close takes `timeout`, and the
    /// shutdown after it takes at most `timeout` again. Without a `timeout` there is no gradual
    /// close.
    pub(super) fn next_stage(&mut self, now: Moment, timeout: Option<Duration>) -> Option<Stage> {
        if now >= self.leaves_at {
            self.leaves_at = Moment::NEVER;
            return Some(Stage::LeaveSharedPorts);
        }
        if now >= self.drain_ends {
            self.requested |= !self.started;
            self.drain_ends = Moment::NEVER;
        }
        if std::mem::take(&mut self.requested) {
            if !self.started {
                self.started = true;
                (self.delay_ends, self.drain_ends) = (Moment::NEVER, Moment::NEVER);
                self.stop_reading_at = now.deadline(timeout.map(|timeout| timeout / 2));
                self.ends = now.deadline(timeout);
                return Some(Stage::StopAccepting);
            }
            self.is_urgent |= now >= self.merged_until;
        }
        if now >= self.delay_ends {
            self.delay_ends = Moment::NEVER;
            self.drain_ends = now.after(timeout.unwrap_or_default());
            self.is_closing = true;
            return Some(Stage::CloseGradually);
        }
        if now >= self.stop_reading_at {
            self.stop_reading_at = Moment::NEVER;
            return Some(Stage::StopReading);
        }
        None
    }

    /// Notes that the listeners are closed. Accepting a long queue takes time, and requests that
    /// came meanwhile count as part of the first one.
    pub(super) fn stopped_accepting(&mut self, now: Moment) {
        self.merged_until = now.after(MERGED_WITHIN);
    }

    /// True when the server is to end now, with `open` connections left.
    pub(super) fn is_over(&self, open: usize, now: Moment) -> bool {
        (self.is_closing && open == 0)
            || (self.started && (open == 0 || self.is_urgent || now >= self.ends))
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
        assert_eq!(shutdown.next_stage(at(0), DRAIN), Some(Stage::StopAccepting));
        shutdown.stopped_accepting(at(0));
        shutdown
    }

    #[test]
    fn reading_ends_after_half_of_the_timeout_and_serving_after_all() {
        let mut shutdown = requested();
        assert_eq!(shutdown.next_stage(at(1999), DRAIN), None);
        assert_eq!(shutdown.next_stage(at(2000), DRAIN), Some(Stage::StopReading));
        assert!(!shutdown.is_over(1, at(3999)) && shutdown.is_over(1, at(4000)));
    }

    #[test]
    fn a_shutdown_is_over_when_no_connection_is_left() {
        assert!(requested().is_over(0, at(1)));
        assert!(!Shutdown::default().is_over(0, at(1)), "no stop was requested");
    }

    #[test]
    fn a_later_second_request_ends_the_server_at_once() {
        for (after, is_over) in [(199, false), (200, true)] {
            let mut shutdown = requested();
            shutdown.request();
            shutdown.next_stage(at(after), DRAIN);
            assert_eq!(shutdown.is_over(1, at(after)), is_over, "{after} ms after the first");
        }
    }

    #[test]
    fn a_drain_serves_for_its_delay_closes_gradually_and_then_stops() {
        let mut shutdown = Shutdown::default();
        shutdown.drain(at(0), Some(Duration::from_secs(10)));
        assert_eq!((shutdown.deadline(), shutdown.next_stage(at(9999), DRAIN)), (at(10_000), None));
        assert!(!shutdown.is_over(0, at(9999)), "new connections may come");
        assert_eq!(shutdown.next_stage(at(10_000), DRAIN), Some(Stage::CloseGradually));
        assert!(shutdown.is_over(0, at(10_000)) && !shutdown.is_over(1, at(10_000)));
        assert_eq!(
            (shutdown.deadline(), shutdown.next_stage(at(13_999), DRAIN)),
            (at(14_000), None)
        );
        assert_eq!(shutdown.next_stage(at(14_000), DRAIN), Some(Stage::StopAccepting));
        assert_eq!(shutdown.deadline(), at(16_000), "half of the timeout later");
    }

    #[test]
    fn a_drain_without_a_timeout_stops_after_its_delay() {
        let mut shutdown = Shutdown::default();
        shutdown.drain(at(0), Some(Duration::ZERO));
        assert_eq!(shutdown.next_stage(at(0), None), Some(Stage::CloseGradually));
        assert_eq!(shutdown.deadline(), at(0));
        assert_eq!(shutdown.next_stage(at(0), None), Some(Stage::StopAccepting));
        assert_eq!(shutdown.deadline(), Moment::NEVER);
    }

    #[test]
    fn a_request_to_stop_ends_a_gradual_close() {
        let mut shutdown = Shutdown::default();
        shutdown.drain(at(0), Some(Duration::ZERO));
        assert_eq!(shutdown.next_stage(at(0), DRAIN), Some(Stage::CloseGradually));
        shutdown.request();
        assert_eq!(shutdown.next_stage(at(1), DRAIN), Some(Stage::StopAccepting));
        assert_eq!(shutdown.deadline(), at(2001), "half of the timeout later");
    }

    #[test]
    fn ports_are_left_before_a_stop_for_which_further_requests_wait() {
        let mut shutdown = Shutdown::default();
        shutdown.leave_shared_ports(at(0), Duration::from_millis(200));
        shutdown.request();
        shutdown.request();
        assert_eq!(shutdown.next_stage(at(199), DRAIN), None);
        assert_eq!(shutdown.deadline(), at(200));
        assert_eq!(shutdown.next_stage(at(200), DRAIN), Some(Stage::LeaveSharedPorts));
        assert_eq!(shutdown.next_stage(at(200), DRAIN), Some(Stage::StopAccepting));
        assert!(!shutdown.is_urgent, "both requests came before the shutdown began");
    }

    #[test]
    fn a_drain_serves_on_after_the_shared_ports_are_left() {
        let mut shutdown = Shutdown::default();
        shutdown.drain(at(0), Some(Duration::from_secs(10)));
        shutdown.leave_shared_ports(at(0), Duration::ZERO);
        assert_eq!(shutdown.next_stage(at(0), DRAIN), Some(Stage::LeaveSharedPorts));
        assert_eq!(shutdown.next_stage(at(9_999), DRAIN), None);
        assert_eq!(shutdown.next_stage(at(10_000), DRAIN), Some(Stage::CloseGradually));
    }

    #[test]
    fn a_request_to_stop_ends_a_drain() {
        let mut shutdown = Shutdown::default();
        shutdown.drain(at(0), Some(Duration::from_secs(10)));
        shutdown.request();
        assert_eq!(shutdown.next_stage(at(1), DRAIN), Some(Stage::StopAccepting));
        shutdown.stopped_accepting(at(1));
        assert_eq!(shutdown.next_stage(at(2001), DRAIN), Some(Stage::StopReading));
        assert_eq!(shutdown.next_stage(at(10_000), DRAIN), None, "the end of the delay");
        assert!(!shutdown.is_urgent, "the end of the drain is not a second request");
    }
}
