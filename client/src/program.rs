//! The program: reads the arguments, runs the client, returns the exit code.

use std::io::{self, Cursor, IsTerminal};
use std::process::ExitCode;
use std::slice;
use std::time::Duration;

use clap::Parser;
use clap::builder::FalseyValueParser;
use tinytcp_cli::proxy_header::ProxyHeader;
use tinytcp_cli::target::{ProtocolName, Target};
use tinytcp_cli::terminal::Blocking;
use tinytcp_cli::units::{self, Timeout};

use crate::conformance::{self, AssumedLimits, Suite};
use crate::connect::ConnectOptions;
use crate::error::{ClientError, Completion};
use crate::status::{self, Report};
use crate::{demo, script, shell};

const NAME: &str = "tinytcp-client";

const EXAMPLES: &str = "\
Examples:
  tinytcp-client                                a shell with text://127.0.0.1:40000
  tinytcp-client binary://localhost             a shell with the default port of binary
  tinytcp-client -e TIME -e 'ECHO hi'           two commands, two answers
  echo hello | tinytcp-client chat://127.0.0.1  a script on stdin
  tinytcp-client 127.0.0.1 40000 demo           the example session of the protocol
  tinytcp-client status --watch                 the state of the server, each second
  tinytcp-client 127.0.0.1 8888 test            check every promise of echo and of tinytcp-server
  tinytcp-client test --only protocol           check what an original server of text does
  tinytcp-client --wait 10s -e HELP             wait until the server is up, then send HELP";

const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  the server answered with an error, or a check failed
  2  wrong arguments, or a line of a script that is no command
  3  no connection
  4  the connection broke, or an answer was late or malformed";

/// Talks to a server of the tinytcp protocols: text, binary, echo and chat.
#[derive(Debug, Parser)]
#[command(name = NAME, version, before_long_help = EXAMPLES, after_long_help = EXIT_CODES)]
#[command(
    override_usage = "tinytcp-client [OPTIONS] [TARGET | HOST PORT] [shell | demo | status | test]"
)]
struct Arguments {
    /// The server: URL, HOST:PORT, HOST, or HOST PORT; then the mode
    ///
    /// The server is a URL whose scheme is the protocol (text://127.0.0.1:40000,
    /// text+unix:///run/tinytcp.sock), HOST, HOST:PORT, or HOST PORT. The default is
    /// text://127.0.0.1:40000. A missing port is the default port of the protocol: text 40000,
    /// binary 65432, echo 8888, chat 9999. The modes: shell (the default on a terminal) reads
    /// commands from a person, demo shows the example session of the protocol, status shows the
    /// state of the server, test checks every promise of the server. Without a mode, -e or a stdin
    /// that is no terminal is a script: the client sends its commands and prints only the answers.
    #[arg(value_name = "TARGET", num_args = 0..=3, hide_default_value = true)]
    words: Vec<String>,

    /// Send COMMAND and print its answer, instead of reading stdin; repeatable
    ///
    /// Line breaks separate the commands in TINYTCP_EXECUTE. A line of text, echo or chat is sent
    /// unchanged; the commands of binary are `echo <message>`, `rev <message>` and `quit`.
    #[arg(short, long, value_name = "COMMAND", env = "TINYTCP_EXECUTE", value_delimiter = '\n')]
    execute: Vec<String>,

    /// The protocol if TARGET does not name it: text, binary, echo or chat
    #[arg(short, long, value_name = "NAME", env = "TINYTCP_PROTOCOL")]
    protocol: Option<ProtocolName>,

    /// Maximum time for connecting and for each answer; `off` waits for ever
    #[arg(long, value_name = "D", env = "TINYTCP_TIMEOUT", default_value = "5s",
        value_parser = units::timeout)]
    timeout: Timeout,

    /// Repeat attempts to connect for this time, until the server is up
    #[arg(long, value_name = "D", env = "TINYTCP_WAIT", value_parser = units::duration)]
    wait: Option<Duration>,

    /// Repeat `status` each second, with the change per second
    #[arg(long, env = "TINYTCP_WATCH", value_parser = FalseyValueParser::new())]
    watch: bool,

    /// Print `status` as JSON, an object in one line
    #[arg(long, env = "TINYTCP_JSON", value_parser = FalseyValueParser::new())]
    json: bool,

    /// Begin each connection with a PROXY header, as a proxy would: v1, v2, v2:192.0.2.7:51234 for
    /// another client than this end, or local for a health check of the proxy
    #[arg(long, value_name = "HEADER", env = "TINYTCP_PROXY_HEADER")]
    proxy_header: Option<ProxyHeader>,

    /// Run only this suite of `test`: protocol or server
    ///
    /// `protocol` has the checks that the original servers pass. `server` has those of further
    /// promises of tinytcp-server: limits, errors, HTTP, TLS, telnet, lines, any bytes.
    #[arg(long, value_name = "SUITE", env = "TINYTCP_ONLY")]
    only: Option<Suite>,

    /// The longest line that the server accepts, for `test`
    #[arg(long, value_name = "SIZE", env = "TINYTCP_MAX_LINE", default_value = "64KiB",
        value_parser = units::message_size)]
    max_line: u32,

    /// The longest payload that the server accepts, for `test`
    #[arg(long, value_name = "SIZE", env = "TINYTCP_MAX_FRAME", default_value = "16MiB",
        value_parser = units::message_size)]
    max_frame: u32,
}

/// The mode of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Shell,
    Demo,
    Status,
    Test,
    Script,
}

/// Returns the command line, from which the manual page is made.
#[must_use]
pub fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let mut arguments: Arguments = tinytcp_cli::parse();
    let mode = take_mode(&mut arguments);
    if arguments.only.is_some() && mode != Mode::Test {
        tinytcp_cli::refuse::<Arguments>(
            "--only (TINYTCP_ONLY) chooses a suite of `test`: add that word, or leave the flag out",
        );
    }
    if (arguments.watch || arguments.json) && mode != Mode::Status {
        tinytcp_cli::refuse::<Arguments>(
            "--watch (TINYTCP_WATCH) and --json (TINYTCP_JSON) belong to the mode `status`: add \
             that word, or leave the flags out",
        );
    }
    let target = Target::from_words(&arguments.words, arguments.protocol)
        .unwrap_or_else(|error| tinytcp_cli::refuse::<Arguments>(error));
    if target.is_encrypted {
        tinytcp_cli::refuse::<Arguments>("this client has no TLS: leave out +tls");
    }
    match run(mode, &target, arguments) {
        Ok(completion) => completion.exit_code().into(),
        Err(failure) => {
            if failure != ClientError::OutputClosed {
                tinytcp_cli::complain(NAME, &failure);
            }
            failure.exit_code().into()
        }
    }
}

/// Takes the mode, which is the last word if that is a mode. A host with such a name is written as
/// a URL, or with its port: `test:40000`.
fn take_mode(arguments: &mut Arguments) -> Mode {
    let mode = match arguments.words.last().map(String::as_str) {
        Some("shell") => Mode::Shell,
        Some("demo") => Mode::Demo,
        Some("status") => Mode::Status,
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

fn run(mode: Mode, target: &Target, arguments: Arguments) -> Result<Completion, ClientError> {
    let options = ConnectOptions {
        timeout: arguments.timeout,
        wait: arguments.wait,
        proxy_header: arguments.proxy_header,
    };
    let limits =
        AssumedLimits { line_bytes_max: arguments.max_line, frame_bytes_max: arguments.max_frame };
    match mode {
        Mode::Shell => shell::run(target, options),
        Mode::Test => {
            let parts = arguments.only.as_ref().map_or(&Suite::ALL[..], slice::from_ref);
            conformance::run(target, options, limits, parts)
        }
        Mode::Demo => demo::run(target, options),
        Mode::Status => {
            let report = if arguments.json { Report::Json } else { Report::Table };
            status::run(target, options, report, arguments.watch)
        }
        Mode::Script if arguments.execute.is_empty() => {
            script::run(target, options, Blocking(io::stdin()))
        }
        Mode::Script => {
            script::check(target.protocol, &arguments.execute)?;
            let lines: String =
                arguments.execute.iter().map(|command| format!("{command}\n")).collect();
            script::run(target, options, Cursor::new(lines))
        }
    }
}
