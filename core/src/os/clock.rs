//! The clock of a round: the loop reads the time once, and all code of the round uses that reading.

use std::fmt::{self, Write};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, FixedOffset, Offset, Utc};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::os::moment::Moment;
use crate::os::zone;

/// One reading of the clocks of the operating system.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The monotonic clock, without the time in which the process did not run. Deadlines use it.
    pub moment: Moment,
    /// The wall clock, which may jump. Only answers and log lines use it.
    pub wall: SystemTime,
    /// The time since the last reading in which the process did not run, if it stalled.
    pub stall: Option<Duration>,
}

/// One reading of the clocks, and its text in the format of the protocols.
///
/// The text is formatted at most once per second and then cached: an answer to `TIME` costs a copy.
#[derive(Debug)]
pub struct Clock {
    reading: Reading,
    zone: TimeZone,
    /// True if `TZ` is not set: the zone is that of the machine, and can change.
    is_zone_of_machine: bool,
    /// The second that `text` shows, counted from the Unix epoch.
    shown_second: Option<i64>,
    /// True if `text` shows the second of `reading`. It saves the comparison of seconds for each
    /// answer of a round.
    is_shown: bool,
    text: String,
}

impl Clock {
    /// Creates a clock at `reading`. Local times are in UTC if `TZ` is set and names no time zone:
    /// see [`zone::of_environment`].
    #[must_use]
    pub fn new(reading: Reading) -> Self {
        let zone = zone::of_environment().unwrap_or(Some(TimeZone::UTC));
        let is_zone_of_machine = zone.is_none();
        Self {
            reading,
            zone: zone.unwrap_or(TimeZone::UTC),
            is_zone_of_machine,
            shown_second: None,
            is_shown: false,
            text: String::with_capacity(32),
        }
    }

    /// Sets the clock to a new reading.
    pub const fn set(&mut self, reading: Reading) {
        self.reading = reading;
        self.is_shown = false;
    }

    /// Returns the monotonic time of the current reading.
    #[must_use]
    pub const fn now(&self) -> Moment {
        self.reading.moment
    }

    /// Returns the wall clock of the current reading.
    #[must_use]
    pub const fn wall(&self) -> SystemTime {
        self.reading.wall
    }

    /// Returns the local time in seconds with a numeric offset: `2025-09-12T17:24:13-05:00`.
    #[inline]
    pub fn date_and_time(&mut self) -> &str {
        if !self.is_shown {
            self.show();
        }
        &self.text
    }

    /// Formats the text of the reading, unless it shows that second already.
    #[cold]
    fn show(&mut self) {
        self.is_shown = true;
        let now = date(self.reading.wall);
        if self.shown_second == Some(now.timestamp()) {
            return;
        }
        self.shown_second = Some(now.timestamp());
        self.text.clear();
        if self.is_zone_of_machine
            && let Some(zone) = zone::of_machine()
        {
            self.zone = zone;
        }
        let local = now.with_timezone(&offset(&self.zone, now));
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{}", local.format("%Y-%m-%dT%H:%M:%S%:z"));
    }

    /// Returns the local time of day in seconds: `17:24:13`.
    pub fn time_of_day(&mut self) -> &str {
        let text = self.date_and_time();
        let time = text.split_once('T').map_or(text, |(_, time)| time);
        time.get(..8).unwrap_or(time)
    }
}

/// Formats a time in UTC as log lines begin with it: `2026-11-21T03:28:53.611Z`.
#[must_use]
pub fn log_time(wall: SystemTime) -> impl fmt::Display {
    let time = date(wall);
    fmt::from_fn(move |f| write!(f, "{}", time.format("%Y-%m-%dT%H:%M:%S%.3fZ")))
}

/// Converts a time of the wall clock, which may be before 1970. A time out of range becomes 1970.
fn date(wall: SystemTime) -> DateTime<Utc> {
    let time = Timestamp::try_from(wall).unwrap_or(Timestamp::UNIX_EPOCH);
    DateTime::from_timestamp_millis(time.as_millisecond()).unwrap_or_default()
}

/// Returns the offset of local time in `zone` from UTC at `time`.
fn offset(zone: &TimeZone, time: DateTime<Utc>) -> FixedOffset {
    let seconds =
        Timestamp::from_second(time.timestamp()).map_or(0, |time| zone.to_offset(time).seconds());
    FixedOffset::east_opt(seconds).unwrap_or_else(|| Utc.fix())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn at(seconds: u64) -> Reading {
        Reading {
            moment: Moment::START,
            wall: UNIX_EPOCH + Duration::from_secs(seconds),
            stall: None,
        }
    }

    #[test]
    fn local_time_has_seconds_and_a_numeric_offset() {
        let mut clock = Clock::new(at(1_757_715_853));
        let text = clock.date_and_time().to_owned();
        let shape: String =
            text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(shape.replace('-', "+"), "0000+00+00T00:00:00+00:00", "{text}");
        assert_eq!(clock.time_of_day(), &text[11..19]);
    }

    #[test]
    fn the_text_follows_the_clock_backwards_too() {
        let mut clock = Clock::new(at(100));
        let first = clock.date_and_time().to_owned();
        clock.set(at(101));
        assert_ne!(clock.date_and_time(), first);
        clock.set(at(100));
        assert_eq!(clock.date_and_time(), first);
    }

    #[test]
    fn a_log_time_has_milliseconds_and_is_in_utc() {
        let time = UNIX_EPOCH + Duration::from_millis(1_763_695_733_611);
        assert_eq!(log_time(time).to_string(), "2025-11-21T03:28:53.611Z");
        assert_eq!(log_time(UNIX_EPOCH).to_string(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_time_before_1970_is_shown_as_it_is() {
        let wall = UNIX_EPOCH - Duration::from_millis(86_400_250);
        assert_eq!(log_time(wall).to_string(), "1969-12-30T23:59:59.750Z");
        let mut clock = Clock::new(Reading { moment: Moment::START, wall, stall: None });
        assert!(clock.date_and_time().starts_with("19"), "{}", clock.date_and_time());
        let first = clock.date_and_time().to_owned();
        clock.set(Reading {
            moment: Moment::START,
            wall: wall - Duration::from_secs(1),
            stall: None,
        });
        assert_ne!(clock.date_and_time(), first, "seconds before 1970 differ too");
    }
}
