//! The report as a single HTML page, without scripts or external resources.

/// Writes to the page. Writing to a string cannot fail.
macro_rules! put {
    ($page:expr, $($argument:tt)*) => {{
        let _ = writeln!($page.0, $($argument)*);
    }};
}

mod chart;
mod escape;
mod plots;
mod scale;
mod tables;

use std::fmt::Write;
use std::iter;

use super::{hints, words};
use crate::judgement::verdict::{RunVerdict, VerdictKind};
use crate::measurement::format::{count, duration, rate};
use crate::report::Report;
use chart::Chart;
use escape::escaped;

const STYLE: &str = include_str!("page.css");

/// Returns the text of the file.
pub(super) fn text(report: &Report) -> String {
    let mut page = HtmlPage(String::new());
    page.head(report);
    page.verdicts(report);
    page.tiles(report);
    page.exchanges(report);
    page.search(report);
    page.charts(report);
    page.tables(report);
    page.slices(report);
    page.0.push_str("</body>\n</html>\n");
    page.0
}

struct HtmlPage(String);

impl HtmlPage {
    fn head(&mut self, report: &Report) {
        let target = escaped(&report.settings.target);
        // The policy enforces that the page loads nothing and runs nothing.
        put!(
            self,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"script-src 'none'; \
             connect-src 'none'; img-src 'none'; font-src 'none'\">\n\
             <title>Load on {target}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
             <p class=\"faint\">tinytcp-load {}, {}, on {}</p>\n\
             <p class=\"faint\"><code>{}</code></p>\n\
             <h1>{target}</h1>\n<p>{}</p>\n<p>{}</p>",
            escaped(&report.version),
            escaped(&report.started),
            escaped(&report.origin.host),
            escaped(&report.origin.command),
            escaped(&report.settings.messages),
            words::settings(&report.settings),
        );
        for note in report.notes.iter().cloned().chain(words::interrupted(report)) {
            put!(self, "<p><strong>{}</strong></p>", escaped(&note));
        }
    }

    fn verdicts(&mut self, report: &Report) {
        let shown = iter::once(&report.verdict).chain(report.other_verdicts());
        for (place, verdict) in shown.enumerate() {
            let further = if place > 0 { " further" } else { "" };
            put!(
                self,
                "<div class=\"verdict {}{further}\"><strong>{}</strong><p>{}</p><p>{}</p></div>",
                tone(verdict),
                capitalized(&words::heading(report, verdict)),
                escaped(&capitalized(&verdict.evidence)),
                escaped(&verdict.advice),
            );
        }
        if !report.gates.is_empty() {
            self.open_table("", &["gate", "measured", "result"]);
            for gate in &report.gates {
                let word = if gate.crossed { "FAIL" } else { "PASS" };
                self.row(&escaped(&gate.gate), [escaped(&gate.measured), word.into()]);
            }
            self.close_table();
        }
    }

    fn tiles(&mut self, report: &Report) {
        let latency = report.latency.reply();
        let figure = |figure: Option<_>| figure.map_or_else(|| "-".into(), duration);
        let tiles = [
            ("correct replies", rate(report.throughput.replies_per_s)),
            ("p50", figure(latency.quantile(0.5))),
            ("p99", figure(latency.quantile(0.99))),
            ("max", figure(latency.max())),
            ("errors", count(report.errors.total_count)),
            ("connections", count(report.connections.reached_count)),
        ];
        self.0.push_str("<dl class=\"tiles\">\n");
        for (name, value) in tiles {
            put!(self, "<div><dt>{name}</dt><dd>{value}</dd></div>");
        }
        self.0.push_str("</dl>\n");
    }

    /// Adds the first exchanges of each kind of error.
    fn exchanges(&mut self, report: &Report) {
        if report.exchanges.is_empty() {
            return;
        }
        put!(self, "<h2>The first exchanges of each error</h2>");
        for exchange in &report.exchanges {
            put!(
                self,
                "<dl class=\"exchange\"><dt>error</dt><dd>{}</dd>",
                escaped(&words::exchange(exchange))
            );
            for (name, text) in
                [("sent", &exchange.sent), ("expected", &exchange.expected), ("got", &exchange.got)]
            {
                put!(self, "<dt>{name}</dt><dd><code>{}</code></dd>", escaped(text));
            }
            if let Some(hint) = &exchange.hint {
                put!(self, "<dt>hint</dt><dd>{}</dd>", escaped(hint));
            }
            put!(self, "</dl>");
        }
    }

    fn search(&mut self, report: &Report) {
        let Some(search) = &report.search else { return };
        put!(self, "<h2>Search for the highest rate</h2>\n<p>{}</p>", escaped(&search.conclusion));
        self.chart(plots::search(search));
        self.steps(search);
    }

    fn charts(&mut self, report: &Report) {
        put!(self, "<h2>Latency over time</h2>");
        self.chart(plots::latency_over_time(report));
        put!(self, "<h2>Throughput over time</h2>");
        self.chart(plots::throughput_over_time(report));
        for (name, chart) in [
            ("Errors over time", plots::errors_over_time(report)),
            ("Open connections over time", plots::connections_over_time(report)),
        ] {
            if chart.is_some() {
                put!(self, "<h2>{name}</h2>");
                self.chart(chart);
            }
        }
        put!(self, "<h2>Latency by percentile</h2>");
        self.chart(plots::percentiles(report));
        for hint in hints::hints(report) {
            put!(self, "<p>{hint}</p>");
        }
    }

    fn chart(&mut self, chart: Option<Chart>) {
        match chart {
            Some(chart) => put!(self, "<figure>\n{}</figure>", chart.svg()),
            None => put!(self, "<p class=\"faint\">Nothing was measured.</p>"),
        }
    }
}

fn tone(verdict: &RunVerdict) -> &'static str {
    match verdict.kind {
        VerdictKind::Valid => "good",
        VerdictKind::GeneratorLimited
        | VerdictKind::ServerOverloaded
        | VerdictKind::TailQueued
        | VerdictKind::TooShort => "middling",
        _ => "bad",
    }
}

/// Capitalises the first word, unless it is a name like `p99`.
fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    if !text
        .split(' ')
        .next()
        .is_some_and(|word| word.chars().all(|c| c.is_alphabetic() || c == '-'))
    {
        return text.into();
    }
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fixtures::{self, OutcomeBuilder};
    use crate::measurement::causes::{ConnectError, ReplyError};
    use crate::measurement::outcome::Slice;

    fn page(sample: OutcomeBuilder) -> String {
        text(&Report::new(&sample.done(), &["p99>5ms".parse().expect("a gate")]))
    }

    /// Returns the elements of `html` that are not closed, or closed without being opened.
    fn unbalanced(html: &str) -> Vec<&str> {
        let mut open = Vec::new();
        for tag in html.split('<').skip(1) {
            let name = tag
                .split(|c: char| !c.is_ascii_alphanumeric() && c != '/' && c != '!')
                .next()
                .unwrap_or_default();
            let is_empty = ["meta", "!DOCTYPE"].contains(&name)
                || tag.split('>').next().is_some_and(|tag| tag.ends_with('/'));
            match name.strip_prefix('/') {
                Some(name) if open.last() == Some(&name) => drop(open.pop()),
                Some(name) => open.push(name),
                None if !is_empty => open.push(name),
                None => {}
            }
        }
        open
    }

    #[test]
    fn every_element_is_closed() {
        let eventful = fixtures::open().errors(ReplyError::Late, 5).failed(ConnectError::Busy, 1);
        for page in [
            page(fixtures::closed()),
            page(eventful),
            page(fixtures::nothing(ConnectError::Refused)),
        ] {
            assert_eq!(unbalanced(&page), Vec::<&str>::new());
            assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
        }
        assert_eq!(unbalanced("<p><b></p>"), ["p", "b", "p"]);
    }

    #[test]
    fn the_page_loads_nothing_and_has_no_script() {
        let page = page(fixtures::open());
        for word in ["<script", "<link", "<img", "@import", "url(", "http:", "https:", "src="] {
            assert!(!page.contains(word), "{word}");
        }
    }

    #[test]
    fn the_verdict_comes_before_every_number() {
        let page = page(fixtures::closed().errors(ReplyError::Wrong, 3));
        let at = |part: &str| page.find(part).expect(part);
        assert!(at("<strong>Wrong replies</strong>") < at("<dl class=\"tiles\">"));
        assert!(page.contains("class=\"verdict bad\""));
    }

    #[test]
    fn user_text_is_shown_and_not_executed() {
        let page = page(fixtures::closed().settings(|settings| {
            settings.target.name = "<script>alert('a')</script>".into();
            settings.messages = "a & b\u{7}".into();
        }));
        assert!(
            page.contains("<h1>&lt;script&gt;alert(&#39;a&#39;)&lt;/script&gt;</h1>"),
            "{page}"
        );
        assert!(page.contains("a &amp; b\\x07") && !page.contains("<script"));
    }

    #[test]
    fn every_slice_is_a_row() {
        let page = page(fixtures::closed());
        assert_eq!(page.matches("<td>10,000/s</td>").count(), 10);
        assert!(!page.contains("Each row combines"));
    }

    #[test]
    fn the_page_of_a_long_run_stays_small_and_exact() {
        let long = fixtures::closed().change(|outcome| {
            let slice = outcome.slices[0].clone();
            let slices =
                (0..599).map(|start| Slice { start: Duration::from_secs(start), ..slice.clone() });
            outcome.slices = slices.collect();
            outcome.slices[5].latency.record(Duration::from_secs(1), 1);
        });
        let page = page(long);
        assert!(page.contains("Each row combines 5 slices"));
        let rows: Vec<&str> =
            page.lines().filter(|row| row.contains("<td>10,000/s</td>")).collect();
        assert_eq!(rows.len(), 120);
        assert!(
            rows[0].contains("<td>0 s</td><td>500 us</td>")
                && rows[0].ends_with("<td>0</td><td>10</td><td>50,000</td></tr>"),
            "{}",
            rows[0]
        );
        assert!(rows[1].contains("<td>1.00 ms</td><td>1.00 s</td>"), "{}", rows[1]);
        assert!(
            rows[119].starts_with("<tr><td>595 s</td>") && rows[119].contains("<td>40,000</td>"),
            "{}",
            rows[119]
        );
        assert!(page.len() < 250_000, "{} bytes", page.len());
    }
}
