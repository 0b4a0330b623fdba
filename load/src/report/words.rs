//! The sentences that the printed report and the HTML page share.

use tinytcp_core::display::escape::shown;

use crate::judgement::verdict::{RunVerdict, VerdictKind};
use crate::measurement::causes::Cause;
use crate::measurement::counts::CauseCounts;
use crate::measurement::exchange::Exchange;
use crate::measurement::format::{
    bytes, count, duration, percent, plural, rate, seconds, typed_seconds,
};
use crate::report::{
    PaceKind, Report, ReportArrivals, ReportSettings, ReportStage, ReportSuite, ReportTls,
};

/// The percentiles of every table of latencies.
pub(super) const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];

/// Describes the settings: `10 connections, 1 request in flight on each (closed loop), for 10 s`.
pub(super) fn settings(settings: &ReportSettings) -> String {
    let connections = plural(settings.connections_count, "connection");
    let pace = match (
        settings.pace.kind,
        settings.pace.from_per_s.unwrap_or(0.0),
        settings.pace.to_per_s.unwrap_or(0.0),
    ) {
        (PaceKind::Closed, ..) => {
            let depth = plural(settings.depth_count, "request");
            format!("{depth} in flight on each{} (closed loop)", pauses(settings))
        }
        (PaceKind::Hold, ..) => {
            format!(
                "held open with 1 request on each every {}",
                typed_seconds(settings.pace.interval_s.unwrap_or(0.0))
            )
        }
        (PaceKind::Open, ..) if settings.pace.stages.len() > 1 => {
            format!("{} on a schedule{} (open loop)", stages(settings), pauses(settings))
        }
        (PaceKind::Open, from, to) if from == to => {
            format!("{} on a schedule{} (open loop)", rate(from), pauses(settings))
        }
        (PaceKind::Open, from, to) => {
            let (from, to) = (rate(from), rate(to));
            format!("from {from} to {to} on a schedule{} (open loop)", pauses(settings))
        }
    };
    let threads = match settings.threads_count {
        0 | 1 => String::new(),
        threads => format!(" on {}", plural(threads, "thread")),
    };
    let warmup = match settings.warmup_s {
        warmup if warmup > 0.0 => format!(" with {} of warm-up", typed_seconds(warmup)),
        _ => String::new(),
    };
    let opening = match opening(settings) {
        opening if opening.is_empty() => opening,
        opening => format!("; {opening}"),
    };
    let time = typed_seconds(settings.duration_s);
    let length = match settings.requests_count {
        Some(number) => format!("{} in at most {time}", plural(number, "request")),
        None => format!("for {time}"),
    };
    let seed = settings.seed_number.map_or(String::new(), |seed| format!("; seed {seed}"));
    format!("{connections}{threads}, {pace}, {length}{warmup}{opening}{seed}")
}

/// Describes the stages of a schedule: `100/s for 30 s, then 1,000/s for 60 s`.
fn stages(settings: &ReportSettings) -> String {
    let stage = |stage: &ReportStage| {
        let (from, to) = (rate(stage.from_per_s), rate(stage.to_per_s));
        let rates = if from == to { from } else { format!("{from} to {to}") };
        format!("{rates} for {}", typed_seconds(stage.length_s))
    };
    settings.pace.stages.iter().map(stage).collect::<Vec<_>>().join(", then ")
}

/// Describes think time and random arrivals; empty without them.
pub(crate) fn pauses(settings: &ReportSettings) -> String {
    let think = settings
        .pace
        .think_s
        .map(|think_s| format!(" with {} of think time before each", typed_seconds(think_s)));
    let is_poisson = settings.pace.arrivals == Some(ReportArrivals::Poisson);
    let arrivals = is_poisson.then(|| " with Poisson arrivals".to_owned());
    think.into_iter().chain(arrivals).collect()
}

/// Describes how connections are opened: `opened at 100/s, each reopened after 1 request`; empty if
/// all are opened at once and kept.
pub(crate) fn opening(settings: &ReportSettings) -> String {
    let opened = settings.opening_per_s.map(|per_s| format!("opened at {}", rate(per_s)));
    let life = settings
        .lifetime_count
        .map(|number| plural(number, "request"))
        .or(settings.lifetime_s.map(typed_seconds));
    let closed = life.map(|life| format!("each reopened after {life}"));
    opened.into_iter().chain(closed).collect::<Vec<_>>().join(", ")
}

pub(super) fn connections(report: &Report) -> String {
    let connections = &report.connections;
    let mut parts = vec![format!(
        "{} of {} opened",
        count(connections.reached_count),
        count(connections.asked_count)
    )];
    // If connections are reopened, the number open at one time is meaningless.
    let is_steady = connections.begun_count <= connections.asked_count;
    if is_steady && connections.open_most_count < connections.reached_count {
        parts.push(format!("at most {} open at once", count(connections.open_most_count)));
    }
    if connections.reached_count > 0 {
        parts.push(format!("{} open at the end", count(connections.open_last_count)));
    }
    if !is_steady {
        parts.push(format!("{} attempts in total", count(connections.begun_count)));
    }
    parts.join(", ")
}

/// Describes the versions and cipher suites of the handshakes, and the check of the certificate.
pub(super) fn tls(tls: &ReportTls) -> String {
    let suite = |suite: &ReportSuite| {
        let number =
            if tls.suites.len() > 1 { format!(" ({})", count(suite.count)) } else { String::new() };
        format!("{} with {}{number}", printable(&suite.version), printable(&suite.cipher))
    };
    let suites = match tls.suites.is_empty() {
        true => "no handshake was completed".into(),
        false => tls.suites.iter().map(suite).collect::<Vec<_>>().join(", "),
    };
    let check = match tls.is_verified {
        true => "the certificate was checked",
        false => "the certificate was not checked (--tls-insecure)",
    };
    format!("{suites}; {check}")
}

/// Describes the handshakes: `120 full (12.0/s), 0 resumed; resumption is off`.
pub(super) fn handshakes(tls: &ReportTls) -> String {
    let full = format!("{} full ({})", count(tls.full_count), rate(tls.full_per_s));
    match tls.resumes {
        false => format!("{full}; resumption is off (--tls-resume)"),
        true => {
            let resumed = count(tls.resumed_count);
            format!("{full}, {resumed} resumed ({})", rate(tls.resumed_per_s))
        }
    }
}

pub(super) fn requests(report: &Report) -> String {
    format!(
        "{} sent, {}",
        count(report.requests.sent_count),
        bytes(report.requests.sent_bytes as f64)
    )
}

pub(super) fn replies(report: &Report) -> String {
    let (correct, sent) = (report.replies.correct_count, report.requests.sent_count);
    let earlier = match correct.saturating_sub(sent) {
        before if before > 0 && report.settings.warmup_s > 0.0 => {
            format!(", {} of them to requests of the warm-up", count(before))
        }
        _ => String::new(),
    };
    format!("{} correct, {}{earlier}", count(correct), bytes(report.replies.received_bytes as f64))
}

pub(super) fn errors(report: &Report) -> String {
    match report.errors.total_count {
        0 => "none".into(),
        errors => format!("{}, {} of all requests", count(errors), percent(report.errors.ratio)),
    }
}

pub(super) fn throughput(report: &Report) -> String {
    let throughput = &report.throughput;
    let (sent, received) =
        (bytes(throughput.sent_bytes_per_s), bytes(throughput.received_bytes_per_s));
    format!(
        "{} correct replies, {sent}/s sent, {received}/s received",
        rate(throughput.replies_per_s)
    )
}

pub(super) fn generator(report: &Report) -> String {
    let generator = &report.generator;
    let threads = plural(generator.threads_count, "thread");
    let lag = match (generator.lag.quantile(0.99), generator.lag.max()) {
        (Some(p99), Some(max)) => {
            format!(", lag p99 {}, max {}", duration(p99), duration(max))
        }
        _ => String::new(),
    };
    if report.ran_s <= 0.0 {
        return threads;
    }
    let busy = percent(generator.cpu_ratio);
    format!(
        "{threads}, {busy} busy ({} of CPU), {} runnable but not scheduled{lag}",
        seconds(generator.cpu_s),
        seconds(generator.starved_s)
    )
}

/// Names a failed exchange: `wrong at 1.25 s on connection 7`.
pub(super) fn exchange(exchange: &Exchange) -> String {
    let (cause, at) = (printable(&exchange.cause), seconds(exchange.at_s));
    format!("{cause} at {at} on connection {}", exchange.connection_number)
}

/// Returns the causes that occurred, with their names as text: `timed out`.
pub(super) fn occurred<C: Cause>(counts: &CauseCounts<C>) -> Vec<(String, u64)> {
    let occurred = counts.iter().filter(|(_, count)| *count > 0);
    occurred.map(|(cause, count)| (cause.name().replace('_', " "), count)).collect()
}

/// Returns the heading of a verdict: `server gone after 1.5 s`.
pub(super) fn heading(report: &Report, verdict: &RunVerdict) -> String {
    match (verdict.kind, report.connections.server_gone_after_s) {
        (VerdictKind::ServerGone, Some(after_s)) => {
            format!("{} after {}", verdict.kind.name(), typed_seconds(after_s))
        }
        _ => verdict.kind.name().into(),
    }
}

/// Describes what interrupted the run, if it was interrupted.
pub(super) fn interrupted(report: &Report) -> Option<String> {
    let name = match report.interrupted_by_signal? {
        1 => "SIGHUP".into(),
        2 => "SIGINT".into(),
        15 => "SIGTERM".into(),
        signal => format!("signal {signal}"),
    };
    Some(format!(
        "Interrupted by {name} after {}: the report covers the time until then.",
        seconds(report.ran_s)
    ))
}

/// Escapes characters that could break a line or control a terminal: the text can come from a user
/// or a file.
pub(super) fn printable(text: &str) -> String {
    shown(text.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fixtures::{self, OutcomeBuilder};
    use crate::measurement::settings::{Lifetime, Opening, Pace};

    fn report(sample: OutcomeBuilder) -> Report {
        Report::new(&sample.done(), &[])
    }

    #[test]
    fn the_settings_of_every_pace_are_a_sentence() {
        let text = |pace| {
            settings(&report(fixtures::closed().settings(|settings| settings.pace = pace)).settings)
        };
        for (pace, part) in [
            (Pace::Closed, "10 connections, 1 request in flight on each (closed loop), for 11 s"),
            (
                Pace::Hold(Duration::from_secs(20)),
                "10 connections, held open with 1 request on each every 20 s",
            ),
            (Pace::Open { from: 5e3, to: 5e3 }, "10 connections, 5,000/s on a schedule"),
            (
                Pace::Open { from: 100.0, to: 5e3 },
                "from 100/s to 5,000/s on a schedule (open loop)",
            ),
        ] {
            assert!(text(pace).contains(part), "{}", text(pace));
        }
        assert!(text(Pace::Closed).ends_with("for 11 s with 1 s of warm-up"));
    }

    #[test]
    fn numbers_stages_and_pauses_are_part_of_the_settings() {
        use crate::measurement::settings::{Arrivals, Stage};
        let thinking = fixtures::closed().settings(|thinking| {
            thinking.think = Duration::from_millis(100);
            thinking.requests = Some(5_000);
        });
        assert_eq!(
            settings(&report(thinking).settings),
            "10 connections, 1 request in flight on each with 100 ms of think time before each \
             (closed loop), 5,000 requests in at most 11 s with 1 s of warm-up"
        );
        let staged = fixtures::open().settings(|staged| {
            let stage = |length, from, to| Stage { length: Duration::from_secs(length), from, to };
            staged.stages = vec![stage(5, 0.5, 0.5), stage(6, 10.0, 20.0)];
            staged.arrivals = Arrivals::Poisson;
            staged.seed = Some(7);
        });
        let text = settings(&report(staged).settings);
        let schedule = "0.500/s for 5 s, then 10.0/s to 20.0/s for 6 s on a schedule with Poisson \
                        arrivals (open loop)";
        assert!(text.contains(schedule) && text.ends_with("; seed 7"), "{text}");
    }

    #[test]
    fn reopened_and_lost_connections_are_shown() {
        let churn = fixtures::closed().change(|outcome| {
            (outcome.lifetime, outcome.opening) =
                (Some(Lifetime::Requests(1)), Opening::Rate(100.0));
            (outcome.total.connects, outcome.open_most, outcome.open_last) = (70_000, 3, 2);
        });
        let churn = report(churn);
        let text = settings(&churn.settings);
        assert!(text.ends_with("; opened at 100/s, each reopened after 1 request"), "{text}");
        assert_eq!(
            connections(&churn),
            "10 of 10 opened, 2 open at the end, 70,000 attempts in total"
        );
        let dying = report(
            fixtures::closed().change(|outcome| (outcome.open_most, outcome.open_last) = (9, 8)),
        );
        assert_eq!(
            connections(&dying),
            "10 of 10 opened, at most 9 open at once, 8 open at the end"
        );
    }

    #[test]
    fn replies_to_requests_of_the_warm_up_are_explained() {
        let warm = report(fixtures::closed().total(|total| total.sent -= 10));
        assert!(
            replies(&warm).ends_with(", 10 of them to requests of the warm-up"),
            "{}",
            replies(&warm)
        );
    }

    #[test]
    fn only_causes_that_occurred_are_named() {
        let failed = report(
            fixtures::closed().failed(crate::measurement::causes::ConnectError::TimedOut, 3),
        )
        .connections
        .failed;
        assert_eq!(occurred(&failed), [("timed out".to_owned(), 3)]);
    }
}
