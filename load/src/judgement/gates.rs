//! Gates: conditions that fail a run (`--fail-if 'p99>5ms'`).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tinytcp_cli::units;

use crate::error::UsageError;
use crate::measurement::format;
use crate::measurement::latency::Latency;

const EXAMPLE: &str = "gates look like 'p99>5ms', 'max>1s', 'errors>0.1%', 'errors>10', \
 'rate<50k' or 'connections<1000'";

/// A condition that fails a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    text: String,
    metric: Metric,
    comparison: Comparison,
    bound: f64,
}

/// The metric of a gate. Bounds of durations are in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Metric {
    Duration(LatencyKind, Statistic),
    ErrorsCount,
    ErrorsRatio,
    /// Correct replies per second.
    Rate,
    /// The number of requested connections that were open at some time.
    Connections,
}

/// The kind of duration.
#[derive(Clone, Copy, Debug, PartialEq)]
enum LatencyKind {
    Reply,
    Connect,
    FirstByte,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Statistic {
    Quantile(f64),
    Mean,
    Max,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
}

/// The measurements that gates check.
#[derive(Clone, Copy, Debug)]
pub struct Measurements<'a> {
    /// Reply latency: from the schedule if there is one, else from the send.
    pub reply: &'a Latency,
    /// From the connection attempt to the open connection.
    pub connect: &'a Latency,
    /// From the connection attempt to the first byte received.
    pub first_byte: &'a Latency,
    /// Correct replies.
    pub correct: u64,
    /// Failed requests.
    pub errors: u64,
    /// Correct replies per second.
    pub replies_per_s: f64,
    /// The number of requested connections that were open at some time.
    pub connections: u64,
}

/// The result of a gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateResult {
    /// The gate as the user wrote it: `p99>5ms`.
    pub gate: String,
    /// The measured value as text: `6.21 ms`; `nothing` if there is none.
    pub measured: String,
    /// True if the gate fails the run.
    pub crossed: bool,
}

impl Gate {
    /// Checks a run. A gate without a measured value counts as crossed.
    #[must_use]
    pub fn check(&self, measured: &Measurements<'_>) -> GateResult {
        let value = self.metric.of(measured);
        GateResult {
            gate: self.text.clone(),
            measured: value.map_or_else(|| "nothing".into(), |value| self.metric.show(value)),
            crossed: value.is_none_or(|value| self.comparison.holds(value, self.bound)),
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Gate {
    type Err = UsageError;

    fn from_str(text: &str) -> Result<Self, UsageError> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let at =
            text.find(['<', '>']).ok_or_else(|| format!("`<` or `>` is missing; {EXAMPLE}"))?;
        let (name, rest) = text.split_at(at);
        let comparisons = [
            (">=", Comparison::AtLeast),
            ("<=", Comparison::AtMost),
            (">", Comparison::Above),
            ("<", Comparison::Below),
        ];
        let (sign, comparison) =
            comparisons.into_iter().find(|(sign, _)| rest.starts_with(sign)).ok_or(EXAMPLE)?;
        let bound = &rest[sign.len()..];
        let (metric, bound) = match name {
            "errors" if bound.ends_with('%') => (Metric::ErrorsRatio, share(bound)?),
            "errors" => (Metric::ErrorsCount, count_from_zero(bound)?),
            "rate" => (Metric::Rate, count_from_zero(bound)?),
            "connections" => (Metric::Connections, count_from_zero(bound)?),
            _ => (
                duration_metric(name)?,
                units::duration_with_unit(bound).map_err(UsageError::new)?.as_secs_f64(),
            ),
        };
        Ok(Self { text, metric, comparison, bound })
    }
}

/// Parses the quantile of `p99` or `p99.9`.
///
/// # Errors
/// Fails unless the name is `p` with a number above 0 and at most 100.
pub(super) fn quantile(name: &str) -> Result<f64, UsageError> {
    let wrong = || {
        UsageError::new(format_args!(
            "`{name}` is not a percentile: percentiles look like p50, p99 or p99.9"
        ))
    };
    let digits = name.strip_prefix('p').ok_or_else(wrong)?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty()
        || ![whole, fraction].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return Err(wrong());
    }
    // Moving the decimal point is exact, unlike a division: 99.9 / 100 exceeds 0.999, and could
    // require one more reply.
    let mut moved = format!("{whole:0>3}{fraction}");
    moved.insert(whole.len().max(3) - 2, '.');
    let quantile: f64 = moved.parse().map_err(|_| wrong())?;
    if quantile > 0.0 && quantile <= 1.0 { Ok(quantile) } else { Err(wrong()) }
}

fn duration_metric(name: &str) -> Result<Metric, UsageError> {
    let kinds = [("connect_", LatencyKind::Connect), ("first_byte_", LatencyKind::FirstByte)];
    let kind =
        kinds.into_iter().find_map(|(prefix, kind)| Some((kind, name.strip_prefix(prefix)?)));
    let (kind, statistic) = kind.unwrap_or((LatencyKind::Reply, name));
    let statistic = match statistic {
        "max" => Statistic::Max,
        "mean" => Statistic::Mean,
        _ => Statistic::Quantile(
            quantile(statistic).map_err(|_| format!("`{name}` is not a metric; {EXAMPLE}"))?,
        ),
    };
    Ok(Metric::Duration(kind, statistic))
}

/// Parses a share such as `0.1%`.
fn share(text: &str) -> Result<f64, UsageError> {
    let percent: Option<f64> = text.trim_end_matches('%').parse().ok();
    let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
    percent
        .map(|percent| percent / 100.0)
        .ok_or_else(|| format!("`{text}` is not a share; {EXAMPLE}").into())
}

/// Parses a count or zero: `errors>0` is a useful gate.
fn count_from_zero(text: &str) -> Result<f64, UsageError> {
    if text == "0" {
        return Ok(0.0);
    }
    units::count(text).map(|count| count as f64).map_err(UsageError::new)
}

impl Metric {
    fn of(self, measured: &Measurements<'_>) -> Option<f64> {
        match self {
            Self::Duration(kind, statistic) => {
                let latency = match kind {
                    LatencyKind::Reply => measured.reply,
                    LatencyKind::Connect => measured.connect,
                    LatencyKind::FirstByte => measured.first_byte,
                };
                (latency.count() > 0).then(|| statistic.of(latency).as_secs_f64())
            }
            Self::ErrorsCount => Some(measured.errors as f64),
            Self::ErrorsRatio => {
                let all = measured.correct + measured.errors;
                (all > 0).then(|| measured.errors as f64 / all as f64)
            }
            Self::Rate => (measured.correct > 0).then_some(measured.replies_per_s),
            Self::Connections => Some(measured.connections as f64),
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Self::Duration(..) => format::seconds(value),
            Self::ErrorsCount | Self::Connections => format::count(value as u64),
            Self::ErrorsRatio => format::percent(value),
            Self::Rate => format::rate(value),
        }
    }
}

impl Statistic {
    fn of(self, latency: &Latency) -> Duration {
        match self {
            Self::Quantile(quantile) => latency.quantile(quantile),
            Self::Mean => latency.mean(),
            Self::Max => latency.max(),
        }
    }
}

impl Comparison {
    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Above => value > bound,
            Self::AtLeast => value >= bound,
            Self::Below => value < bound,
            Self::AtMost => value <= bound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks a gate against replies of 1 to 100 ms, connection attempts of 10 s, 10 errors of 1000
    /// requests, 990 replies per second and 50 connections.
    fn check(gate: &str) -> GateResult {
        let (mut reply, mut connect) = (Latency::default(), Latency::default());
        (1..=100).for_each(|count| reply.record(Duration::from_millis(count), 1));
        connect.record(Duration::from_secs(10), 1);
        let first_byte = Latency::default();
        let measured = Measurements {
            reply: &reply,
            connect: &connect,
            first_byte: &first_byte,
            correct: 990,
            errors: 10,
            replies_per_s: 990.0,
            connections: 50,
        };
        gate.parse::<Gate>().expect(gate).check(&measured)
    }

    #[test]
    fn a_gate_is_crossed_exactly_if_its_condition_is_true() {
        for (gate, crossed) in [
            ("p99>98ms", true),
            ("p99>100ms", false),
            ("p50 <= 51ms", true),
            ("p99.9>=99ms", true),
            ("max>1s", false),
            ("mean>50ms", true),
            ("connect_p50>9s", true),
            ("errors>10", false),
            ("errors>=10", true),
            ("errors>0", true),
            ("errors>0.5%", true),
            ("errors>1%", false),
            ("rate<1k", true),
            ("rate<900", false),
            ("connections<51", true),
            ("connections<50", false),
        ] {
            assert_eq!(check(gate).crossed, crossed, "{gate}: {:?}", check(gate));
        }
    }

    #[test]
    fn a_percentile_is_the_quantile_of_its_digits() {
        for (name, expected) in [
            ("p50", 0.5),
            ("p5", 0.05),
            ("p99", 0.99),
            ("p99.", 0.99),
            ("p99.9", 0.999),
            ("p99.99", 0.9999),
            ("p0.5", 0.005),
            ("p100", 1.0),
            ("p100.0", 1.0),
        ] {
            assert_eq!(quantile(name), Ok(expected), "{name}");
        }
        for name in [
            "p", "p.", "p.5", "p0", "p100.1", "p1000", "99", "p9 9", "p-1", "p1e1", "p9.9.9",
            "pinf", "pä",
        ] {
            assert!(quantile(name).is_err(), "{name}");
        }
    }

    #[test]
    fn the_measured_value_has_its_unit() {
        for (gate, measured) in [
            ("max>1s", "100 ms"),
            ("errors>1%", "1.00 %"),
            ("errors>1", "10"),
            ("rate<1", "990/s"),
            ("connections<1", "50"),
        ] {
            assert_eq!(check(gate).measured, measured, "{gate}");
        }
    }

    #[test]
    fn a_gate_without_a_measured_value_is_crossed() {
        assert_eq!(
            check("first_byte_p99>1h"),
            GateResult {
                gate: "first_byte_p99>1h".into(),
                measured: "nothing".into(),
                crossed: true
            }
        );
        let nothing = Latency::default();
        let measured = Measurements {
            reply: &nothing,
            connect: &nothing,
            first_byte: &nothing,
            correct: 0,
            errors: 0,
            replies_per_s: 0.0,
            connections: 0,
        };
        for gate in ["p99>1h", "errors>99%", "rate>1m"] {
            assert!(gate.parse::<Gate>().expect(gate).check(&measured).crossed, "{gate}");
        }
    }

    #[test]
    fn a_wrong_gate_is_refused_with_an_example() {
        for (gate, example) in [
            ("", "'p99>5ms'"),
            ("p99", "'p99>5ms'"),
            ("p99=5ms", "'p99>5ms'"),
            ("p99>", "20ms"),
            ("p99>5", ""),
            ("p101>5ms", "'p99>5ms'"),
            ("pNaN>5ms", "'p99>5ms'"),
            ("p0>5ms", "'p99>5ms'"),
            ("p99>5parsecs", "20ms"),
            ("latency>5ms", "'p99>5ms'"),
            ("errors>-1%", "'errors>0.1%'"),
            ("errors>NaN%", "'errors>0.1%'"),
            ("errors>1kB", "10k"),
            ("rate<fast", "10k"),
            ("connect_>5ms", "'p99>5ms'"),
        ] {
            match gate.parse::<Gate>() {
                Ok(_) => assert_eq!(gate, "p99>5", "a bare number is seconds, as everywhere"),
                Err(error) => assert!(error.to_string().contains(example), "{gate}: {error}"),
            }
        }
    }
}
