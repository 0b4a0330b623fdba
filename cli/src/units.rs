//! Durations, counts and sizes in the notation of the command line: `20ms`, `10k`, `64 KiB`.
//!
//! Every function parses the whole text of one value. It returns the value, or an error with an
//! example that works. The error never repeats the text: the caller shows it.

use std::time::Duration;

use tinytcp_core::limits::Limits;

use crate::usage_error::UsageError;

/// Parses `200us 20ms 5s 2m 1h`; a bare number is seconds, fractions are fine (`1.5s`).
///
/// # Errors
/// For zero, for `off` (see [`timeout`]), for an unknown unit and for more than 100 years.
pub fn duration(text: &str) -> Result<Duration, UsageError> {
    const EXAMPLE: &str = "durations look like 200us, 20ms, 5s, 2m or 1h";
    const MAX_SECONDS: f64 = 100.0 * 365.0 * 86_400.0;
    let (number, unit) = split_unit(text);
    let seconds_per_unit = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(EXAMPLE.into()),
    };
    let seconds = decimal(number).ok_or(EXAMPLE)? * seconds_per_unit;
    if seconds > MAX_SECONDS {
        return Err(format!("longer than 100 years; {EXAMPLE}").into());
    }
    let duration = Duration::from_secs_f64(seconds);
    if duration.is_zero() {
        return Err(format!("zero is too short to wait; {EXAMPLE}").into());
    }
    Ok(duration)
}

/// Parses a [`duration`] with a unit: some readers take a bare `5` for milliseconds, some for
/// seconds.
///
/// # Errors
/// As [`duration`], and for a bare number.
pub fn duration_with_unit(text: &str) -> Result<Duration, UsageError> {
    match split_unit(text) {
        (number, "") if !number.is_empty() => {
            Err(format!("{number} has no unit: write {number}ms or {number}s").into())
        }
        _ => duration(text),
    }
}

/// A timeout; `None` is `off`. A name of its own, because clap takes an `Option` for a flag that
/// may be absent.
pub type Timeout = Option<Duration>;

/// Parses a [`duration`], or `off` for a timeout that never ends.
///
/// # Errors
/// As [`duration`]; the error of zero names `off`.
pub fn timeout(text: &str) -> Result<Timeout, UsageError> {
    if text == "off" {
        return Ok(None);
    }
    duration(text).map(Some).map_err(or_off)
}

/// Parses a count: `500`, `1.5k` (1,500) or `2M` (2,000,000); `K` and `m` are accepted too.
///
/// # Errors
/// For anything but whole numbers from 1 to `usize::MAX`.
pub fn count(text: &str) -> Result<usize, UsageError> {
    const EXAMPLE: &str = "counts look like 500, 10k or 1.5M, and start at 1";
    let (number, unit) = split_unit(text);
    let factor = match unit {
        "" => 1,
        "k" | "K" => 1_000,
        "m" | "M" => 1_000_000,
        _ => return Err(EXAMPLE.into()),
    };
    scaled(number, factor)
        .and_then(|count| usize::try_from(count).ok())
        .filter(|count| *count > 0)
        .ok_or(EXAMPLE.into())
}

/// Parses a count, or `off`.
///
/// # Errors
/// As [`count`].
pub fn count_or_off(text: &str) -> Result<Option<usize>, UsageError> {
    if text == "off" {
        return Ok(None);
    }
    count(text).map(Some).map_err(or_off)
}

/// Parses a size in bytes: `65536`, `64KiB`, `16 MiB`, `1GiB`, `64kB`, `16MB`, `1GB`.
///
/// A bare `k` or `m` is rejected: some readers take it for 1000, some for 1024.
///
/// # Errors
/// For anything but whole numbers of at least one byte with one of these units.
pub fn size(text: &str) -> Result<usize, UsageError> {
    const EXAMPLE: &str = "sizes look like 65536, 64KiB, 16MiB, 1GiB, 64kB, 16MB or 1GB";
    let (number, unit) = split_unit(text);
    let factor = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err(EXAMPLE.into()),
    };
    scaled(number, factor)
        .and_then(|size| usize::try_from(size).ok())
        .filter(|size| *size > 0)
        .ok_or(EXAMPLE.into())
}

/// Parses the size of a message: a [`size`] of at most 1 GiB.
///
/// # Errors
/// As [`size`], and for more.
pub fn message_size(text: &str) -> Result<u32, UsageError> {
    let size = u32::try_from(size(text)?).unwrap_or(u32::MAX);
    if size > Limits::MESSAGE_BYTES_MAX {
        return Err("a message has at most 1GiB".into());
    }
    Ok(size)
}

/// Adds the word `off` to the remedy.
fn or_off(error: UsageError) -> UsageError {
    format!("{error}, or `off` for none").into()
}

/// Splits `text` into its leading number and the unit; blanks between them are dropped.
fn split_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start_matches(' '))
}

/// Parses a number with an optional fraction, which has only digits and points.
fn decimal(number: &str) -> Option<f64> {
    number.parse().ok()
}

/// Returns `number` times `factor`, or `None` unless the product is a whole number.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let divisor = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let part = fraction.parse::<u64>().ok()?.checked_mul(factor)?;
    if part % divisor != 0 {
        return None;
    }
    whole.parse::<u64>().ok()?.checked_mul(factor)?.checked_add(part / divisor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_any_unit_or_is_in_seconds() {
        let cases = [
            ("200us", Duration::from_micros(200)),
            ("20ms", Duration::from_millis(20)),
            ("5s", Duration::from_secs(5)),
            ("5", Duration::from_secs(5)),
            ("1.5s", Duration::from_millis(1500)),
            ("2m", Duration::from_secs(120)),
            ("1h", Duration::from_secs(3600)),
        ];
        for (text, expected) in cases {
            assert_eq!(duration(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn bad_durations_are_rejected_with_an_example() {
        for text in ["", "ms", "-5s", "5 days", "1e3", "0", "0ms", "1..5s", ".", "999999999999h"] {
            let error = duration(text).expect_err(text).to_string();
            assert!(error.contains("20ms"), "{text}: {error}");
        }
    }

    #[test]
    fn off_is_no_timeout_and_the_error_of_zero_names_it() {
        assert_eq!(timeout("off"), Ok(None));
        assert_eq!(timeout("2m"), Ok(Some(Duration::from_secs(120))));
        assert!(timeout("0").expect_err("zero").to_string().contains("`off`"));
    }

    #[test]
    fn counts_accept_k_and_m_in_either_case_and_fractions() {
        assert_eq!(count("500"), Ok(500));
        assert_eq!(count("10k"), Ok(10_000));
        assert_eq!(count("2m"), Ok(2_000_000));
        for (text, expected) in
            [("1M", 1_000_000), ("1.5k", 1_500), ("0.25M", 250_000), ("10K", 10_000)]
        {
            assert_eq!(count(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "0",
            "k",
            "1.5",
            "1.",
            ".5k",
            "1.2345k",
            "1.5.5k",
            "0.00000000000000000000001M",
            "-1",
            "10kB",
            "99999999999999999999",
        ] {
            assert!(count(text).is_err(), "{text}");
        }
        assert_eq!(count_or_off("off"), Ok(None));
    }

    #[test]
    fn sizes_accept_binary_and_decimal_units_but_no_bare_k() {
        let cases = [
            ("65536", 65_536),
            ("1B", 1),
            ("64KiB", 65_536),
            ("64 KiB", 65_536),
            ("16MiB", 16 << 20),
            ("1GiB", 1 << 30),
            ("64kB", 64_000),
            ("16MB", 16_000_000),
            ("1GB", 1_000_000_000),
            ("1.5MiB", 1_572_864),
        ];
        for (text, expected) in cases {
            assert_eq!(size(text), Ok(expected), "{text}");
        }
        for text in ["", "0", "64k", "64K", "1m", "1.3KiB", "-1", "99999999999GiB"] {
            let error = size(text).expect_err(text).to_string();
            assert!(error.contains("64KiB"), "{text}: {error}");
        }
    }
}
