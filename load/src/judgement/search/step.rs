//! The judgement of one measurement of a search.

use std::time::Duration;

use super::SearchStep;
use crate::judgement::objective::Objective;
use crate::judgement::verdict::{self, RunVerdict};
use crate::measurement::averages::share;
use crate::measurement::format::{duration, percent, plural, rate};
use crate::measurement::latency::microseconds;
use crate::measurement::outcome::RunOutcome;

/// A rate counts as reached if this share of it was answered; the rest may still be in flight at
/// the end of a run.
const REACHED_RATIO: f64 = 0.98;

/// Returns the percentile of the objective if a run at `rate` had no error and reached the rate;
/// `None` otherwise.
pub(super) fn late(objective: &Objective, rate: f64, outcome: &RunOutcome) -> Option<Duration> {
    let is_whole =
        outcome.total.errors.total() == 0 && reached_per_s(outcome) >= REACHED_RATIO * rate;
    (is_whole && outcome.total.from_schedule.count() > 0)
        .then(|| objective.of(&outcome.total.from_schedule))
}

fn reached_per_s(outcome: &RunOutcome) -> f64 {
    share(outcome.total.correct_inside(), outcome.counted.as_secs_f64())
}

pub(super) fn judge(objective: &Objective, asked_per_s: f64, outcome: &RunOutcome) -> SearchStep {
    let latency = &outcome.total.from_schedule;
    let figure = |quantile| (latency.count() > 0).then(|| microseconds(latency.quantile(quantile)));
    let limited = verdict::generator_limited(outcome);
    let broken_by = broken_by(objective, asked_per_s, outcome, limited.as_ref());
    SearchStep {
        asked_per_s,
        reached_per_s: reached_per_s(outcome),
        p50_us: figure(0.5),
        p99_us: figure(0.99),
        p99_9_us: figure(0.999),
        held: broken_by.is_none(),
        broken_by,
        generator_limited: limited.is_some(),
    }
}

fn broken_by(
    objective: &Objective,
    asked_per_s: f64,
    outcome: &RunOutcome,
    limited: Option<&RunVerdict>,
) -> Option<String> {
    let (latency, errors, reached_per_s) =
        (&outcome.total.from_schedule, outcome.total.errors.total(), reached_per_s(outcome));
    let measured = objective.of(latency);
    let mut reasons = Vec::new();
    if latency.count() == 0 {
        reasons.push("no request was answered".into());
    } else if measured > objective.bound() {
        reasons.push(format!("{} was {}", objective.name(), duration(measured)));
    }
    if errors > 0 {
        reasons.push(plural(errors, "error"));
    }
    if reached_per_s < REACHED_RATIO * asked_per_s {
        reasons.push(format!(
            "only {} answered ({})",
            rate(reached_per_s),
            percent(share(reached_per_s, asked_per_s))
        ));
    }
    // A limited generator matters only if the objective was missed.
    if let Some(verdict) = limited.filter(|_| !reasons.is_empty()) {
        reasons.push(format!("generator-limited ({})", verdict.evidence));
    }
    (!reasons.is_empty()).then(|| reasons.join(", "))
}
