//! Sums of merged reports.

use super::notes::distinct;
use crate::measurement::causes::{Cause, ReplyError};
use crate::measurement::counts::CauseCounts;
use crate::measurement::exchange::{self, Exchange};
use crate::report::origin::Origin;
use crate::report::sections::merge_some;
use crate::report::{Report, ReportAddress, ReportPace, ReportSettings, ReportStage, ReportTls};

/// Adds all counts. The caller recomputes averages and shares.
pub(super) fn add(joined: &mut Report, report: &Report) {
    joined.settings = add_settings(&joined.settings, &report.settings);
    joined.origin = add_origin(&joined.origin, &report.origin);
    joined.interrupted_by_signal = joined.interrupted_by_signal.or(report.interrupted_by_signal);

    joined.aborted_by = joined.aborted_by.take().or_else(|| report.aborted_by.clone());
    joined.is_partial |= report.is_partial;

    let connections = &report.connections;
    joined.connections.asked_count += connections.asked_count;
    joined.connections.reached_count += connections.reached_count;
    joined.connections.open_last_count += connections.open_last_count;
    joined.connections.server_gone_after_s =
        joined.connections.server_gone_after_s.or(connections.server_gone_after_s);
    joined.connections.begun_count += connections.begun_count;
    joined.connections.opened_count += connections.opened_count;
    add_counts(&mut joined.connections.failed, &connections.failed);
    add_counts(&mut joined.connections.ended, &connections.ended);

    joined.requests.sent_count += report.requests.sent_count;
    joined.requests.sent_bytes += report.requests.sent_bytes;
    joined.replies.correct_count += report.replies.correct_count;
    joined.replies.received_bytes += report.replies.received_bytes;
    add_counts(&mut joined.errors.by_cause, &report.errors.by_cause);
    joined.errors.total_count += report.errors.total_count;
    joined.exchanges = add_exchanges(&joined.exchanges, &report.exchanges);

    joined.latency.connect.0.merge(&report.latency.connect.0);
    merge_some(&mut joined.latency.tls_handshake, report.latency.tls_handshake.as_ref());
    joined.latency.first_byte.0.merge(&report.latency.first_byte.0);
    joined.latency.from_send.0.merge(&report.latency.from_send.0);
    if let (Some(all), Some(more)) =
        (&mut joined.latency.from_schedule, &report.latency.from_schedule)
    {
        all.0.merge(&more.0);
    }

    add_tls(&mut joined.tls, report.tls.as_ref());
    add_addresses(&mut joined.addresses, &report.addresses);

    joined.generator.threads_count += report.generator.threads_count;
    joined.generator.cpu_s += report.generator.cpu_s;
    joined.generator.starved_s += report.generator.starved_s;
    joined.generator.lag.0.merge(&report.generator.lag.0);
}

/// Adds handshakes. The caller recomputes their rates.
fn add_tls(joined: &mut Option<ReportTls>, tls: Option<&ReportTls>) {
    let (Some(all), Some(more)) = (joined.as_mut(), tls) else {
        return *joined = joined.take().or_else(|| tls.cloned());
    };
    all.is_verified &= more.is_verified;
    all.resumes |= more.resumes;
    all.full_count += more.full_count;
    all.resumed_count += more.resumed_count;
    all.first_failure = all.first_failure.take().or_else(|| more.first_failure.clone());
    for suite in &more.suites {
        match all.suites.iter_mut().find(|known| known.is_same(suite)) {
            Some(known) => known.count += suite.count,
            None => all.suites.push(suite.clone()),
        }
    }
}

/// Adds the results of equal addresses, and appends the others.
fn add_addresses(joined: &mut Vec<ReportAddress>, addresses: &[ReportAddress]) {
    for more in addresses {
        match joined.iter_mut().find(|known| known.address == more.address) {
            Some(known) => {
                known.opened_count += more.opened_count;
                known.failed_count += more.failed_count;
                known.correct_count += more.correct_count;
                known.errors_count += more.errors_count;
                known.latency.0.merge(&more.latency.0);
            }
            None => joined.push(more.clone()),
        }
    }
}

fn add_origin(joined: &Origin, origin: &Origin) -> Origin {
    let both = |a: &String, b: &String| distinct([a.clone(), b.clone()]);
    let cores_count =
        joined.cores_count + if joined.host == origin.host { 0 } else { origin.cores_count };
    Origin {
        host: both(&joined.host, &origin.host),
        processor: both(&joined.processor, &origin.processor),
        cores_count,
        command: both(&joined.command, &origin.command),
    }
}

fn add_settings(joined: &ReportSettings, settings: &ReportSettings) -> ReportSettings {
    // A merged target is not split again; it may be named twice.
    let both = |a: &String, b: &String| distinct([a.clone(), b.clone()]);
    let sum = |a: Option<f64>, b: Option<f64>| a.zip(b).map(|(a, b)| a + b);
    ReportSettings {
        target: both(&joined.target, &settings.target),
        protocol: both(&joined.protocol, &settings.protocol),
        messages: both(&joined.messages, &settings.messages),
        typed: both(&joined.typed, &settings.typed),
        connections_count: joined.connections_count + settings.connections_count,
        depth_count: joined.depth_count.max(settings.depth_count),
        threads_count: joined.threads_count + settings.threads_count,
        duration_s: joined.duration_s.max(settings.duration_s),
        warmup_s: joined.warmup_s.max(settings.warmup_s),
        timeout_s: joined.timeout_s.max(settings.timeout_s),
        pace: ReportPace {
            kind: joined.pace.kind,
            interval_s: joined.pace.interval_s,
            from_per_s: sum(joined.pace.from_per_s, settings.pace.from_per_s),
            to_per_s: sum(joined.pace.to_per_s, settings.pace.to_per_s),
            stages: add_stages(&joined.pace.stages, &settings.pace.stages),
            arrivals: joined.pace.arrivals,
            think_s: joined.pace.think_s,
        },
        requests_count: joined
            .requests_count
            .zip(settings.requests_count)
            .map(|(joined, count)| joined + count),
        seed_number: joined.seed_number.filter(|_| joined.seed_number == settings.seed_number),
        request_bytes: joined.request_bytes.min(settings.request_bytes),
        opening_per_s: sum(joined.opening_per_s, settings.opening_per_s),
        lifetime_count: joined
            .lifetime_count
            .filter(|_| joined.lifetime_count == settings.lifetime_count),
        lifetime_s: joined.lifetime_s.filter(|_| joined.lifetime_s == settings.lifetime_s),
    }
}

/// Returns the earliest exchanges of each kind, in the order of their kinds.
fn add_exchanges(joined: &[Exchange], exchanges: &[Exchange]) -> Vec<Exchange> {
    let of = |cause: &ReplyError| {
        let all = joined.iter().chain(exchanges).filter(|kept| kept.cause == cause.name());
        let mut kept: Vec<Exchange> = all.cloned().collect();
        exchange::truncate(&mut kept);
        kept
    };
    ReplyError::ALL.iter().flat_map(of).collect()
}

/// Adds the rates of stages of the same lengths; others have no common stages.
fn add_stages(joined: &[ReportStage], stages: &[ReportStage]) -> Vec<ReportStage> {
    let lengths = |stages: &[ReportStage]| stages.iter().map(|stage| stage.length_s).collect();
    let (ours, theirs): (Vec<f64>, Vec<f64>) = (lengths(joined), lengths(stages));
    if ours != theirs {
        return Vec::new();
    }
    let add = |(one, other): (&ReportStage, &ReportStage)| ReportStage {
        length_s: one.length_s,
        from_per_s: one.from_per_s + other.from_per_s,
        to_per_s: one.to_per_s + other.to_per_s,
    };
    joined.iter().zip(stages).map(add).collect()
}

fn add_counts<C: Cause>(joined: &mut CauseCounts<C>, counts: &CauseCounts<C>) {
    counts.iter().for_each(|(cause, count)| joined.add(cause, count));
}
