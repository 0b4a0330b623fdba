//! What the programs share at a prompt: arguments in, one line out when something is wrong.
//!
//! An error of the command line is one line on stderr and exit code 2, so that a script can show it and a
//! person sees it without scrolling past a usage text. Nothing here panics when stdout or stderr is closed.

use std::env;
use std::fmt::Display;
use std::io::{self, Write};
use std::process;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser};

use crate::base::escape::shown;

const ENVIRONMENT: &str = "Every flag is also an environment variable: --some-flag is TINYTCP_SOME_FLAG.";

/// The exit code of a wrong command line.
pub const USAGE: i32 = 2;

/// The arguments of this process.
///
/// Does not return when they ask for help or the version (printed on stdout, exit code 0), nor when they are
/// wrong (one line on stderr, exit code [`USAGE`]).
#[must_use]
pub fn parse<Arguments: Parser>() -> Arguments {
    // One line about the environment instead of one behind every flag.
    let command = Arguments::command().mut_args(|argument| argument.hide_env(true)).after_help(ENVIRONMENT);
    let error = match command.try_get_matches().and_then(|matches| Arguments::from_arg_matches(&matches)) {
        Ok(arguments) => return arguments,
        Err(error) => error,
    };
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // Whoever closed stdout does not want the text: that is no failure.
        let _ = error.print();
        process::exit(0);
    }
    refuse::<Arguments>(sentence(&error.render().to_string()) + &example(&error).unwrap_or_default())
}

/// Ends the process over arguments that are wrong only when taken together.
///
/// `message` is a sentence without a final full stop, as [`complain`] takes it.
pub fn refuse<Arguments: CommandFactory>(message: impl Display) -> ! {
    complain(Arguments::command().get_name(), format_args!("{message}; see --help"));
    process::exit(USAGE)
}

/// Prints `program: message` as one line on stderr; a closed or full stderr is ignored.
///
/// What could break the line or drive the terminal is escaped: the message may quote what a user or a server sent.
pub fn complain(program: &str, message: impl Display) {
    let line = format!("{program}: {}\n", shown(message.to_string().as_bytes()));
    // One write, so that lines of several programs on one stderr do not mix.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// True exactly when colours are welcome: on a terminal, unless `NO_COLOR` is set and not empty (no-color.org).
#[must_use]
pub fn is_coloured(is_terminal: bool) -> bool {
    is_terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Makes one sentence of clap's paragraphs: message, list and tip stay; usage and pointer to the help go.
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
    for line in message.lines().take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more")) {
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

/// How a flag is written whose value is missing. Where a value is wrong, its parser has shown an example already.
fn example(error: &clap::Error) -> Option<String> {
    const EXAMPLES: [(&str, &str); 5] = [
        ("<SIZE>", "64KiB"),
        ("<D>", "5s"),
        ("<N>", "500"),
        ("<URL>", "text://127.0.0.1:40000"),
        ("<HOST>", "127.0.0.1"),
    ];
    let (Some(ContextValue::String(flag)), Some(ContextValue::String(value))) =
        (error.get(ContextKind::InvalidArg), error.get(ContextKind::InvalidValue))
    else {
        return None;
    };
    let (placeholder, example) = EXAMPLES.iter().find(|(placeholder, _)| flag.contains(placeholder))?;
    value.is_empty().then(|| format!(", as in {}", flag.replace(placeholder, example)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    #[command(name = "program", version)]
    struct Arguments {
        /// A size.
        #[arg(long, value_parser = crate::base::units::size)]
        size: Option<usize>,
        /// One of two words.
        #[arg(long, value_parser = ["text", "binary"])]
        protocol: Option<String>,
    }

    /// What is said of `arguments`, which are wrong.
    fn said_of(arguments: &[&str]) -> String {
        let arguments = ["program"].iter().chain(arguments);
        sentence(&Arguments::try_parse_from(arguments).expect_err("wrong on purpose").render().to_string())
    }

    #[test]
    fn a_value_parser_says_what_a_good_value_looks_like() {
        let said = said_of(&["--size", "64k"]);
        assert!(said.starts_with("invalid value '64k' for '--size <SIZE>': sizes look like"), "{said}");
    }

    #[test]
    fn a_flag_without_its_value_is_shown_with_one() {
        let error = Arguments::try_parse_from(["program", "--size"]).expect_err("wrong on purpose");
        assert_eq!(example(&error).as_deref(), Some(", as in --size 64KiB"));
    }

    #[test]
    fn possible_values_and_tips_stay_on_the_line() {
        let said = said_of(&["--protocol", "texd"]);
        assert!(said.contains("[possible values: text, binary]; tip: a similar value exists: 'text'"), "{said}");
        assert!(!said.contains("For more information"), "{said}");
    }

    #[test]
    fn an_unknown_flag_is_one_line_without_the_usage() {
        let said = said_of(&["--sise", "1"]);
        assert!(said.starts_with("unexpected argument '--sise' found; tip: a similar argument exists"), "{said}");
        assert!(!said.contains("Usage") && !said.contains('\n'), "{said}");
    }
}
