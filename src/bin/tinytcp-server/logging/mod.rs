//! The lines of the log, in two formats.
//!
//! ```text
//!   log::info!(fields; "message") --> LineFormat --> LogWriter --> stderr
//!
//!   text     2026-11-21T03:28:53.611Z INFO  message
//!   json     {"time":"...","level":"INFO","event":"opened","message":"...", fields}
//!   journal  the message or the object after a priority, as in `<6>message`
//! ```

mod json;

use std::env;
use std::fmt::{self, Display};
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use env_logger::{Logger, Target, WriteStyle};
use log::kv::{Key, Value};
use log::{Level, LevelFilter, Record};
use tinytcp_cli::log_writer::LogWriter;
use tinytcp_core::display::escape::shown;
use tinytcp_core::display::plural::plural;
use tinytcp_core::logging::activity::{AGE_KEY, EVENT_KEY};
use tinytcp_core::os::clock::log_time;

use crate::arguments::LogFormat;

/// The format of the lines.
#[derive(Clone, Copy)]
struct LineFormat {
    format: LogFormat,
    /// True if stderr is connected to the journal of systemd.
    is_journal: bool,
}

/// Starts the thread that writes the log to stderr.
///
/// # Errors
/// When no thread can be started.
pub fn writer(format: LogFormat) -> io::Result<LogWriter> {
    let format = LineFormat::new(format);
    LogWriter::new("stderr", io::stderr(), move |count| format.loss(count))
}

/// Returns a logger that hands the line of each record to `writer`.
pub fn logger(format: LogFormat, writer: &LogWriter) -> Logger {
    let format = LineFormat::new(format);
    let is_coloured = !format.is_journal && tinytcp_cli::is_coloured(io::stderr().is_terminal());
    env_logger::Builder::new()
        .filter_level(LevelFilter::Trace)
        .write_style(if is_coloured { WriteStyle::Always } else { WriteStyle::Never })
        .target(Target::Pipe(Box::new(writer.clone())))
        .format(move |line, record| {
            let style = line.default_level_style(record.level());
            let level = fmt::from_fn(|f| write!(f, "{style}{:5}{style:#}", record.level()));
            writeln!(line, "{}", format.line(record, &level))
        })
        .build()
}

impl LineFormat {
    fn new(format: LogFormat) -> Self {
        Self { format, is_journal: is_journal() }
    }

    /// Displays the line of `record`. `level` is its level as a terminal shows it.
    fn line(self, record: &Record<'_>, level: &impl Display) -> impl Display {
        let time = log_time(event_time(record));
        fmt::from_fn(move |f| {
            if self.is_journal {
                write!(f, "<{}>", priority(record.level()))?;
            }
            // The message can hold bytes from outside, such as the path of a socket.
            let message = record.args().to_string();
            match self.format {
                LogFormat::Json => json::write(f, &time, record),
                LogFormat::Text if self.is_journal => shown(message.as_bytes()).fmt(f),
                LogFormat::Text => write!(f, "{time} {level} {}", shown(message.as_bytes())),
            }
        })
    }

    /// Returns the line about lines that were lost before it.
    fn loss(self, count: u64) -> String {
        let lines = plural(count, "line");
        let fields: &[(&str, Value<'_>)] =
            &[(EVENT_KEY, Value::from("lines_dropped")), ("lines", Value::from(count))];
        let level = Level::Warn;
        self.line(
            &Record::builder()
                .level(level)
                .key_values(&fields)
                .args(format_args!(
                    "dropped here, because the stream was full or too slow: {lines}"
                ))
                .build(),
            &format_args!("{level:5}"),
        )
        .to_string()
    }
}

/// Returns the priority of syslog(3) for a level, which sd-daemon(3) reads from `<6>` at the start
/// of a line.
const fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// True if stderr is connected to the journal: `JOURNAL_STREAM` has the device and the inode of the
/// stream, as systemd.exec(5) describes. A stderr that was redirected since has other numbers.
fn is_journal() -> bool {
    let stream = || {
        let file = File::from(io::stderr().as_fd().try_clone_to_owned().ok()?);
        let metadata = file.metadata().ok()?;
        Some(format!("{}:{}", metadata.dev(), metadata.ino()))
    };
    env::var("JOURNAL_STREAM").is_ok_and(|expected| Some(expected) == stream())
}

/// Returns when the event of a log record happened: now, or before now by the age in the record.
fn event_time(record: &Record<'_>) -> SystemTime {
    let age = record.key_values().get(Key::from_str(AGE_KEY));
    let age_ms = age.and_then(|age| age.to_u64()).unwrap_or(0);
    let now = SystemTime::now();
    now.checked_sub(Duration::from_millis(age_ms)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: LogFormat, is_journal: bool) -> String {
        let fields: &[(&str, Value<'_>)] = &[(AGE_KEY, Value::from(0u64))];
        let mut builder = Record::builder();
        let builder = builder.level(Level::Warn).key_values(&fields);
        let format = LineFormat { format, is_journal };
        let message = "a\nb\u{202e} é";
        format.line(&builder.args(format_args!("{message}")).build(), &"WARN ").to_string()
    }

    #[test]
    fn a_line_of_text_has_time_level_and_an_escaped_message() {
        let line = line(LogFormat::Text, false);
        let (time, rest) = line.split_once(' ').expect("a time");
        assert!(time.ends_with('Z'), "{time}");
        assert_eq!(rest, r"WARN  a\nb\u{202e} é");
    }

    #[test]
    fn under_the_journal_a_line_begins_with_its_priority() {
        assert_eq!(line(LogFormat::Text, true), r"<4>a\nb\u{202e} é");
        assert!(line(LogFormat::Json, true).starts_with(r#"<4>{"time":""#));
    }

    #[test]
    fn a_loss_of_lines_is_an_event_too() {
        let line = LineFormat { format: LogFormat::Json, is_journal: false }.loss(1);
        let event: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!((&event["event"], &event["lines"]), (&"lines_dropped".into(), &1.into()));
    }
}
