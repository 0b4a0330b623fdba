//! The time zone of local times, chosen as in the C library: by `TZ`, or else by the machine.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::path::Path;

use jiff::tz::{self, TimeZone};

use crate::display::escape::quoted;

/// The rule for summer time in a zone without one, such as `CET-1CEST`: that of the C library.
const USUAL_RULE: &str = ",M3.2.0,M11.1.0";

/// The variable `TZ` names no time zone, so times are in UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownZone {
    value: OsString,
}

impl fmt::Display for UnknownZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "TZ={} names no time zone: times are in UTC; a zone looks like Europe/Berlin or \
             CET-1CEST,M3.5.0,M10.5.0/3",
            quoted(self.value.as_encoded_bytes())
        )
    }
}

impl std::error::Error for UnknownZone {}

/// Returns the zone that the variable `TZ` names; `None` if it is not set and the zone of the
/// machine applies.
///
/// # Errors
/// When the value names no zone.
pub fn of_environment() -> Result<Option<TimeZone>, UnknownZone> {
    env::var_os("TZ").map(|value| parse(&value)).transpose()
}

/// Returns the zone of the machine; `None` if it has none, or if it cannot be read now. The lookup
/// is cached for five minutes, so a change takes effect within that time.
pub(super) fn of_machine() -> Option<TimeZone> {
    TimeZone::try_system().ok()
}

/// Parses a value as tzset(3): an empty value is UTC, a leading colon is ignored, and the rest is a
/// file, a name, or a rule.
fn parse(value: &OsStr) -> Result<TimeZone, UnknownZone> {
    let name = value.to_str().map(|text| text.strip_prefix(':').unwrap_or(text));
    let zone = match name {
        Some("") => Some(TimeZone::UTC),
        Some(path) if path.starts_with('/') => of_file(Path::new(path)),
        Some(name) => tz::db().get(name).ok().or_else(|| of_rule(name)),
        None => None,
    };
    zone.ok_or_else(|| UnknownZone { value: value.to_owned() })
}

fn of_file(path: &Path) -> Option<TimeZone> {
    TimeZone::tzif(&path.to_string_lossy(), &fs::read(path).ok()?).ok()
}

fn of_rule(rule: &str) -> Option<TimeZone> {
    TimeZone::posix(rule).or_else(|_| TimeZone::posix(&format!("{rule}{USUAL_RULE}"))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    /// The offset of a zone in hours, in the middle of January and of July 2026.
    fn offsets(value: &str) -> [i32; 2] {
        let zone = parse(OsStr::new(value)).expect(value);
        ["2026-01-15T12:00:00Z", "2026-07-15T12:00:00Z"].map(|time| {
            let time: Timestamp = time.parse().expect("a time");
            zone.to_offset(time).seconds() / 3600
        })
    }

    #[test]
    fn every_value_of_the_c_library_is_accepted() {
        for (value, expected) in [
            ("", [0, 0]),
            ("UTC", [0, 0]),
            ("EST5", [-5, -5]),
            (":EST5EDT,M3.2.0,M11.1.0", [-5, -4]),
            ("CET-1CEST", [1, 2]),
            ("CET-1CEST,M3.5.0,M10.5.0/3", [1, 2]),
            ("IST-2IDT,M3.4.4/26,M10.5.0", [2, 3]),
            ("<-03>3<-02>,M3.5.0/-2,M10.5.0/-1", [-3, -2]),
            ("AEST-10AEDT,M10.1.0,M4.1.0/3", [11, 10]),
        ] {
            assert_eq!(offsets(value), expected, "{value}");
        }
    }

    #[test]
    fn a_value_that_names_no_zone_is_refused_with_an_example() {
        for value in [
            "Europe/Nowhere",
            "nonsense",
            "CET-1CEST,never",
            "/no/such/file",
            "/dev/null",
            ":\u{1b}[0m",
        ] {
            let error = parse(OsStr::new(value)).expect_err(value).to_string();
            assert!(error.contains("Europe/Berlin") && error.is_ascii(), "{error}");
        }
    }
}
