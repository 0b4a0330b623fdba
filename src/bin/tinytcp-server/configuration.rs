//! The configuration file: TOML, whose keys are the names of the flags.
//!
//! Each value becomes the default of its flag. So the parser of the flag checks it, and a flag or a
//! variable has precedence, without a list of the flags here.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command, CommandFactory};
use tinytcp_cli::{Checker, UsageError};
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use crate::arguments::Arguments;
use crate::program_error::ProgramError;

/// The longest file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A configuration file whose values are right, each on its own.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    path: PathBuf,
    entries: Vec<Entry>,
}

/// A key of the file.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    /// The values, as they would follow the flag.
    values: Vec<String>,
    line: usize,
}

impl Configuration {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, is not TOML, or has an unknown key or a wrong value.
    pub fn read(path: &Path) -> Result<Self, ProgramError> {
        let shown = path.display();
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
            .map_err(|error| ProgramError::Failure(format!("cannot read {shown}: {error}")))?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(UsageError::from(format!("{shown} is longer than 1MiB")).into());
        }
        Ok(Self::parse(path, &bytes)?)
    }

    /// Parses `bytes`, which the file at `path` holds.
    ///
    /// # Errors
    /// With the file and the line in its text.
    fn parse(path: &Path, bytes: &[u8]) -> Result<Self, UsageError> {
        let place = |line| format!("{}:{line}", path.display());
        let text = str::from_utf8(bytes).map_err(|error| {
            format!("{}: the file is not UTF-8", place(line_at(bytes, error.valid_up_to())))
        })?;
        let table = DeTable::parse(text).map_err(|error| {
            let line = line_at(bytes, error.span().map_or(0, |span| span.start));
            format!("{}: {}", place(line), error.message().replace('\n', "; "))
        })?;
        let mut flags = Flags::new();
        let mut entries = Vec::new();
        for (key, value) in table.get_ref() {
            let line = line_at(bytes, key.span().start);
            let name = key.get_ref().clone().into_owned();
            let values = flags.values(&name, value).map_err(|(offset, error)| {
                let line = offset.map_or(line, |offset| line_at(bytes, offset));
                format!("{}: {error}", place(line))
            })?;
            entries.push(Entry { name, values, line });
        }
        Ok(Self { path: path.to_owned(), entries })
    }

    /// Leaves out the keys that contradict a flag or a variable: `is_given` returns true for its
    /// name.
    pub fn yield_to(&mut self, is_given: impl Fn(&str) -> bool) {
        self.entries.retain(|Entry { name, .. }| {
            !RIVALS.iter().any(|(one, other)| {
                (name == one && is_given(other)) || (name == other && is_given(one))
            })
        });
    }

    /// Makes the values of the file the defaults of the flags.
    pub fn apply(&self, mut command: Command) -> Command {
        for Entry { name, values, .. } in &self.entries {
            let id = command.get_arguments().find(|argument| argument.get_long() == Some(name));
            let Some(id) = id.map(|argument| argument.get_id().clone()) else { continue };
            command = command.mut_arg(id, |argument| argument.default_values(values));
        }
        command
    }

    /// Returns the place of the key `name`, as in `/etc/tinytcp.toml:7`, if the file has that key.
    pub fn place_of(&self, name: &str) -> Option<String> {
        let entry = self.entries.iter().find(|entry| entry.name == name)?;
        Some(format!("{}:{}", self.path.display(), entry.line))
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Settings that exclude each other: a flag that is given has precedence over the other one in the
/// file.
const RIVALS: [(&str, &str); 2] = [("host", "listen"), ("quiet", "verbose")];

/// True for the flags that are settings: those with a variable, except the file itself.
pub fn is_setting(argument: &Arg) -> bool {
    argument.get_env().is_some() && argument.get_long() != Some("config")
}

/// An error, and its offset in the file if that is not the one of the key.
type ValueError = (Option<usize>, UsageError);

/// The flags, whose parsers check the values of the keys.
struct Flags {
    command: Command,
    checker: Checker,
}

impl Flags {
    fn new() -> Self {
        Self { command: Arguments::command(), checker: Checker::new::<Arguments>() }
    }

    /// Returns the flag of the setting `name`.
    fn setting(&self, name: &str) -> Option<&Arg> {
        let is_meant = |argument: &&Arg| argument.get_long() == Some(name) && is_setting(argument);
        self.command.get_arguments().find(is_meant)
    }

    /// Returns the values of the key `name`, as they would follow the flag.
    fn values(
        &mut self,
        name: &str,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Vec<String>, ValueError> {
        let Some(argument) = self.setting(name) else {
            return Err((None, self.unknown(name)));
        };
        let items = match (argument.get_action(), value.get_ref()) {
            (ArgAction::SetTrue, DeValue::Boolean(is_on)) => return Ok(vec![is_on.to_string()]),
            (ArgAction::Count, DeValue::Boolean(is_on)) => {
                return Ok(vec![u8::from(*is_on).to_string()]);
            }
            (ArgAction::Count, DeValue::Integer(count)) if is_u8(count) => {
                return Ok(vec![count.to_string()]);
            }
            (ArgAction::Append, DeValue::Array(items)) => items.iter().collect(),
            (ArgAction::Append | ArgAction::Set, _) => vec![value],
            _ => return Err(wrong_type(argument, value)),
        };
        let text = |item: &&Spanned<_>| text_of(item).ok_or_else(|| wrong_type(argument, item));
        let texts: Vec<String> = items.iter().map(text).collect::<Result<_, _>>()?;
        for (item, text) in items.iter().zip(&texts) {
            let checked = self.checker.check(name, text);
            checked.map_err(|error| (Some(item.span().start), error))?;
        }
        Ok(texts)
    }

    /// The error of a key that is no setting.
    fn unknown(&mut self, name: &str) -> UsageError {
        let similar = self.checker.similar(name);
        match similar.filter(|similar| self.setting(similar).is_some()) {
            Some(similar) => format!("unknown key {name}; a similar one is {similar}").into(),
            None => format!("unknown key {name}").into(),
        }
    }
}

fn is_u8(number: &DeInteger<'_>) -> bool {
    number.to_string().parse::<u8>().is_ok()
}

/// The text of a value as it would follow the flag. A number is taken as it is written, so that the
/// parser of the flag sees `0o660` and not 432.
fn text_of(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The error of a value of a wrong type.
fn wrong_type(argument: &Arg, value: &Spanned<DeValue<'_>>) -> ValueError {
    let name = argument.get_long().unwrap_or_default();
    let example = tinytcp_cli::example_of(argument);
    let example =
        example.map_or(String::new(), |example| format!(", as in {name} = \"{example}\""));
    let expected = match argument.get_action() {
        ArgAction::SetTrue => "true or false".into(),
        ArgAction::Count => "true, false or a number from 0 to 255".into(),
        ArgAction::Append => format!("a string or an array of strings{example}"),
        _ => format!("a string or a number{example}"),
    };
    let found = value.get_ref().type_str();
    let error = format!("{name} takes {expected}, not this {found}");
    (Some(value.span().start), error.into())
}

/// Returns the number of the line with the byte at `offset`.
fn line_at(bytes: &[u8], offset: usize) -> usize {
    1 + bytes.iter().take(offset).filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    const KEYS: [&str; 7] =
        ["max-line", "listen", "verbose", "unix-mode", "idle-timeout", "config", "x.y"];

    const VALUES: [&str; 16] = [
        "\"1KiB\"",
        "5",
        "true",
        "[]",
        "[\"text://127.0.0.1:1\"]",
        "0o17",
        "1.5",
        "-1",
        "inf",
        "{ a = 1 }",
        "[[1]]",
        "1979-05-27",
        "\"\"",
        r#""\n\u0000=--""#,
        "'''a\nUsage:\n'''",
        "\"off\"",
    ];

    /// Parses `bytes`; an error is one line that names the file.
    fn parse(bytes: &[u8]) -> Result<Configuration, UsageError> {
        let result = Configuration::parse(Path::new("f.toml"), bytes);
        if let Err(error) = &result {
            assert!(error.to_string().starts_with("f.toml:"), "{error:?}");
        }
        result
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            cases: 100,
            ..ProptestConfig::default()
        })]

        #[test]
        fn no_bytes_cause_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn what_is_accepted_has_values_that_the_flags_accept(
            lines in proptest::collection::vec((select(&KEYS[..]), select(&VALUES[..])), 0..4)
        ) {
            let lines = lines.iter().map(|(key, value)| format!("{key} = {value}\n"));
            if let Ok(configuration) = parse(lines.collect::<String>().as_bytes()) {
                let command = configuration.apply(Arguments::command());
                prop_assert!(command.try_get_matches_from(["tinytcp-server"]).is_ok());
            }
        }
    }

    #[test]
    fn a_number_is_taken_as_it_is_written() {
        let configuration = parse(b"max-line = 65_536\nidle-timeout = 1.50\n").expect("right");
        let values: Vec<_> = configuration.entries.iter().flat_map(|entry| &entry.values).collect();
        assert_eq!(values, ["1.50", "65536"]);
    }

    #[test]
    fn a_count_is_a_switch_or_a_number() {
        for (text, count) in [("false", "0"), ("true", "1"), ("2", "2")] {
            let configuration = parse(format!("verbose = {text}").as_bytes()).expect("right");
            assert_eq!(configuration.entries[0].values, [count]);
        }
    }
}
