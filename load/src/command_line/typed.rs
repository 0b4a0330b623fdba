//! The flags of a command line as the user typed them.

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory};

use super::arguments::Arguments;
use super::output_arguments::OutputArguments;
use crate::report::origin::quoted;

/// Returns the flags of the load, with their values as on the command line or in the environment:
/// `-c 1k -R 30/m`. Flags of files and of the report are left out.
#[must_use]
pub fn flags() -> String {
    // The same arguments were parsed before, so this cannot fail.
    let matches = Arguments::command().try_get_matches();
    matches.map_or(String::new(), |matches| shown(&matches))
}

/// Returns true if the flag `id` is on the command line or in the environment.
#[must_use]
pub fn is_given(id: &str) -> bool {
    // The same arguments were parsed before, so this cannot fail.
    let source = Arguments::command().try_get_matches();
    let source = source.ok().and_then(|matches| matches.value_source(id));
    matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
}

fn shown(matches: &ArgMatches) -> String {
    let command = Arguments::command();
    let output = <OutputArguments as clap::Args>::augment_args(clap::Command::new(""));
    let is_load = |argument: &&Arg| {
        let id = argument.get_id();
        let is_output = output.get_arguments().any(|other| other.get_id() == id);
        !is_output && !argument.is_positional()
    };
    let flags = command.get_arguments().filter(is_load);
    flags.flat_map(|argument| words(argument, matches)).collect::<Vec<_>>().join(" ")
}

/// Returns a flag with its values, if it was typed.
fn words(argument: &Arg, matches: &ArgMatches) -> Vec<String> {
    let id = argument.get_id().as_str();
    let is_typed = matches.try_contains_id(id).unwrap_or(false)
        && matches!(
            matches.value_source(id),
            Some(ValueSource::CommandLine | ValueSource::EnvVariable)
        );
    if !is_typed {
        return Vec::new();
    }
    let long = argument.get_long().map(|long| format!("--{long}")).unwrap_or_default();
    let flag = argument.get_short().map_or(long, |short| format!("-{short}"));
    if !argument.get_action().takes_values() {
        return vec![flag];
    }
    let values = matches.get_raw(id).into_iter().flatten();
    values.flat_map(|value| [flag.clone(), quoted(&value.to_string_lossy())]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_shown_as_typed() {
        let line = [
            "tinytcp-load",
            "host",
            "-c",
            "1k",
            "--rate",
            "30/m",
            "-m",
            "a b",
            "-m",
            "c",
            "--reset",
            "--json",
            "run.json",
            "-q",
        ];
        let matches = Arguments::command().try_get_matches_from(line).expect("correct");
        assert_eq!(shown(&matches), "-c 1k -R 30/m --reset -m 'a b' -m c");
    }
}
