//! The program `tinytcp-server`: reads the arguments, starts logging, runs the server.

mod arguments;
mod check;
mod configuration;
mod health;
mod listen_address;
mod log_level;
mod logging;
mod policy;
mod program_error;
mod reload;
mod room_arguments;
mod settings;
mod systemd;
mod tls;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use arguments::LogFormat;
use log::Level;
use log_level::LogLevel;
use policy::OpenFiles;
use program_error::ProgramError;
use reload::Reloader;
use settings::Settings;
use systemd::activation::Sockets;
use systemd::manager::Manager;
use systemd::notifications::{self, Notifications};
use tinytcp_cli::log_writer::{self, LogWriter};
use tinytcp_cli::signals::{self, SIGINT, SIGTERM};
use tinytcp_cli::terminal::Blocking;
use tinytcp_core::os::zone;
use tinytcp_core::server::{Builder, Server};
use tinytcp_core::status::Status;
use tls::DailyCheck;

/// The wait for the last log lines at the end of the program.
const LAST_LINES_TIMEOUT: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    Settings::read().and_then(run).unwrap_or_else(|error| error.report())
}

/// Asks a server for its health, checks the settings, or serves.
fn run(settings: Settings) -> Result<ExitCode, ProgramError> {
    if let Some(place) = settings.arguments.health() {
        print(&format!("{}\n", health::check(&place)?));
        return Ok(ExitCode::SUCCESS);
    }
    if settings.arguments.check {
        check(&settings)?;
        return Ok(ExitCode::SUCCESS);
    }
    // Before the first thread, because it changes the environment.
    let sockets = Sockets::take()?;
    let format = settings.arguments.log_format;
    let log = logging::writer(format).map_err(no_thread)?;
    let log_level = LogLevel::new(&settings.arguments)?;
    log_level.install(logging::logger(format, &log));
    let result = serve(settings, sockets, log_level);
    // In a JSON log, the error is an object too.
    let is_logged = format == LogFormat::Json && log::log_enabled!(Level::Error);
    if let (Err(error), true) = (&result, is_logged) {
        log::error!(event = "failed"; "{error}");
    }
    log.flush(LAST_LINES_TIMEOUT);
    match result {
        Err(error) if !is_logged => Err(error),
        Err(_) => Ok(ExitCode::FAILURE),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}

/// Does what a start does before it listens, and prints the settings.
fn check(settings: &Settings) -> Result<(), ProgramError> {
    LogLevel::new(&settings.arguments)?;
    let (listeners, encryption) = policy::listeners(&settings.arguments, Sockets::default())?;
    policy::bus(&settings.arguments)?;
    print(&check::report(settings, &listeners, &encryption)?);
    Ok(())
}

/// Prints to stdout. A closed stdout is no error: the text is unwanted.
fn print(text: &str) {
    let _ = Blocking(io::stdout()).write_all(text.as_bytes());
}

fn serve(settings: Settings, sockets: Sockets, log_level: LogLevel) -> Result<(), ProgramError> {
    let arguments = &settings.arguments;
    let announcements =
        LogWriter::new("stdout", io::stdout(), log_writer::loss).map_err(no_thread)?;
    if let Err(warning) = zone::of_environment() {
        log::warn!(event = "time_zone_unknown"; "{warning}");
    }
    let (listeners, encryption) = policy::listeners(arguments, sockets)?;
    let open_files = OpenFiles::raise(&listeners, arguments.bus.is_some());
    let config = policy::config(arguments, listeners.clone(), &open_files)?;
    // These descriptors stay open while the server runs, so they are opened before the server
    // counts its descriptors.
    let manager = Manager::of_environment().map_err(notifications::warn).unwrap_or_default();
    let notifications = manager.as_ref().and_then(notifications_to);
    let hangups = reload::await_hangups(arguments, &encryption)?;
    let server = Builder::from(config)
        .stop_on_signals([SIGINT, SIGTERM])
        .drain_on_signal(Server::DRAIN_SIGNAL)
        .log_status_on_signal(Server::STATUS_SIGNAL)
        .build();
    let mut server = server.map_err(ProgramError::failure)?;
    let check_of_certificates = DailyCheck::of(&encryption);
    if notifications.is_some() || check_of_certificates.is_some() {
        server = server.observed_by(observer(notifications, check_of_certificates));
    }
    encryption.log();
    let max_connections = arguments.max_connections;
    if let Some(hangups) = hangups {
        let reloader = Reloader {
            running: settings.list(),
            handle: server.handle(),
            settings,
            listeners,
            encryption,
            open_files,
            log_level,
            manager,
        };
        reloader.start(hangups)?;
    }
    signals::unblock(&[SIGINT, SIGTERM, Server::DRAIN_SIGNAL, Server::STATUS_SIGNAL])
        .map_err(|error| unexpected("unblock signals", &error))?;
    policy::log_start(server.addresses());
    open_files.log(max_connections);
    // All lines are one entry: a full queue drops entries, and no line of the start may be lost.
    let lines = server.addresses().iter().map(|bound| format!("listening on {bound}"));
    announcements.line(&lines.collect::<Vec<_>>().join("\n"));
    let result = server.run();
    if let Ok(status) = &result {
        status.log("stopped");
    }
    announcements.flush(LAST_LINES_TIMEOUT);
    result.map(drop).map_err(|error| unexpected("wait for events", &error))
}

/// Returns the observer of the state of the server: it reports to the service manager, and checks
/// the certificates once a day.
fn observer(
    mut notifications: Option<Notifications>,
    mut check_of_certificates: Option<DailyCheck>,
) -> impl FnMut(&Status) -> Option<Duration> {
    move |status| {
        let notified = notifications.as_mut().and_then(|it| it.observe(status));
        let checked = check_of_certificates.as_mut().map(|it| it.observe(status));
        notified.into_iter().chain(checked).min()
    }
}

/// Opens the notifications to the service manager. Without them the server serves nevertheless, and
/// a warning states why.
fn notifications_to(manager: &Manager) -> Option<Notifications> {
    let watchdog = notifications::watchdog().map_err(notifications::warn).unwrap_or_default();
    let channel = manager.open().map_err(|error| {
        notifications::warn(format!(
            "cannot notify the service manager: {error}; raise `ulimit -n`"
        ));
    });
    Some(Notifications::new(channel.ok()?, watchdog))
}

/// The error of a system call that fails only on a broken system.
fn unexpected(task: &str, error: &io::Error) -> ProgramError {
    ProgramError::Failure(format!("cannot {task}: {error}; start the server again"))
}

/// The error of a thread that cannot be started.
fn no_thread(error: io::Error) -> ProgramError {
    let reason = format!("cannot start a thread: {error}; free memory, or raise `ulimit -u`");
    ProgramError::Failure(reason)
}
