//! The client: arguments in, one run of the library, an exit code out.

use std::io::{self, Cursor, IsTerminal};
use std::process::ExitCode;
use std::slice;
use std::time::Duration;

use clap::Parser;
use tinytcp_cli::target::{Protocol, Target};
use tinytcp_cli::terminal::Blocking;
use tinytcp_cli::units;

use crate::conformance::{self, AssumedLimits, Part};
use crate::connect::Patience;
use crate::failure::{Failure, Verdict};
use crate::{demo, script, shell};

const NAME: &str = "tinytcp-client";

const EXAMPLES: &str = "\
Examples:
  tinytcp-client                                a shell with text://127.0.0.1:40000
  tinytcp-client binary://localhost             a shell with another protocol's default port
  tinytcp-client -e TIME -e 'ECHO hi'           two commands, two answers
  echo hello | tinytcp-client chat://127.0.0.1  a script on stdin
  tinytcp-client 127.0.0.1 40000 demo           the session that the protocol's description shows
  tinytcp-client 127.0.0.1 8888 test            does this server keep every promise of its protocol?
  tinytcp-client --wait 10s -e HELP             as soon as the server is up";

const EXIT_CODES: &str = "\
Exit codes:
  0  all went well
  1  the server answered ERROR, or a check of the test failed
  2  wrong arguments, or a line of a script that means nothing
  3  no connection
  4  the connection broke, or an answer was late or malformed";

/// `None` is `off`. A name of its own, because an `Option` is to clap an argument that may be left
/// out.
type Timeout = Option<Duration>;

/// Talks to a server of the tinytcp protocols: text, binary, echo and chat.
#[derive(Debug, Parser)]
#[command(name = NAME, version, before_long_help = EXAMPLES, after_long_help = EXIT_CODES)]
#[command(override_usage = "tinytcp-client [OPTIONS] [TARGET | HOST PORT] [shell | demo | test]")]
struct Arguments {
    /// The server: URL, HOST:PORT, HOST, or HOST PORT; then the mode
    ///
    /// The server is a URL whose scheme is the protocol (text://127.0.0.1:40000,
    /// text+unix:///run/tinytcp.sock), HOST, HOST:PORT, or HOST PORT. The default is
    /// text://127.0.0.1:40000. A missing port is the protocol's default: text 40000, binary 65432,
    /// echo 8888, chat 9999. The modes: shell (the default on a terminal) is for typing, demo
    /// shows the session of the protocol's description, test checks the server against
    /// everything that the protocol promises. Without a mode, and with -e or a stdin that is
    /// no terminal, commands are sent and only their answers printed.
    #[arg(value_name = "TARGET", num_args = 0..=3, hide_default_value = true)]
    words: Vec<String>,

    /// Send COMMAND and print its answer, instead of reading stdin; repeatable
    ///
    /// In TINYTCP_EXECUTE the commands are separated by line breaks. Lines of text, echo and chat
    /// are sent as they are; those of binary are `echo <message>`, `rev <message>` and `quit`.
    #[arg(short, long, value_name = "COMMAND", env = "TINYTCP_EXECUTE", value_delimiter = '\n')]
    execute: Vec<String>,

    /// The protocol, where TARGET does not say it: text, binary, echo or chat
    #[arg(short, long, value_name = "NAME", env = "TINYTCP_PROTOCOL")]
    protocol: Option<Protocol>,

    /// How long connecting and each answer may take; `off` waits for ever
    #[arg(long, value_name = "D", env = "TINYTCP_TIMEOUT", default_value = "5s", value_parser = units::timeout)]
    timeout: Timeout,

    /// Retry connecting for so long, until the server is up
    #[arg(long, value_name = "D", env = "TINYTCP_WAIT", value_parser = units::duration)]
    wait: Option<Duration>,

    /// Run only this part of `test`: protocol or server
    ///
    /// `protocol` has the checks that an original server of the protocol passes. `server` has those
    /// of tinytcp-server alone: its limits and errors, HTTP, TLS, telnet, any bytes.
    #[arg(long, value_name = "PART", env = "TINYTCP_ONLY")]
    only: Option<Part>,

    /// The longest line that the server takes; only `test` needs to know
    #[arg(long, value_name = "SIZE", env = "TINYTCP_MAX_LINE", default_value = "64KiB", value_parser = units::message_size)]
    max_line: u32,

    /// The longest payload that the server takes; only `test` needs to know
    #[arg(long, value_name = "SIZE", env = "TINYTCP_MAX_FRAME", default_value = "16MiB", value_parser = units::message_size)]
    max_frame: u32,
}

/// What is to be done with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Shell,
    Demo,
    Test,
    Script,
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let mut arguments: Arguments = tinytcp_cli::parse();
    let mode = take_mode(&mut arguments);
    if arguments.only.is_some() && mode != Mode::Test {
        tinytcp_cli::refuse::<Arguments>(
            "--only (TINYTCP_ONLY) chooses a part of `test`: add that word, or leave the flag out",
        );
    }
    let target = Target::from_words(&arguments.words, arguments.protocol)
        .unwrap_or_else(|error| tinytcp_cli::refuse::<Arguments>(error));
    match run(mode, &target, arguments) {
        Ok(verdict) => verdict.exit_code().into(),
        Err(failure) => {
            if failure != Failure::OutputClosed {
                tinytcp_cli::complain(NAME, &failure);
            }
            failure.exit_code().into()
        }
    }
}

/// The mode is the last word where that is one; `test:40000` or a URL is how to name a host that is
/// called so.
fn take_mode(arguments: &mut Arguments) -> Mode {
    let mode = match arguments.words.last().map(String::as_str) {
        Some("shell") => Mode::Shell,
        Some("demo") => Mode::Demo,
        Some("test") => Mode::Test,
        _ if arguments.execute.is_empty() && io::stdin().is_terminal() => return Mode::Shell,
        _ => return Mode::Script,
    };
    if !arguments.execute.is_empty() {
        tinytcp_cli::refuse::<Arguments>(
            "-e (TINYTCP_EXECUTE) runs commands and needs no mode: leave out one of the two",
        );
    }
    arguments.words.pop();
    mode
}

fn run(mode: Mode, target: &Target, arguments: Arguments) -> Result<Verdict, Failure> {
    let patience = Patience { timeout: arguments.timeout, wait: arguments.wait };
    let limits =
        AssumedLimits { line_bytes_max: arguments.max_line, frame_bytes_max: arguments.max_frame };
    match mode {
        Mode::Shell => shell::run(target, patience),
        Mode::Test => {
            let parts = arguments.only.as_ref().map_or(&Part::ALL[..], slice::from_ref);
            conformance::run(target, patience, limits, parts)
        }
        Mode::Demo => demo::run(target, patience),
        Mode::Script if arguments.execute.is_empty() => {
            script::run(target, patience, Blocking(io::stdin()))
        }
        Mode::Script => {
            script::check(target.protocol, &arguments.execute)?;
            let lines: String =
                arguments.execute.iter().map(|command| format!("{command}\n")).collect();
            script::run(target, patience, Cursor::new(lines))
        }
    }
}
