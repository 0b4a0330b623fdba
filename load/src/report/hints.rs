//! Hints at delays that one way of measuring shows and another one hides.

use std::time::Duration;

use crate::judgement::verdict::VerdictKind;
use crate::measurement::format::{duration, percent};
use crate::report::{PaceKind, Report};

/// Minimum ratio of the latencies from the schedule and from the send that is reported as
/// coordinated omission.
const OMISSION_FACTOR: f64 = 2.0;

/// Minimum difference that is reported.
const OMISSION_MIN: Duration = Duration::from_millis(1);

/// Minimum length, ratio to p99, and share of the run of a pause that is reported as hidden by a
/// closed loop.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_FACTOR: f64 = 10.0;
const PAUSE_SHARE_MIN: f64 = 0.01;

/// Returns the hints of a report, a sentence or two each.
pub(super) fn hints(report: &Report) -> impl Iterator<Item = String> {
    omission(report).into_iter().chain(hidden_pause(report))
}

/// Explains coordinated omission, if latency from the schedule is far longer than from the send.
fn omission(report: &Report) -> Option<String> {
    let schedule = report.latency.from_schedule.as_ref()?;
    let send = &report.latency.from_send;
    let differing = [("p99", 0.99), ("p50", 0.5)].into_iter().find_map(|(name, quantile)| {
        let (schedule, send) = (schedule.quantile(quantile)?, send.quantile(quantile)?);
        let differs = schedule.saturating_sub(send) > OMISSION_MIN
            && schedule.as_secs_f64() > OMISSION_FACTOR * send.as_secs_f64();
        differs.then_some((name, schedule, send))
    });
    let (name, schedule, send) = differing?;
    let is_late = report.verdicts().any(|verdict| verdict.kind == VerdictKind::GeneratorLimited);
    let why = if is_late {
        "earlier ones were slow or the generator was late"
    } else {
        "earlier ones were slow"
    };
    Some(format!(
        "{name} is {} from the schedule and {} from the send: requests waited for a connection \
         because {why}. \
         Latency from the send omits that wait (coordinated omission); users see latency from the \
         schedule.",
        duration(schedule),
        duration(send),
    ))
}

/// Explains a pause that a closed loop hides: users at any time would meet it in 1 % of their
/// requests or more, but p99 does not show it.
fn hidden_pause(report: &Report) -> Option<String> {
    if report.settings.pace.kind != PaceKind::Closed {
        return None;
    }
    let latency = &report.latency.from_send;
    let (p99, max) = (latency.quantile(0.99)?, latency.max()?);
    let share = max.as_secs_f64() / report.ran_s;
    let is_hidden = max >= PAUSE_MIN && max.as_secs_f64() >= PAUSE_FACTOR * p99.as_secs_f64();
    (is_hidden && share >= PAUSE_SHARE_MIN).then(|| {
        format!(
            "One reply took {}, {} of the run, and p99 is {}: a closed loop sends nothing during \
             such a pause, so few requests show it. Try -R, which counts what users would wait.",
            duration(max),
            percent(share.min(1.0)),
            duration(p99),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, OutcomeBuilder};

    fn report(sample: OutcomeBuilder) -> Report {
        Report::new(&sample.done(), &[])
    }

    #[test]
    fn coordinated_omission_is_named_only_if_it_shows() {
        assert_eq!(omission(&report(fixtures::closed())), None);
        assert_eq!(omission(&report(fixtures::open())), None);
        let waiting = fixtures::open()
            .total(|total| total.from_schedule.record(Duration::from_millis(40), 5_000));
        let text = omission(&report(waiting)).expect("p99 is forty times as long");
        assert!(
            text.contains("p99 is 40.0 ms from the schedule and 1.00 ms from the send"),
            "{text}"
        );
    }

    #[test]
    fn a_pause_that_a_closed_loop_hides_is_named() {
        let paused = |outcome: OutcomeBuilder, milliseconds| {
            let pause = Duration::from_millis(milliseconds);
            hidden_pause(&report(outcome.total(|total| total.from_send.record(pause, 10))))
        };
        assert_eq!(hidden_pause(&report(fixtures::closed())), None);
        assert_eq!(paused(fixtures::closed(), 90), None, "it is 0.9 % of the run");
        assert_eq!(paused(fixtures::open(), 5_000), None, "a schedule shows it");
        let text = paused(fixtures::closed(), 5_000).expect("half of the run");
        assert!(text.starts_with("One reply took 5.00 s, 50.0 % of the run, and p99 is 1.00 ms: "));
        let often =
            fixtures::closed().total(|total| total.from_send.record(Duration::from_secs(5), 2_000));
        assert_eq!(hidden_pause(&report(often)), None, "p99 shows it");
    }
}
