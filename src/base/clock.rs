//! The clock that a round of the loop hands down, so that nothing below reads the time on its own.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Local};

use super::moment::Moment;

/// What the operating system's clocks said at one time.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The monotonic clock; deadlines are made of it.
    pub moment: Moment,
    /// The wall clock, which people set and which may jump; only answers are made of it.
    pub wall: SystemTime,
}

/// One reading of the clocks, and its text as the protocols write it.
///
/// The text is made when it is first asked for in a second and then served from memory: a flood of `TIME` costs a
/// copy an answer. A change of the machine's time zone shows within that second too.
#[derive(Debug)]
pub struct Clock {
    reading: Reading,
    /// The second that `text` shows, counted from the Unix epoch.
    shown_second: Option<u64>,
    text: String,
}

impl Clock {
    /// A clock that stands at `reading`.
    #[must_use]
    pub fn new(reading: Reading) -> Self {
        Self { reading, shown_second: None, text: String::with_capacity(32) }
    }

    /// Sets the clock to a new reading.
    pub const fn set(&mut self, reading: Reading) {
        self.reading = reading;
    }

    /// The moment of the current reading.
    #[must_use]
    pub const fn now(&self) -> Moment {
        self.reading.moment
    }

    /// Local time in whole seconds with a numeric offset: `2025-09-12T17:24:13-05:00`.
    pub fn date_and_time(&mut self) -> &str {
        // Before 1970 every second is shown as the first: a machine with such a clock has other worries.
        let second = self.reading.wall.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if self.shown_second != Some(second) {
            self.shown_second = Some(second);
            self.text.clear();
            let local = DateTime::<Local>::from(self.reading.wall);
            // Writing to a string cannot fail.
            let _ = write!(self.text, "{}", local.format("%Y-%m-%dT%H:%M:%S%:z"));
        }
        &self.text
    }

    /// Local time of day in whole seconds: `17:24:13`.
    pub fn time_of_day(&mut self) -> &str {
        let text = self.date_and_time();
        let time = text.split_once('T').map_or(text, |(_, time)| time);
        time.get(..8).unwrap_or(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> Reading {
        Reading { moment: Moment::START, wall: UNIX_EPOCH + Duration::from_secs(seconds) }
    }

    #[test]
    fn local_time_has_whole_seconds_and_a_numeric_offset() {
        let mut clock = Clock::new(at(1_757_715_853));
        let text = clock.date_and_time().to_owned();
        let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(shape.replace('-', "+"), "0000+00+00T00:00:00+00:00", "{text}");
        assert_eq!(clock.time_of_day(), &text[11..19]);
    }

    #[test]
    fn the_text_follows_the_clock_even_backwards() {
        let mut clock = Clock::new(at(100));
        let first = clock.date_and_time().to_owned();
        clock.set(at(101));
        assert_ne!(clock.date_and_time(), first);
        clock.set(at(100));
        assert_eq!(clock.date_and_time(), first);
    }
}
