//! Rates in the notation of the command line: `5000`, `1.5k`, `0.5`, `30/m`, and stages such as
//! `30s@100,1m@1k`.

use std::time::Duration;

use tinytcp_cli::units;

use crate::error::UsageError;
use crate::measurement::settings::Stage;

const EXAMPLE: &str = "rates look like 5000, 1.5k, 0.5 or 30/m, or 100:5k for a ramp";

const STAGES_EXAMPLE: &str =
    "stages look like 30s@100,1m@1k: a duration and a rate each, or a ramp as in 1m@100:1k";

/// Highest rate, in requests per second: far above any server.
const RATE_MAX: f64 = 1e9;

/// Rates at the start and at the end of a run, in requests per second.
pub type Rates = (f64, f64);

/// Parses a rate, or `A:B` for a rate that changes from A to B.
///
/// # Errors
/// Fails with an example, also for a rate of zero.
pub fn rates(text: &str) -> Result<Rates, UsageError> {
    let (from, to) = text.split_once(':').unwrap_or((text, text));
    Ok((rate(from)?, rate(to)?))
}

/// Parses a number with `k` or `M`, per second, minute (`/m`) or hour (`/h`).
fn rate(text: &str) -> Result<f64, UsageError> {
    let (number, period) = match text.rsplit_once('/') {
        None | Some((_, "s")) => (text.trim_end_matches("/s"), 1.0),
        Some((number, "m")) => (number, 60.0),
        Some((number, "h")) => (number, 3600.0),
        Some(_) => return Err(EXAMPLE.into()),
    };
    let digits = number.trim_end_matches(['k', 'K', 'm', 'M']);
    let factor = match &number[digits.len()..] {
        "" => 1.0,
        "k" | "K" => 1e3,
        "m" | "M" => 1e6,
        _ => return Err(EXAMPLE.into()),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(EXAMPLE.into());
    }
    let number: f64 = digits.parse().map_err(|_| EXAMPLE)?;
    let per_second = number * factor / period;
    if per_second > 0.0 && per_second <= RATE_MAX { Ok(per_second) } else { Err(EXAMPLE.into()) }
}

/// The stages of a schedule. A type of its own, because clap takes a `Vec` for a repeatable
/// argument.
#[derive(Clone, Debug)]
pub struct Stages(pub Vec<Stage>);

impl Stages {
    /// Returns the rate at the start of the first stage and at the end of the last one.
    #[must_use]
    pub fn rates(&self) -> Rates {
        let first = self.0.first().map_or(0.0, |stage| stage.from);
        (first, self.0.last().map_or(0.0, |stage| stage.to))
    }

    /// Returns the length of all stages.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.0.iter().map(|stage| stage.length).sum()
    }
}

/// Parses stages: `30s@100,1m@1k`.
///
/// # Errors
/// Fails with an example.
pub fn stages(text: &str) -> Result<Stages, UsageError> {
    let stage = |part: &str| {
        let (length, rate) = part.trim().split_once('@').ok_or(STAGES_EXAMPLE)?;
        let length =
            units::duration(length).map_err(|error| format!("{error}; {STAGES_EXAMPLE}"))?;
        let (from, to) = rates(rate).map_err(|error| format!("{error}; {STAGES_EXAMPLE}"))?;
        Ok(Stage { length, from, to })
    };
    text.split(',').map(stage).collect::<Result<_, _>>().map(Stages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_can_be_fractions_and_per_minute() {
        for (text, expected) in [
            ("5000", 5000.0),
            ("1.5k", 1500.0),
            ("20K", 20_000.0),
            ("0.25M", 250_000.0),
            ("0.5", 0.5),
            ("30/m", 0.5),
            ("30/s", 30.0),
            ("1.8k/h", 0.5),
        ] {
            assert_eq!(rates(text), Ok((expected, expected)), "{text}");
        }
        assert_eq!(rates("30/m:5k"), Ok((0.5, 5000.0)));
    }

    #[test]
    fn a_wrong_rate_is_refused_with_an_example() {
        for text in
            ["", "0", "0/m", "-1", "1e3", "k", "1kk", "5/d", "/m", "inf", "1:", ":1", "1..5"]
        {
            let error = rates(text).expect_err(text).to_string();
            assert!(error.contains("30/m"), "{text}: {error}");
        }
    }

    #[test]
    fn stages_have_a_duration_and_a_rate_or_a_ramp() {
        let stages = stages("30s@100, 1m@30/m,10s@1k:2k").expect("stages");
        let length = |seconds| Duration::from_secs(seconds);
        let expected = [
            Stage { length: length(30), from: 100.0, to: 100.0 },
            Stage { length: length(60), from: 0.5, to: 0.5 },
            Stage { length: length(10), from: 1000.0, to: 2000.0 },
        ];
        assert_eq!(stages.0, expected);
        assert_eq!((stages.length(), stages.rates()), (length(100), (100.0, 2000.0)));
        for wrong in ["", "30s", "@100", "30s@", "30s@0", "0s@5", "30s@100,", "30s@100;1m@1k"] {
            let error = super::stages(wrong).expect_err(wrong).to_string();
            assert!(error.contains("30s@100,1m@1k"), "{wrong}: {error}");
        }
    }
}
