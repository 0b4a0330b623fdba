//! The time in which the loop runs, or waits as it asked to: what deadlines are counted in.
//!
//! ```text
//!   elapsed   |--- wait 0.5 s ---|--- wait 0.5 s, stopped for 4 s ------------------------|--- wait ...
//!   counted   |------ 0.5 s -----|- 0.2 s -|--- ...
//! ```
//!
//! While the process is stopped, frozen or swapped out, no connection is read: a peer whose window
//! is closed by that is not to blame for it.

use std::time::Duration;

/// A clock reading that comes this much later than it could have was late because the process did
/// not run. It then counts as this much and no more, so that a machine on which every reading is
/// late still reaches its deadlines.
///
/// The longest turn, that of a message of the default limit, takes a fifth of it. At ten times, a
/// stop of a second would be held against uploads; at a tenth, busy turns would put deadlines off.
const STALL_MIN: Duration = Duration::from_millis(200);

/// Counts the time in which the loop runs.
#[derive(Debug, Default)]
pub struct RunningTime {
    /// What the clock showed last.
    elapsed: Duration,
    /// How much of it does not count.
    stalled: Duration,
}

impl RunningTime {
    /// The clock shows `elapsed` now, after the loop asked to wait for `timeout` at most. Returns
    /// the time that counts since the clock was started, and how long the loop did not run if
    /// that was noticed.
    pub fn read(&mut self, elapsed: Duration, timeout: Duration) -> (Duration, Option<Duration>) {
        let gap = elapsed.saturating_sub(self.elapsed);
        self.elapsed = elapsed;
        let stall = (gap > timeout.saturating_add(STALL_MIN)).then(|| gap - STALL_MIN);
        self.stalled += stall.unwrap_or_default();
        (elapsed.saturating_sub(self.stalled), stall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn time_counts_while_readings_come_in_time() {
        let mut time = RunningTime::default();
        assert_eq!(time.read(ms(500), ms(500)), (ms(500), None));
        assert_eq!(time.read(ms(501), ms(500)), (ms(501), None), "an event");
        assert_eq!(time.read(ms(701), ms(0)), (ms(701), None), "a long turn");
    }

    #[test]
    fn a_stop_of_the_process_does_not_count() {
        let mut time = RunningTime::default();
        time.read(ms(1000), ms(1000));
        assert_eq!(time.read(ms(5000), ms(500)), (ms(1200), Some(ms(3800))));
        assert_eq!(time.read(ms(5010), ms(500)), (ms(1210), None));
    }

    #[test]
    fn deadlines_are_reached_though_every_reading_is_late() {
        let mut time = RunningTime::default();
        let (counted, _) = (1..=50)
            .map(|second| time.read(ms(1000 * second), ms(0)))
            .last()
            .expect("fifty readings");
        assert_eq!(counted, ms(50 * 200));
    }
}
