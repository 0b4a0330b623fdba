//! Whether the generator kept the pace that was asked for, and whose doing it was that it did not.

use std::time::Duration;

use super::evidence::list;
use super::findings::{ratio, what_failed};
use super::{FIGURES_OF_THE_SERVER, Kind, Verdict};
use crate::averages::{per_second, share};
use crate::causes::ReplyError;
use crate::figures::{duration, percent, plural, rate};
use crate::latency::Latency;
use crate::outcome::{Outcome, Pace};

/// Under a closed loop, a generator that waits for the server for less than a tenth of the time may
/// be what sets the pace. How busy it is cannot tell more: where both saturate a core, each finds
/// new work whenever it looks, and both read as busy for all of the time.
const IDLE_RATIO_MIN: f64 = 0.1;

/// Everything in flight waits while the generator does not run: at this share, up to a tenth of
/// each average is the machine's.
const STARVED_RATIO: f64 = 0.1;

/// Half of the p99 was spent waiting for the generator: the figure describes it more than the
/// server.
const LAG_SHARE_OF_P99: f64 = 0.5;

/// Replies come in batches, and the last one of a batch waits for the others: below this, a lag is
/// that, and no fault.
///
/// Under a closed loop it means even less. Whatever a batch brings is answered by as many requests,
/// which come back as a batch: the lag is that of half of the connections however fast both sides
/// are, and a part of the latency that any program with so many connections sees.
const LAG_MIN: Duration = Duration::from_millis(1);

/// A schedule is held when 98 % of it was sent.
const UNSENT_RATIO_MAX: f64 = 0.02;

/// Replies that came twice as late after the schedule as after the send: half of the time was spent
/// waiting for the turn.
const QUEUED_FACTOR: f64 = 2.0;

/// Below this, the schedule's delay is the resolution of timers, and no fault.
const QUEUED_MIN: Duration = Duration::from_millis(1);

/// That the generator could have done more, or was in time.
pub(super) fn generator_room(outcome: &Outcome) -> String {
    let lag = &outcome.total.lag;
    let late = match lag.count() {
        _ if rate_due(outcome).is_none() => String::new(),
        0 => ", and never late".into(),
        _ => {
            format!(", p99 lateness {}, max {}", duration(lag.quantile(0.99)), duration(lag.max()))
        }
    };
    if outcome.total.cpu.is_zero() {
        return format!("the system does not tell how busy the generator was{late}");
    }
    format!("the generator was busy {} of the time{late}", percent(cpu_ratio(outcome)))
}

pub(crate) fn generator_limited(outcome: &Outcome) -> Option<Verdict> {
    const MORE_ROOM: &str = "Give it a core of its own, or more --threads where cores are free, or another machine and merge.";
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
    let sets_the_pace = match outcome.asked.pace {
        Pace::Closed => true,
        Pace::Hold(_) => false,
        Pace::Open { .. } => schedule_missed(outcome).is_some(),
    };
    if sets_the_pace && starved < STARVED_RATIO && cpu + starved > 1.0 - IDLE_RATIO_MIN {
        evidence.push(format!(
            "the generator was busy {} of the time, so the server may be able to do more",
            percent(cpu)
        ));
    }
    if unsent_ratio(outcome, total.unsent_by_generator) > UNSENT_RATIO_MAX {
        let unsent = plural(total.unsent_by_generator, "request");
        evidence.push(format!("{unsent} were not sent because the generator did not run"));
    }
    // Of each reply, the lag is a part of the latency from the schedule; a closed loop has none,
    // see `LAG_MIN`.
    let (lag, p99) = (total.lag.quantile(0.99), total.from_schedule.quantile(0.99));
    if rate_due(outcome).is_some() && lag >= LAG_MIN.max(p99.mul_f64(LAG_SHARE_OF_P99)) {
        evidence.push(format!(
            "requests that were due and replies that had come waited for the generator for {} (p99), of {} from the schedule to the reply",
            duration(lag.min(p99)),
            duration(p99)
        ));
    }
    (!evidence.is_empty())
        .then(|| Verdict::new(Kind::GeneratorLimited, evidence.join("; "), MORE_ROOM))
}

pub(super) fn server_overloaded(outcome: &Outcome) -> Option<Verdict> {
    if generator_limited(outcome).is_some() {
        return None;
    }
    let advice = "Lower -R, or give it more connections (-c) or depth (-P); --find-max finds the rate that it holds.";
    schedule_missed(outcome).map(|evidence| Verdict::new(Kind::ServerOverloaded, evidence, advice))
}

/// That the schedule was held, and the slowest of its requests waited for a connection all the
/// same.
pub(super) fn tail_queued(outcome: &Outcome) -> Option<Verdict> {
    rate_due(outcome)?;
    let has_figures = outcome.total.correct > 0;
    if !has_figures || generator_limited(outcome).is_some() || schedule_missed(outcome).is_some() {
        return None;
    }
    let unsent = list(&outcome.total.errors, &[ReplyError::Unsent], what_failed);
    let evidence: Vec<String> = unsent.into_iter().chain(queued(outcome, "p99", 0.99)).collect();
    let advice =
        format!("{FIGURES_OF_THE_SERVER} More connections (-c) or depth (-P) shorten the wait.");
    (!evidence.is_empty()).then(|| {
        let evidence =
            format!("the schedule was held and only its tail queued: {}", evidence.join("; "));
        Verdict::new(Kind::TailQueued, evidence, advice)
    })
}

/// How a schedule was not held by the server; `None` when it was, or there is none.
fn schedule_missed(outcome: &Outcome) -> Option<String> {
    let (due, total) = (rate_due(outcome)?, &outcome.total);
    if total.correct == 0 {
        // Why nothing was answered is another finding: a schedule says nothing of it.
        return None;
    }
    let unsent = total.errors.get(ReplyError::Unsent).saturating_sub(total.unsent_by_generator);
    let mut evidence = Vec::new();
    if unsent_ratio(outcome, unsent) > UNSENT_RATIO_MAX {
        let sent = per_second(total.sent, outcome.counted.as_secs_f64()).min(due);
        evidence.push(format!("{} sent of {} due", rate(sent), rate(due)));
        evidence.extend(list(&total.errors, &[ReplyError::Unsent], what_failed));
    }
    // A queue that even the request in the middle waited in never became empty.
    evidence.extend(queued(outcome, "p50", 0.5));
    (!evidence.is_empty()).then(|| evidence.join("; "))
}

/// That requests waited for a free connection for as long as for their replies, by this quantile.
fn queued(outcome: &Outcome, name: &str, quantile: f64) -> Option<String> {
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

/// The share that `unsent` requests are of all that were due.
fn unsent_ratio(outcome: &Outcome, unsent: u64) -> f64 {
    ratio(unsent, outcome.total.sent + outcome.total.errors.get(ReplyError::Unsent))
}

/// The share of the time of all threads that they were busy; of no more threads than there are
/// cores.
#[must_use]
pub fn cpu_ratio(outcome: &Outcome) -> f64 {
    share_of_time(outcome, outcome.total.cpu)
}

/// The requests a second that the schedule had due in the counted part, on average; `None` without
/// a schedule.
pub(super) fn rate_due(outcome: &Outcome) -> Option<f64> {
    let Pace::Open { from, to } = outcome.asked.pace else { return None };
    // The rate changes evenly, so that of the middle is the average.
    let middle = outcome.asked.warmup.as_secs_f64() + outcome.counted.as_secs_f64() / 2.0;
    let progress = middle / outcome.asked.duration.as_secs_f64().max(f64::MIN_POSITIVE);
    Some(from + (to - from) * progress.min(1.0))
}

/// A share of the time that the threads could have had: a thousand of them on two cores have that
/// of two.
fn share_of_time(outcome: &Outcome, part: Duration) -> f64 {
    share(part.as_secs_f64(), outcome.counted.as_secs_f64() * outcome.cores as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{of, only};
    use super::*;
    use crate::causes::ConnectError;
    use crate::samples;

    const fn milliseconds(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn a_generator_that_is_busy_or_starved_is_named() {
        let seconds = Duration::from_secs;
        let busy =
            only(samples::closed().total(|total| total.cpu = seconds(10)), Kind::GeneratorLimited);
        assert!(busy.evidence.contains("100 %"), "{}", busy.evidence);
        let starved = only(
            samples::closed().total(|total| total.starved = seconds(1)),
            Kind::GeneratorLimited,
        );
        assert!(starved.evidence.contains("10.0 %"), "{}", starved.evidence);
    }

    #[test]
    fn a_generator_that_caused_half_of_the_slowest_latencies_is_named() {
        let late = |lag| {
            samples::open().total(|total| {
                total.from_schedule.record(milliseconds(1_000), 5_000);
                total.lag.record(milliseconds(lag), 5_000);
            })
        };
        let evidence = only(late(510), Kind::GeneratorLimited).evidence;
        assert!(evidence.contains("for 510 ms (p99), of 1.00 s from the schedule"), "{evidence}");
        only(late(490), Kind::TailQueued);
    }

    #[test]
    fn threads_have_the_time_of_as_many_cores_as_there_are() {
        let busy = |threads, cores| {
            let sample = samples::closed().asked(|asked| asked.threads = threads);
            sample
                .change(|outcome| outcome.cores = cores)
                .total(|total| total.cpu = Duration::from_secs(20))
        };
        assert_eq!(cpu_ratio(&busy(4, 4).done()), 0.5);
        only(busy(4, 4), Kind::Valid);
        let verdict = only(busy(1_000, 2), Kind::GeneratorLimited);
        assert!(verdict.evidence.contains("busy 100 % of the time"), "{}", verdict.evidence);
        assert_eq!(cpu_ratio(&busy(1, 1).done()), 1.0, "no share is more than its whole");
    }

    #[test]
    fn a_schedule_that_is_not_held_is_the_servers_while_the_generator_has_time() {
        let unsent = || {
            samples::open().errors(ReplyError::Unsent, 10_000).total(|total| total.sent = 90_000)
        };
        let verdict = only(unsent(), Kind::ServerOverloaded);
        assert!(verdict.evidence.contains("9,000/s sent of 10,000/s due"), "{}", verdict.evidence);
        only(unsent().total(|total| total.cpu = Duration::from_secs(10)), Kind::GeneratorLimited);
        let paused = unsent().total(|total| total.unsent_by_generator = 9_000);
        let evidence = only(paused, Kind::GeneratorLimited).evidence;
        assert!(
            evidence.contains("9,000 requests were not sent because the generator did not run"),
            "{evidence}"
        );
    }

    #[test]
    fn a_queue_that_delays_even_the_median_is_overload() {
        let waiting =
            samples::open().total(|total| total.from_schedule.record(milliseconds(5), 150_000));
        let evidence = only(waiting, Kind::ServerOverloaded).evidence;
        assert!(
            evidence.contains("p50 is 5.00 ms from the schedule and 500 us from the send"),
            "{evidence}"
        );
    }

    #[test]
    fn a_schedule_that_was_held_while_its_tail_queued_is_no_overload() {
        let waiting =
            samples::open().total(|total| total.from_schedule.record(milliseconds(5), 5_000));
        let verdict = only(waiting, Kind::TailQueued);
        assert!(
            verdict.evidence.starts_with("the schedule was held and only its tail queued"),
            "{verdict:?}"
        );
        assert!(
            verdict.evidence.contains("p99 is 5.00 ms from the schedule and 1.00 ms from the send"),
            "{verdict:?}"
        );
        let unsent = only(samples::open().errors(ReplyError::Unsent, 7), Kind::TailQueued);
        assert!(
            unsent.evidence.ends_with("requests that were due and found no free connection: 7"),
            "{unsent:?}"
        );
    }

    #[test]
    fn a_constant_delay_however_long_is_no_overload() {
        let slow = samples::open().total(|total| {
            total.from_send = Latency::default();
            total.from_send.record(milliseconds(200), 100_000);
            total.from_schedule = total.from_send.clone();
        });
        only(slow, Kind::Valid);
    }

    #[test]
    fn batches_of_replies_make_no_verdict_alternate() {
        // As on two cores, one for each side: half of every latency is the lag of a batch, and the
        // generator never has to wait.
        let batches = |busy| {
            samples::closed().total(|total| {
                total.cpu = Duration::from_millis(busy);
                total.lag.record(Duration::from_micros(700), 200_000);
            })
        };
        (9_100..10_000)
            .step_by(100)
            .for_each(|busy| drop(only(batches(busy), Kind::GeneratorLimited)));
        only(batches(8_000), Kind::Valid);
    }

    #[test]
    fn a_busy_generator_that_holds_the_schedule_limits_nothing() {
        let busy = samples::open().total(|total| total.cpu = Duration::from_secs(10));
        let evidence = only(busy, Kind::Valid).evidence;
        assert!(evidence.contains("busy 100 % of the time, p99 lateness 20.0 us"), "{evidence}");
    }

    #[test]
    fn a_starved_generator_without_a_reply_has_no_figures_to_spoil() {
        let starved = samples::nothing(ConnectError::Refused)
            .total(|total| total.starved = Duration::from_secs(5));
        assert!(of(starved).iter().all(|verdict| verdict.kind != Kind::GeneratorLimited));
    }

    #[test]
    fn a_ramp_is_due_what_its_middle_says() {
        let ramp = samples::open().asked(|asked| {
            (asked.warmup, asked.duration) = (Duration::ZERO, Duration::from_secs(10));
            asked.pace = Pace::Open { from: 0.0, to: 100.0 };
        });
        assert_eq!(rate_due(&ramp.done()), Some(50.0));
        assert_eq!(rate_due(&samples::closed().done()), None);
    }
}
