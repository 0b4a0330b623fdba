//! What came of it, for people: tables in Markdown.

use std::time::Duration;

use tinytcp::load::latency::{Latency, microseconds};
use tinytcp::load::report::Report;

use super::choice::Choice;
use super::crowd::Tally;
use super::journal::Journal;
use super::run::{Outcome, Part, Sample};
use super::slope::Slope;

/// How much longer than alone an honest client may wait beside the attack, at p99.
const GOAL: f64 = 2.0;

const MEGABYTE: f64 = 1e6;
const HOUR: f64 = 3600.0;

/// Prints what came of a run.
pub fn print(choice: Choice, outcome: &Outcome) {
    print_latencies(outcome);
    if choice.is_quick {
        println!("It was a quick run: the attackers did not give way to the generator, and the ratios tell nothing.\n");
    }
    println!("{}", Tally::HEADS);
    outcome.attackers.iter().for_each(|tally| println!("{tally}"));
    println!();
    print_journal(&outcome.journal);
    if choice.is_soak {
        print_soak(&outcome.samples);
    }
}

fn print_latencies(outcome: &Outcome) {
    let Outcome { before, beside, after, .. } = outcome;
    let mut alone = latency(&before.report).clone();
    alone.merge(latency(&after.report));
    println!("| honest clients | alone | beside the attack | alone again | ratio |\n|---|---|---|---|---|");
    let row = |name: &str, figure: &dyn Fn(&Part) -> String, ratio: String| {
        println!("| {name} | {} | {} | {} | {ratio} |", figure(before), figure(beside), figure(after));
    };
    row("right answers", &|part| part.report.replies.correct_count.to_string(), String::new());
    row("errors", &|part| part.report.errors.total_count.to_string(), String::new());
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
        let shown = |part: &Part| format!("{:.0}", microseconds(latency(&part.report).quantile(quantile)));
        row(&format!("{name}, us"), &shown, format!("{:.2}", ratio(&alone, beside, quantile)));
    }
    row("server, share of its processor", &|part| format!("{:.2}", part.server_share), String::new());
    let lag = |part: &Part| part.report.generator.lag.quantile(0.99).map_or("–".into(), us);
    row("the generator was late by at p99, us", &lag, String::new());
    row("its verdict", &|part| part.report.verdict.kind.name().into(), String::new());
    let p99 = ratio(&alone, beside, 0.99);
    let reached = if p99 <= GOAL { "reached" } else { "NOT reached" };
    println!(
        "\np99 beside the attack is {p99:.2} × that alone, before and after together; the goal of {GOAL} × is {reached}.\n"
    );
}

/// Counted from when requests were due: what waits behind a slow answer is not hidden.
fn latency(report: &Report) -> &Latency {
    report.latency.from_schedule.as_ref().map_or(&report.latency.from_send.0, |distribution| &distribution.0)
}

fn ratio(alone: &Latency, beside: &Part, quantile: f64) -> f64 {
    latency(&beside.report).quantile(quantile).as_secs_f64() / alone.quantile(quantile).as_secs_f64()
}

fn us(duration: Duration) -> String {
    format!("{:.0}", microseconds(duration))
}

fn print_journal(journal: &Journal) {
    let Some(totals) = &journal.totals else { return };
    let closed: Vec<String> = totals.closed.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    println!(
        "The server: {} connections, {} messages, {:.1} MB in, {:.1} MB out; closed: {}; {} complaints in its log.\n",
        totals.connections,
        totals.messages,
        totals.received_bytes as f64 / MEGABYTE,
        totals.sent_bytes as f64 / MEGABYTE,
        closed.join(", "),
        journal.complaints
    );
    journal.first_complaints.iter().for_each(|line| println!("    {line}"));
}

fn print_soak(samples: &[Sample]) {
    println!("| s | resident, kB | descriptors | opened | closed | commands |\n|---|---|---|---|---|---|");
    // A dozen lines tell enough.
    for Sample { at, resident_bytes, descriptors, opened, closed, commands } in
        samples.iter().step_by(samples.len().div_ceil(12).max(1)).chain(samples.last())
    {
        let (seconds, kilobytes) = (at.as_secs(), resident_bytes / 1000);
        println!("| {seconds} | {kilobytes} | {descriptors} | {opened} | {closed} | {commands} |");
    }
    let half = &samples[samples.len() / 2..];
    let points: Vec<(f64, f64)> =
        half.iter().map(|sample| (sample.at.as_secs_f64() / HOUR, sample.resident_bytes as f64)).collect();
    match Slope::of(&points) {
        Some(Slope { per_unit, error }) => println!(
            "\nResident memory in the second half: {:.0} ± {:.0} kB an hour (least squares of {} samples).\n",
            per_unit / 1e3,
            error / 1e3,
            points.len()
        ),
        None => println!("\nToo few samples for a slope.\n"),
    }
}
