//! What the connections of one thread share: the clock, the schedule, the block for reading, and
//! the count.

use std::time::{Duration, Instant};

use tinytcp_core::os::moment::Moment;

use super::averages::share;
use super::schedule::Schedule;
use super::tally::Tally;

/// Bytes that one read may bring: four replies of 64 KiB.
pub(super) const BLOCK_LEN: usize = 256 * 1024;

/// What the connections of a thread share.
#[derive(Debug)]
pub struct Shared {
    /// What is counted.
    pub tally: Tally,
    /// Requests of all connections that have no reply yet.
    pub in_flight: usize,
    /// The last reading of the clock. Whatever takes its time reads it anew.
    pub now: Moment,
    /// When the thread was last woken, or was to be woken: what is looked at only now was ready by
    /// then.
    pub woken: Moment,
    /// Where bytes are read to. Whoever reads takes it out, and puts it back.
    pub(super) block: Vec<u8>,
    epoch: Instant,
    /// Under an open loop: the schedule of the run, which this thread shares with others.
    schedule: Option<Schedule>,
    /// When request 0 is due; never before the load has begun.
    start: Moment,
    /// The bounds of the part of the load that is counted.
    counted: (Moment, Moment),
    /// This thread takes every `stride`th request, from number `offset` on.
    stride: u64,
    offset: u64,
}

impl Shared {
    /// For thread `offset` of `stride` threads; `epoch` is the start of the clock that they share.
    #[must_use]
    pub fn new(schedule: Option<Schedule>, stride: usize, offset: usize, epoch: Instant) -> Self {
        Self {
            tally: Tally::default(),
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

    /// Reads the clock.
    pub fn read_clock(&mut self) -> Moment {
        self.now = Moment::START.after(self.epoch.elapsed());
        self.now
    }

    /// How long something that was ready when the thread was woken has waited until now.
    #[must_use]
    pub fn lag(&self) -> Duration {
        self.now.since(self.woken)
    }

    /// Has the schedule begin at `start`, and the part that is counted with its bounds.
    pub const fn begin(&mut self, start: Moment, counted: (Moment, Moment)) {
        self.start = start;
        self.counted = counted;
    }

    /// Counts the right replies to `count` requests that were sent by one call at `sent`, the first
    /// of them number `first` of the schedule. The generator kept the requests for up to
    /// `send_lag` and the replies for `read_lag`.
    pub fn count_correct(
        &mut self,
        first: u64,
        count: usize,
        sent: Moment,
        (send_lag, read_lag): (Duration, Duration),
    ) {
        let (since_sent, read_lag) = (self.now.since(sent), read_lag.min(self.now.since(sent)));
        self.tally.correct += count as u64;
        self.tally.from_send.record(since_sent, count as u64);
        if !self.has_schedule() {
            self.tally.outside += self.share_outside(sent) * count as f64;
            return self.tally.lag.record(read_lag, count as u64);
        }
        for number in first..first + count as u64 {
            let due = self.due(number);
            self.tally.outside += if due < self.counted.0 { 1.0 } else { 0.0 };
            self.tally.from_schedule.record(self.now.since(due), 1);
            self.tally.lag.record(sent.since(due).min(send_lag) + read_lag, 1);
        }
    }

    /// The share of the time from `sent` until now that is no part of the counted time.
    fn share_outside(&self, sent: Moment) -> f64 {
        let (base, end) = self.counted;
        if base <= sent && self.now <= end {
            return 0.0;
        }
        let inside = self.now.min(end).since(sent.max(base));
        1.0 - share(inside.as_secs_f64(), self.now.since(sent).as_secs_f64())
    }

    /// True exactly when requests are due by a schedule.
    #[must_use]
    pub const fn has_schedule(&self) -> bool {
        self.schedule.is_some()
    }

    /// When the schedule has this thread's request `number` due; never without a schedule, before
    /// the load, or behind its end.
    #[must_use]
    pub fn due(&self, number: u64) -> Moment {
        let global = number.saturating_mul(self.stride).saturating_add(self.offset);
        match &self.schedule {
            Some(schedule) if global < schedule.count() && self.start != Moment::NEVER => {
                self.start.after(schedule.due(global))
            }
            _ => Moment::NEVER,
        }
    }

    /// How many requests the schedule has due on this thread by `moment`.
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

    #[test]
    fn threads_share_one_schedule_without_a_gap_or_a_request_twice() {
        let schedule = Schedule::new(1000.0, 1000.0, Duration::from_secs(1));
        let threads: Vec<Shared> = (0..3)
            .map(|index| {
                let mut shared = Shared::new(Some(schedule), 3, index, Instant::now());
                shared.begin(Moment::START, (Moment::START, Moment::NEVER));
                shared
            })
            .collect();
        let at = |milliseconds| Moment::START.after(Duration::from_millis(milliseconds));
        for milliseconds in [0, 1, 2, 3, 500, 998, 999, 5000] {
            let all: u64 = threads.iter().map(|shared| shared.due_by(at(milliseconds))).sum();
            assert_eq!(all, (milliseconds + 1).min(1000), "after {milliseconds} ms");
        }
        assert_eq!([0, 1, 2].map(|index| threads[index].due(100)), [at(300), at(301), at(302)]);
        assert_eq!(threads[0].due(333), at(999));
        assert_eq!(threads[1].due(333), Moment::NEVER);
    }

    fn at(milliseconds: u64) -> Moment {
        Moment::START.after(Duration::from_millis(milliseconds))
    }

    /// Replies to `sent`, which come so many milliseconds later each, in a run of which the time
    /// from 1,000 to 5,000 ms counts.
    fn answered(
        schedule: Option<Schedule>,
        later: u64,
        sent: impl IntoIterator<Item = u64>,
    ) -> Tally {
        let mut shared = Shared::new(schedule, 1, 0, Instant::now());
        shared.begin(at(0), (at(1_000), at(5_000)));
        for (number, sent) in sent.into_iter().enumerate() {
            shared.now = at(sent + later);
            shared.count_correct(number as u64, 1, at(sent), (Duration::ZERO, Duration::ZERO));
        }
        shared.tally
    }

    #[test]
    fn a_closed_loop_counts_of_each_reply_the_share_of_its_time_inside() {
        // One connection and 600 ms for each reply: 6.67 replies in 4 s, however the first and the
        // last ones lie.
        let tally = answered(None, 600, [600, 1_200, 1_800, 2_400, 3_000, 3_600, 4_200, 4_800]);
        assert!(
            (tally.correct_inside() - 4_000.0 / 600.0).abs() < 1e-9,
            "{}",
            tally.correct_inside()
        );
    }

    #[test]
    fn a_schedule_counts_the_replies_to_what_was_due_inside() {
        let schedule = Schedule::new(10.0, 10.0, Duration::from_secs(5));
        let tally = answered(Some(schedule), 400, (0..50).map(|number| number * 100));
        assert_eq!((tally.correct, tally.correct_inside()), (50, 40.0));
    }

    #[test]
    fn the_generators_part_of_a_latency_is_never_more_than_the_latency() {
        let schedule = Schedule::new(10.0, 10.0, Duration::from_secs(5));
        let mut shared = Shared::new(Some(schedule), 1, 0, Instant::now());
        shared.begin(at(0), (at(0), at(5_000)));
        shared.now = at(130);
        let second = Duration::from_secs(1);
        shared.count_correct(1, 1, at(110), (second, second));
        assert_eq!(shared.tally.lag.max(), shared.tally.from_schedule.max());
    }
}
