//! The origin of a report: the machine and the command line.

use std::env;
use std::fs;
use std::thread;

use serde::{Deserialize, Serialize};

/// The origin of a report: the machine and the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Name of the machine; `unknown` if the system does not report it.
    pub host: String,
    /// Model of its processor; `unknown` if the system does not report it.
    pub processor: String,
    /// Number of cores that the process may use.
    pub cores_count: u64,
    /// The command line, quoted for a shell.
    pub command: String,
}

impl Origin {
    /// Returns the origin of this process.
    #[must_use]
    pub fn this() -> Self {
        let processor = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| model(&text));
        let host = fs::read_to_string("/proc/sys/kernel/hostname")
            .ok()
            .or_else(|| env::var("HOSTNAME").ok());
        let words = env::args_os().map(|word| quoted(&word.to_string_lossy()));
        Self {
            host: host.map_or_else(|| "unknown".into(), |host| host.trim().to_owned()),
            processor: processor.unwrap_or_else(|| "unknown".into()),
            cores_count: thread::available_parallelism().map_or(0, |cores| cores.get() as u64),
            command: words.collect::<Vec<_>>().join(" "),
        }
    }
}

/// Parses the line `model name : ...` of proc_cpuinfo(5).
fn model(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix("model name"))?;
    Some(line.trim_start_matches([' ', '\t', ':']).trim().to_owned())
        .filter(|model| !model.is_empty())
}

/// Quotes a word for a shell.
#[must_use]
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted_into_a_shell() {
        let words =
            ["tinytcp-load", "text://[::1]:40000", "--fail-if", "p99>5ms", "-m", "it's", ""];
        let command = words.map(quoted).join(" ");
        assert_eq!(
            command,
            r"tinytcp-load 'text://[::1]:40000' --fail-if 'p99>5ms' -m 'it'\''s' ''"
        );
    }

    #[test]
    fn the_model_of_a_processor_is_read() {
        let text = "processor\t: 0\nmodel name\t: AMD EPYC 7763\ncache size\t: 512 KB\n";
        assert_eq!(model(text).as_deref(), Some("AMD EPYC 7763"));
        assert_eq!(model("processor\t: 0\n"), None);
    }

    #[test]
    fn this_machine_has_cores_and_a_name() {
        let this = Origin::this();
        assert!(
            this.cores_count > 0 && !this.host.is_empty() && !this.command.is_empty(),
            "{this:?}"
        );
    }
}
