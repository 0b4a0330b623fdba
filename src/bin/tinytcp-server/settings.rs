//! The settings of a run: the value of each flag, and where it comes from.

use std::fmt::{self, Display, Write};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, CommandFactory};
use tinytcp_cli::UsageError;

use crate::arguments::Arguments;
use crate::configuration::{Configuration, is_setting};
use crate::program_error::ProgramError;

/// The arguments of a run, from the command line, the environment and the configuration file.
pub struct Settings {
    pub arguments: Arguments,
    matches: ArgMatches,
    configuration: Configuration,
    /// True if the service manager has passed sockets. The start removes the variable.
    has_sockets: bool,
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The name of its flag.
    pub name: String,
    pub value: Value,
    /// Where the value comes from, for a person.
    pub origin: String,
}

/// The value of a setting. It is displayed as TOML, except for [`Value::Unset`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// No value. The text describes what holds then.
    Unset(String),
    /// A switch or a number.
    Bare(String),
    One(String),
    /// A URL whose credentials are not displayed.
    Secret(String),
    List(Vec<String>),
}

impl Settings {
    /// Reads the settings of this process. Ends the process when a flag or a variable is wrong.
    ///
    /// # Errors
    /// When the settings contradict each other, or the file cannot be used.
    pub fn read() -> Result<Self, ProgramError> {
        let (arguments, matches) = tinytcp_cli::parse_with::<Arguments>(|command| command);
        let has_sockets = std::env::var_os("LISTEN_FDS").is_some();
        let configuration = Configuration::default();
        let settings = Self { arguments, matches, configuration, has_sockets };
        // What a flag lacks can be in the file.
        if settings.arguments.config.is_some() {
            return settings.read_again();
        }
        match settings.arguments.contradiction(has_sockets) {
            Some(contradiction) => Err(UsageError::from(contradiction).into()),
            None => Ok(settings),
        }
    }

    /// Reads the file again and returns the settings that follow. Flags and variables have
    /// precedence over it, as at the start.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn read_again(&self) -> Result<Self, ProgramError> {
        let mut configuration = match &self.arguments.config {
            Some(path) => Configuration::read(path)?,
            None => Configuration::default(),
        };
        configuration.yield_to(|name| self.is_given(name));
        let wrong = |error: &dyn Display| {
            UsageError::from(format!("{}: {error}", configuration.path().display()))
        };
        let (arguments, matches): (Arguments, _) =
            tinytcp_cli::try_parse_with(|command| configuration.apply(command))
                .map_err(|error| wrong(&error.kind()))?;
        let has_sockets = self.has_sockets;
        match arguments.contradiction(has_sockets) {
            // The flags alone contradict each other: the file has no part in it.
            Some(contradiction)
                if self.arguments.contradiction(has_sockets).as_ref() == Some(&contradiction) =>
            {
                Err(UsageError::from(contradiction).into())
            }
            Some(contradiction) => Err(wrong(&contradiction).into()),
            None => Ok(Self { arguments, matches, configuration, has_sockets }),
        }
    }

    /// Returns all settings, in the order of the help.
    pub fn list(&self) -> Vec<Setting> {
        let command = Arguments::command();
        command.get_arguments().filter_map(|argument| self.setting(argument)).collect()
    }

    fn setting(&self, argument: &Arg) -> Option<Setting> {
        let name = argument.get_long().filter(|_| is_setting(argument))?;
        let id = argument.get_id().as_str();
        let raw = self.matches.get_raw(id).into_iter().flatten();
        let mut values: Vec<String> = raw.map(|raw| raw.to_string_lossy().into_owned()).collect();
        let value = match argument.get_action() {
            _ if values.is_empty() => Value::Unset(default_in_help(argument)),
            ArgAction::Append => Value::List(values),
            ArgAction::SetTrue | ArgAction::Count => Value::Bare(values.swap_remove(0)),
            _ if argument.is_hide_env_values_set() => Value::Secret(values.swap_remove(0)),
            _ => Value::One(values.swap_remove(0)),
        };
        let origin = match self.matches.value_source(id) {
            Some(ValueSource::CommandLine) => "flag".into(),
            Some(ValueSource::EnvVariable) => {
                let variable = argument.get_env().unwrap_or_default();
                format!("variable {}", variable.to_string_lossy())
            }
            _ => self.configuration.place_of(name).unwrap_or_else(|| "default".into()),
        };
        Some(Setting { name: name.to_owned(), value, origin })
    }

    /// True if the setting `name` comes from a flag or a variable.
    fn is_given(&self, name: &str) -> bool {
        let command = Arguments::command();
        let argument = command.get_arguments().find(|argument| argument.get_long() == Some(name));
        let source =
            argument.and_then(|argument| self.matches.value_source(argument.get_id().as_str()));
        matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
    }
}

/// What holds without a value, as the help of the flag describes it.
fn default_in_help(argument: &Arg) -> String {
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let default = help.split_once("[default: ").and_then(|(_, rest)| rest.split_once(']'));
    default.map_or_else(|| "not set".into(), |(default, _)| default.to_owned())
}

impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset(text) => write!(f, "({text})"),
            Self::Bare(text) => f.write_str(text),
            Self::One(text) => write_quoted(f, text),
            Self::Secret(url) => write_quoted(f, &without_credentials(url)),
            Self::List(texts) => {
                f.write_char('[')?;
                for (index, text) in texts.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { ", " })?;
                    write_quoted(f, text)?;
                }
                f.write_char(']')
            }
        }
    }
}

/// Returns `url` with `***` for what precedes its `@`, except for its scheme.
fn without_credentials(url: &str) -> String {
    let Some((front, place)) = url.rsplit_once('@') else { return url.to_owned() };
    let scheme =
        front.split_once("://").map_or(String::new(), |(scheme, _)| scheme.to_owned() + "://");
    format!("{scheme}***@{place}")
}

/// Writes `text` as a basic string of TOML.
fn write_quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for char in text.chars() {
        match char {
            '"' | '\\' => write!(f, "\\{char}")?,
            _ if char.is_control() => write!(f, "\\u{:04X}", u32::from(char))?,
            _ => f.write_char(char)?,
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_displayed_as_toml() {
        let list = Value::List(vec!["a\"b".into(), "c\\d\u{7f}".into()]);
        assert_eq!(list.to_string(), r#"["a\"b", "c\\d\u007F"]"#);
        assert_eq!(Value::Bare("true".into()).to_string(), "true");
    }

    #[test]
    fn credentials_are_compared_and_not_displayed() {
        let one = Value::Secret("nats://ana:p@ss@b:1".into());
        assert_eq!(one.to_string(), r#""nats://***@b:1""#);
        assert_ne!(one, Value::Secret("nats://ana:word@b:1".into()));
        assert_eq!(Value::Secret("secret@b".into()).to_string(), r#""***@b""#);
        assert_eq!(Value::Secret("nats://b".into()).to_string(), r#""nats://b""#);
    }
}
