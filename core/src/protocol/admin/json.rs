//! The state as JSON (RFC 8259). Writing allocates nothing.

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write};
use std::time::SystemTime;

use crate::close_reason::CloseReason;
use crate::status::{Counters, Histogram, Status};

/// Writes the whole state as one object in one line. Times are in seconds, `started` since 1970.
pub fn write(status: &Status, output: &mut impl Write) -> io::Result<()> {
    let started = status.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    write!(
        output,
        "{{\"version\":\"{}\",\"state\":\"{}\",\"ready\":{},\"obstacle\":",
        env!("CARGO_PKG_VERSION"),
        status.state,
        status.obstacle().is_none()
    )?;
    match status.obstacle() {
        Some(obstacle) => write!(output, "\"{obstacle}\"")?,
        None => write!(output, "null")?,
    }
    write!(
        output,
        ",\"started\":{},\"uptime\":{:?},\"connections_counted\":{},\
         \"connections_limit\":{},\"open_descriptors\":{},",
        started.as_secs(),
        status.uptime.as_secs_f64(),
        status.connections_counted,
        status.connections_max,
        status.open_descriptors()
    )?;
    let total = status.total();
    write!(output, "\"total\":{{")?;
    write_counters(&total, output)?;
    write!(output, "}},\"closed\":{{")?;
    for (index, reason) in CloseReason::ALL.into_iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        write!(output, "{comma}\"{}\":{}", reason.label(), total.closed_for(reason))?;
    }
    write!(output, "}},\"listeners\":[")?;
    for (index, listener) in status.listeners.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let (url, protocol) = (Escaped(&listener.url), listener.protocol);
        write!(output, "{comma}{{\"url\":\"{url}\",\"protocol\":\"{protocol}\",")?;
        write_counters(&listener.counters, output)?;
        write!(output, "}}")?;
    }
    write!(
        output,
        "],\"accepts_lost\":{},\"accept_pauses\":{},\"run_queue\":{},",
        status.accepts_lost, status.accept_pauses, status.ready
    )?;
    write!(
        output,
        "\"buffered_bytes\":{},\"buffered_bytes_peak\":{},\"buffered_bytes_limit\":{},\"rounds\":",
        status.held_bytes, status.held_bytes_most, status.limits.memory_bytes_max
    )?;
    write_histogram(&status.rounds, output)?;
    write!(output, ",\"longest_round\":{:?},\"stalls\":", status.longest_round.as_secs_f64())?;
    write_histogram(&status.stalls, output)?;
    writeln!(output, "}}")
}

/// Writes the fields of an object, without its braces.
fn write_counters(counters: &Counters, output: &mut impl Write) -> io::Result<()> {
    let Counters { accepted, probes, received_bytes, sent_bytes, messages, .. } = counters;
    write!(
        output,
        "\"open\":{},\"accepted\":{accepted},\"closed\":{},\"probes\":{probes},\
         \"messages\":{messages},\"received_bytes\":{received_bytes},\"sent_bytes\":{sent_bytes}",
        counters.open(),
        counters.closed_in_all()
    )
}

/// Writes the sum and the buckets. A bucket is its upper bound, which is `null` for the last one,
/// and its count.
fn write_histogram(histogram: &Histogram, output: &mut impl Write) -> io::Result<()> {
    write!(output, "{{\"sum\":{:?},\"buckets\":[", histogram.sum().as_secs_f64())?;
    for (index, (bound, count)) in histogram.ranges().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        match bound {
            Some(bound) => write!(output, "{comma}[{:?},{count}]", bound.as_secs_f64())?,
            None => write!(output, "{comma}[null,{count}]")?,
        }
    }
    write!(output, "]}}")
}

/// Displays a text as the content of a JSON string, without its quotes.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '"' | '\\' => write!(f, "\\{c}"),
            '\0'..='\x1f' => write!(f, "\\u{:04x}", u32::from(c)),
            c => f.write_char(c),
        })
    }
}
