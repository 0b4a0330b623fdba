//! The search for the highest rate that meets an objective.

pub mod course;
mod step;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::objective::Objective;
use super::verdict::{RunVerdict, VerdictKind};
use crate::measurement::format::{duration, rate, typed_seconds};
use crate::measurement::outcome::RunOutcome;
use crate::measurement::settings::Pace;
use course::{SearchCourse, SearchEnd, Trial};
use step::{judge, late};

/// Maximum number of measurements, including repetitions: doubling from 1 to 65,000, and seven
/// bisections, some of them repeated.
const MEASUREMENTS_MAX: usize = 32;

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
    pub steps: Vec<SearchStep>,
}

/// One measurement of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchStep {
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
pub struct SearchResult {
    /// The measurements.
    pub search: Search,
    /// The run at the highest rate that met the objective; the last run if none did.
    pub outcome: RunOutcome,
}

impl Search {
    fn new(objective: &Objective) -> Self {
        let objective = objective.to_string();
        Self { objective, highest_held_per_s: None, conclusion: String::new(), steps: Vec::new() }
    }

    /// Ends the search. `end` is the reason and the objective, unless the search was interrupted.
    fn found(mut self, outcome: RunOutcome, end: Option<(SearchEnd, &Objective)>) -> SearchResult {
        let limit = self.limit().and_then(|step| Some((step, step.broken_by.as_ref()?)));
        let limit = limit
            .map(|(step, why)| format!(" At {}: {why}.", rate(step.asked_per_s)))
            .unwrap_or_default();
        let none = format!("No rate met {}", self.objective);
        self.conclusion = match (self.highest_held_per_s, end) {
            (Some(highest), _) => {
                format!("{} is the highest rate that met {}.{limit}", rate(highest), self.objective)
            }
            (None, Some((SearchEnd::Flat, objective))) => {
                format!("{none}: {}.", flat(objective, &outcome))
            }
            (None, Some((SearchEnd::Low, _))) => {
                format!("{none}.{limit} A lower rate needs a longer -d to measure its percentiles.")
            }
            (None, _) => format!("{none}.{limit}"),
        };
        SearchResult { search: self, outcome }
    }

    /// Returns the verdict of the search: that no rate met the objective, or that the generator
    /// prevented a higher one.
    #[must_use]
    pub fn verdict(&self) -> Option<RunVerdict> {
        if self.highest_held_per_s.is_none() {
            let advice = "Choose an objective that this server and this machine can meet; the \
             results are those of the last run.";
            return Some(RunVerdict {
                kind: VerdictKind::NoRateHeld,
                evidence: self.conclusion.clone(),
                advice: advice.into(),
            });
        }
        let advice =
            "The server may handle more: give the generator its own core, or another machine.";
        self.limit().filter(|step| step.generator_limited).map(|step| RunVerdict {
            kind: VerdictKind::GeneratorLimited,
            evidence: format!(
                "at {} the generator limited the run, not the server",
                rate(step.asked_per_s)
            ),
            advice: advice.into(),
        })
    }

    /// Returns the measurements in order of rate.
    #[must_use]
    pub fn curve(&self) -> Vec<&SearchStep> {
        let mut curve: Vec<&SearchStep> = self.steps.iter().collect();
        curve.sort_by(|a, b| a.asked_per_s.total_cmp(&b.asked_per_s));
        curve
    }

    /// Returns the lowest failed rate above the highest that met the objective: the reason why the
    /// search went no higher.
    #[must_use]
    pub fn limit(&self) -> Option<&SearchStep> {
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
    mut measure: impl FnMut(Trial) -> Result<RunOutcome, E>,
) -> Result<SearchResult, E> {
    let mut search = Search::new(objective);
    let mut course = SearchCourse::new(objective, duration);
    let mut rate = start_per_s;
    let mut best: Option<RunOutcome> = None;
    loop {
        let mut outcome = measure(course.trial(rate))?;
        let mut late = late(objective, rate, &outcome);
        let mut step = judge(objective, rate, &outcome);
        if !step.held && outcome.interrupted_by.is_none() {
            search.steps.push(step);
            outcome = measure(course.trial(rate))?;
            late = late.min(step::late(objective, rate, &outcome));
            step = judge(objective, rate, &outcome);
        }
        if let Some(signal) = outcome.interrupted_by {
            let outcome =
                best.map_or(outcome, |best| RunOutcome { interrupted_by: Some(signal), ..best });
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

/// Explains why a lower rate does not help.
fn flat(objective: &Objective, outcome: &RunOutcome) -> String {
    let (latency, bound) =
        (&outcome.total.from_schedule, typed_seconds(objective.bound().as_secs_f64()));
    let lowest = match outcome.settings.pace {
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
