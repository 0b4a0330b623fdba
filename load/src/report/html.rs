//! The report as a single HTML page, without scripts or external resources.

use std::fmt::Write;
use std::iter;

use super::chart::Chart;
use super::escape::escaped;
use super::words::{self, QUANTILES};
use super::{Distribution, Report, plots};
use crate::figures::{bytes, count, duration, percent, plural, rate, seconds, typed_seconds};
use crate::search::Search;
use crate::verdict::{Kind, Verdict};

/// Maximum number of rows of slices; above it, neighbours are combined.
const ROWS_MAX: usize = 120;

const STYLE: &str = include_str!("page.css");

/// Returns the text of the file.
pub(super) fn text(report: &Report) -> String {
    let mut page = Page(String::new());
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

/// Writes to the page. Writing to a string cannot fail.
macro_rules! put {
    ($page:expr, $($argument:tt)*) => {{
        let _ = writeln!($page.0, $($argument)*);
    }};
}

struct Page(String);

impl Page {
    fn head(&mut self, report: &Report) {
        let target = escaped(&report.asked.target);
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
            escaped(&report.asked.messages),
            words::asked(&report.asked),
        );
        for note in report.notes.iter().cloned().chain(words::interrupted(report)) {
            put!(self, "<p><strong>{}</strong></p>", escaped(&note));
        }
    }

    fn verdicts(&mut self, report: &Report) {
        let shown = iter::once(&report.verdict).chain(report.further_verdicts_untold());
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

    /// Adds the first exchange of each kind of error.
    fn exchanges(&mut self, report: &Report) {
        if report.exchanges.is_empty() {
            return;
        }
        put!(self, "<h2>The first exchange of each error</h2>");
        for exchange in &report.exchanges {
            put!(
                self,
                "<dl class=\"exchange\"><dt>error</dt><dd>{}</dd>",
                escaped(&exchange.cause)
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

    fn steps(&mut self, search: &Search) {
        self.open_table("", &["asked", "reached", "p50", "p99", "p99.9", ""]);
        for step in search.curve() {
            let figures = [step.p50_us, step.p99_us, step.p99_9_us];
            let [p50, p99, p99_9] = figures
                .map(|figure| figure.map_or_else(|| "-".into(), |figure| seconds(figure / 1e6)));
            put!(
                self,
                "<tr><td>{}</td><td>{}</td><td>{p50}</td><td>{p99}</td><td>{p99_9}</td>\
                 <td class=\"words\">{}</td></tr>",
                rate(step.asked_per_s),
                rate(step.reached_per_s),
                escaped(step.broken_by.as_deref().unwrap_or("met")),
            );
        }
        self.close_table();
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
        if let Some(omission) = words::omission(report) {
            put!(self, "<p>{omission}</p>");
        }
    }

    fn chart(&mut self, chart: Option<Chart>) {
        match chart {
            Some(chart) => put!(self, "<figure>\n{}</figure>", chart.svg()),
            None => put!(self, "<p class=\"faint\">Nothing was measured.</p>"),
        }
    }

    fn tables(&mut self, report: &Report) {
        let names: Vec<&str> = QUANTILES.iter().map(|(name, _)| *name).collect();
        // A narrow screen shows the first columns, so percentiles come first.
        let head: Vec<&str> =
            [""].into_iter().chain(names).chain(["max", "mean", "stdev", "count"]).collect();
        self.open_table("Latency", &head);
        self.latency("connect", &report.latency.connect);
        self.latency("first byte", &report.latency.first_byte);
        self.latency("reply, from the send", &report.latency.from_send);
        if let Some(from_schedule) = &report.latency.from_schedule {
            self.latency("reply, from the schedule", from_schedule);
        }
        self.latency("generator lag", &report.generator.lag);
        self.close_table();
        self.0.push_str("<div class=\"pair\">\n");
        self.connections(report);
        self.requests(report);
        self.asked(report);
        self.generator(report);
        self.0.push_str("</div>\n");
    }

    fn latency(&mut self, name: &str, latency: &Distribution) {
        let occurred = latency.0.count() > 0;
        let figure = |figure| if occurred { duration(figure) } else { "-".into() };
        let quantiles = QUANTILES.iter().map(|(_, quantile)| figure(latency.0.quantile(*quantile)));
        let others = [latency.0.max(), latency.0.mean(), latency.0.deviation()].map(figure);
        self.row(name, quantiles.chain(others).chain(iter::once(count(latency.0.count()))));
    }

    fn connections(&mut self, report: &Report) {
        let connections = &report.connections;
        self.open_column("Connections");
        self.row("requested", [count(connections.asked_count)]);
        self.row("of those, opened", [count(connections.reached_count)]);
        self.row("open at once, at most", [count(connections.open_most_count)]);
        self.row("open at the end", [count(connections.open_last_count)]);
        self.row("attempts, including reopened", [count(connections.begun_count)]);
        self.row("opened, including reopened", [count(connections.opened_count)]);
        for (cause, number) in words::occurred(&connections.failed) {
            self.row(&format!("failed: {cause}"), [count(number)]);
        }
        for (cause, number) in words::occurred(&connections.ended) {
            self.row(&format!("ended: {cause}"), [count(number)]);
        }
        self.close_column();
    }

    fn requests(&mut self, report: &Report) {
        let throughput = &report.throughput;
        self.open_column("Requests and replies");
        self.row("requests sent", [count(report.requests.sent_count)]);
        self.row("correct replies", [count(report.replies.correct_count)]);
        self.row("errors", [count(report.errors.total_count)]);
        for (cause, number) in words::occurred(&report.errors.by_cause) {
            self.row(&format!("errors: {cause}"), [count(number)]);
        }
        self.row("errors, share of all requests", [percent(report.errors.ratio)]);
        let amount = |all: u64, per_s: f64| [format!("{}, {}/s", bytes(all as f64), bytes(per_s))];
        self.row("sent", amount(report.requests.sent_bytes, throughput.sent_bytes_per_s));
        self.row(
            "received",
            amount(report.replies.received_bytes, throughput.received_bytes_per_s),
        );
        self.close_column();
    }

    fn asked(&mut self, report: &Report) {
        let asked = &report.asked;
        self.open_column("Settings");
        self.row("protocol", [escaped(&asked.protocol)]);
        self.row("requests in flight on a connection", [count(asked.depth_count)]);
        self.row("shortest request", [bytes(asked.request_bytes as f64)]);
        self.row("duration", [typed_seconds(asked.duration_s)]);
        self.row("of it, warm-up", [typed_seconds(asked.warmup_s)]);
        self.row("timeout", [typed_seconds(asked.timeout_s)]);
        self.close_column();
    }

    fn generator(&mut self, report: &Report) {
        let generator = &report.generator;
        self.open_column("Generator");
        self.row("measurement window", [seconds(report.ran_s)]);
        self.row("host", [escaped(&report.origin.host)]);
        self.row("processor", [escaped(&report.origin.processor)]);
        self.row("cores", [count(report.origin.cores_count)]);
        self.row("threads", [count(generator.threads_count)]);
        self.row("CPU time", [seconds(generator.cpu_s)]);
        self.row("busy", [percent(generator.cpu_ratio)]);
        self.row("runnable but not scheduled", [seconds(generator.starved_s)]);
        self.close_column();
    }

    fn slices(&mut self, report: &Report) {
        let head = ["from", "p50", "p99", "max", "correct", "per second", "errors", "open", "sent"];
        let each = report.slices.len().div_ceil(ROWS_MAX).max(1);
        put!(self, "<details><summary>{}</summary>", plural(report.slices.len() as u64, "slice"));
        if each > 1 {
            put!(
                self,
                "<p class=\"faint\">Each row combines {each} slices; --json and --csv list every \
                 slice.</p>"
            );
        }
        self.open_table("", &head);
        let digits = usize::from(report.slices.iter().any(|slice| slice.start_s.fract() > 0.0));
        let mut slices = report.slices.iter();
        while let Some(first) = slices.next() {
            let mut slice = first.clone();
            slices.by_ref().take(each - 1).for_each(|next| slice.append(next));
            let figure = |figure: Option<_>| figure.map_or_else(|| "-".into(), duration);
            let cells = [
                figure(slice.latency.quantile(0.5)),
                figure(slice.latency.quantile(0.99)),
                figure(slice.latency.max()),
                count(slice.correct_count),
                rate(slice.per_s(slice.correct_count)),
                count(slice.errors_count),
                count(slice.open_count),
                count(slice.sent_count),
            ];
            self.row(&format!("{:.digits$} s", slice.start_s), cells);
        }
        self.close_table();
        put!(self, "</details>");
    }

    fn open_table(&mut self, title: &str, head: &[&str]) {
        if !title.is_empty() {
            put!(self, "<h2>{title}</h2>");
        }
        let cells: String =
            head.iter().map(|name| format!("<th scope=\"col\">{name}</th>")).collect();
        put!(self, "<div class=\"scroll\"><table>\n<thead><tr>{cells}</tr></thead>\n<tbody>");
    }

    fn close_table(&mut self) {
        self.0.push_str("</tbody></table></div>\n");
    }

    fn open_column(&mut self, title: &str) {
        put!(self, "<section><h2>{title}</h2><table><tbody>");
    }

    fn close_column(&mut self) {
        self.0.push_str("</tbody></table></section>\n");
    }

    /// Adds a row of cells that are already escaped.
    fn row(&mut self, name: &str, cells: impl IntoIterator<Item = String>) {
        let cells: String = cells.into_iter().map(|cell| format!("<td>{cell}</td>")).collect();
        put!(self, "<tr><td>{name}</td>{cells}</tr>");
    }
}

fn tone(verdict: &Verdict) -> &'static str {
    match verdict.kind {
        Kind::Valid => "good",
        Kind::GeneratorLimited | Kind::ServerOverloaded | Kind::TailQueued | Kind::TooShort => {
            "middling"
        }
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
    use crate::causes::{ConnectError, ReplyError};
    use crate::outcome::Slice;
    use crate::samples::{self, Sample};

    fn page(sample: Sample) -> String {
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
        let eventful = samples::open().errors(ReplyError::Late, 5).failed(ConnectError::Busy, 1);
        for page in
            [page(samples::closed()), page(eventful), page(samples::nothing(ConnectError::Refused))]
        {
            assert_eq!(unbalanced(&page), Vec::<&str>::new());
            assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
        }
        assert_eq!(unbalanced("<p><b></p>"), ["p", "b", "p"]);
    }

    #[test]
    fn the_page_loads_nothing_and_has_no_script() {
        let page = page(samples::open());
        for word in ["<script", "<link", "<img", "@import", "url(", "http:", "https:", "src="] {
            assert!(!page.contains(word), "{word}");
        }
    }

    #[test]
    fn the_verdict_comes_before_every_number() {
        let page = page(samples::closed().errors(ReplyError::Wrong, 3));
        let at = |part: &str| page.find(part).expect(part);
        assert!(at("<strong>Wrong replies</strong>") < at("<dl class=\"tiles\">"));
        assert!(page.contains("class=\"verdict bad\""));
    }

    #[test]
    fn user_text_is_shown_and_not_executed() {
        let page = page(samples::closed().asked(|asked| {
            asked.target = "<script>alert('a')</script>".into();
            asked.messages = "a & b\u{7}".into();
        }));
        assert!(
            page.contains("<h1>&lt;script&gt;alert(&#39;a&#39;)&lt;/script&gt;</h1>"),
            "{page}"
        );
        assert!(page.contains("a &amp; b\\x07") && !page.contains("<script"));
    }

    #[test]
    fn every_slice_is_a_row() {
        let page = page(samples::closed());
        assert_eq!(page.matches("<td>10,000/s</td>").count(), 10);
        assert!(!page.contains("Each row combines"));
    }

    #[test]
    fn the_page_of_a_long_run_stays_small_and_exact() {
        let long = samples::closed().change(|outcome| {
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
