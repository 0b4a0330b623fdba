//! The state as metrics: the text format of Prometheus, version 0.0.4, and OpenMetrics 1.0.
//!
//! The formats differ in two points: in its comments, OpenMetrics names a counter without `_total`,
//! and its last line is `# EOF`. Writing allocates nothing.

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use memchr::memmem;

use crate::close_reason::CloseReason;
use crate::status::{Counters, Histogram, ListenerStatus, Status};

/// A text format for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Prometheus,
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

    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Writes all metrics.
pub fn write(status: &Status, format: Format, output: &mut impl Write) -> io::Result<()> {
    let mut families = Families { format, output };
    families.of_process(status)?;
    families.of_connections(status)?;
    families.of_work(status)?;
    if format == Format::OpenMetrics {
        writeln!(families.output, "# EOF")?;
    }
    Ok(())
}

/// The beginning of every name except the standard names of Prometheus.
const PREFIX: &str = "tinytcp";

/// A writer of metrics in one format.
struct Families<'a, W> {
    format: Format,
    output: &'a mut W,
}

impl<W: Write> Families<'_, W> {
    fn of_process(&mut self, status: &Status) -> io::Result<()> {
        let started = status.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // Two standard names of Prometheus, which are the same for all programs.
        let descriptors = status.open_descriptors();
        writeln!(
            self.output,
            "# HELP process_start_time_seconds Start of the process in seconds since 1970.\n\
             # TYPE process_start_time_seconds gauge\n\
             process_start_time_seconds {}\n\
             # HELP process_open_fds Open descriptors.\n\
             # TYPE process_open_fds gauge\n\
             process_open_fds {descriptors}",
            Seconds(started)
        )?;
        self.family("build_info", "gauge", "The version of the server; always 1.")?;
        writeln!(
            self.output,
            "{PREFIX}_build_info{{version=\"{}\"}} 1",
            env!("CARGO_PKG_VERSION")
        )?;
        self.gauge(
            "ready",
            "1 if the server is ready for new connections, as /readyz reports.",
            u8::from(status.obstacle().is_none()),
        )
    }

    fn of_connections(&mut self, status: &Status) -> io::Result<()> {
        let listeners = &status.listeners;
        self.family("connections_open", "gauge", "Open connections.")?;
        self.samples("connections_open", listeners, Counters::open)?;
        self.gauge("connections_limit", "The limit of open connections.", status.connections_max)?;
        self.counters(
            "connections_accepted_total",
            "Accepted connections, rejected ones included.",
            listeners,
            |counters| counters.accepted,
        )?;
        self.family("connections_closed_total", "counter", "Closed connections by reason.")?;
        let total = status.total();
        for reason in CloseReason::ALL {
            let (label, count) = (reason.label(), total.closed_for(reason));
            writeln!(
                self.output,
                "{PREFIX}_connections_closed_total{{reason=\"{label}\"}} {count}"
            )?;
        }
        self.counters(
            "probes_total",
            "Connections that their peer closed soon, without sending a byte.",
            listeners,
            |counters| counters.probes,
        )?;
        self.counters("messages_total", "Received messages.", listeners, |counters| {
            counters.messages
        })?;
        self.counters("received_bytes_total", "Received bytes.", listeners, |counters| {
            counters.received_bytes
        })?;
        self.counters("sent_bytes_total", "Sent bytes.", listeners, |counters| counters.sent_bytes)
    }

    fn of_work(&mut self, status: &Status) -> io::Result<()> {
        self.counter(
            "accepts_lost_total",
            "Connections that were lost in the accept queue.",
            status.accepts_lost,
        )?;
        self.counter(
            "accept_pauses_total",
            "Pauses in accepting because descriptors or memory had run out.",
            status.accept_pauses,
        )?;
        self.gauge("run_queue_length", "Connections that wait for their turn.", status.ready)?;
        self.gauge("buffered_bytes", "Bytes held by buffers.", status.held_bytes)?;
        self.gauge(
            "buffered_bytes_peak",
            "The most bytes held by buffers since the start.",
            status.held_bytes_most,
        )?;
        self.gauge(
            "buffered_bytes_limit",
            "The limit of bytes held by buffers.",
            status.limits.memory_bytes_max,
        )?;
        self.histogram(
            "round_seconds",
            "Rounds of the loop while connections waited for their turn.",
            &status.rounds,
        )?;
        self.histogram("stall_seconds", "Periods in which the process did not run.", &status.stalls)
    }

    /// Writes the comments that precede the samples of a metric.
    fn family(&mut self, name: &str, kind: &str, help: &str) -> io::Result<()> {
        let name = match self.format {
            Format::Prometheus => name,
            Format::OpenMetrics => name.strip_suffix("_total").unwrap_or(name),
        };
        writeln!(self.output, "# HELP {PREFIX}_{name} {help}\n# TYPE {PREFIX}_{name} {kind}")
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) -> io::Result<()> {
        self.family(name, "gauge", help)?;
        writeln!(self.output, "{PREFIX}_{name} {value}")
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> io::Result<()> {
        self.family(name, "counter", help)?;
        writeln!(self.output, "{PREFIX}_{name} {value}")
    }

    /// Writes a counter with one sample per listener.
    fn counters(
        &mut self,
        name: &str,
        help: &str,
        listeners: &[ListenerStatus],
        value: fn(&Counters) -> u64,
    ) -> io::Result<()> {
        self.family(name, "counter", help)?;
        self.samples(name, listeners, value)
    }

    /// Writes one sample per listener.
    fn samples(
        &mut self,
        name: &str,
        listeners: &[ListenerStatus],
        value: fn(&Counters) -> u64,
    ) -> io::Result<()> {
        for ListenerStatus { protocol, url, counters } in listeners {
            let (url, value) = (Label(url), value(counters));
            writeln!(
                self.output,
                "{PREFIX}_{name}{{listener=\"{url}\",protocol=\"{protocol}\"}} {value}"
            )?;
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) -> io::Result<()> {
        self.family(name, "histogram", help)?;
        let mut sum = 0;
        for (bound, count) in histogram.ranges() {
            sum += count;
            match bound {
                Some(bound) => {
                    writeln!(
                        self.output,
                        "{PREFIX}_{name}_bucket{{le=\"{}\"}} {sum}",
                        Seconds(bound)
                    )?;
                }
                None => writeln!(self.output, "{PREFIX}_{name}_bucket{{le=\"+Inf\"}} {sum}")?,
            }
        }
        writeln!(
            self.output,
            "{PREFIX}_{name}_sum {}\n{PREFIX}_{name}_count {sum}",
            Seconds(histogram.sum())
        )
    }
}

/// Displays the value of a label with escapes, because a URL can hold any path.
struct Label<'a>(&'a str);

impl Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '"' | '\\' => write!(f, "\\{c}"),
            '\n' => f.write_str("\\n"),
            c => f.write_char(c),
        })
    }
}

/// Displays a time in seconds, always with a decimal point, as OpenMetrics requires of bounds.
struct Seconds(Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.as_secs_f64())
    }
}
