//! The search for the highest rate that meets an objective.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::averages::share;
use super::figures::{duration, percent, plural, rate, typed_seconds};
use super::latency::microseconds;
use super::objective::Objective;
use super::outcome::{Outcome, Pace};
use super::trial::{Course, End, Trial};
use super::verdict::{self, Kind, Verdict};

/// Maximum number of measurements, including repetitions: doubling from 1 to 65,000, and seven
/// bisections, some of them repeated.
const MEASUREMENTS_MAX: usize = 32;

/// A rate counts as reached if this share of it was answered; the rest may still be in flight at
/// the end of a run.
const REACHED_RATIO: f64 = 0.98;

/// The report of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Search {
    /// The objective as the user wrote it: `p99=1ms`.
    pub objective: String,
    /// The highest rate that met it; `None` if none did.
    pub highest_held_per_s: Option<f64>,
    /// The result in words.
    pub conclusion: String,
    /// Every measurement, in order of time.
    pub steps: Vec<Step>,
}

/// One measurement of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Requests due per second.
    pub asked_per_s: f64,
    /// Correct replies per second.
    pub reached_per_s: f64,
    /// The median latency from the schedule; `None` without a reply, as for the other two.
    pub p50_us: Option<f64>,
    /// The p99 latency from the schedule.
    pub p99_us: Option<f64>,
    /// The p99.9 latency from the schedule.
    pub p99_9_us: Option<f64>,
    /// True if the objective was met without an error.
    pub held: bool,
    /// Why it was not met; `None` if it was.
    pub broken_by: Option<String>,
    /// True if the verdict of this run would be generator-limited.
    pub generator_limited: bool,
}

/// The result of a search.
#[derive(Debug)]
pub struct Found {
    /// The measurements.
    pub search: Search,
    /// The run at the highest rate that met the objective; the last run if none did.
    pub outcome: Outcome,
}

impl Search {
    fn new(objective: &Objective) -> Self {
        let objective = objective.to_string();
        Self { objective, highest_held_per_s: None, conclusion: String::new(), steps: Vec::new() }
    }

    /// Ends the search. `end` is the reason and the objective, unless the search was interrupted.
    fn found(mut self, outcome: Outcome, end: Option<(End, &Objective)>) -> Found {
        let limit = self.limit().and_then(|step| Some((step, step.broken_by.as_ref()?)));
        let limit = limit
            .map(|(step, why)| format!(" At {}: {why}.", rate(step.asked_per_s)))
            .unwrap_or_default();
        let none = format!("No rate met {}", self.objective);
        self.conclusion = match (self.highest_held_per_s, end) {
            (Some(highest), _) => {
                format!("{} is the highest rate that met {}.{limit}", rate(highest), self.objective)
            }
            (None, Some((End::Flat, objective))) => {
                format!("{none}: {}.", flat(objective, &outcome))
            }
            (None, Some((End::Low, _))) => {
                format!("{none}.{limit} A lower rate needs a longer -d to measure its percentiles.")
            }
            (None, _) => format!("{none}.{limit}"),
        };
        Found { search: self, outcome }
    }

    /// Returns the verdict of the search: that no rate met the objective, or that the generator
    /// prevented a higher one.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        if self.highest_held_per_s.is_none() {
            let advice = "Choose an objective that this server and this machine can meet; the \
             results are those of the last run.";
            return Some(Verdict {
                kind: Kind::NoRateHeld,
                evidence: self.conclusion.clone(),
                advice: advice.into(),
            });
        }
        let advice =
            "The server may handle more: give the generator its own core, or another machine.";
        self.limit().filter(|step| step.generator_limited).map(|step| Verdict {
            kind: Kind::GeneratorLimited,
            evidence: format!(
                "at {} the generator limited the run, not the server",
                rate(step.asked_per_s)
            ),
            advice: advice.into(),
        })
    }

    /// Returns the measurements in order of rate.
    #[must_use]
    pub fn curve(&self) -> Vec<&Step> {
        let mut curve: Vec<&Step> = self.steps.iter().collect();
        curve.sort_by(|a, b| a.asked_per_s.total_cmp(&b.asked_per_s));
        curve
    }

    /// Returns the lowest failed rate above the highest that met the objective: the reason why the
    /// search went no higher.
    #[must_use]
    pub fn limit(&self) -> Option<&Step> {
        let highest = self.highest_held_per_s.unwrap_or(0.0);
        self.curve().into_iter().find(|step| !step.held && step.asked_per_s > highest)
    }
}

/// Searches the highest rate that meets `objective`. It doubles the rate from `start_per_s` until
/// one fails, or halves it until one succeeds or a lower rate does not help, and then bisects to
/// within 3 %. `measure` makes one open-loop run; each takes `duration`, or longer if the rate has
/// too few requests. A failing rate is measured once more. An interrupted run ends the search.
///
/// # Errors
/// Returns the first error of `measure`.
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

/// Returns the percentile of the objective if a run at `rate` had no error and reached the rate;
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

/// Explains why a lower rate does not help.
fn flat(objective: &Objective, outcome: &Outcome) -> String {
    let (latency, bound) =
        (&outcome.total.from_schedule, typed_seconds(objective.bound().as_secs_f64()));
    let lowest = match outcome.asked.pace {
        Pace::Open { from, .. } => rate(from),
        Pace::Closed | Pace::Hold(_) => "the lowest rate".into(),
    };
    // If even half of the replies take longer, the server is the reason and not noise.
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
    // A limited generator matters only if the objective was missed.
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

    /// A model of a queue with one server of this capacity: p99 grows near the capacity, and beyond
    /// it requests stay unsent.
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

    /// Returns the rate at which the model's p99 is 1 ms.
    fn answer(capacity: f64) -> f64 {
        capacity - 4_600.0
    }

    #[test]
    fn the_highest_rate_is_found_within_3_percent() {
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
    fn the_kept_run_is_that_of_the_highest_rate() {
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
    fn a_noisy_run_is_repeated_and_does_not_count() {
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
    fn an_unmet_objective_ends_the_search_with_the_last_run() {
        let found = find(1_000.0, |rate| server(0.5, rate));
        assert_eq!(found.search.highest_held_per_s, None);
        assert!(found.search.steps.len() <= MEASUREMENTS_MAX + 1);
        assert!(matches!(found.outcome.asked.pace, Pace::Open { from, .. } if from < 16.0));
        let verdict = found.search.verdict().expect("there is no rate");
        assert!(
            verdict
                .evidence
                .ends_with("A lower rate needs a longer -d to measure its percentiles."),
            "{verdict:?}"
        );
    }

    /// A model of a server with a constant median and p99.
    fn constant(p50: Duration, p99: Duration, rate: f64) -> Outcome {
        let mut outcome = server(f64::MAX, rate);
        let mut latency = Latency::default();
        latency.record(p50, 900);
        latency.record(p99, 100);
        (outcome.total.from_send, outcome.total.from_schedule) = (latency.clone(), latency);
        outcome
    }

    #[test]
    fn a_search_stops_and_explains_if_a_lower_rate_does_not_help() {
        let microseconds = Duration::from_micros;
        for (p50, p99, said) in [
            (
                100,
                5_000,
                "No rate met p99=1ms: even at 250/s p99 is 5.00 ms: this machine cannot resolve 1 \
                 ms.",
            ),
            (
                200_000,
                200_000,
                "No rate met p99=1ms: even at 250/s p99 is 200 ms: the server takes longer than 1 \
                 ms at any rate.",
            ),
        ] {
            let found = find(1_000.0, |rate| constant(microseconds(p50), microseconds(p99), rate));
            assert_eq!((found.search.conclusion.as_str(), found.search.steps.len()), (said, 6));
        }
    }

    #[test]
    fn a_search_without_a_result_is_never_valid() {
        let found =
            find(1_000.0, |rate| constant(Duration::from_secs(1), Duration::from_secs(1), rate));
        let report = Report::new(&found.outcome, &[]);
        assert_eq!(report.verdict.kind, Kind::Valid, "the run itself had no flaw");
        let report = report.with_search(found.search);
        assert_eq!((report.verdict.kind, report.exit_code()), (Kind::NoRateHeld, 1));
        assert_eq!(report.further_verdicts, []);
    }

    #[test]
    fn a_rate_limited_by_the_generator_is_reported_as_such() {
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
    fn a_search_of_a_server_without_a_limit_ends() {
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
    fn an_error_of_a_measurement_is_returned() {
        assert_eq!(
            find_max(&objective(), 1.0, TEN_SECONDS, |_| Err("no ports")).map(|found| found.search),
            Err("no ports")
        );
    }
}
