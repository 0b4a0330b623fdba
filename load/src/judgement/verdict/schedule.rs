//! The verdicts about the schedule of a run: whether it was met, and if not, whether the generator
//! or the server caused that.

use std::time::Duration;

use super::evidence::list;
use super::failures::{ratio, reply_error_text};
use crate::judgement::verdict::{RESULTS_OF_THE_SERVER, RunVerdict, VerdictKind};
use crate::measurement::averages::{per_second, share};
use crate::measurement::causes::ReplyError;
use crate::measurement::format::{duration, percent, plural, rate};
use crate::measurement::latency::Latency;
use crate::measurement::outcome::RunOutcome;
use crate::measurement::settings::{Pace, Stage};

/// Minimum share of the time that the generator must wait for the server in a closed loop; below
/// it, the generator may set the pace. CPU usage cannot show more: if both saturate a core, each
/// finds new work at every look, and both are busy all the time.
const IDLE_RATIO_MIN: f64 = 0.1;

/// All requests in flight wait while the generator does not run. At this share, up to a tenth of
/// each average is caused by the machine.
const STARVED_RATIO: f64 = 0.1;

/// If the generator caused half of the p99 latency, it describes the generator more than the
/// server.
const LAG_SHARE_OF_P99: f64 = 0.5;

/// Replies arrive in batches, and the last one of a batch waits for the others. A lag below this is
/// normal.
///
/// In a closed loop, lag is no flaw at all. Each batch of replies is answered by a batch of
/// requests, so the lag is that of half of the connections however fast both sides are, and a part
/// of the latency of any program with that many connections.
const LAG_MIN: Duration = Duration::from_millis(1);

/// A schedule is met if 98 % of its requests were sent.
const UNSENT_RATIO_MAX: f64 = 0.02;

/// Requests queued if the latency from the schedule is at least this many times the latency from
/// the send: half of the time was spent waiting for a connection.
const QUEUED_FACTOR: f64 = 2.0;

/// A smaller delay is the resolution of timers.
const QUEUED_MIN: Duration = Duration::from_millis(1);

/// Describes how busy and how late the generator was in a valid run.
pub(super) fn describe_generator(outcome: &RunOutcome) -> String {
    let lag = &outcome.total.lag;
    let late = match lag.count() {
        _ if rate_due(outcome).is_none() => String::new(),
        0 => ", lag 0".into(),
        _ => format!(", lag p99 {}, max {}", duration(lag.quantile(0.99)), duration(lag.max())),
    };
    if outcome.total.cpu.is_zero() {
        return format!("generator CPU time unknown{late}");
    }
    format!("generator {} busy{late}", percent(cpu_ratio(outcome)))
}

pub(crate) fn generator_limited(outcome: &RunOutcome) -> Option<RunVerdict> {
    const MORE_ROOM: &str = "Give the generator its own core, use more --threads if cores are \
     free, or merge runs of several machines.";
    let total = &outcome.total;
    if total.correct == 0 {
        return None;
    }
    let (cpu, starved) = (cpu_ratio(outcome), share_of_time(outcome, total.starved));
    let mut evidence = Vec::new();
    if starved >= STARVED_RATIO {
        evidence.push(format!(
            "the generator was stopped, or runnable but not scheduled, for {} of the time",
            percent(starved)
        ));
    }
    let sets_the_pace = match outcome.settings.pace {
        Pace::Closed => true,
        Pace::Hold(_) => false,
        Pace::Open { .. } => schedule_missed(outcome).is_some(),
    };
    if sets_the_pace && starved < STARVED_RATIO && cpu + starved > 1.0 - IDLE_RATIO_MIN {
        evidence.push(format!(
            "the generator was busy {} of the time, so the server may handle more",
            percent(cpu)
        ));
    }
    if unsent_ratio(outcome, total.unsent_by_generator) > UNSENT_RATIO_MAX {
        let unsent = plural(total.unsent_by_generator, "request");
        evidence.push(format!("{unsent} not sent because the generator did not run"));
    }
    // The lag of a reply is a part of its latency from the schedule. A closed loop is excluded, see
    // `LAG_MIN`.
    let (lag, p99) = (total.lag.quantile(0.99), total.from_schedule.quantile(0.99));
    if rate_due(outcome).is_some() && lag >= LAG_MIN.max(p99.mul_f64(LAG_SHARE_OF_P99)) {
        evidence.push(format!(
            "generator lag p99 {}, of {} from the schedule to the reply",
            duration(lag.min(p99)),
            duration(p99)
        ));
    }
    (!evidence.is_empty())
        .then(|| RunVerdict::new(VerdictKind::GeneratorLimited, evidence.join("; "), MORE_ROOM))
}

pub(super) fn server_overloaded(outcome: &RunOutcome) -> Option<RunVerdict> {
    if generator_limited(outcome).is_some() {
        return None;
    }
    let advice =
        "Lower -R, or raise -c or -P; --find-max finds the highest rate that the server sustains.";
    schedule_missed(outcome)
        .map(|evidence| RunVerdict::new(VerdictKind::ServerOverloaded, evidence, advice))
}

/// Checks whether the schedule was met while its slowest requests waited for a connection.
pub(super) fn tail_queued(outcome: &RunOutcome) -> Option<RunVerdict> {
    rate_due(outcome)?;
    let has_figures = outcome.total.correct > 0;
    if !has_figures || generator_limited(outcome).is_some() || schedule_missed(outcome).is_some() {
        return None;
    }
    let unsent = list(&outcome.total.errors, &[ReplyError::Unsent], reply_error_text);
    let evidence: Vec<String> = unsent.into_iter().chain(queued(outcome, "p99", 0.99)).collect();
    let advice =
        format!("{RESULTS_OF_THE_SERVER} More connections (-c) or a larger -P shorten the wait.");
    (!evidence.is_empty()).then(|| {
        let evidence = format!(
            "the schedule was met, but its slowest requests queued: {}",
            evidence.join("; ")
        );
        RunVerdict::new(VerdictKind::TailQueued, evidence, advice)
    })
}

/// Describes how the server missed the schedule; `None` if it was met, or there is none.
fn schedule_missed(outcome: &RunOutcome) -> Option<String> {
    let (due, total) = (rate_due(outcome)?, &outcome.total);
    if total.correct == 0 {
        // Without any reply, another verdict names the reason.
        return None;
    }
    let unsent = total.errors.get(ReplyError::Unsent).saturating_sub(total.unsent_by_generator);
    let mut evidence = Vec::new();
    if unsent_ratio(outcome, unsent) > UNSENT_RATIO_MAX {
        let sent = per_second(total.sent, outcome.counted.as_secs_f64()).min(due);
        evidence.push(format!("{} sent of {} due", rate(sent), rate(due)));
        evidence.extend(list(&total.errors, &[ReplyError::Unsent], reply_error_text));
    }
    // A queue that delays even the median request never became empty.
    evidence.extend(queued(outcome, "p50", 0.5));
    (!evidence.is_empty()).then(|| evidence.join("; "))
}

/// Describes that requests waited for a free connection as long as for their replies, at this
/// quantile.
fn queued(outcome: &RunOutcome, name: &str, quantile: f64) -> Option<String> {
    let of = |latency: &Latency| latency.quantile(quantile);
    let (schedule, send) = (of(&outcome.total.from_schedule), of(&outcome.total.from_send));
    let is_queued =
        schedule.saturating_sub(send) > QUEUED_MIN && schedule > send.mul_f64(QUEUED_FACTOR);
    is_queued.then(|| {
        format!(
            "{name} is {} from the schedule and {} from the send",
            duration(schedule),
            duration(send)
        )
    })
}

/// Returns the share of `unsent` requests among all due requests.
fn unsent_ratio(outcome: &RunOutcome, unsent: u64) -> f64 {
    ratio(unsent, outcome.total.sent + outcome.total.errors.get(ReplyError::Unsent))
}

/// Returns the share of the time in which the threads were busy, for at most as many threads as
/// cores.
#[must_use]
pub fn cpu_ratio(outcome: &RunOutcome) -> f64 {
    share_of_time(outcome, outcome.total.cpu)
}

/// Returns the average rate of the schedule in the measurement window, in requests per second;
/// `None` without a schedule.
pub(super) fn rate_due(outcome: &RunOutcome) -> Option<f64> {
    let stages = outcome.settings.schedule();
    let (from, length) = (outcome.settings.warmup.as_secs_f64(), outcome.counted.as_secs_f64());
    let due = Stage::area(&stages, from + length) - Stage::area(&stages, from);
    (!stages.is_empty()).then(|| share(due, length))
}

/// Returns the share of `part` in the time that the threads could have: a thousand threads on two
/// cores have the time of two.
fn share_of_time(outcome: &RunOutcome, part: Duration) -> f64 {
    share(part.as_secs_f64(), outcome.counted.as_secs_f64() * outcome.cores as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{of, only};
    use super::*;
    use crate::fixtures;
    use crate::measurement::causes::ConnectError;

    const fn milliseconds(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn a_busy_or_starved_generator_is_the_limit() {
        let seconds = Duration::from_secs;
        let busy = only(
            fixtures::closed().total(|total| total.cpu = seconds(10)),
            VerdictKind::GeneratorLimited,
        );
        assert!(busy.evidence.contains("100 %"), "{}", busy.evidence);
        let starved = only(
            fixtures::closed().total(|total| total.starved = seconds(1)),
            VerdictKind::GeneratorLimited,
        );
        assert!(starved.evidence.contains("10.0 %"), "{}", starved.evidence);
    }

    #[test]
    fn a_generator_that_causes_half_of_the_p99_is_the_limit() {
        let late = |lag| {
            fixtures::open().total(|total| {
                total.from_schedule.record(milliseconds(1_000), 5_000);
                total.lag.record(milliseconds(lag), 5_000);
            })
        };
        let evidence = only(late(510), VerdictKind::GeneratorLimited).evidence;
        assert!(
            evidence.contains("generator lag p99 510 ms, of 1.00 s from the schedule"),
            "{evidence}"
        );
        only(late(490), VerdictKind::TailQueued);
    }

    #[test]
    fn threads_share_the_time_of_the_cores() {
        let busy = |threads, cores| {
            let sample = fixtures::closed().settings(|settings| settings.threads = threads);
            sample
                .change(|outcome| outcome.cores = cores)
                .total(|total| total.cpu = Duration::from_secs(20))
        };
        assert_eq!(cpu_ratio(&busy(4, 4).done()), 0.5);
        only(busy(4, 4), VerdictKind::Valid);
        let verdict = only(busy(1_000, 2), VerdictKind::GeneratorLimited);
        assert!(verdict.evidence.contains("busy 100 % of the time"), "{}", verdict.evidence);
        assert_eq!(cpu_ratio(&busy(1, 1).done()), 1.0, "no share is more than its whole");
    }

    #[test]
    fn a_missed_schedule_is_overload_if_the_generator_has_time() {
        let unsent = || {
            fixtures::open().errors(ReplyError::Unsent, 10_000).total(|total| total.sent = 90_000)
        };
        let verdict = only(unsent(), VerdictKind::ServerOverloaded);
        assert!(verdict.evidence.contains("9,000/s sent of 10,000/s due"), "{}", verdict.evidence);
        only(
            unsent().total(|total| total.cpu = Duration::from_secs(10)),
            VerdictKind::GeneratorLimited,
        );
        let paused = unsent().total(|total| total.unsent_by_generator = 9_000);
        let evidence = only(paused, VerdictKind::GeneratorLimited).evidence;
        assert!(
            evidence.contains("9,000 requests not sent because the generator did not run"),
            "{evidence}"
        );
    }

    #[test]
    fn a_queue_that_delays_even_the_median_is_overload() {
        let waiting =
            fixtures::open().total(|total| total.from_schedule.record(milliseconds(5), 150_000));
        let evidence = only(waiting, VerdictKind::ServerOverloaded).evidence;
        assert!(
            evidence.contains("p50 is 5.00 ms from the schedule and 500 us from the send"),
            "{evidence}"
        );
    }

    #[test]
    fn a_met_schedule_with_a_queued_tail_is_no_overload() {
        let waiting =
            fixtures::open().total(|total| total.from_schedule.record(milliseconds(5), 5_000));
        let verdict = only(waiting, VerdictKind::TailQueued);
        assert!(
            verdict.evidence.starts_with("the schedule was met, but its slowest requests queued"),
            "{verdict:?}"
        );
        assert!(
            verdict.evidence.contains("p99 is 5.00 ms from the schedule and 1.00 ms from the send"),
            "{verdict:?}"
        );
        let unsent = only(fixtures::open().errors(ReplyError::Unsent, 7), VerdictKind::TailQueued);
        assert!(
            unsent.evidence.ends_with("requests due without a free connection: 7"),
            "{unsent:?}"
        );
    }

    #[test]
    fn a_constant_delay_is_no_overload() {
        let slow = fixtures::open().total(|total| {
            total.from_send = Latency::default();
            total.from_send.record(milliseconds(200), 100_000);
            total.from_schedule = total.from_send.clone();
        });
        only(slow, VerdictKind::Valid);
    }

    #[test]
    fn batches_of_replies_do_not_change_the_verdict() {
        // As on two cores, one for each side: half of every latency is the lag of a batch, and the
        // generator never waits.
        let batches = |busy| {
            fixtures::closed().total(|total| {
                total.cpu = Duration::from_millis(busy);
                total.lag.record(Duration::from_micros(700), 200_000);
            })
        };
        (9_100..10_000)
            .step_by(100)
            .for_each(|busy| drop(only(batches(busy), VerdictKind::GeneratorLimited)));
        only(batches(8_000), VerdictKind::Valid);
    }

    #[test]
    fn a_busy_generator_that_meets_the_schedule_is_valid() {
        let busy = fixtures::open().total(|total| total.cpu = Duration::from_secs(10));
        let evidence = only(busy, VerdictKind::Valid).evidence;
        assert!(evidence.contains("generator 100 % busy, lag p99 20.0 us"), "{evidence}");
    }

    #[test]
    fn a_starved_generator_without_a_reply_is_not_the_limit() {
        let starved = fixtures::nothing(ConnectError::Refused)
            .total(|total| total.starved = Duration::from_secs(5));
        assert!(of(starved).iter().all(|verdict| verdict.kind != VerdictKind::GeneratorLimited));
    }

    #[test]
    fn the_rate_of_a_ramp_is_that_of_its_middle() {
        let ramp = fixtures::open().settings(|settings| {
            (settings.warmup, settings.duration) = (Duration::ZERO, Duration::from_secs(10));
            settings.pace = Pace::Open { from: 0.0, to: 100.0 };
        });
        assert_eq!(rate_due(&ramp.done()), Some(50.0));
        assert_eq!(rate_due(&fixtures::closed().done()), None);
    }
}
