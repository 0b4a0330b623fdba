//! Shared by the three programs: the command line, addresses, and output to a person.
//!
//! An error of the command line is one line on stderr and exit code 2. A script can show it, and a
//! person reads it without a usage text before it. Nothing here panics when stdout or stderr is
//! closed.

pub mod address;
pub mod log_writer;
pub mod proxy_header;
#[cfg(feature = "self-signed")]
pub mod self_signed;
pub mod signals;
pub mod target;
pub mod terminal;
pub mod timed_read;
pub mod tls;
pub mod tls_demand;
pub mod units;
mod usage_error;

use std::env;
use std::ffi::OsStr;
use std::fmt::Display;
use std::process;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches, Command, CommandFactory, Parser};

pub use usage_error::UsageError;

const ENVIRONMENT: &str =
    "Every flag is also an environment variable: --some-flag is TINYTCP_SOME_FLAG.";

/// The exit code of a wrong command line.
pub const USAGE: i32 = 2;

/// Returns the arguments of this process.
///
/// Ends the process when they ask for help or the version (printed on stdout, exit code 0), and
/// when they are wrong (one line on stderr, exit code [`USAGE`]).
#[must_use]
pub fn parse<Arguments: Parser>() -> Arguments {
    parse_with(|command| command).0
}

/// Returns the arguments of this process, and where each comes from, for a command that `change`
/// has changed. It ends the process as [`parse`] does.
#[must_use]
pub fn parse_with<Arguments: Parser>(
    change: impl FnOnce(Command) -> Command,
) -> (Arguments, ArgMatches) {
    let error = match try_parse_with(change) {
        Ok(parsed) => return parsed,
        Err(error) => error,
    };
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // A closed stdout is no error: the text is unwanted.
        let _ = error.print();
        process::exit(0);
    }
    let message = sentence(&error.render().to_string()) + &example(&error).unwrap_or_default();
    refuse::<Arguments>(match culprit::<Arguments>(&error) {
        Some((flag, variable)) => message.replace(&format!("'{flag}'"), &variable),
        None => message,
    })
}

/// Returns the arguments of this process as [`parse_with`] does.
///
/// # Errors
/// When the arguments are wrong or ask for help.
pub fn try_parse_with<Arguments: Parser>(
    change: impl FnOnce(Command) -> Command,
) -> Result<(Arguments, ArgMatches), clap::Error> {
    let matches = change(command::<Arguments>(is_set)).try_get_matches()?;
    Ok((Arguments::from_arg_matches(&matches)?, matches))
}

/// Checks values of flags that come from elsewhere than the command line.
#[derive(Debug)]
pub struct Checker(Command);

impl Checker {
    /// Creates a checker for the flags of `Arguments`.
    #[must_use]
    pub fn new<Arguments: CommandFactory>() -> Self {
        Self(command::<Arguments>(|_| false))
    }

    /// Checks a value of the flag `name`.
    ///
    /// # Errors
    /// When the flag does not take the value. The text names the flag without its hyphens.
    pub fn check(&mut self, name: &str, value: &str) -> Result<(), UsageError> {
        let Err(error) = self.parse(format!("--{name}={value}")) else { return Ok(()) };
        let message = sentence(&error.render().to_string());
        Err(match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(flag)) => message.replace(&format!("'{flag}'"), name).into(),
            _ => message.into(),
        })
    }

    /// Returns the name of a flag that is similar to `name`, without its hyphens, if there is one.
    #[must_use]
    pub fn similar(&mut self, name: &str) -> Option<String> {
        match self.parse(format!("--{name}")).err()?.get(ContextKind::SuggestedArg)? {
            ContextValue::String(flag) => flag.strip_prefix("--").map(str::to_owned),
            _ => None,
        }
    }

    fn parse(&mut self, argument: String) -> Result<ArgMatches, clap::Error> {
        let program = self.0.get_name().to_owned();
        self.0.try_get_matches_from_mut([program, argument])
    }
}

/// Returns the command of `Arguments`, with the rules that all programs share.
///
/// A flag reads its environment variable if `reads` returns true for the variable's name. The help
/// has one line about the environment instead of one at every flag.
fn command<Arguments: CommandFactory>(reads: impl Fn(&OsStr) -> bool) -> Command {
    let command = Arguments::command().after_help(ENVIRONMENT);
    command.mut_args(|argument| {
        let is_read = argument.get_env().is_none_or(&reads);
        let argument = argument.hide_env(true);
        let argument = if is_read { argument } else { argument.env(Resettable::Reset) };
        // The flag after one whose value is optional is no value of it.
        let needs_value = argument.get_num_args().is_none_or(|count| count.min_values() > 0);
        let takes_hyphens = argument.get_action().takes_values()
            && needs_value
            && !argument.is_positional()
            && !is_file(&argument);
        // Clap asserts that only a flag with values allows hyphens in them.
        if takes_hyphens { argument.allow_hyphen_values(true) } else { argument }
    })
}

/// Returns true if the variable is set; an empty one counts as unset.
fn is_set(variable: &OsStr) -> bool {
    env::var_os(variable).is_some_and(|value| !value.is_empty())
}

/// Returns true if the value is the name of a file. A value that begins with a hyphen is nearly
/// always the next flag, after a forgotten name.
fn is_file(argument: &Arg) -> bool {
    argument.get_value_names().is_some_and(|names| names.iter().any(|name| name == "FILE"))
}

/// Returns the flag whose wrong value comes from an environment variable, as clap names it, and the
/// variable.
fn culprit<Arguments: CommandFactory>(error: &clap::Error) -> Option<(String, String)> {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return None };
    let command = Arguments::command();
    let is_meant = |argument: &&Arg| {
        argument.get_long().is_some_and(|long| flag.contains(&format!("--{long} ")))
    };
    let variable = command.get_arguments().find(is_meant)?.get_env()?.to_owned();
    let retried =
        self::command::<Arguments>(|other| other != variable && is_set(other)).try_get_matches();
    let is_cured = match retried {
        Ok(_) => true,
        Err(other) => other.get(ContextKind::InvalidArg) != error.get(ContextKind::InvalidArg),
    };
    (is_set(&variable) && is_cured).then(|| (flag.clone(), variable.to_string_lossy().into_owned()))
}

/// Ends the process because of arguments that contradict each other.
///
/// `message` is a sentence without a final full stop, as [`complain`] takes it.
pub fn refuse<Arguments: CommandFactory>(message: impl Display) -> ! {
    complain(Arguments::command().get_name(), format_args!("{message}; see --help"));
    process::exit(USAGE)
}

/// Prints `program: message` as one line on stderr; a closed or full stderr is ignored.
///
/// Control characters are escaped: the message may quote bytes of a user or a server.
pub fn complain(program: &str, message: impl Display) {
    terminal::note(program, message);
}

/// Returns true if output may have colours: see [`terminal::is_coloured`].
#[must_use]
pub fn is_coloured(is_terminal: bool) -> bool {
    terminal::is_coloured(is_terminal)
}

/// Joins clap's paragraphs into one sentence: message, list and tip are kept, usage and the pointer
/// to the help are left out.
///
/// ```text
/// error: invalid value 'x' for '--protocol <NAME>'
///   [possible values: text, binary]
///
///   tip: a similar value exists: 'text'
///
/// For more information, try '--help'.
/// ```
fn sentence(message: &str) -> String {
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let mut sentence = String::new();
    for line in message
        .lines()
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
    {
        let line = line.trim();
        let separator = if sentence.is_empty() || line.is_empty() {
            ""
        } else if line.starts_with("tip:") {
            "; "
        } else {
            " "
        };
        sentence.push_str(separator);
        sentence.push_str(line);
    }
    sentence
}

/// The placeholder of a value in the help, and an example of that value.
const EXAMPLES: [(&str, &str); 7] = [
    ("<SIZE>", "64KiB"),
    ("<D>", "5s"),
    ("<N>", "500"),
    ("<URL>", "text://127.0.0.1:40000"),
    ("<HOST>", "127.0.0.1"),
    ("<SUITE>", "protocol"),
    ("<VERSION>", "1.3"),
];

/// Returns an example of a value of `argument`, if there is one.
#[must_use]
pub fn example_of(argument: &Arg) -> Option<&'static str> {
    let name = format!("<{}>", argument.get_value_names()?.first()?);
    EXAMPLES.iter().find(|(placeholder, _)| *placeholder == name).map(|(_, example)| *example)
}

/// Returns an example for a flag whose value is missing. For a wrong value, its parser has an
/// example.
fn example(error: &clap::Error) -> Option<String> {
    let (Some(ContextValue::String(flag)), Some(ContextValue::String(value))) =
        (error.get(ContextKind::InvalidArg), error.get(ContextKind::InvalidValue))
    else {
        return None;
    };
    let (placeholder, example) =
        EXAMPLES.iter().find(|(placeholder, _)| flag.contains(placeholder))?;
    value.is_empty().then(|| format!(", as in {}", flag.replace(placeholder, example)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    #[command(name = "program", version)]
    struct Arguments {
        /// A size.
        #[arg(long, value_parser = crate::units::size)]
        size: Option<usize>,
        /// One of two words.
        #[arg(long, value_parser = ["text", "binary"])]
        protocol: Option<String>,
    }

    /// The error of `arguments`, which are wrong.
    fn error_of(arguments: &[&str]) -> String {
        let arguments = ["program"].iter().chain(arguments);
        sentence(
            &Arguments::try_parse_from(arguments)
                .expect_err("wrong on purpose")
                .render()
                .to_string(),
        )
    }

    #[test]
    fn an_error_of_a_value_has_an_example() {
        let error = error_of(&["--size", "64k"]);
        assert!(
            error.starts_with("invalid value '64k' for '--size <SIZE>': sizes look like"),
            "{error}"
        );
    }

    #[test]
    fn an_error_of_a_missing_value_has_an_example() {
        let error = Arguments::try_parse_from(["program", "--size"]).expect_err("wrong on purpose");
        assert_eq!(example(&error).as_deref(), Some(", as in --size 64KiB"));
    }

    #[test]
    fn an_error_keeps_possible_values_and_tips() {
        let error = error_of(&["--protocol", "texd"]);
        assert!(
            error.contains("[possible values: text, binary]; tip: a similar value exists: 'text'"),
            "{error}"
        );
        assert!(!error.contains("For more information"), "{error}");
    }

    #[test]
    fn an_unknown_flag_is_one_line_without_the_usage() {
        let error = error_of(&["--sise", "1"]);
        assert!(
            error.starts_with("unexpected argument '--sise' found; tip: a similar argument exists"),
            "{error}"
        );
        assert!(!error.contains("Usage") && !error.contains('\n'), "{error}");
    }
}
