//! The date in the head of an HTTP answer.

use std::fmt;
use std::time::SystemTime;

use chrono::{DateTime, Datelike, Timelike, Utc};

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Displays `time` as an IMF-fixdate (RFC 9110, section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
/// Displaying allocates nothing.
pub fn http_date(time: SystemTime) -> impl fmt::Display {
    let time = DateTime::<Utc>::from(time);
    let weekday = WEEKDAYS.get(time.weekday().num_days_from_monday() as usize);
    let month = MONTHS.get(time.month0() as usize);
    let (weekday, month) =
        (weekday.copied().unwrap_or_default(), month.copied().unwrap_or_default());
    fmt::from_fn(move |f| {
        let (day, year) = (time.day(), time.year());
        let (hour, minute, second) = (time.hour(), time.minute(), time.second());
        write!(f, "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_example_of_the_rfc_is_displayed() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(http_date(time).to_string(), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
