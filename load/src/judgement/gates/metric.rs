//! The metrics that gates check.

use std::time::Duration;

use super::EXAMPLE;
use crate::error::UsageError;
use crate::measurement::format;
use crate::measurement::latency::Latency;

/// The metric of a gate. Durations are in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Metric {
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
pub(super) enum LatencyKind {
    Reply,
    Connect,
    Handshake,
    FirstByte,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Statistic {
    Quantile(f64),
    Mean,
    Max,
}

/// The measurements that gates check.
#[derive(Clone, Copy, Debug)]
pub struct Measurements<'a> {
    /// Reply latency: from the schedule if there is one, else from the send.
    pub reply: &'a Latency,
    /// From the connection attempt to the open connection.
    pub connect: &'a Latency,
    /// From the open connection to the end of the handshake of TLS; `None` without TLS.
    pub handshake: Option<&'a Latency>,
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

impl Metric {
    /// Returns the measured value; `None` if there is none.
    pub(super) fn of(self, measured: &Measurements<'_>) -> Option<f64> {
        match self {
            Self::Duration(kind, statistic) => {
                let latency = match kind {
                    LatencyKind::Reply => measured.reply,
                    LatencyKind::Connect => measured.connect,
                    LatencyKind::Handshake => measured.handshake?,
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

    /// Returns `value` with its unit.
    pub(super) fn show(self, value: f64) -> String {
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

/// Parses the quantile of `p99` or `p99.9`.
///
/// # Errors
/// Fails unless the name is `p` with a number above 0 and at most 100.
pub(in crate::judgement) fn quantile(name: &str) -> Result<f64, UsageError> {
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

/// Parses the name of a duration: `p99`, `connect_max`, `handshake_p50`, `first_byte_mean`.
///
/// # Errors
/// Fails with an example.
pub(super) fn duration_metric(name: &str) -> Result<Metric, UsageError> {
    let kinds = [
        ("connect_", LatencyKind::Connect),
        ("handshake_", LatencyKind::Handshake),
        ("first_byte_", LatencyKind::FirstByte),
    ];
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
