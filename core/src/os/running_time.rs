//! The time in which the loop runs or waits as requested. Deadlines are measured in this time.
//!
//! ```text
//!   elapsed   |-- wait 0.5 s --|-- wait 0.5 s, stopped for 4 s ----------------|-- wait ...
//!   counted   |---- 0.5 s -----|- 0.2 s -|-- ...
//! ```
//!
//! While the process is stopped, frozen or swapped out, it reads no connection. That time must not
//! count against its peers.

use std::time::Duration;

/// A clock reading that is later than expected by more than this is a stall: the process did not
/// run. The stall counts as this time, so that deadlines still pass on a machine on which all
/// readings are late.
///
/// The longest turn, with a message of the default limit, takes a fifth of this time. With ten
/// times this value, a stop of a second would count against uploads. With a tenth, long turns would
/// delay deadlines.
const STALL_MIN: Duration = Duration::from_millis(200);

/// Measures the time in which the loop runs.
#[derive(Debug, Default)]
pub struct RunningTime {
    /// The last clock reading.
    elapsed: Duration,
    /// The part of it that does not count.
    stalled: Duration,
}

impl RunningTime {
    /// Notes a clock reading of `elapsed`, after a wait of at most `timeout`. Returns the running
    /// time since the start, and the length of a stall if there was one.
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
    fn all_time_counts_while_readings_are_on_time() {
        let mut time = RunningTime::default();
        assert_eq!(time.read(ms(500), ms(500)), (ms(500), None));
        assert_eq!(time.read(ms(501), ms(500)), (ms(501), None), "an event");
        assert_eq!(time.read(ms(701), ms(0)), (ms(701), None), "a long turn");
    }

    #[test]
    fn the_time_of_a_stopped_process_does_not_count() {
        let mut time = RunningTime::default();
        time.read(ms(1000), ms(1000));
        assert_eq!(time.read(ms(5000), ms(500)), (ms(1200), Some(ms(3800))));
        assert_eq!(time.read(ms(5010), ms(500)), (ms(1210), None));
    }

    #[test]
    fn time_passes_even_if_every_reading_is_late() {
        let mut time = RunningTime::default();
        let (counted, _) = (1..=50)
            .map(|second| time.read(ms(1000 * second), ms(0)))
            .last()
            .expect("fifty readings");
        assert_eq!(counted, ms(50 * 200));
    }
}
