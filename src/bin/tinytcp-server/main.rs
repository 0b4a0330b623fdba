//! The program `tinytcp-server`: reads the arguments, starts logging, runs the server.

mod arguments;
mod check;
mod configuration;
mod health;
mod log_level;
mod policy;
mod reload;
mod settings;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use arguments::Arguments;
use configuration::Fault;
use env_logger::{Logger, Target, WriteStyle};
use log::kv::Key;
use log::{LevelFilter, Record};
use log_level::LogLevel;
use policy::OpenFiles;
use reload::Reloader;
use settings::Settings;
use signal_hook::consts::{SIGINT, SIGTERM};
use tinytcp_cli::log_writer::LogWriter;
use tinytcp_cli::signals;
use tinytcp_cli::terminal::Blocking;
use tinytcp_core::logging::activity::AGE_KEY;
use tinytcp_core::os::clock::log_time;
use tinytcp_core::os::zone;
use tinytcp_core::server::{Builder, DRAIN_SIGNAL, STATUS_SIGNAL, STOP_SIGNALS};

/// The wait for the last log lines at the end of the program.
const LAST_LINES_TIMEOUT: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    let result = match Settings::read() {
        Ok(settings) => run(settings),
        Err(Fault::Wrong(message)) => tinytcp_cli::refuse::<Arguments>(message),
        Err(Fault::Unreadable(message)) => Err(message),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            tinytcp_cli::complain("tinytcp-server", message);
            ExitCode::FAILURE
        }
    }
}

/// Asks for health, checks the settings, or serves.
fn run(settings: Settings) -> Result<(), String> {
    if let Some(place) = settings.arguments.health() {
        return health::check(&place).map(|answer| print(&format!("{answer}\n")));
    }
    if settings.arguments.check {
        return check(&settings);
    }
    serve(settings)
}

/// Does what a start does before it listens, and prints the settings.
fn check(settings: &Settings) -> Result<(), String> {
    LogLevel::new(&settings.arguments)?;
    let listeners = policy::listeners(&settings.arguments)?;
    print(&check::report(settings, &listeners)?);
    Ok(())
}

/// Prints to stdout. A closed stdout is no error: the text is unwanted.
fn print(text: &str) {
    let _ = Blocking(io::stdout()).write_all(text.as_bytes());
}

fn serve(settings: Settings) -> Result<(), String> {
    let arguments = &settings.arguments;
    let log = LogWriter::new("stderr", io::stderr()).map_err(no_thread)?;
    let announcements = LogWriter::new("stdout", io::stdout()).map_err(no_thread)?;
    let log_level = LogLevel::new(arguments)?;
    log_level.install(logger(&log));
    if let Err(warning) = zone::of_environment() {
        log::warn!("{warning}");
    }
    let listeners = policy::listeners(arguments)?;
    let open_files = OpenFiles::raise(&listeners);
    let config = policy::config(arguments, listeners.clone(), &open_files);
    let server = Builder::from(config)
        .stop_on_signals([SIGINT, SIGTERM])
        .drain_on_signal(DRAIN_SIGNAL)
        .log_status_on_signal(STATUS_SIGNAL)
        .build();
    let server = server.map_err(|error| error.to_string())?;
    policy::log_start(server.addresses());
    open_files.log(arguments.max_connections);
    let reloader = Reloader {
        running: settings.list(),
        handle: server.handle(),
        settings,
        listeners,
        open_files,
        log_level,
    };
    reloader.start()?;
    signals::unblock(&[&STOP_SIGNALS[..], &[DRAIN_SIGNAL, STATUS_SIGNAL]].concat())
        .map_err(|error| format!("cannot unblock signals: {error}; start the server again"))?;
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

/// The sentence about a thread that cannot be started.
fn no_thread(error: io::Error) -> String {
    format!("cannot start a thread: {error}; free memory, or raise `ulimit -u`")
}

/// A logger that writes each record to `writer`.
fn logger(writer: &LogWriter) -> Logger {
    let coloured = tinytcp_cli::is_coloured(io::stderr().is_terminal());
    env_logger::Builder::new()
        .filter_level(LevelFilter::Trace)
        .write_style(if coloured { WriteStyle::Always } else { WriteStyle::Never })
        .target(Target::Pipe(Box::new(writer.clone())))
        .format(|line, record| {
            let time = log_time(event_time(record));
            let style = line.default_level_style(record.level());
            writeln!(line, "{time} {style}{:5}{style:#} {}", record.level(), record.args())
        })
        .build()
}

/// When the event of a log record happened: now, or before now by the age in the record.
fn event_time(record: &Record<'_>) -> SystemTime {
    let age_ms =
        record.key_values().get(Key::from_str(AGE_KEY)).and_then(|age| age.to_u64()).unwrap_or(0);
    let now = SystemTime::now();
    now.checked_sub(Duration::from_millis(age_ms)).unwrap_or(now)
}
