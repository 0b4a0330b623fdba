//! Gates: conditions that fail a run (`--fail-if 'p99>5ms'`) or a comparison (`'p99>+10%'`).

mod metric;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tinytcp_cli::units;

use crate::error::UsageError;
use crate::measurement::format;
pub use metric::Measurements;
pub(super) use metric::quantile;
use metric::{Metric, duration_metric};

const EXAMPLE: &str = "gates look like 'p99>5ms', 'max>1s', 'errors>0.1%', 'errors>10', \
 'rate<50k' or 'connections<1000', and with compare like 'p99>+10%' or 'rate<-5%'";

/// A condition that fails a run or a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    text: String,
    metric: Metric,
    comparison: Comparison,
    basis: Basis,
    bound: f64,
}

/// The value that a gate compares with its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Basis {
    /// The measured value.
    Level,
    /// The difference of two measured values.
    Difference,
    /// This difference as a share of the first value.
    Change,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
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
    /// Returns true if the gate compares two reports.
    #[must_use]
    pub fn is_of_comparison(&self) -> bool {
        self.basis != Basis::Level
    }

    /// Returns true if the gate checks the number of connections.
    #[must_use]
    pub fn is_of_connections(&self) -> bool {
        self.metric == Metric::Connections
    }

    /// Checks a run. A gate without a measured value counts as crossed, as does a gate that
    /// compares two reports.
    #[must_use]
    pub fn check(&self, measured: &Measurements<'_>) -> GateResult {
        let value = self.metric.of(measured).filter(|_| !self.is_of_comparison());
        self.result(value, value.map(|value| self.metric.show(value)))
    }

    /// Checks a run that goes on: returns the result if the gate is crossed, and `None` without a
    /// measured value.
    #[must_use]
    pub fn check_so_far(&self, measured: &Measurements<'_>) -> Option<GateResult> {
        self.metric.of(measured).map(|_| self.check(measured)).filter(|result| result.crossed)
    }

    /// Checks the change from `before` to `after`, or `after` alone if the gate has no sign. A gate
    /// without measured values counts as crossed, as does a share of zero.
    #[must_use]
    pub fn check_change(&self, before: &Measurements<'_>, after: &Measurements<'_>) -> GateResult {
        let (Some(first), Some(second)) = (self.metric.of(before), self.metric.of(after)) else {
            return self.result(None, None);
        };
        let value = match self.basis {
            Basis::Level => return self.check(after),
            Basis::Difference => Some(second - first),
            Basis::Change => (first > 0.0).then(|| second / first - 1.0),
        };
        let text = format!("{} to {}", self.metric.show(first), self.metric.show(second));
        let change = value.filter(|_| self.basis == Basis::Change);
        let change = change.map_or(String::new(), |change| format::change(change) + ", ");
        self.result(value, Some(change + &text))
    }

    fn result(&self, value: Option<f64>, text: Option<String>) -> GateResult {
        GateResult {
            gate: self.text.clone(),
            measured: text.unwrap_or_else(|| "nothing".into()),
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
        let signed = &rest[sign.len()..];
        let bound = signed.trim_start_matches(['+', '-']);
        let (is_signed, is_negative) = (bound.len() < signed.len(), signed.starts_with('-'));
        if signed.len() > bound.len() + 1 {
            return Err(EXAMPLE.into());
        }
        let is_change = is_signed && bound.ends_with('%') && name != "errors";
        let (metric, bound) = match name {
            "errors" if bound.ends_with('%') => (Metric::ErrorsRatio, share(bound)?),
            "rate" if is_change => (Metric::Rate, change(bound)?),
            "connections" if is_change => (Metric::Connections, change(bound)?),
            "errors" => (Metric::ErrorsCount, count_from_zero(bound)?),
            "rate" => (Metric::Rate, count_from_zero(bound)?),
            "connections" => (Metric::Connections, count_from_zero(bound)?),
            _ if is_change => (duration_metric(name)?, change(bound)?),
            _ => (
                duration_metric(name)?,
                units::duration_with_unit(bound).map_err(UsageError::new)?.as_secs_f64(),
            ),
        };
        let basis = match (is_signed, is_change) {
            (false, _) => Basis::Level,
            (true, false) => Basis::Difference,
            (true, true) => Basis::Change,
        };
        let bound = if is_negative { -bound } else { bound };
        Ok(Self { text, metric, comparison, basis, bound })
    }
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

/// Parses the size of a change such as `10%`, which can exceed 100 %.
fn change(text: &str) -> Result<f64, UsageError> {
    let percent: Option<f64> = text.trim_end_matches('%').parse().ok();
    let percent = percent.filter(|percent| percent.is_finite() && *percent >= 0.0);
    percent
        .map(|percent| percent / 100.0)
        .ok_or_else(|| format!("`{text}` is not a change; {EXAMPLE}").into())
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
