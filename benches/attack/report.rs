//! The result of a run as tables in Markdown.

use std::time::Duration;

use tinytcp_load::measurement::latency::{Latency, microseconds};
use tinytcp_load::report::Report;

use super::choice::Choice;
use super::crowd::Tally;
use super::journal::Journal;
use super::run::{Outcome, Part, Sample};
use super::slope::Slope;

/// The goal for p99 of honest clients beside the attack, as a multiple of p99 alone.
const GOAL: f64 = 2.0;

/// The limit of the share of stalls, above which p99 measures the machine too: p99 leaves out a
/// hundredth of the requests, and this is half of it.
const STALLED_MAX: f64 = 0.005;

/// The limit of the share of the time in which the server waits for a processor. Above it another
/// program uses that processor.
const STARVED_MAX: f64 = 0.1;

const MEGABYTE: f64 = 1e6;
const HOUR: f64 = 3600.0;

/// Prints the result of a run.
pub fn print(choice: Choice, outcome: &Outcome) {
    print_latencies(outcome);
    if choice.is_quick {
        println!(
            "It was a quick run: the attackers did not yield to the generator, and the ratios \
             mean nothing.\n"
        );
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
    println!(
        "| honest clients | alone | beside the attack | alone again | ratio |\n\
         |---|---|---|---|---|"
    );
    let row = |name: &str, figure: &dyn Fn(&Part) -> String, ratio: String| {
        println!(
            "| {name} | {} | {} | {} | {ratio} |",
            figure(before),
            figure(beside),
            figure(after)
        );
    };
    let sum = |part: &Part, count: fn(&Report) -> u64| {
        part.reports.iter().map(count).sum::<u64>().to_string()
    };
    row("right answers", &|part| sum(part, |report| report.replies.correct_count), String::new());
    row("errors", &|part| sum(part, |report| report.errors.total_count), String::new());
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
        let shown =
            |part: &Part| spread(all(&[part]).quantile(quantile), &of_crowds(&[part], quantile));
        row(
            &format!("{name}, us"),
            &shown,
            format!("{:.2}", ratio(outcome, |parts| all(parts).quantile(quantile))),
        );
    }
    let (p99, of_middle) =
        (ratio(outcome, |parts| all(parts).quantile(0.99)), ratio(outcome, middle));
    row("p99 of the median crowd, us", &|part| us(middle(&[part])), format!("{of_middle:.2}"));
    row(
        "server, share of its processor",
        &|part| format!("{:.2}", part.server_share),
        String::new(),
    );
    row(
        "server, share of the time in which it waited for a processor",
        &|part| format!("{:.2}", part.starved_share),
        String::new(),
    );
    let lag = |report: &Report| report.generator.lag.quantile(0.99);
    let lags = |part: &Part| range(&sorted(part.reports.iter().filter_map(lag)));
    row("lag of the generator at p99, us", &lags, String::new());
    row("verdicts of the generator", &verdicts, String::new());
    let starved = [before, beside, after].iter().map(|part| part.starved_share).fold(0.0, f64::max);
    if starved > STARVED_MAX {
        println!(
            "\nThe server waited for its processor: the machine has other work to do, and the \
             latencies show that."
        );
    }
    let reached = if p99 <= GOAL { "reached" } else { "NOT reached" };
    println!(
        "\nLatencies are of all requests, and in parentheses the least and the most of a crowd \
         that stays for a while. p99 beside the attack is {p99:.2} × that alone, before and after \
         together; the goal of {GOAL} × is {reached}. For the median crowds it is \
         {of_middle:.2} ×: most stalls of the machine are in other crowds."
    );
    let of_whom = if outcome.stalled_share > STALLED_MAX { "machine as well" } else { "server" };
    println!(
        "With nothing to do but to read the clock on both processors, the machine stalled for \
         {:.2} % of the time, in pieces of a millisecond or more: p99 measures the {of_whom}.\n",
        100.0 * outcome.stalled_share
    );
}

/// The latency from the time at which a request was due. It includes the wait for a slow answer
/// before it.
pub fn latency(report: &Report) -> &Latency {
    report
        .latency
        .from_schedule
        .as_ref()
        .map_or(&report.latency.from_send.0, |distribution| &distribution.0)
}

/// Returns the latency of all crowds together.
fn all(parts: &[&Part]) -> Latency {
    let mut all = Latency::default();
    parts.iter().flat_map(|part| &part.reports).for_each(|report| all.merge(latency(report)));
    all
}

/// Returns the latency of each crowd, the least first.
fn of_crowds(parts: &[&Part], quantile: f64) -> Vec<Duration> {
    sorted(
        parts
            .iter()
            .flat_map(|part| &part.reports)
            .map(|report| latency(report).quantile(quantile)),
    )
}

/// Returns p99 of the median crowd. Each part has at least one crowd.
fn middle(parts: &[&Part]) -> Duration {
    let crowds = of_crowds(parts, 0.99);
    crowds[crowds.len() / 2]
}

/// Returns a figure beside the attack as a multiple of the figure alone, before and after together.
fn ratio(
    Outcome { before, beside, after, .. }: &Outcome,
    figure: impl Fn(&[&Part]) -> Duration,
) -> f64 {
    figure(&[beside]).as_secs_f64() / figure(&[before, after]).as_secs_f64()
}

fn sorted(durations: impl Iterator<Item = Duration>) -> Vec<Duration> {
    let mut durations: Vec<Duration> = durations.collect();
    durations.sort_unstable();
    durations
}

/// Returns a latency, and the least and the greatest of the crowds, in microseconds.
fn spread(latency: Duration, of_crowds: &[Duration]) -> String {
    format!("{} ({})", us(latency), range(of_crowds))
}

/// Returns the least and the greatest, in microseconds.
fn range(sorted: &[Duration]) -> String {
    match sorted {
        [] => "–".into(),
        [only] => us(*only),
        [least, .., most] => format!("{}–{}", us(*least), us(*most)),
    }
}

/// Returns the verdicts of the generator about itself, each once.
fn verdicts(part: &Part) -> String {
    let mut names: Vec<&str> =
        part.reports.iter().map(|report| report.verdict.kind.name()).collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

fn us(duration: Duration) -> String {
    format!("{:.0}", microseconds(duration))
}

fn print_journal(journal: &Journal) {
    let Some(totals) = &journal.totals else { return };
    let closed: Vec<String> =
        totals.closed.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    println!(
        "The server: {} connections, {} messages, {:.1} MB in, {:.1} MB out; closed: {}; \
         {} complaints in its log.\n",
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
    println!(
        "| s | resident, kB | descriptors | opened | closed | commands |\n|---|---|---|---|---|---|"
    );
    // A soak has hundreds of samples, and its table twelve.
    for Sample { at, resident_bytes, descriptors, opened, closed, commands } in
        samples.iter().step_by(samples.len().div_ceil(12).max(1)).chain(samples.last())
    {
        let (seconds, kilobytes) = (at.as_secs(), resident_bytes / 1000);
        println!("| {seconds} | {kilobytes} | {descriptors} | {opened} | {closed} | {commands} |");
    }
    let half = &samples[samples.len() / 2..];
    let points: Vec<(f64, f64)> = half
        .iter()
        .map(|sample| (sample.at.as_secs_f64() / HOUR, sample.resident_bytes as f64))
        .collect();
    match Slope::of(&points) {
        Some(Slope { per_unit, error }) => println!(
            "\nResident memory in the second half: {:.0} ± {:.0} kB per hour (least squares of {} \
             samples).\n",
            per_unit / 1e3,
            error / 1e3,
            points.len()
        ),
        None => println!("\nToo few samples for a slope.\n"),
    }
}
