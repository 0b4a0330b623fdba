//! The mode `broadcast`: arguments to settings, a run, its report and exit code.

use std::io::{self, IsTerminal, Write};
use std::process;
use std::time::Duration;

use tinytcp_cli::target::{ProtocolName, Target};

use super::arguments::Arguments;
use super::broadcast_arguments::{BroadcastArguments, MODE};
use super::preflight::{Machine, missing_descriptors};
use super::{NAME, signals, typed};
use crate::broadcast::payload;
use crate::broadcast::report::BroadcastReport;
use crate::broadcast::run::{self, BroadcastObserver};
use crate::broadcast::settings::BroadcastSettings;
use crate::engine::collector::Observer;
use crate::engine::interruption::Interruption;
use crate::error::{LoadError, UsageError};
use crate::measurement::format::plural;
use crate::measurement::outcome::Slice;
use crate::report;
use crate::report::live::rows::LiveFile;
use crate::report::progress::ProgressDisplay;
use crate::traffic::plan::TlsPlan;

/// Default rate of a run, in messages per second.
const RATE: f64 = 100.0;

/// Default size of a message.
const SIZE: usize = 100;

/// Default duration of a run.
const DURATION: Duration = Duration::from_secs(10);

/// Descriptors for other purposes than members.
const RESERVED_DESCRIPTORS: u64 = 32;

/// Shows a run while it goes on.
struct Display {
    progress: ProgressDisplay,
    live: Option<LiveFile>,
}

impl BroadcastObserver for Display {
    fn opening(&mut self, joined: usize, all: usize) {
        self.progress.opening(joined, all);
    }

    fn step(&mut self, step: &Slice, unsent: u64, elapsed: Duration) {
        self.progress.step(step, unsent, elapsed);
        if let Some(live) = &mut self.live {
            live.step(step, unsent, elapsed);
        }
    }

    fn finish(&mut self) {
        self.progress.finish();
    }
}

/// Makes a run, and shows its report. Returns the exit code.
///
/// # Errors
/// Fails with one line if the run cannot be made, or a file cannot be written.
pub fn measured(arguments: &Arguments) -> Result<u8, LoadError> {
    let settings = match settings(arguments) {
        Err(LoadError::Usage(error)) => tinytcp_cli::refuse::<Arguments>(error),
        settings => settings?,
    };
    check_descriptors(&settings, Machine::this())?;
    let output = &arguments.output;
    report::check_files(&output.paths())?;
    let interruption = Interruption::by(&[libc::SIGINT, libc::SIGTERM]).map_err(signals)?;
    let is_terminal = io::stderr().is_terminal();
    let live = output.live.as_ref().map(|path| LiveFile::new(path, output.live_format()));
    let mut display = Display {
        progress: ProgressDisplay::lasting(settings.duration, is_terminal, output.quiet),
        live: live.transpose()?,
    };
    let outcome = run::run(&settings, &interruption, &mut display)?;
    let report = BroadcastReport::new(&settings, outcome, &output.fail_if);
    show(&report, arguments);
    let written = display.live.map_or(Ok(()), LiveFile::finish);
    if let Some(path) = &output.json {
        report::write_file(path, &report.json())?;
    }
    written.map(|()| report.exit_code())
}

/// Prints the report: to stderr, or nowhere with --quiet, if a file goes to stdout.
fn show(report: &BroadcastReport, arguments: &Arguments) {
    let text = report.to_string();
    // A closed stream is no failure: the files and the exit code still count.
    let _ = match (arguments.output.stdout_count(), arguments.output.quiet) {
        (0, _) => io::stdout().write_all(text.as_bytes()),
        (_, false) => io::stderr().write_all(text.as_bytes()),
        (_, true) => Ok(()),
    };
}

fn settings(arguments: &Arguments) -> Result<BroadcastSettings, LoadError> {
    let mut words = arguments.words.clone();
    words.retain(|word| word != MODE);
    let target = Target::from_words(&words, arguments.protocol).map_err(UsageError::new)?;
    let refuse = |text: &'static str| Err(LoadError::from(UsageError::from(text)));
    if target.protocol == ProtocolName::Echo {
        return refuse("echo has no rooms: ask a listener of text, binary or chat");
    }
    let tls = arguments.tls.client(NAME, target.is_encrypted, &target.place)?;
    let rate = match arguments.rate {
        Some((from, to)) if from != to => {
            return refuse("broadcast has one rate: use -R A instead of -R A:B");
        }
        rate => rate.map_or(RATE, |(rate, _)| rate),
    };
    let BroadcastArguments { rooms, publishers, members_silent, .. } = arguments.broadcast;
    let members = arguments.connections;
    let silent = members_silent.of(members);
    if rooms * (publishers + 1) + silent > members {
        return refuse(
            "each room needs its publishers and a member that reads: use a higher -c, fewer \
             --rooms, fewer --publishers or fewer --members-silent",
        );
    }
    let size = if typed::is_given("size") { arguments.size } else { SIZE };
    if size < payload::SIZE_MIN {
        let text = format!("--size is at least {} for broadcast", payload::SIZE_MIN);
        return Err(UsageError::from(text).into());
    }
    let endpoints = target.place.resolve().unwrap_or_default();
    if endpoints.is_empty() {
        return Err(LoadError::UnknownHost(target.to_string()));
    }
    Ok(BroadcastSettings {
        target: target.to_string(),
        protocol: target.protocol,
        endpoints,
        tls: tls.map(|client| TlsPlan::new(&client, 1, None)),
        typed: typed::flags(),
        members,
        rooms,
        room: arguments.broadcast.room.clone().unwrap_or_else(|| format!("load-{}", process::id())),
        publishers,
        silent,
        rate,
        size,
        duration: arguments.duration.unwrap_or(DURATION),
        timeout: arguments.timeout,
        sources: arguments.source.clone().map_or(Vec::new(), |sources| sources.0),
        proxy_header: arguments.proxy_header,
    })
}

fn check_descriptors(settings: &BroadcastSettings, machine: Machine) -> Result<(), LoadError> {
    let needed = settings.members as u64 + RESERVED_DESCRIPTORS;
    if needed <= machine.descriptors {
        return Ok(());
    }
    let members = plural(settings.members as u64, "member");
    let fits = machine.descriptors.saturating_sub(RESERVED_DESCRIPTORS);
    // Fewer members than the rooms need would be refused in their turn.
    let members_min = settings.rooms * (settings.publishers + 1) + settings.silent;
    let fits = if fits < members_min as u64 { 0 } else { fits };
    let sentence = missing_descriptors(needed, &members, machine.descriptors, fits);
    Err(LoadError::Preflight(sentence))
}
