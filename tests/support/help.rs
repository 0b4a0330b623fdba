//! The help of a program, and the flags that it lists.

use super::server::without_settings;
use std::process::Command;

/// A flag, as the help shows it.
pub struct Flag {
    /// Its long form, with the dashes.
    pub name: String,
    /// The name of its value, such as `SIZE`; `None` if it takes none.
    pub value: Option<String>,
}

impl Flag {
    /// Returns the environment variable that stands for the flag.
    pub fn variable(&self) -> String {
        let name = self.name.trim_start_matches('-').replace('-', "_");
        format!("TINYTCP_{}", name.to_uppercase())
    }
}

/// Returns what `program` prints with `flag`, which is `-h` or `--help`.
#[track_caller]
pub fn help(program: &str, flag: &str) -> String {
    let output = without_settings(Command::new(program)).arg(flag).output();
    let output = output.expect("the program starts");
    assert!(output.status.success() && output.stderr.is_empty(), "{program} {flag}: {output:?}");
    String::from_utf8(output.stdout).expect("help is UTF-8")
}

/// Returns the flags that `help` lists, in its order.
pub fn flags(help: &str) -> Vec<Flag> {
    help.lines().filter_map(flag).collect()
}

/// Returns the flag of a line such as `  -c, --connections <N>  Number of connections`.
fn flag(line: &str) -> Option<Flag> {
    let is_option = line.starts_with("  -") || line.starts_with("      --");
    let option = line.trim_start().split("  ").next().filter(|_| is_option)?;
    let (_, long) = option.split_once("--")?;
    let name = long.split([' ', '.']).next()?;
    let value = long.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    Some(Flag { name: format!("--{name}"), value: value.map(|(value, _)| value.to_owned()) })
}
