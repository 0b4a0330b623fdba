//! `tinytcp-load`: arguments to plan, plan to outcome, outcome to report and exit code.

pub mod arguments;
mod broadcast;
pub mod broadcast_arguments;
pub mod hangups;
pub mod help;
pub mod messages;
pub mod monitor;
pub mod output_arguments;
pub mod preflight;
pub mod rates;
pub mod source_addresses;
pub mod typed;
pub mod values;
pub mod workload;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use terminal_size::{Width, terminal_size};
use tinytcp_core::display::escape::shown;

use crate::engine::interruption::Interruption;
use crate::engine::run;
use crate::error::LoadError;
use crate::judgement::search;
use crate::measurement::settings::{Pace, RunSettings};
use crate::report::compare::Comparison;
use crate::report::progress::ProgressDisplay;
use crate::report::{self, Report, merge};
use crate::traffic::plan::Plan;
use arguments::Arguments;
use hangups::Hangups;
use monitor::Monitor;
use preflight::Machine;
use workload::Workload;

const NAME: &str = "tinytcp-load";

/// Default first rate of a search, in requests per second.
const SEARCH_START: f64 = 1000.0;

/// Width of a report that is not shown on a terminal.
const WIDTH: usize = 80;

/// Returns the command line, from which the manual page is made.
#[must_use]
pub fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Arguments = tinytcp_cli::parse();
    if arguments.output.stdout_count() > 1 {
        tinytcp_cli::refuse::<Arguments>(
            "only one of --json, --csv, --html, --hgrm and --live can go to stdout (-)",
        );
    }
    if arguments.output.logs_to_stdout() {
        tinytcp_cli::refuse::<Arguments>(
            "--log-requests needs a file, which is complete or absent",
        );
    }
    if let Some(useless) = arguments.useless() {
        tinytcp_cli::refuse::<Arguments>(useless);
    }
    let is_comparison = arguments.words.first().is_some_and(|word| word == "compare");
    if let Some(misplaced) = arguments.output.misplaced_gate(is_comparison) {
        tinytcp_cli::refuse::<Arguments>(misplaced);
    }
    let result = match arguments.words.split_first() {
        Some((word, files)) if word == "merge" => merged(files, &arguments),
        Some((word, files)) if word == "compare" => compared(files, &arguments),
        _ if arguments.is_broadcast() => broadcast::measured(&arguments),
        _ => measured(&arguments),
    };
    match result {
        Ok(code) => code.into(),
        Err(message) => {
            tinytcp_cli::complain(NAME, message);
            ExitCode::FAILURE
        }
    }
}

/// Merges reports.
fn merged(files: &[String], arguments: &Arguments) -> Result<u8, LoadError> {
    if files.is_empty() {
        tinytcp_cli::refuse::<Arguments>("merge needs JSON reports, as in merge a.json b.json");
    }
    let reports =
        files.iter().map(|file| report::read(file.as_ref())).collect::<Result<Vec<_>, _>>()?;
    show(&merge::merge(reports, &arguments.output.fail_if)?, arguments)
}

/// Compares two reports.
fn compared(files: &[String], arguments: &Arguments) -> Result<u8, LoadError> {
    let [before, after] = files else {
        tinytcp_cli::refuse::<Arguments>(
            "compare needs two JSON reports, as in compare before.json after.json",
        );
    };
    let (before, after) = (report::read(before.as_ref())?, report::read(after.as_ref())?);
    let comparison = Comparison::new(&before, &after, &arguments.output.fail_if);
    if let Some(path) = &arguments.output.json {
        report::write_file(path, &comparison.json())?;
    }
    if arguments.output.paths().stdout_count() == 0 {
        let is_coloured = tinytcp_cli::is_coloured(io::stdout().is_terminal());
        // A closed stdout is no failure: the file and the exit code still count.
        let _ = io::stdout().write_all(comparison.text(is_coloured).as_bytes());
    }
    Ok(comparison.exit_code())
}

/// Makes a run, or the runs of a search.
fn measured(arguments: &Arguments) -> Result<u8, LoadError> {
    let conversation =
        Workload::of(arguments).unwrap_or_else(|error| tinytcp_cli::refuse::<Arguments>(error));
    let endpoints = conversation.resolve()?;
    let machine = Machine::this();
    let plan = |pace| conversation.plan(arguments, endpoints.clone(), pace);
    let first =
        plan(arguments.pace()).unwrap_or_else(|error| tinytcp_cli::refuse::<Arguments>(error));
    if !ready(&first, &machine, arguments.preflight)? {
        return Ok(0);
    }
    report::check_files(&arguments.output.paths())?;
    let interruption = Interruption::by(&[libc::SIGINT, libc::SIGTERM]).map_err(signals)?;
    let hangups = Hangups::catch().map_err(signals)?;
    let Some(objective) = &arguments.find_max else {
        let monitor = Monitor::new(arguments, &first.settings, &interruption, hangups)?;
        return monitored(first, arguments, &interruption, monitor);
    };
    let start = arguments.rate.map_or(SEARCH_START, |(from, _)| from);
    let found = search::find_max(objective, start, first.settings.duration, |trial| {
        let mut plan = plan(Pace::Open { from: trial.rate, to: trial.rate })?;
        plan.settings.duration = trial.duration;
        let mut monitor = Monitor::new(arguments, &plan.settings, &interruption, hangups.clone())?;
        monitor.show_trial(trial);
        run::run(plan, &interruption, &mut monitor)
    })?;
    show(
        &Report::new(&found.outcome, &arguments.output.fail_if).with_search(found.search),
        arguments,
    )
}

/// Makes a run, and shows it while it goes on.
fn monitored(
    plan: Plan,
    arguments: &Arguments,
    interruption: &Interruption,
    mut monitor: Monitor<'_>,
) -> Result<u8, LoadError> {
    let outcome = run::run(plan, interruption, &mut monitor)?;
    let (report, written) = monitor.report(&outcome);
    let code = show(&report, arguments)?;
    written.map(|()| code)
}

fn signals(error: io::Error) -> LoadError {
    LoadError::System { action: "catch signals", error, remedy: "start it again" }
}

fn progress(settings: &RunSettings, is_quiet: bool) -> ProgressDisplay {
    if is_quiet {
        ProgressDisplay::silent(settings)
    } else {
        ProgressDisplay::new(settings, io::stderr().is_terminal())
    }
}

/// Reports missing resources before any connection is opened. Returns false if nothing is to be
/// opened.
fn ready(plan: &Plan, machine: &Machine, is_all: bool) -> Result<bool, LoadError> {
    let preflight = preflight::check(plan, machine);
    if is_all {
        let facts: String = preflight.facts.iter().map(|fact| format!("{fact}\n")).collect();
        // A closed stdout is no failure.
        let _ = io::stdout().write_all(facts.as_bytes());
    }
    match preflight.missing.split_first() {
        None => Ok(!is_all),
        Some((first, others)) => {
            others.iter().for_each(|missing| tinytcp_cli::complain(NAME, missing));
            Err(LoadError::Preflight(first.clone()))
        }
    }
}

/// Prints the report and writes its files. If a file goes to stdout, the report goes to stderr, or
/// nowhere with --quiet.
fn show(report: &Report, arguments: &Arguments) -> Result<u8, LoadError> {
    let paths = arguments.output.paths();
    let is_on_stdout = arguments.output.stdout_count() == 0;
    let is_terminal =
        if is_on_stdout { io::stdout().is_terminal() } else { io::stderr().is_terminal() };
    let is_coloured = tinytcp_cli::is_coloured(is_terminal);
    let width = if is_terminal {
        terminal_size().map_or(WIDTH, |(Width(width), _)| width.into())
    } else {
        WIDTH
    };
    let mut out: Box<dyn Write> = match (is_on_stdout, arguments.output.quiet) {
        (true, _) => Box::new(io::stdout().lock()),
        (false, false) => Box::new(io::stderr().lock()),
        (false, true) => Box::new(io::sink()),
    };
    // A closed stream is no failure: the files and the exit code still count.
    let _ = report::print(report, &mut out, is_coloured, width);
    drop(out);
    let written = report::write_files(report, &paths)?;
    if !arguments.output.quiet && !written.is_empty() {
        // A closed stderr is no failure.
        let _ = writeln!(io::stderr(), "Wrote {}", shown(written.join(", ").as_bytes()));
    }
    Ok(report.exit_code())
}
