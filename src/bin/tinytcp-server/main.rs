//! The program `tinytcp-server`: reads the arguments, starts logging, runs the server.

mod arguments;
mod health;
mod policy;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use arguments::Arguments;
use env_logger::{Target, WriteStyle};
use log::kv::Key;
use log::{LevelFilter, Record};
use policy::OpenFiles;
use tinytcp_cli::log_writer::LogWriter;
use tinytcp_cli::signals;
use tinytcp_core::logging::activity::AGE_KEY;
use tinytcp_core::os::clock::log_time;
use tinytcp_core::os::zone;
use tinytcp_core::server::{Builder, DRAIN_SIGNAL, STATUS_SIGNAL, STOP_SIGNALS};

/// The wait for the last log lines at the end of the program.
const LAST_LINES_TIMEOUT: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    let arguments: Arguments = tinytcp_cli::parse();
    if let Some(contradiction) = arguments.contradiction() {
        tinytcp_cli::refuse::<Arguments>(contradiction);
    }
    let result = match arguments.health() {
        Some(place) => health::check(&place).map(|answer| println!("{answer}")),
        None => serve(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            tinytcp_cli::complain("tinytcp-server", message);
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: &Arguments) -> Result<(), String> {
    let no_thread =
        |error| format!("cannot start a thread: {error}; free memory, or raise `ulimit -u`");
    let log = LogWriter::new("stderr", io::stderr()).map_err(no_thread)?;
    let announcements = LogWriter::new("stdout", io::stdout()).map_err(no_thread)?;
    start_logging(arguments, &log)?;
    if let Err(warning) = zone::of_environment() {
        log::warn!("{warning}");
    }
    let listeners = policy::listeners(arguments)?;
    let open_files = OpenFiles::raise(&listeners);
    let config = policy::config(arguments, listeners, &open_files);
    let server = Builder::from(config)
        .stop_on_signals(STOP_SIGNALS)
        .drain_on_signal(DRAIN_SIGNAL)
        .log_status_on_signal(STATUS_SIGNAL)
        .build();
    let server = server.map_err(|error| error.to_string())?;
    signals::unblock(&[&STOP_SIGNALS[..], &[DRAIN_SIGNAL, STATUS_SIGNAL]].concat())
        .map_err(|error| format!("cannot unblock signals: {error}; start the server again"))?;
    policy::log_start(server.addresses());
    open_files.log(arguments.max_connections);
    // One entry, however many lines: a full queue drops entries, and each line of the start counts.
    let lines = server.addresses().iter().map(|bound| format!("listening on {bound}"));
    announcements.line(&lines.collect::<Vec<_>>().join("\n"));
    let result = server.run();
    if let Ok(status) = &result {
        log::info!("stopped: {status}");
    }
    log.flush(LAST_LINES_TIMEOUT);
    announcements.flush(LAST_LINES_TIMEOUT);
    result
        .map(drop)
        .map_err(|error| format!("cannot wait for events: {error}; start the server again"))
}

/// Starts logging to `writer`, at the level of `-v`, `-q` and RUST_LOG.
///
/// # Errors
/// A sentence about a RUST_LOG that is malformed.
fn start_logging(arguments: &Arguments, writer: &LogWriter) -> Result<(), String> {
    let directives = std::env::var("RUST_LOG").unwrap_or_default();
    // Checked here: the logger would write to a stderr that may be closed, and panic.
    env_filter::Builder::new().try_parse(&directives).map_err(|error| {
        format!("RUST_LOG is wrong: {error}; it looks like debug, or tinytcp=trace")
    })?;
    let level = match (arguments.quiet, arguments.verbose) {
        (0, 0) => LevelFilter::Info,
        (0, 1) => LevelFilter::Debug,
        (0, _) => LevelFilter::Trace,
        (1, _) => LevelFilter::Warn,
        (_, _) => LevelFilter::Error,
    };
    let coloured = tinytcp_cli::is_coloured(io::stderr().is_terminal());
    env_logger::Builder::new()
        .filter_level(level)
        .parse_filters(&directives)
        .write_style(if coloured { WriteStyle::Always } else { WriteStyle::Never })
        .target(Target::Pipe(Box::new(writer.clone())))
        .format(|line, record| {
            let time = log_time(event_time(record));
            let style = line.default_level_style(record.level());
            writeln!(line, "{time} {style}{:5}{style:#} {}", record.level(), record.args())
        })
        .init();
    Ok(())
}

/// When the event of a log record happened: now, or before now by the age in the record.
fn event_time(record: &Record<'_>) -> SystemTime {
    let age_ms =
        record.key_values().get(Key::from_str(AGE_KEY)).and_then(|age| age.to_u64()).unwrap_or(0);
    let now = SystemTime::now();
    now.checked_sub(Duration::from_millis(age_ms)).unwrap_or(now)
}
