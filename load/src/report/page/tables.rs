//! The tables of the page.

use std::fmt::Write;
use std::iter;

use super::HtmlPage;
use super::escape::escaped;
use crate::judgement::search::Search;
use crate::measurement::format::{
    bytes, count, duration, percent, plural, rate, seconds, typed_seconds,
};
use crate::report::words::{self, QUANTILES};
use crate::report::{Distribution, Report};

/// Maximum number of rows of slices; above it, neighbours are combined.
const ROWS_MAX: usize = 120;

impl HtmlPage {
    pub(super) fn steps(&mut self, search: &Search) {
        self.open_table("", &["requested", "reached", "p50", "p99", "p99.9", ""]);
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

    pub(super) fn tables(&mut self, report: &Report) {
        let names: Vec<&str> = QUANTILES.iter().map(|(name, _)| *name).collect();
        // A narrow screen shows the first columns, so percentiles come first.
        let head: Vec<&str> =
            [""].into_iter().chain(names).chain(["max", "mean", "stdev", "count"]).collect();
        self.open_table("Latency", &head);
        self.latency("connect", &report.latency.connect);
        if let Some(handshake) = &report.latency.tls_handshake {
            self.latency("TLS handshake", handshake);
        }
        self.latency("first byte", &report.latency.first_byte);
        self.latency("reply, from the send", &report.latency.from_send);
        if let Some(from_schedule) = &report.latency.from_schedule {
            self.latency("reply, from the schedule", from_schedule);
        }
        self.latency("generator lag", &report.generator.lag);
        self.close_table();
        self.addresses(report);
        self.0.push_str("<div class=\"pair\">\n");
        self.connections(report);
        self.requests(report);
        self.settings(report);
        self.generator(report);
        self.0.push_str("</div>\n");
    }

    /// Adds the results by address, of connections that are spread.
    fn addresses(&mut self, report: &Report) {
        if report.addresses.is_empty() {
            return;
        }
        self.open_table("Addresses", &["", "p50", "p99", "correct", "errors", "opened", "failed"]);
        for one in &report.addresses {
            let figures = [0.5, 0.99].map(|quantile| {
                one.latency.quantile(quantile).map_or_else(|| "-".into(), duration)
            });
            let counts = [one.correct_count, one.errors_count, one.opened_count, one.failed_count];
            self.row(&escaped(&one.address), figures.into_iter().chain(counts.map(count)));
        }
        self.close_table();
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
        if let Some(tls) = &report.tls {
            self.row("TLS", [escaped(&words::tls(tls))]);
            self.row("TLS handshakes", [escaped(&words::handshakes(tls))]);
        }
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

    fn settings(&mut self, report: &Report) {
        let settings = &report.settings;
        self.open_column("Settings");
        self.row("protocol", [escaped(&settings.protocol)]);
        self.row("requests in flight on a connection", [count(settings.depth_count)]);
        self.row("shortest request", [bytes(settings.request_bytes as f64)]);
        self.row("duration", [typed_seconds(settings.duration_s)]);
        self.row("of it, warm-up", [typed_seconds(settings.warmup_s)]);
        self.row("timeout", [typed_seconds(settings.timeout_s)]);
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

    pub(super) fn slices(&mut self, report: &Report) {
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

    pub(super) fn open_table(&mut self, title: &str, head: &[&str]) {
        if !title.is_empty() {
            put!(self, "<h2>{title}</h2>");
        }
        let cells: String =
            head.iter().map(|name| format!("<th scope=\"col\">{name}</th>")).collect();
        put!(self, "<div class=\"scroll\"><table>\n<thead><tr>{cells}</tr></thead>\n<tbody>");
    }

    pub(super) fn close_table(&mut self) {
        self.0.push_str("</tbody></table></div>\n");
    }

    fn open_column(&mut self, title: &str) {
        put!(self, "<section><h2>{title}</h2><table><tbody>");
    }

    fn close_column(&mut self) {
        self.0.push_str("</tbody></table></section>\n");
    }

    /// Adds a row of cells that are already escaped.
    pub(super) fn row(&mut self, name: &str, cells: impl IntoIterator<Item = String>) {
        let cells: String = cells.into_iter().map(|cell| format!("<td>{cell}</td>")).collect();
        put!(self, "<tr><td>{name}</td>{cells}</tr>");
    }
}
