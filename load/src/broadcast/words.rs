//! The report of a broadcast run as text.

use std::fmt;

use tinytcp_core::display::escape::shown;

use super::report::{BroadcastReport, BroadcastVerdict};
use crate::measurement::format::{count, duration, percent, plural, rate, seconds};
use crate::report::Distribution;

/// The columns of the latencies.
const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];

/// Lines of at most 80 columns, unless a name or a sentence is longer.
impl fmt::Display for BroadcastReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self, f)
    }
}

fn write(report: &BroadcastReport, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let asked = &report.asked;
    writeln!(f, "{}, messages of {}", shown(asked.target.as_bytes()), bytes(asked.size_bytes))?;
    writeln!(
        f,
        "{} in {}, {} each, {} for {}\n",
        plural(asked.members_count, "member"),
        plural(asked.rooms_count, "room"),
        plural(asked.publishers_count, "publisher"),
        rate(asked.rate_per_s),
        seconds(asked.duration_s)
    )?;
    writeln!(f, "Verdict       {}", verdict(report))?;
    for gate in &report.gates {
        let result = if gate.crossed { "crossed" } else { "not crossed" };
        writeln!(f, "Gate          {} {result}: {}", gate.gate, gate.measured)?;
    }
    for example in &report.violations.examples {
        writeln!(f, "              {example}")?;
    }
    writeln!(f, "\nMembers       {}", members(report))?;
    writeln!(f, "Messages      {}", messages(report))?;
    writeln!(f, "Deliveries    {}", deliveries(report))?;
    writeln!(f, "Generator     {}\n", generator(report))?;
    latencies(&report.latency, f)
}

fn verdict(report: &BroadcastReport) -> String {
    let asked = &report.asked;
    let first_loss = report.members.first_loss.as_deref().unwrap_or("no reason is known");
    match report.verdict {
        BroadcastVerdict::Valid if report.deliveries.missed_count > 0 => {
            "VALID: every member got every message in the same order, or was told of gaps".into()
        }
        BroadcastVerdict::Valid => {
            "VALID: every member got every message once, in the same order".into()
        }
        BroadcastVerdict::NotJoined => format!(
            "NOT JOINED: {} of {} joined: {first_loss}",
            count(report.members.joined_count),
            plural(asked.members_count, "member"),
        ),
        BroadcastVerdict::NothingDelivered => "NOTHING DELIVERED: no member got a message".into(),
        BroadcastVerdict::Violated => {
            let kinds = report.violations.kinds().into_iter().filter(|(_, count)| *count > 0);
            let kinds: Vec<String> =
                kinds.map(|(name, number)| format!("{} {name}", count(number))).collect();
            format!("VIOLATED: {}", kinds.join(", "))
        }
        BroadcastVerdict::MembersLost => format!(
            "MEMBERS LOST: the server closed {}: {first_loss}",
            plural(report.members.lost_count, "connection")
        ),
        BroadcastVerdict::Interrupted => {
            "INTERRUPTED: messages on the way were not waited for".into()
        }
        BroadcastVerdict::Refused => {
            "REFUSED: the server refused messages; raise its --say-rate, or use a lower -R".into()
        }
    }
}

fn members(report: &BroadcastReport) -> String {
    let (asked, members) = (&report.asked, &report.members);
    let mut text = format!(
        "{} of {} joined in {}, {} lost",
        count(members.joined_count),
        count(asked.members_count),
        seconds(members.joining_s),
        count(members.lost_count)
    );
    if asked.silent_count > 0 {
        let (silent, lost) = (count(asked.silent_count), count(members.lost_silent_count));
        text += &format!("; {silent} never read, of which the server closed {lost}");
    }
    text
}

fn messages(report: &BroadcastReport) -> String {
    let messages = &report.messages;
    let mut text = format!(
        "{} due, {} sent, {} accepted",
        count(messages.due_count),
        count(messages.sent_count),
        count(messages.accepted_count)
    );
    for (token, number) in &messages.refused {
        text += &format!(", {} refused with {token}", count(*number));
    }
    text
}

fn deliveries(report: &BroadcastReport) -> String {
    let deliveries = &report.deliveries;
    format!(
        "{} correct, {}; {} told as missed",
        count(deliveries.correct_count),
        rate(deliveries.correct_per_s),
        count(deliveries.missed_count)
    )
}

fn generator(report: &BroadcastReport) -> String {
    let late = report.lag.quantile(0.99).map_or("nothing".into(), duration);
    format!("{} of one core; messages sent late: p99 {late}", percent(report.generator_cpu_ratio))
}

fn latencies(latency: &Distribution, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let values = QUANTILES.map(|(name, quantile)| (name, latency.quantile(quantile)));
    let mut values = values.to_vec();
    values.push(("max", latency.max()));
    write!(f, "{:14}", "Latency")?;
    values.iter().try_for_each(|(name, _)| write!(f, "{name:>10}"))?;
    write!(f, "\n{:14}", "from schedule")?;
    for (_, value) in values {
        write!(f, "{:>10}", value.map_or("-".into(), duration))?;
    }
    writeln!(f)
}

fn bytes(number: u64) -> String {
    plural(number, "byte")
}
