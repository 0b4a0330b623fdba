//! The state as JSON (RFC 8259).

use std::io::{self, Write};
use std::time::SystemTime;

use super::{METRICS, Source, VERSION, Value};
use crate::close_reason::CloseReason;
use crate::display::json_text::JsonText;
use crate::status::{Histogram, ListenerStatus, Status};
use crate::tls::certificate::Certificate;

/// Writes the whole state as one object in one line. Times are in seconds. The values of a listener
/// are in its own object too.
pub fn write(status: &Status, output: &mut impl Write) -> io::Result<()> {
    write!(output, "{{\"version\":\"{VERSION}\",\"state\":\"{}\",\"obstacle\":", status.state)?;
    match status.obstacle() {
        Some(obstacle) => write!(output, "\"{}\"", obstacle.label())?,
        None => write!(output, "null")?,
    }
    let total = status.total();
    for metric in METRICS.iter().filter(|metric| metric.is_of(status)) {
        write!(output, ",\"{}\":", metric.name)?;
        match metric.source {
            Source::Bus(value) => {
                status.bus.iter().try_for_each(|bus| write_value(value(bus), output))?;
            }
            Source::Server(value) => write_value(value(status), output)?,
            Source::Listener(value) => write!(output, "{}", value(&total))?,
            Source::Earliest(time) => {
                write_time(status.listeners.iter().filter_map(time).min(), output)?;
            }
            Source::Reason(value) => {
                for (index, reason) in CloseReason::ALL.into_iter().enumerate() {
                    let comma = if index > 0 { "," } else { "{" };
                    let (label, count) = (reason.label(), value(&total, reason));
                    write!(output, "{comma}\"{label}\":{count}")?;
                }
                write!(output, "}}")?;
            }
            Source::Histogram(value) => write_histogram(value(status), output)?,
        }
    }
    write!(output, ",\"listeners\":[")?;
    for (index, listener) in status.listeners.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        write!(output, "{comma}")?;
        write_listener(listener, output)?;
    }
    writeln!(output, "]}}")
}

fn write_value(value: Value, output: &mut impl Write) -> io::Result<()> {
    match value {
        Value::Flag(flag) => write!(output, "{flag}"),
        value => write!(output, "{value}"),
    }
}

fn write_listener(listener: &ListenerStatus, output: &mut impl Write) -> io::Result<()> {
    let ListenerStatus { url, protocol, counters, certificates } = listener;
    write!(output, "{{\"url\":\"{}\",\"protocol\":\"{protocol}\"", JsonText(url))?;
    for metric in &METRICS {
        match metric.source {
            Source::Listener(value) => {
                write!(output, ",\"{}\":{}", metric.name, value(counters))?;
            }
            Source::Earliest(time) => {
                write!(output, ",\"{}\":", metric.name)?;
                write_time(time(listener), output)?;
            }
            _ => {}
        }
    }
    write!(output, ",\"certificates\":[")?;
    for (index, certificate) in certificates.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        write!(output, "{comma}")?;
        write_certificate(certificate, output)?;
    }
    write!(output, "]}}")
}

fn write_certificate(certificate: &Certificate, output: &mut impl Write) -> io::Result<()> {
    let Certificate { subject, names, fingerprint, valid_until, .. } = certificate;
    write!(output, "{{\"subject\":\"{}\",\"names\":[", JsonText(subject))?;
    for (index, name) in names.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        write!(output, "{comma}\"{}\"", JsonText(name))?;
    }
    write!(output, "],\"sha256\":\"{fingerprint}\",\"expiry_time_seconds\":")?;
    write_time(Some(*valid_until), output)?;
    write!(output, "}}")
}

/// Writes a time in seconds since 1970, or `null`.
fn write_time(time: Option<SystemTime>, output: &mut impl Write) -> io::Result<()> {
    match time {
        Some(time) => write!(output, "{}", Value::from(time)),
        None => write!(output, "null"),
    }
}

/// Writes the count, the sum and the buckets. A bucket is its upper bound, which is `null` for the
/// last one, and its count.
fn write_histogram(histogram: &Histogram, output: &mut impl Write) -> io::Result<()> {
    let (count, sum) = (histogram.count(), histogram.sum().as_secs_f64());
    write!(output, "{{\"count\":{count},\"sum\":{sum:?},\"buckets\":[")?;
    for (index, (bound, count)) in histogram.ranges().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        match bound {
            Some(bound) => write!(output, "{comma}[{:?},{count}]", bound.as_secs_f64())?,
            None => write!(output, "{comma}[null,{count}]")?,
        }
    }
    write!(output, "]}}")
}
