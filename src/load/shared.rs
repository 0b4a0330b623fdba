//! What the connections of one thread share: the clock, the schedule, the block for reading, and the count.

use std::time::Instant;

use super::schedule::Schedule;
use super::tally::Tally;
use crate::base::moment::Moment;

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
    /// When the thread was last woken: what is looked at only now was ready by then.
    pub woken: Moment,
    /// Where bytes are read to. Whoever reads takes it out, and puts it back.
    pub(super) block: Vec<u8>,
    epoch: Instant,
    /// Under an open loop: the schedule of the run, which this thread shares with others.
    schedule: Option<Schedule>,
    /// When request 0 is due; never before the load has begun.
    start: Moment,
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
            stride: stride as u64,
            offset: offset as u64,
        }
    }

    /// Reads the clock.
    pub fn read_clock(&mut self) -> Moment {
        self.now = Moment::START.after(self.epoch.elapsed());
        self.now
    }

    /// Counts how long something that was ready when the thread was woken has waited until now.
    pub fn record_lag(&mut self) {
        let lag = self.now.since(self.woken);
        self.tally.lag.record(lag, 1);
    }

    /// Has the schedule begin at `start`.
    pub const fn begin(&mut self, start: Moment) {
        self.start = start;
    }

    /// True exactly when requests are due by a schedule.
    #[must_use]
    pub const fn has_schedule(&self) -> bool {
        self.schedule.is_some()
    }

    /// When the schedule has this thread's request `number` due; never without a schedule, before the load, or behind its end.
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
        let Some(schedule) = self.schedule.as_ref().filter(|_| self.start <= moment) else { return 0 };
        schedule.due_by(moment.since(self.start)).saturating_sub(self.offset).div_ceil(self.stride)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn threads_share_one_schedule_without_a_gap_or_a_request_twice() {
        let schedule = Schedule::new(1000.0, 1000.0, Duration::from_secs(1));
        let threads: Vec<Shared> = (0..3)
            .map(|index| {
                let mut shared = Shared::new(Some(schedule), 3, index, Instant::now());
                shared.begin(Moment::START);
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
}
