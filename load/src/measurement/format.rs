//! Numbers as text: three significant digits and a unit.

use std::time::Duration;

/// Formats a duration: `1.23 us`, `45.6 ms`, `7.89 s`.
#[must_use]
pub fn duration(duration: Duration) -> String {
    seconds(duration.as_secs_f64())
}

/// Formats seconds like [`duration`].
#[must_use]
pub fn seconds(seconds: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(1e-9, "ns"), (1e-6, "us"), (1e-3, "ms"), (1.0, "s")];
    // A value that rounds to 1000 of one unit is 1 of the next.
    let unit = UNITS.iter().rev().find(|(unit, _)| seconds / unit >= 0.9995).unwrap_or(&UNITS[0]);
    if seconds == 0.0 {
        "0 s".into()
    } else {
        format!("{} {}", three_digits(seconds / unit.0), unit.1)
    }
}

/// Formats seconds that a user typed, without trailing zeros: `10 s`, `1.5 s`.
#[must_use]
pub fn typed_seconds(number: f64) -> String {
    let text = seconds(number);
    match text.split_once(' ') {
        Some((digits, unit)) if digits.contains('.') => {
            format!("{} {unit}", digits.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text,
    }
}

/// Formats a count: `1,234,567`.
#[must_use]
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a rate: `12,345/s`; below 100 with three significant digits.
#[must_use]
pub fn rate(per_second: f64) -> String {
    match per_second {
        0.0 => "0/s".into(),
        rate if rate >= 99.5 => format!("{}/s", count(rate.round() as u64)),
        rate => format!("{}/s", three_digits(rate)),
    }
}

/// Formats a size: `512 B`, `1.50 KiB`, `20.1 MiB`.
#[must_use]
pub fn bytes(bytes: f64) -> String {
    const UNITS: [(f64, &str); 4] = [
        ((1_u64 << 40) as f64, "TiB"),
        ((1 << 30) as f64, "GiB"),
        ((1 << 20) as f64, "MiB"),
        ((1 << 10) as f64, "KiB"),
    ];
    let unit = UNITS.iter().find(|(unit, _)| bytes / unit >= 0.9995);
    unit.map_or_else(
        || format!("{bytes:.0} B"),
        |(unit, name)| format!("{} {name}", three_digits(bytes / unit)),
    )
}

/// Formats a share: `0.120 %`. A share above zero never reads as zero, and one below one never as
/// 100 %.
#[must_use]
pub fn percent(ratio: f64) -> String {
    match ratio * 100.0 {
        0.0 => "0 %".into(),
        percent if percent < 0.001 => "< 0.001 %".into(),
        percent if (percent - 100.0).abs() < f64::EPSILON => "100 %".into(),
        percent if (99.95..100.0).contains(&percent) => "> 99.9 %".into(),
        percent => format!("{} %", three_digits(percent)),
    }
}

/// Formats a change as a share, with its sign: `+12.3 %`, `-5.00 %`, `0 %`.
#[must_use]
pub fn change(ratio: f64) -> String {
    match ratio {
        0.0 => "0 %".into(),
        rise if rise > 0.0 => format!("+{}", percent(rise)),
        fall => format!("-{}", percent(-fall)),
    }
}

/// Formats a count with its noun: `1 connection`, `2,000 replies`.
#[must_use]
pub fn plural(number: u64, noun: &str) -> String {
    let number_text = count(number);
    match noun.strip_suffix('y') {
        _ if number == 1 => format!("{number_text} {noun}"),
        Some(stem) => format!("{number_text} {stem}ies"),
        None => format!("{number_text} {noun}s"),
    }
}

fn three_digits(number: f64) -> String {
    match number {
        number if number < 0.9995 => format!("{number:.3}"),
        number if number < 9.995 => format!("{number:.2}"),
        number if number < 99.95 => format!("{number:.1}"),
        number => count(number.round() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits_and_a_fitting_unit() {
        for (nanoseconds, text) in [
            (0, "0 s"),
            (7, "7.00 ns"),
            (1_234, "1.23 us"),
            (45_678_000, "45.7 ms"),
            (999_600, "1.00 ms"),
            (999_400, "999 us"),
            (7_890_000_000, "7.89 s"),
            (123_456_000_000, "123 s"),
        ] {
            assert_eq!(duration(Duration::from_nanos(nanoseconds)), text);
        }
    }

    #[test]
    fn typed_durations_have_no_trailing_zeros() {
        for (seconds, text) in
            [(10.0, "10 s"), (1.5, "1.5 s"), (0.2, "200 ms"), (100.0, "100 s"), (0.0, "0 s")]
        {
            assert_eq!(typed_seconds(seconds), text);
        }
    }

    #[test]
    fn counts_and_rates_are_grouped_in_thousands() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
        assert_eq!(
            (rate(12_345.4), rate(3.25), rate(0.0)),
            ("12,345/s".into(), "3.25/s".into(), "0/s".into())
        );
        assert_eq!(
            (plural(1, "connection"), plural(2_000, "connection")),
            ("1 connection".into(), "2,000 connections".into())
        );
        assert_eq!(
            (plural(0, "reply"), plural(1, "reply")),
            ("0 replies".into(), "1 reply".into())
        );
    }

    #[test]
    fn sizes_use_the_largest_unit_that_they_fill() {
        for (size, text) in
            [(0.0, "0 B"), (512.0, "512 B"), (1_536.0, "1.50 KiB"), (21_076_377.6, "20.1 MiB")]
        {
            assert_eq!(bytes(size), text);
        }
    }

    #[test]
    fn only_zero_reads_as_0_and_only_one_as_100_percent() {
        for (ratio, text) in [
            (0.0, "0 %"),
            (1e-9, "< 0.001 %"),
            (0.0012, "0.120 %"),
            (0.5, "50.0 %"),
            (0.99999, "> 99.9 %"),
            (1.0, "100 %"),
        ] {
            assert_eq!(percent(ratio), text);
        }
    }
}
