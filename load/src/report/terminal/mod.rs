//! The printed report.

mod addresses;
mod bars;
pub(super) mod layout;

use std::fmt::Write;
use std::iter;

use super::hints;
use super::words::{self, QUANTILES, printable};
use crate::judgement::search::Search;
use crate::judgement::verdict::{RunVerdict, VerdictKind};
use crate::measurement::format::{count, duration, percent, rate, seconds};
use crate::report::{Distribution, Report};
use layout::{TextPage, cell, latency_cell};

/// Column of the values.
const INDENT: usize = 14;

/// Width of the labels of an exchange.
const EXCHANGE_INDENT: usize = 12;

/// Minimum width, for the table of latencies.
const WIDTH_MIN: usize = 80;

/// Maximum width, for readability.
const WIDTH_MAX: usize = 120;

const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const GREEN: &str = "\x1b[1;32m";
const CYAN: &str = "\x1b[36m";

/// Returns the report in lines of at most `width` characters. Colours only repeat what the words
/// say.
pub(super) fn text(report: &Report, is_coloured: bool, width: usize) -> String {
    let mut page =
        TextPage { text: String::new(), is_coloured, width: width.clamp(WIDTH_MIN, WIDTH_MAX) };
    page.settings(report);
    page.verdicts(report);
    if let Some(search) = &report.search {
        page.search(search);
    }
    page.facts(report);
    page.latencies(report);
    page.addresses(report);
    page.histogram(report);
    page.text
}

impl TextPage {
    fn settings(&mut self, report: &Report) {
        let settings = &report.settings;
        let title = format!("{}, {}", printable(&settings.target), printable(&settings.messages));
        self.entry("", BOLD, &title, 0);
        self.entry("", "", &words::settings(settings), 0);
        if !settings.typed.is_empty() {
            self.entry("", "", &format!("asked: {}", printable(&settings.typed)), 0);
        }
        for note in
            report.notes.iter().map(|note| printable(note)).chain(words::interrupted(report))
        {
            self.entry("", YELLOW, &note, 0);
        }
        self.line("");
    }

    fn verdicts(&mut self, report: &Report) {
        self.verdict("Verdict", report, &report.verdict);
        for verdict in report.other_verdicts() {
            self.verdict("Also", report, verdict);
        }
        let mut label = "Gates";
        for gate in &report.gates {
            let (word, colour) = if gate.crossed { ("FAIL", RED) } else { ("PASS", GREEN) };
            let text = format!("{word} {}: {}", printable(&gate.gate), printable(&gate.measured));
            self.entry(label, colour, &text, INDENT);
            label = "";
        }
        self.line("");
    }

    fn verdict(&mut self, label: &str, report: &Report, verdict: &RunVerdict) {
        let colour = match verdict.kind {
            VerdictKind::Valid => GREEN,
            VerdictKind::GeneratorLimited
            | VerdictKind::ServerOverloaded
            | VerdictKind::TailQueued
            | VerdictKind::TooShort => YELLOW,
            _ => RED,
        };
        let heading = words::heading(report, verdict);
        let (name, rest) = heading.split_at(verdict.kind.name().len());
        self.entry(label, colour, &format!("{}{rest}", name.to_uppercase()), INDENT);
        self.entry("", "", &printable(&verdict.evidence), INDENT);
        self.entry("", "", &printable(&verdict.advice), INDENT);
    }

    fn facts(&mut self, report: &Report) {
        self.entry("Connections", "", &words::connections(report), INDENT);
        let failed = words::occurred(&report.connections.failed);
        self.causes(
            failed.into_iter().map(|(cause, number)| (format!("failed: {cause}"), number)),
            RED,
        );
        let ended = words::occurred(&report.connections.ended);
        self.causes(
            ended.into_iter().map(|(cause, number)| (format!("ended: {cause}"), number)),
            YELLOW,
        );
        if let Some(tls) = &report.tls {
            self.entry("TLS", if tls.is_verified { "" } else { YELLOW }, &words::tls(tls), INDENT);
            self.entry("Handshakes", "", &words::handshakes(tls), INDENT);
        }
        self.entry("Requests", "", &words::requests(report), INDENT);
        self.entry("Replies", "", &words::replies(report), INDENT);
        self.entry(
            "Errors",
            if report.errors.total_count > 0 { RED } else { "" },
            &words::errors(report),
            INDENT,
        );
        self.causes(words::occurred(&report.errors.by_cause), RED);
        self.exchanges(report);
        self.entry("Throughput", BOLD, &words::throughput(report), INDENT);
        self.entry("Generator", "", &words::generator(report), INDENT);
    }

    /// The first exchanges of each kind of error.
    fn exchanges(&mut self, report: &Report) {
        for exchange in &report.exchanges {
            let title = words::exchange(exchange);
            let sent = Some(&exchange.sent).filter(|sent| !sent.is_empty());
            let lines = [
                ("sent", sent),
                ("expected", Some(&exchange.expected)),
                ("got", Some(&exchange.got)),
            ];
            self.entry("", RED, &title, INDENT);
            for (name, text) in lines.into_iter().filter_map(|(name, text)| Some((name, text?))) {
                self.entry(
                    &format!("{:INDENT$}  {name}", ""),
                    "",
                    &printable(text),
                    INDENT + EXCHANGE_INDENT,
                );
            }
            if let Some(hint) = &exchange.hint {
                self.entry("", YELLOW, &format!("  {}", printable(hint)), INDENT);
            }
        }
    }

    /// Adds a line for each cause, with right-aligned counts.
    fn causes(&mut self, causes: impl IntoIterator<Item = (String, u64)>, colour: &str) {
        for (cause, number) in causes {
            let line = format!(
                "{:INDENT$}{}",
                "",
                self.paint(colour, &format!("  {cause:<24}{:>12}", count(number)))
            );
            self.line(&line);
        }
    }

    fn latencies(&mut self, report: &Report) {
        if report.latency.connect.0.count() == 0 {
            return;
        }
        self.line("");
        let mut head = format!("{:INDENT$}", "Latency");
        let figures = QUANTILES.iter().map(|(name, _)| *name).chain(["max"]);
        ["mean", "stdev"].into_iter().chain(figures).for_each(|name| latency_cell(&mut head, name));
        let head = self.paint(BOLD, &head);
        self.line(&head);
        self.latency("connect", &report.latency.connect);
        if let Some(handshake) = &report.latency.tls_handshake {
            self.latency("TLS handshake", handshake);
        }
        self.latency("first byte", &report.latency.first_byte);
        self.latency("from send", &report.latency.from_send);
        if let Some(from_schedule) = &report.latency.from_schedule {
            self.latency("from schedule", from_schedule);
        }
        for hint in hints::hints(report) {
            self.line("");
            self.entry("", "", &hint, 0);
        }
    }

    fn latency(&mut self, name: &str, latency: &Distribution) {
        let mut row = format!("{name:INDENT$}");
        let quantiles = QUANTILES.iter().map(|(_, quantile)| latency.quantile(*quantile));
        let average = [latency.0.mean(), latency.0.deviation()].map(Some);
        for figure in
            average.into_iter().chain(quantiles).chain(iter::once(latency.max())).flatten()
        {
            latency_cell(&mut row, &duration(figure));
        }
        if latency.0.count() > 0 {
            self.line(&row);
        }
    }

    fn histogram(&mut self, report: &Report) {
        let buckets = bars::buckets(report.latency.reply().0.histogram());
        let Some(most) = buckets.iter().map(|bucket| bucket.count).max() else { return };
        let total: u64 = buckets.iter().map(|bucket| bucket.count).sum();
        let from = if report.latency.from_schedule.is_some() {
            "from the schedule"
        } else {
            "from the send"
        };
        self.line("");
        let head = self.paint(BOLD, &format!("Replies by latency {from}"));
        self.line(&head);
        let room = self.width - 35;
        for bucket in buckets {
            let bar = bars::bar(bucket.count as f64 / most as f64, room);
            let bar = self.paint(CYAN, &format!("{bar:room$}"));
            let share = bucket.count as f64 / total as f64;
            let (from, to) = (duration(bucket.from), duration(bucket.to));
            self.line(format!("{from:>8} to {to:>8}  {bar} {:>10}", percent(share)).trim_end());
        }
    }

    fn search(&mut self, search: &Search) {
        self.entry("Search", BOLD, &printable(&search.conclusion), INDENT);
        let mut head = format!("{:INDENT$}", "");
        ["requested", "reached", "p50", "p99", "p99.9"]
            .into_iter()
            .for_each(|name| cell(&mut head, name));
        self.line(&head);
        for step in search.curve() {
            let mut row = format!("{:INDENT$}", "");
            cell(&mut row, &rate(step.asked_per_s));
            cell(&mut row, &rate(step.reached_per_s));
            for figure in [step.p50_us, step.p99_us, step.p99_9_us] {
                cell(&mut row, &figure.map_or_else(|| "-".into(), |figure| seconds(figure / 1e6)));
            }
            let limited = if step.generator_limited { ", generator-limited" } else { "" };
            let _ = write!(row, "  {}{limited}", if step.held { "met" } else { "missed" });
            self.line(&row);
        }
        self.line("");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fixtures::{self, OutcomeBuilder};
    use crate::judgement::search::SearchStep;
    use crate::measurement::causes::{ConnectError, ConnectionEnd, ReplyError};

    fn plain(sample: OutcomeBuilder) -> String {
        text(&Report::new(&sample.done(), &["p99>5ms".parse().expect("a gate")]), false, 80)
    }

    #[test]
    fn every_section_is_printed() {
        let text = plain(fixtures::closed());
        for part in [
            "text://127.0.0.1:40000, ECHO of 17 bytes\n",
            "Verdict       VALID\n",
            "Gates         PASS p99>5ms: 1.00 ms\n",
            "Connections   10 of 10 opened, 10 open at the end\n",
            "Requests      100,000 sent, 2.19 MiB\n",
            "Replies       100,000 correct, 2.19 MiB\n",
            "Errors        none\n",
            "Throughput    10,000/s correct replies, 225 KiB/s sent, 225 KiB/s received\n",
            "Generator     1 thread, 30.0 % busy (3.00 s of CPU)",
            "from send       550 us  287 us  500 us  900 us 1.00 ms 1.00 ms 1.00 ms 1.00 ms\n",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert!(!text.contains("from schedule"), "{text}");
    }

    #[test]
    fn only_causes_that_occurred_are_shown() {
        let sample =
            fixtures::closed().failed(ConnectError::Refused, 2).ended(ConnectionEnd::Silent, 3);
        let text = plain(sample.errors(ReplyError::Late, 1_234));
        for part in [
            "failed: refused",
            "ended: silent",
            "late                           1,234",
            "1,234, 1.22 % of all requests",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert!(!text.contains("wrong "), "{text}");
    }

    #[test]
    fn no_line_exceeds_the_width_or_ends_in_blanks() {
        let waiting = || {
            let sample = fixtures::open()
                .total(|total| total.from_schedule.record(Duration::from_millis(40), 5_000));
            sample.failed(ConnectError::Refused, 2).errors(ReplyError::Wrong, 3)
        };
        for width in [60, 80, 120] {
            let text = text(&Report::new(&waiting().done(), &[]), false, width);
            assert!(text.contains("coordinated"), "{text}");
            for line in text.lines() {
                assert!(
                    line.chars().count() <= width.max(WIDTH_MIN),
                    "{} of {width}: {line}",
                    line.chars().count()
                );
                assert_eq!(line, line.trim_end());
            }
        }
    }

    #[test]
    fn colours_do_not_change_the_text() {
        let report = Report::new(&fixtures::closed().errors(ReplyError::Wrong, 3).done(), &[]);
        let coloured = text(&report, true, 80);
        let mut plain = String::new();
        for (index, part) in coloured.split("\x1b[").enumerate() {
            plain.push_str(if index == 0 {
                part
            } else {
                part.split_once('m').expect("a colour").1
            });
        }
        assert!(coloured.contains("\x1b[1;31mWRONG REPLIES\x1b[0m"), "{coloured}");
        assert_eq!(lines(&plain), lines(&text(&report, false, 80)));
    }

    fn lines(text: &str) -> Vec<&str> {
        text.lines().map(str::trim_end).collect()
    }

    #[test]
    fn a_run_without_a_reply_has_no_latencies_and_no_histogram() {
        let text = plain(fixtures::nothing(ConnectError::Refused));
        assert!(text.contains("Verdict       NOTHING COMPLETED\n"), "{text}");
        assert!(text.ends_with("runnable but not scheduled\n"), "{text}");
        assert!(!text.contains("Replies by"), "{text}");
    }

    #[test]
    fn control_characters_of_user_text_are_escaped() {
        let text = plain(
            fixtures::closed().settings(|settings| settings.messages = "\x1b[2Jhello\n".into()),
        );
        assert!(text.contains("\\x1b[2Jhello\\n") && !text.contains('\x1b'), "{text}");
    }

    #[test]
    fn a_search_shows_its_curve_by_rate() {
        let step = |asked_per_s, broken_by: Option<&str>| SearchStep {
            asked_per_s,
            reached_per_s: asked_per_s,
            p50_us: Some(100.0),
            p99_us: Some(900.0),
            p99_9_us: None,
            held: broken_by.is_none(),
            broken_by: broken_by.map(str::to_owned),
            generator_limited: broken_by.is_some(),
        };
        let search = Search {
            objective: "p99=1ms".into(),
            highest_held_per_s: Some(2_000.0),
            conclusion: "2,000/s is the highest rate that met p99=1ms.".into(),
            steps: vec![
                step(1_000.0, None),
                step(4_000.0, Some("p99 was 3.00 ms")),
                step(2_000.0, None),
            ],
        };
        let text = text(&Report::new(&fixtures::open().done(), &[]).with_search(search), false, 80);
        assert!(
            text.contains("Search        2,000/s is the highest rate that met p99=1ms.\n"),
            "{text}"
        );
        assert!(text.contains("  missed, generator-limited\n"), "{text}");
        assert!(
            text.contains("Verdict       GENERATOR-LIMITED\n"),
            "the generator is the limit: {text}"
        );
        let at = |part| text.find(part).expect(part);
        assert!(at("    1,000/s    1,000/s") < at("    2,000/s    2,000/s"), "{text}");
        assert!(at("    2,000/s    2,000/s") < at("    4,000/s    4,000/s"), "{text}");
    }
}
