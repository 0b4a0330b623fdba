//! The state that the connections of one thread share: the clock, the schedule, the read block and
//! the counts.

use std::time::{Duration, Instant};

use tinytcp_core::os::moment::Moment;

use crate::measurement::averages::share;
use crate::measurement::causes::ReplyError;
use crate::measurement::counts::Counts;
use crate::measurement::exchange::ExchangeLog;
use crate::measurement::logged_request::{LoggedRequest, RequestLog};
use crate::traffic::schedule::Schedule;

/// Size of the read block: four replies of 64 KiB.
pub(super) const BLOCK_LEN: usize = 256 * 1024;

/// The shared state of one thread.
#[derive(Debug)]
pub struct ThreadState {
    /// The counts of the thread.
    pub counts: Counts,
    /// True if the run counts by address.
    pub is_spread: bool,
    /// The log of requests; `None` without one.
    pub log: Option<RequestLog>,
    /// Requests in flight on all connections.
    pub in_flight: usize,
    /// The last reading of the clock. Slow operations read it again.
    pub now: Moment,
    /// When the thread last woke up, or should have: events handled now were ready by then.
    pub woken: Moment,
    /// The read block. A reader takes it out and puts it back.
    pub(super) block: Vec<u8>,
    epoch: Instant,
    /// Open loop: the schedule of the run, which this thread shares with others.
    schedule: Option<Schedule>,
    /// When request 0 is due; never before the load has started.
    start: Moment,
    /// Start and end of the measurement window.
    counted: (Moment, Moment),
    /// This thread sends every `stride`th request, starting at number `offset`.
    stride: u64,
    offset: u64,
}

impl ThreadState {
    /// Creates the state of thread `offset` of `stride` threads; `epoch` is the start of their
    /// common clock.
    #[must_use]
    pub fn new(schedule: Option<Schedule>, stride: usize, offset: usize, epoch: Instant) -> Self {
        Self {
            counts: Counts::default(),
            is_spread: false,
            log: None,
            in_flight: 0,
            now: Moment::START,
            woken: Moment::START,
            block: vec![0; BLOCK_LEN],
            epoch,
            schedule,
            start: Moment::NEVER,
            counted: (Moment::NEVER, Moment::NEVER),
            stride: stride as u64,
            offset: offset as u64,
        }
    }

    /// Reads the clock and returns the time.
    pub fn read_clock(&mut self) -> Moment {
        self.now = Moment::START.after(self.epoch.elapsed());
        self.now
    }

    /// Returns the log of failed exchanges of a connection.
    pub const fn exchange_log(&mut self, connection: usize) -> ExchangeLog<'_> {
        let at = self.now.since(self.start);
        self.counts.exchanges.log(at, connection)
    }

    /// Returns how long an event that was ready at the last wake-up has waited.
    #[must_use]
    pub fn lag(&self) -> Duration {
        self.now.since(self.woken)
    }

    /// Starts the schedule at `start`, with the measurement window `counted`.
    pub const fn begin(&mut self, start: Moment, counted: (Moment, Moment)) {
        self.start = start;
        self.counted = counted;
    }

    /// Counts the correct replies to `count` requests that were sent by one call at `sent`, the
    /// first of them number `first` of the schedule. The generator delayed the requests by up to
    /// `send_lag` and the replies by `read_lag`.
    pub fn count_correct(
        &mut self,
        first: u64,
        count: usize,
        sent: Moment,
        (send_lag, read_lag): (Duration, Duration),
    ) {
        let (since_sent, read_lag) = (self.now.since(sent), read_lag.min(self.now.since(sent)));
        self.counts.correct += count as u64;
        self.counts.from_send.record(since_sent, count as u64);
        if !self.has_schedule() {
            self.counts.outside += self.share_outside(sent) * count as f64;
            return self.counts.lag.record(read_lag, count as u64);
        }
        for number in first..first + count as u64 {
            let due = self.due(number);
            self.counts.outside += if due < self.counted.0 { 1.0 } else { 0.0 };
            self.counts.from_schedule.record(self.now.since(due), 1);
            self.counts.lag.record(sent.since(due).min(send_lag) + read_lag, 1);
        }
    }

    /// Returns true if requests have further records than their counts.
    #[must_use]
    pub const fn has_records(&self) -> bool {
        self.is_spread || self.log.is_some()
    }

    /// Records `count` requests of a connection that were sent by one call at `sent`, the first of
    /// them number `first` of this thread, and that were answered or failed now. Only a run with
    /// [such records](Self::has_records) needs this call.
    #[cold]
    pub fn record(
        &mut self,
        (connection, address): (usize, usize),
        (first, count): (u64, usize),
        sent: Moment,
        error: Option<ReplyError>,
    ) {
        let from_send = self.now.since(sent);
        for number in first..first + count as u64 {
            let from_schedule = self.has_schedule().then(|| self.now.since(self.due(number)));
            if self.is_spread {
                let by_address = &mut self.counts.by_address;
                match error {
                    Some(_) => by_address.of(address).errors += 1,
                    None => {
                        by_address.add_correct(address, 1, from_schedule.unwrap_or(from_send));
                    }
                }
            }
            let (end, number) = (self.now.since(self.start), self.number_in_run(number));
            if let Some(log) = &mut self.log {
                log.push(LoggedRequest {
                    end,
                    connection,
                    number,
                    from_send,
                    from_schedule,
                    error,
                });
            }
        }
    }

    /// Returns the share of the time from `sent` until now outside the measurement window.
    fn share_outside(&self, sent: Moment) -> f64 {
        let (base, end) = self.counted;
        if base <= sent && self.now <= end {
            return 0.0;
        }
        let inside = self.now.min(end).since(sent.max(base));
        1.0 - share(inside.as_secs_f64(), self.now.since(sent).as_secs_f64())
    }

    /// Returns true if requests are sent on a schedule.
    #[must_use]
    pub const fn has_schedule(&self) -> bool {
        self.schedule.is_some()
    }

    /// Returns the number in the run of this thread's request `number`.
    #[must_use]
    pub const fn number_in_run(&self, number: u64) -> u64 {
        number.saturating_mul(self.stride).saturating_add(self.offset)
    }

    /// Returns when this thread's request `number` is due; never without a schedule, before the
    /// load, or after the last request.
    #[must_use]
    pub fn due(&self, number: u64) -> Moment {
        let global = self.number_in_run(number);
        match &self.schedule {
            Some(schedule) if global < schedule.count() && self.start != Moment::NEVER => {
                self.start.after(schedule.due(global))
            }
            _ => Moment::NEVER,
        }
    }

    /// Returns how many requests of this thread are due by `moment`.
    #[must_use]
    pub fn due_by(&self, moment: Moment) -> u64 {
        let Some(schedule) = self.schedule.as_ref().filter(|_| self.start <= moment) else {
            return 0;
        };
        schedule.due_by(moment.since(self.start)).saturating_sub(self.offset).div_ceil(self.stride)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurement::settings::Stage;
    use crate::traffic::intervals::Intervals;

    fn even(rate: f64, seconds: u64) -> Schedule {
        let stage = Stage { length: Duration::from_secs(seconds), from: rate, to: rate };
        Schedule::new(&[stage], Intervals::Even)
    }

    #[test]
    fn threads_share_one_schedule_without_gaps_or_repeats() {
        let schedule = even(1000.0, 1);
        let threads: Vec<ThreadState> = (0..3)
            .map(|index| {
                let mut state = ThreadState::new(Some(schedule.clone()), 3, index, Instant::now());
                state.begin(Moment::START, (Moment::START, Moment::NEVER));
                state
            })
            .collect();
        let at = |milliseconds| Moment::START.after(Duration::from_millis(milliseconds));
        for milliseconds in [0, 1, 2, 3, 500, 998, 999, 5000] {
            let all: u64 = threads.iter().map(|state| state.due_by(at(milliseconds))).sum();
            assert_eq!(all, (milliseconds + 1).min(1000), "after {milliseconds} ms");
        }
        assert_eq!([0, 1, 2].map(|index| threads[index].due(100)), [at(300), at(301), at(302)]);
        assert_eq!(threads[0].due(333), at(999));
        assert_eq!(threads[1].due(333), Moment::NEVER);
    }

    fn at(milliseconds: u64) -> Moment {
        Moment::START.after(Duration::from_millis(milliseconds))
    }

    /// Counts replies to requests at `sent`, each `later` milliseconds later. The measurement
    /// window is 1,000 to 5,000 ms.
    fn answered(
        schedule: Option<Schedule>,
        later: u64,
        sent: impl IntoIterator<Item = u64>,
    ) -> Counts {
        let mut state = ThreadState::new(schedule, 1, 0, Instant::now());
        state.begin(at(0), (at(1_000), at(5_000)));
        for (number, sent) in sent.into_iter().enumerate() {
            state.now = at(sent + later);
            state.count_correct(number as u64, 1, at(sent), (Duration::ZERO, Duration::ZERO));
        }
        state.counts
    }

    #[test]
    fn a_closed_loop_counts_the_share_of_each_reply_in_the_window() {
        // One connection and 600 ms per reply: 6.67 replies in 4 s, however the first and the last
        // replies lie.
        let counts = answered(None, 600, [600, 1_200, 1_800, 2_400, 3_000, 3_600, 4_200, 4_800]);
        assert!(
            (counts.correct_inside() - 4_000.0 / 600.0).abs() < 1e-9,
            "{}",
            counts.correct_inside()
        );
    }

    #[test]
    fn a_schedule_counts_replies_to_requests_due_in_the_window() {
        let schedule = even(10.0, 5);
        let counts = answered(Some(schedule), 400, (0..50).map(|number| number * 100));
        assert_eq!((counts.correct, counts.correct_inside()), (50, 40.0));
    }

    #[test]
    fn the_lag_never_exceeds_the_latency() {
        let schedule = even(10.0, 5);
        let mut state = ThreadState::new(Some(schedule), 1, 0, Instant::now());
        state.begin(at(0), (at(0), at(5_000)));
        state.now = at(130);
        let second = Duration::from_secs(1);
        state.count_correct(1, 1, at(110), (second, second));
        assert_eq!(state.counts.lag.max(), state.counts.from_schedule.max());
    }
}
