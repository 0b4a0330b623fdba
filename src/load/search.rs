//! The search for the highest rate that holds an objective.

use serde::{Deserialize, Serialize};

use super::averages::{per_second, share};
use super::figures::{duration, percent, plural, rate};
use super::latency::microseconds;
use super::objective::Objective;
use super::outcome::Outcome;
use super::verdict::{self, Kind};

/// Measurements at most, repetitions included: doubling from 1 to 65,000 and seven halvings of the last step, some of them twice.
const MEASUREMENTS_MAX: usize = 32;

/// The search ends when the lowest rate that broke is at most this much above the highest that held.
const PRECISION: f64 = 0.03;

/// A rate is reached when so much of it was answered; the rest may be on its way at the end of a run.
const REACHED_RATIO: f64 = 0.98;

/// Below one request a second there is nothing to search.
const RATE_MIN: f64 = 1.0;

/// What a search measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Search {
    /// As it was given: `p99=1ms`.
    pub objective: String,
    /// The highest rate that held it; `None` when none did.
    pub highest_held_per_s: Option<f64>,
    /// Every measurement, in the order in which they were made.
    pub steps: Vec<Step>,
}

/// One measurement of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Requests a second that were due.
    pub asked_per_s: f64,
    /// Right replies a second that came.
    pub reached_per_s: f64,
    /// The median latency from the schedule; `None` when no reply came, as for the other two.
    pub p50_us: Option<f64>,
    /// The latency from the schedule that 99 % of the replies did not exceed.
    pub p99_us: Option<f64>,
    /// The latency from the schedule that 99.9 % of the replies did not exceed.
    pub p99_9_us: Option<f64>,
    /// True exactly when the objective held, without an error.
    pub held: bool,
    /// Why it did not hold; `None` when it did.
    pub broken_by: Option<String>,
}

/// What a search ends with.
#[derive(Debug)]
pub struct Found {
    /// What it measured.
    pub search: Search,
    /// The run at the highest rate that held; the last one when none did.
    pub outcome: Outcome,
}

impl Search {
    /// The measurements by rate: the curve.
    #[must_use]
    pub fn curve(&self) -> Vec<&Step> {
        let mut curve: Vec<&Step> = self.steps.iter().collect();
        curve.sort_by(|a, b| a.asked_per_s.total_cmp(&b.asked_per_s));
        curve
    }

    /// Why the search went no higher: what broke the lowest rate above the highest that held.
    #[must_use]
    pub fn limit(&self) -> Option<&Step> {
        let highest = self.highest_held_per_s.unwrap_or(0.0);
        self.curve().into_iter().find(|step| !step.held && step.asked_per_s > highest)
    }
}

/// Looks for the highest rate that holds `objective`: doubles from `start_per_s` until one breaks (or halves until one holds), then halves the
/// distance until it is a few percent. `measure` makes one open-loop run at the rate it is given. A rate that breaks is measured once more before
/// that counts. An interrupted run ends the search.
///
/// # Errors
/// The first error of `measure`.
pub fn find_max<E>(
    objective: &Objective,
    start_per_s: f64,
    mut measure: impl FnMut(f64) -> Result<Outcome, E>,
) -> Result<Found, E> {
    let mut search = Search { objective: objective.to_string(), highest_held_per_s: None, steps: Vec::new() };
    let mut lowest_broken: Option<f64> = None;
    let mut rate = start_per_s.max(RATE_MIN);
    let mut best: Option<Outcome> = None;
    loop {
        let mut outcome = measure(rate)?;
        let mut step = judge(objective, rate, &outcome);
        if !step.held && outcome.interrupted_by.is_none() {
            search.steps.push(step);
            outcome = measure(rate)?;
            step = judge(objective, rate, &outcome);
        }
        if let Some(signal) = outcome.interrupted_by {
            let outcome = best.map_or(outcome, |best| Outcome { interrupted_by: Some(signal), ..best });
            return Ok(Found { search, outcome });
        }
        let kept = if step.held || search.highest_held_per_s.is_none() { outcome } else { best.unwrap_or(outcome) };
        if step.held {
            search.highest_held_per_s = Some(rate);
        } else {
            lowest_broken = Some(rate);
        }
        search.steps.push(step);
        match next(search.highest_held_per_s, lowest_broken) {
            Some(next) if search.steps.len() < MEASUREMENTS_MAX => (rate, best) = (next, Some(kept)),
            _ => return Ok(Found { search, outcome: kept }),
        }
    }
}

/// The rate to measure next; `None` when the search is over.
fn next(held: Option<f64>, broken: Option<f64>) -> Option<f64> {
    match (held, broken) {
        (None, None) => None,
        (Some(held), None) => Some(held * 2.0),
        (None, Some(broken)) => Some(broken / 2.0).filter(|rate| *rate >= RATE_MIN),
        (Some(held), Some(broken)) => (broken / held > 1.0 + PRECISION).then(|| held.midpoint(broken)),
    }
}

fn judge(objective: &Objective, asked_per_s: f64, outcome: &Outcome) -> Step {
    let latency = &outcome.total.from_schedule;
    let figure = |quantile| (latency.count() > 0).then(|| microseconds(latency.quantile(quantile)));
    let reached_per_s = per_second(outcome.total.correct, outcome.counted.as_secs_f64());
    let broken_by = broken_by(objective, asked_per_s, reached_per_s, outcome);
    Step {
        asked_per_s,
        reached_per_s,
        p50_us: figure(0.5),
        p99_us: figure(0.99),
        p99_9_us: figure(0.999),
        held: broken_by.is_none(),
        broken_by,
    }
}

fn broken_by(objective: &Objective, asked_per_s: f64, reached_per_s: f64, outcome: &Outcome) -> Option<String> {
    let (latency, errors) = (&outcome.total.from_schedule, outcome.total.errors.total());
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
        reasons.push(format!("only {} answered ({})", rate(reached_per_s), percent(share(reached_per_s, asked_per_s))));
    }
    // It may hold the objective all the same; but when it does not, nobody should blame the server.
    let verdict = verdict::flaws(outcome, &[]).into_iter().find(|verdict| verdict.kind == Kind::GeneratorLimited);
    if let Some(verdict) = verdict.filter(|_| !reasons.is_empty()) {
        reasons.push(format!("generator-limited ({})", verdict.evidence));
    }
    (!reasons.is_empty()).then(|| reasons.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::causes::ReplyError;
    use crate::load::latency::Latency;
    use crate::load::outcome::Pace;
    use crate::load::samples;
    use std::convert::Infallible;
    use std::time::Duration;

    fn objective() -> Objective {
        "p99=1ms".parse().expect("a good one")
    }

    /// A queue with one server that takes 1/`capacity` s a request: p99 grows as the rate comes near to it; beyond it requests are not sent.
    fn server(capacity: f64, rate: f64) -> Outcome {
        let load = rate / capacity;
        let p99 = if load < 1.0 { 4.6 / capacity / (1.0 - load) } else { 1.0 };
        let mut latency = Latency::default();
        latency.record(Duration::from_secs_f64(p99), 1_000);
        let answered = (rate.min(capacity) * 10.0) as u64;
        let sample = samples::open().asked(|asked| asked.pace = Pace::Open { from: rate, to: rate }).total(|total| {
            (total.sent, total.correct) = (answered, answered);
            (total.from_send, total.from_schedule) = (latency.clone(), latency);
        });
        let unsent = if load > 1.0 { ((rate - capacity) * 10.0) as u64 } else { 0 };
        sample.errors(ReplyError::Unsent, unsent).done()
    }

    fn find(start: f64, mut measure: impl FnMut(f64) -> Outcome) -> Found {
        find_max::<Infallible>(&objective(), start, |rate| Ok(measure(rate))).expect("nothing fails")
    }

    /// The rate at which the model's p99 is 1 ms.
    fn answer(capacity: f64) -> f64 {
        capacity - 4_600.0
    }

    #[test]
    fn the_highest_rate_is_found_within_a_few_percent_from_below_and_from_above() {
        for start in [1.0, 100.0, 40_000.0, 3_000_000.0] {
            let found = find(start, |rate| server(50_000.0, rate));
            let highest = found.search.highest_held_per_s.expect("there is one");
            assert!(highest <= answer(50_000.0) * 1.001, "from {start}: {highest}");
            assert!(highest >= answer(50_000.0) * (1.0 - PRECISION) * 0.999, "from {start}: {highest}");
            assert!(found.search.steps.len() <= MEASUREMENTS_MAX + 1, "{}", found.search.steps.len());
        }
    }

    #[test]
    fn the_run_that_is_kept_is_that_of_the_highest_rate() {
        let found = find(1_000.0, |rate| server(50_000.0, rate));
        let highest = found.search.highest_held_per_s.expect("there is one");
        assert_eq!(found.outcome.asked.pace, Pace::Open { from: highest, to: highest });
        let limit = found.search.limit().expect("the search found one");
        assert!(limit.asked_per_s > highest && limit.broken_by.as_deref().is_some_and(|why| why.contains("p99 was")));
        assert!(found.search.curve().is_sorted_by(|a, b| a.asked_per_s <= b.asked_per_s));
    }

    #[test]
    fn one_noisy_run_is_repeated_and_does_not_count() {
        let mut runs = 0;
        let found = find(1_000.0, |rate| {
            runs += 1;
            let noise = if runs == 2 { 1 } else { 0 };
            let mut outcome = server(50_000.0, rate);
            outcome.total.errors.add(ReplyError::Late, noise);
            outcome
        });
        assert!(found.search.highest_held_per_s > Some(40_000.0), "{:?}", found.search.highest_held_per_s);
        let broken = found.search.steps.iter().find(|step| !step.held).expect("it is shown");
        assert_eq!((broken.asked_per_s, broken.broken_by.as_deref()), (2_000.0, Some("1 error")));
    }

    #[test]
    fn an_objective_that_no_rate_holds_ends_the_search_with_the_last_run() {
        let found = find(1_000.0, |rate| server(0.5, rate));
        assert_eq!(found.search.highest_held_per_s, None);
        assert!(found.search.steps.len() <= MEASUREMENTS_MAX + 1);
        assert!(matches!(found.outcome.asked.pace, Pace::Open { from, .. } if from < 2.0));
    }

    #[test]
    fn a_server_without_a_limit_ends_the_search_all_the_same() {
        let found = find(1_000.0, |rate| server(f64::MAX, rate));
        assert_eq!(found.search.steps.len(), MEASUREMENTS_MAX);
        assert!(found.search.limit().is_none());
    }

    #[test]
    fn an_interruption_ends_the_search_with_the_best_run_so_far() {
        let mut runs = 0;
        let found = find(1_000.0, |rate| {
            runs += 1;
            let mut outcome = server(50_000.0, rate);
            outcome.interrupted_by = (runs == 3).then_some(2);
            outcome
        });
        assert_eq!((found.search.steps.len(), found.search.highest_held_per_s), (2, Some(2_000.0)));
        assert_eq!(found.outcome.asked.pace, Pace::Open { from: 2_000.0, to: 2_000.0 });
        assert_eq!(found.outcome.interrupted_by, Some(2));
    }

    #[test]
    fn an_error_of_the_measurement_is_handed_up() {
        assert_eq!(find_max(&objective(), 1.0, |_| Err("no ports")).map(|found| found.search), Err("no ports"));
    }
}
