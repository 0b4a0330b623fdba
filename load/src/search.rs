//! The search for the highest rate that holds an objective.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::averages::share;
use super::figures::{duration, percent, plural, rate, typed_seconds};
use super::latency::microseconds;
use super::objective::Objective;
use super::outcome::{Outcome, Pace};
use super::trial::{Course, End, Trial};
use super::verdict::{self, Kind, Verdict};

/// Measurements at most, repetitions included: doubling from 1 to 65,000 and seven halvings of the
/// last step, some of them twice.
const MEASUREMENTS_MAX: usize = 32;

/// A rate is reached when so much of it was answered; the rest may be on its way at the end of a
/// run.
const REACHED_RATIO: f64 = 0.98;

/// What a search measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Search {
    /// As it was given: `p99=1ms`.
    pub objective: String,
    /// The highest rate that held it; `None` when none did.
    pub highest_held_per_s: Option<f64>,
    /// What was found, in a sentence or two.
    pub conclusion: String,
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
    /// True exactly when the run was limited by the generator, as its verdict would say.
    pub generator_limited: bool,
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
    fn new(objective: &Objective) -> Self {
        let objective = objective.to_string();
        Self { objective, highest_held_per_s: None, conclusion: String::new(), steps: Vec::new() }
    }

    /// The end of the search: `end` says why, if it was not cut short, and by what objective.
    fn found(mut self, outcome: Outcome, end: Option<(End, &Objective)>) -> Found {
        let limit = self.limit().and_then(|step| Some((step, step.broken_by.as_ref()?)));
        let limit = limit
            .map(|(step, why)| format!(" At {}: {why}.", rate(step.asked_per_s)))
            .unwrap_or_default();
        let none = format!("No rate held {}", self.objective);
        self.conclusion = match (self.highest_held_per_s, end) {
            (Some(highest), _) => format!(
                "{} is the highest rate that held {}.{limit}",
                rate(highest),
                self.objective
            ),
            (None, Some((End::Flat, objective))) => {
                format!("{none}: {}.", flat(objective, &outcome))
            }
            (None, Some((End::Low, _))) => {
                format!(
                    "{none}.{limit} A lower rate needs a longer -d for its percentiles to be told."
                )
            }
            (None, _) => format!("{none}.{limit}"),
        };
        Found { search: self, outcome }
    }

    /// What the search says of the worth of its best run: that there is none, or that the generator
    /// kept it from being higher.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        if self.highest_held_per_s.is_none() {
            let advice = "Ask for an objective that this server and this machine can hold; the figures are of the last run.";
            return Some(Verdict {
                kind: Kind::NoRateHeld,
                evidence: self.conclusion.clone(),
                advice: advice.into(),
            });
        }
        let advice =
            "The server may hold more: give the generator a core of its own, or another machine.";
        self.limit().filter(|step| step.generator_limited).map(|step| Verdict {
            kind: Kind::GeneratorLimited,
            evidence: format!(
                "at {} the generator limited the run, not the server",
                rate(step.asked_per_s)
            ),
            advice: advice.into(),
        })
    }

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

/// Looks for the highest rate that holds `objective`: doubles from `start_per_s` until one breaks
/// (or halves until one holds, or until that changes nothing), then halves the distance until it is
/// a few percent. `measure` makes one open-loop run as it is told; each takes `duration`, or longer
/// where the rate has too few requests in it. A rate that breaks is measured once more before that
/// counts. An interrupted run ends the search.
///
/// # Errors
/// The first error of `measure`.
pub fn find_max<E>(
    objective: &Objective,
    start_per_s: f64,
    duration: Duration,
    mut measure: impl FnMut(Trial) -> Result<Outcome, E>,
) -> Result<Found, E> {
    let mut search = Search::new(objective);
    let mut course = Course::new(objective, duration);
    let mut rate = start_per_s;
    let mut best: Option<Outcome> = None;
    loop {
        let mut outcome = measure(course.trial(rate))?;
        let mut late = late(objective, rate, &outcome);
        let mut step = judge(objective, rate, &outcome);
        if !step.held && outcome.interrupted_by.is_none() {
            search.steps.push(step);
            outcome = measure(course.trial(rate))?;
            late = late.min(self::late(objective, rate, &outcome));
            step = judge(objective, rate, &outcome);
        }
        if let Some(signal) = outcome.interrupted_by {
            let outcome =
                best.map_or(outcome, |best| Outcome { interrupted_by: Some(signal), ..best });
            return Ok(search.found(outcome, None));
        }
        let kept = if step.held || search.highest_held_per_s.is_none() {
            outcome
        } else {
            best.unwrap_or(outcome)
        };
        if step.held {
            search.highest_held_per_s = Some(rate);
            course.held(rate);
        } else {
            course.broke(rate, late);
        }
        search.steps.push(step);
        match course.next() {
            Ok(next) if search.steps.len() < MEASUREMENTS_MAX => (rate, best) = (next, Some(kept)),
            next => return Ok(search.found(kept, next.err().map(|end| (end, objective)))),
        }
    }
}

/// The latency that the objective looks at, if a run at `rate` had no error and answered all;
/// `None` otherwise.
fn late(objective: &Objective, rate: f64, outcome: &Outcome) -> Option<Duration> {
    let is_whole =
        outcome.total.errors.total() == 0 && reached_per_s(outcome) >= REACHED_RATIO * rate;
    (is_whole && outcome.total.from_schedule.count() > 0)
        .then(|| objective.of(&outcome.total.from_schedule))
}

fn reached_per_s(outcome: &Outcome) -> f64 {
    share(outcome.total.correct_inside(), outcome.counted.as_secs_f64())
}

/// That lowering the rate changes nothing, and what does not get below the bound.
fn flat(objective: &Objective, outcome: &Outcome) -> String {
    let (latency, bound) =
        (&outcome.total.from_schedule, typed_seconds(objective.bound().as_secs_f64()));
    let lowest = match outcome.asked.pace {
        Pace::Open { from, .. } => rate(from),
        Pace::Closed | Pace::Hold(_) => "the lowest rate".into(),
    };
    // Where even half of the replies take longer, it is no noise.
    let why = if latency.quantile(0.5) > objective.bound() {
        format!("the server takes longer than {bound} at any rate")
    } else {
        format!("this machine cannot resolve {bound}")
    };
    format!("even at {lowest} {} is {}: {why}", objective.name(), duration(objective.of(latency)))
}

fn judge(objective: &Objective, asked_per_s: f64, outcome: &Outcome) -> Step {
    let latency = &outcome.total.from_schedule;
    let figure = |quantile| (latency.count() > 0).then(|| microseconds(latency.quantile(quantile)));
    let limited = verdict::generator_limited(outcome);
    let broken_by = broken_by(objective, asked_per_s, outcome, limited.as_ref());
    Step {
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
    outcome: &Outcome,
    limited: Option<&Verdict>,
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
    // It may hold the objective all the same; but when it does not, that is not the server's doing.
    if let Some(verdict) = limited.filter(|_| !reasons.is_empty()) {
        reasons.push(format!("generator-limited ({})", verdict.evidence));
    }
    (!reasons.is_empty()).then(|| reasons.join(", "))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::causes::ReplyError;
    use crate::latency::Latency;
    use crate::report::Report;
    use crate::samples;

    fn objective() -> Objective {
        "p99=1ms".parse().expect("a good one")
    }

    /// A queue with one server that takes 1/`capacity` s a request: p99 grows as the rate comes
    /// near to it; beyond it requests are not sent.
    fn server(capacity: f64, rate: f64) -> Outcome {
        let load = rate / capacity;
        let p99 = if load < 1.0 { 4.6 / capacity / (1.0 - load) } else { 1.0 };
        let mut latency = Latency::default();
        latency.record(Duration::from_secs_f64(p99), 1_000);
        let answered = (rate.min(capacity) * 10.0) as u64;
        let sample = samples::open()
            .asked(|asked| asked.pace = Pace::Open { from: rate, to: rate })
            .total(|total| {
                (total.sent, total.correct) = (answered, answered);
                (total.from_send, total.from_schedule) = (latency.clone(), latency);
            });
        let unsent = if load > 1.0 { ((rate - capacity) * 10.0) as u64 } else { 0 };
        sample.errors(ReplyError::Unsent, unsent).done()
    }

    const TEN_SECONDS: Duration = Duration::from_secs(10);

    fn find(start: f64, mut measure: impl FnMut(f64) -> Outcome) -> Found {
        find_max::<Infallible>(&objective(), start, TEN_SECONDS, |trial| Ok(measure(trial.rate)))
            .expect("nothing fails")
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
            assert!(highest >= answer(50_000.0) * 0.97 * 0.999, "from {start}: {highest}");
            assert!(
                found.search.steps.len() <= MEASUREMENTS_MAX + 1,
                "{}",
                found.search.steps.len()
            );
        }
    }

    #[test]
    fn the_run_that_is_kept_is_that_of_the_highest_rate() {
        let found = find(1_000.0, |rate| server(50_000.0, rate));
        let highest = found.search.highest_held_per_s.expect("there is one");
        assert_eq!(found.outcome.asked.pace, Pace::Open { from: highest, to: highest });
        let limit = found.search.limit().expect("the search found one");
        assert!(
            limit.asked_per_s > highest
                && limit.broken_by.as_deref().is_some_and(|why| why.contains("p99 was"))
        );
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
        assert!(
            found.search.highest_held_per_s > Some(40_000.0),
            "{:?}",
            found.search.highest_held_per_s
        );
        let broken = found.search.steps.iter().find(|step| !step.held).expect("it is shown");
        assert_eq!((broken.asked_per_s, broken.broken_by.as_deref()), (2_000.0, Some("1 error")));
    }

    #[test]
    fn an_objective_that_no_rate_holds_ends_the_search_with_the_last_run() {
        let found = find(1_000.0, |rate| server(0.5, rate));
        assert_eq!(found.search.highest_held_per_s, None);
        assert!(found.search.steps.len() <= MEASUREMENTS_MAX + 1);
        assert!(matches!(found.outcome.asked.pace, Pace::Open { from, .. } if from < 16.0));
        let verdict = found.search.verdict().expect("there is no rate");
        assert!(
            verdict
                .evidence
                .ends_with("A lower rate needs a longer -d for its percentiles to be told."),
            "{verdict:?}"
        );
    }

    /// A server whose median and p99 are these at any rate.
    fn constant(p50: Duration, p99: Duration, rate: f64) -> Outcome {
        let mut outcome = server(f64::MAX, rate);
        let mut latency = Latency::default();
        latency.record(p50, 900);
        latency.record(p99, 100);
        (outcome.total.from_send, outcome.total.from_schedule) = (latency.clone(), latency);
        outcome
    }

    #[test]
    fn a_search_stops_where_a_lower_rate_changes_nothing_and_says_what_is_in_the_way() {
        let microseconds = Duration::from_micros;
        for (p50, p99, said) in [
            (
                100,
                5_000,
                "No rate held p99=1ms: even at 250/s p99 is 5.00 ms: this machine cannot resolve 1 ms.",
            ),
            (
                200_000,
                200_000,
                "No rate held p99=1ms: even at 250/s p99 is 200 ms: the server takes longer than 1 ms at any rate.",
            ),
        ] {
            let found = find(1_000.0, |rate| constant(microseconds(p50), microseconds(p99), rate));
            assert_eq!((found.search.conclusion.as_str(), found.search.steps.len()), (said, 6));
        }
    }

    #[test]
    fn a_search_that_found_nothing_is_never_valid() {
        let found =
            find(1_000.0, |rate| constant(Duration::from_secs(1), Duration::from_secs(1), rate));
        let report = Report::new(&found.outcome, &[]);
        assert_eq!(report.verdict.kind, Kind::Valid, "the run itself had no flaw");
        let report = report.with_search(found.search);
        assert_eq!((report.verdict.kind, report.exit_code()), (Kind::NoRateHeld, 1));
        assert_eq!(report.further_verdicts, []);
    }

    #[test]
    fn what_the_generator_keeps_from_being_higher_is_said_by_the_rule_of_the_verdict() {
        let found = find(1_000.0, |rate| {
            let mut outcome = server(50_000.0, rate);
            if rate >= 16_000.0 {
                outcome.total.from_schedule.record(Duration::from_millis(9), 5_000);
                outcome.total.lag.record(Duration::from_millis(8), 5_000);
            }
            outcome
        });
        let limit = found.search.limit().expect("the generator");
        assert!(
            limit.generator_limited
                && limit
                    .broken_by
                    .as_deref()
                    .is_some_and(|why| why.contains("generator-limited ("))
        );
        assert!(found.search.steps.iter().all(|step| step.held != step.generator_limited));
        let report = Report::new(&found.outcome, &[]).with_search(found.search);
        assert_eq!((report.verdict.kind, report.exit_code()), (Kind::GeneratorLimited, 0));
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
        assert_eq!(
            find_max(&objective(), 1.0, TEN_SECONDS, |_| Err("no ports")).map(|found| found.search),
            Err("no ports")
        );
    }
}
