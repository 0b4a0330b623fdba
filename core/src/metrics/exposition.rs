//! The state for a scraper: the text format of Prometheus, version 0.0.4, and OpenMetrics 1.0.
//!
//! The formats differ in two points: in its comments, OpenMetrics names a counter without `_total`,
//! and its last line is `# EOF`.

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write};

use memchr::memmem;

use super::{METRICS, Metric, Source, VERSION, Value};
use crate::close_reason::CloseReason;
use crate::status::{Histogram, ListenerStatus, Status};

/// A text format for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The text format of Prometheus, version 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// Returns the format for a request with this `Accept` header.
    pub fn accepted(accept: &[u8]) -> Self {
        match memmem::find(accept, b"application/openmetrics-text") {
            Some(_) => Self::OpenMetrics,
            None => Self::Prometheus,
        }
    }

    /// Returns the value of the header `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The beginning of a name.
const PREFIX: &str = "tinytcp";

/// Writes all metrics.
pub fn write(status: &Status, format: Format, output: &mut impl Write) -> io::Result<()> {
    let info = Name("build_info");
    writeln!(
        output,
        "# HELP {info} The version of the server; always 1.\n\
         # TYPE {info} gauge\n{info}{{version=\"{VERSION}\"}} 1"
    )?;
    for metric in METRICS.iter().filter(|metric| metric.is_of(status)) {
        write_comments(metric, format, output)?;
        write_samples(metric, status, output)?;
    }
    match format {
        Format::Prometheus => Ok(()),
        Format::OpenMetrics => writeln!(output, "# EOF"),
    }
}

/// Writes the comments that precede the samples of a metric.
fn write_comments(metric: &Metric, format: Format, output: &mut impl Write) -> io::Result<()> {
    let family = metric.name.strip_suffix("_total");
    let kind = match (metric.source, family) {
        (Source::Histogram(_), _) => "histogram",
        (_, Some(_)) => "counter",
        (_, None) => "gauge",
    };
    let name = match format {
        Format::Prometheus => metric.name,
        Format::OpenMetrics => family.unwrap_or(metric.name),
    };
    let (name, help) = (Name(name), metric.help);
    writeln!(output, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn write_samples(metric: &Metric, status: &Status, output: &mut impl Write) -> io::Result<()> {
    let name = Name(metric.name);
    match metric.source {
        Source::Bus(value) => {
            status.bus.iter().try_for_each(|bus| writeln!(output, "{name} {}", value(bus)))
        }
        Source::Server(value) => writeln!(output, "{name} {}", value(status)),
        Source::Listener(value) => {
            for listener in &status.listeners {
                writeln!(output, "{name}{} {}", Labels(listener), value(&listener.counters))?;
            }
            Ok(())
        }
        Source::Earliest(time) => {
            for listener in &status.listeners {
                if let Some(time) = time(listener) {
                    writeln!(output, "{name}{} {}", Labels(listener), Value::from(time))?;
                }
            }
            Ok(())
        }
        Source::Reason(value) => {
            let total = status.total();
            for reason in CloseReason::ALL {
                let (label, value) = (reason.label(), value(&total, reason));
                writeln!(output, "{name}{{reason=\"{label}\"}} {value}")?;
            }
            Ok(())
        }
        Source::Histogram(value) => write_histogram(name, value(status), output),
    }
}

fn write_histogram(
    name: Name<'_>,
    histogram: &Histogram,
    output: &mut impl Write,
) -> io::Result<()> {
    let mut sum = 0;
    for (bound, count) in histogram.ranges() {
        sum += count;
        write!(output, "{name}_bucket{{le=\"")?;
        match bound {
            Some(bound) => write!(output, "{}", Value::Seconds(bound))?,
            None => write!(output, "+Inf")?,
        }
        writeln!(output, "\"}} {sum}")?;
    }
    let seconds = Value::Seconds(histogram.sum());
    writeln!(output, "{name}_sum {seconds}\n{name}_count {sum}")
}

/// Displays a name with its prefix. The standard names of Prometheus have none.
#[derive(Clone, Copy)]
struct Name<'a>(&'a str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.starts_with("process_") {
            write!(f, "{PREFIX}_")?;
        }
        f.write_str(self.0)
    }
}

/// Displays the labels of a listener.
struct Labels<'a>(&'a ListenerStatus);

impl Display for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ListenerStatus { protocol, url, .. } = self.0;
        write!(f, "{{listener=\"{}\",protocol=\"{protocol}\"}}", Label(url))
    }
}

/// Displays the value of a label with escapes, because a URL can hold any path.
struct Label<'a>(&'a str);

impl Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.contains(['"', '\\', '\n']) {
            return f.write_str(self.0);
        }
        self.0.chars().try_for_each(|c| match c {
            '"' | '\\' => write!(f, "\\{c}"),
            '\n' => f.write_str("\\n"),
            c => f.write_char(c),
        })
    }
}
