//! SIGHUP: reads the configuration file again while the server runs.
//!
//! A thread of its own waits for the signal, reads the file and sends the settings to the loop. A
//! slow disk never stops the loop.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use tinytcp_cli::signals::{self, Awaited, SIGHUP};
use tinytcp_core::display::escape::shown;
use tinytcp_core::os::hangup;
use tinytcp_core::server::{Handle, Listener};

use crate::arguments::Arguments;
use crate::log_level::LogLevel;
use crate::no_thread;
use crate::policy::{self, OpenFiles};
use crate::program_error::ProgramError;
use crate::settings::{Setting, Settings};
use crate::systemd::manager::Manager;
use crate::systemd::notifications;
use crate::tls::{Encryption, TlsArguments};
use crate::unexpected;

/// The settings that can change while the server runs, besides those of TLS. The others need a
/// restart.
const CHANGEABLE: [&str; 22] = [
    "max-connections",
    "max-connections-per-ip",
    "accept-rate-per-ip",
    "message-rate-per-ip",
    "max-line",
    "max-frame",
    "memory-limit",
    "rooms-max",
    "room-members-max",
    "room-memory",
    "say-max",
    "say-rate",
    "idle-timeout",
    "message-timeout",
    "write-timeout",
    "quiet-period",
    "proxy-timeout",
    "drain-timeout",
    "drain-delay",
    "activity-log",
    "verbose",
    "quiet",
];

/// What a SIGHUP requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// The terminal is gone: stop the server.
    Stop,
    Reload,
    /// There is no file to read.
    Nothing,
}

/// Returns what a SIGHUP requests of a server that has a file to read or not, and that had a
/// terminal at the start and has one now or not.
const fn requested(has_file: bool, had_terminal: bool, has_terminal: bool) -> Request {
    match (has_file, had_terminal) {
        (true, true) if !has_terminal => Request::Stop,
        (true, _) => Request::Reload,
        (false, true) => Request::Stop,
        (false, false) => Request::Nothing,
    }
}

/// Blocks SIGHUP, so that it waits for [`Reloader::start`]. Returns `None`, and blocks nothing, if
/// the parent process ignores SIGHUP, as `nohup` does.
///
/// # Errors
/// When the kernel refuses.
pub fn await_hangups(
    arguments: &Arguments,
    encryption: &Encryption,
) -> Result<Option<Awaited>, ProgramError> {
    if !hangup::is_ignored() {
        let hangups = Awaited::block(SIGHUP).map_err(|error| unexpected("block SIGHUP", &error))?;
        return Ok(Some(hangups));
    }
    if has_file(arguments, encryption) {
        log::warn!(
            event = "reload_ignored";
            "SIGHUP is ignored, as under nohup: it does not reload; use setsid"
        );
    }
    Ok(None)
}

/// True if there is a file that a reload reads: the configuration, or a certificate.
fn has_file(arguments: &Arguments, encryption: &Encryption) -> bool {
    arguments.config.is_some() || encryption.is_of_files(&arguments.tls)
}

/// What the running server uses, and how it is changed.
pub struct Reloader {
    /// The settings in force. Those that need a restart are as at the start.
    pub running: Vec<Setting>,
    pub settings: Settings,
    pub listeners: Vec<Listener>,
    pub encryption: Encryption,
    pub open_files: OpenFiles,
    pub log_level: LogLevel,
    pub handle: Handle,
    pub manager: Option<Manager>,
}

impl Reloader {
    /// Starts the thread that acts on `hangups`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(self, hangups: Awaited) -> Result<(), ProgramError> {
        let had_terminal = hangup::has_terminal();
        let wait = move || self.serve(&hangups, had_terminal);
        signals::start_without_signals("reload", wait).map(drop).map_err(no_thread)
    }

    /// Does what each SIGHUP requests, until the process ends.
    fn serve(mut self, hangups: &Awaited, had_terminal: bool) {
        let has_file = has_file(&self.settings.arguments, &self.encryption);
        while hangups.wait().is_ok() {
            let request = requested(has_file, had_terminal, hangup::has_terminal());
            match self.manager.clone() {
                Some(manager) if request != Request::Stop => {
                    let notified = manager.around_reload(|| self.act_on(request));
                    if let Err(error) = notified {
                        notifications::warn(format_args!(
                            "cannot notify the service manager of a reload: {error}"
                        ));
                    }
                }
                _ => self.act_on(request),
            }
        }
    }

    fn act_on(&mut self, request: Request) {
        match request {
            Request::Stop => self.handle.stop(),
            Request::Reload => self.reload(),
            Request::Nothing => {
                log::info!(
                    event = "reload_ignored";
                    "SIGHUP: nothing to reload, without --config and without a certificate file"
                );
            }
        }
    }

    /// Reads all files and applies what can change, or logs why nothing changes.
    ///
    /// One thread reads and applies: a signal that arrives meanwhile waits, so that older settings
    /// never replace newer ones.
    fn reload(&mut self) {
        let settings = match self.read_again() {
            Ok(settings) => settings,
            Err(error) => return log_failure(&error),
        };
        let arguments = &settings.arguments;
        let encryption = match self.encryption.read_again(&arguments.tls) {
            Ok(encryption) => encryption,
            Err(error) => {
                self.handle.count_tls_reload_failure();
                return log_failure(&error);
            }
        };
        self.handle.reload(policy::settings(arguments, &self.listeners, &self.open_files));
        self.handle.reload_tls(self.encryption.replacements(&encryption));
        self.log_level.set(arguments);
        // The answer comes when the loop has the settings.
        if self.handle.status().is_none() {
            return;
        }
        self.open_files.warn(arguments.max_connections);
        let (mut changed, pending) = changes(&mut self.running, settings.list());
        changed.extend(self.encryption.changes(&encryption));
        if changed.is_empty() {
            changed.push("no setting and no certificate has changed".into());
        }
        log::info!(event = "reloaded"; "reloaded: {}", changed.join(", "));
        if !pending.is_empty() {
            let pending = pending.join(", ");
            log::warn!(event = "restart_needed"; "these settings need a restart: {pending}");
        }
        encryption.warn();
        (self.settings, self.encryption) = (settings, encryption);
    }

    /// Reads the file again. A pipe, as from `--config <(...)`, is refused: its bytes are read only
    /// once, and its opening would keep this thread waiting for a program that writes.
    fn read_again(&self) -> Result<Settings, ProgramError> {
        let path = self.settings.arguments.config.as_deref().unwrap_or(Path::new(""));
        if fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo()) {
            let text = format!("{} is a pipe; start with a file to reload it", path.display());
            return Err(ProgramError::Failure(text));
        }
        self.settings.read_again()
    }
}

/// Logs why a reload changed nothing.
fn log_failure(error: &ProgramError) {
    log::error!(
        event = "reload_failed";
        "not reloaded, all settings stay: {}",
        shown(error.to_string().as_bytes())
    );
}

/// True if the setting `name` can change while the server runs.
fn is_changeable(name: &str) -> bool {
    CHANGEABLE.contains(&name) || TlsArguments::CHANGEABLE.contains(&name)
}

/// Replaces the values in `running` that can change by those of `settings`. Returns the changes,
/// and the differences that need a restart, for a person.
fn changes(running: &mut [Setting], settings: Vec<Setting>) -> (Vec<String>, Vec<String>) {
    let (mut changed, mut pending) = (Vec::new(), Vec::new());
    for (old, new) in running.iter_mut().zip(settings) {
        if old.value == new.value {
            continue;
        }
        let change = format!("{} {} -> {}", old.name, old.value, new.value);
        if is_changeable(&old.name) {
            changed.push(change);
            *old = new;
        } else {
            pending.push(change);
        }
    }
    (changed, pending)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Value;

    fn setting(name: &str, value: &str) -> Setting {
        Setting { name: name.into(), value: Value::One(value.into()), origin: String::new() }
    }

    #[test]
    fn a_change_that_needs_a_restart_is_reported_until_then() {
        let mut running = vec![setting("backlog", "1"), setting("max-line", "1")];
        let new = vec![setting("backlog", "2"), setting("max-line", "2")];
        let pending = vec![r#"backlog "1" -> "2""#.to_owned()];
        let first = changes(&mut running, new.clone());
        assert_eq!(first, (vec![r#"max-line "1" -> "2""#.into()], pending.clone()));
        assert_eq!(changes(&mut running, new), (Vec::new(), pending));
    }

    #[test]
    fn each_changeable_setting_is_a_flag() {
        let command = <crate::arguments::Arguments as clap::CommandFactory>::command();
        let names: Vec<_> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
        let mut changeable = CHANGEABLE.iter().chain(TlsArguments::CHANGEABLE);
        assert!(changeable.all(|name| names.contains(name)), "{names:?}");
    }

    #[test]
    fn a_hang_up_ends_an_interactive_run_and_reloads_a_daemon() {
        for (has_file, had_terminal, has_terminal, expected) in [
            (false, true, true, Request::Stop),
            (false, true, false, Request::Stop),
            (false, false, false, Request::Nothing),
            (true, true, true, Request::Reload),
            (true, true, false, Request::Stop),
            (true, false, false, Request::Reload),
        ] {
            assert_eq!(requested(has_file, had_terminal, has_terminal), expected);
        }
    }
}
