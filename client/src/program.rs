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
use tinytcp_cli::tls::{TlsArguments, TlsClient};
use tinytcp_cli::units::{self, Timeout};

use crate::conformance::{self, AssumedLimits, Suite};
use crate::connect::ConnectOptions;
use crate::error::{ClientError, Completion};
use crate::rooms::{self, Form, ListenOptions, Membership};
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
  tinytcp-client listen lobby --json            the messages of a room, an object per line
  tinytcp-client say lobby Hello, all           a message to all members of a room
  tinytcp-client 127.0.0.1 8888 test            check every promise of echo and of tinytcp-server
  tinytcp-client test --only protocol           check what an original server of text does
  tinytcp-client --wait 10s -e HELP             wait until the server is up, then send HELP
  tinytcp-client text+tls://example.org -e TIME an encrypted connection, with a checked name";

const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  the server answered with an error, a check failed, or --count was not reached in --for
  2  wrong arguments, or a line of a script that is no command
  3  no connection
  4  the connection broke, or an answer was late or malformed";

/// Talks to a server of the tinytcp protocols: text, binary, echo and chat.
#[derive(Debug, Parser)]
#[command(name = NAME, version, before_long_help = EXAMPLES, after_long_help = EXIT_CODES)]
#[command(
    override_usage = "tinytcp-client [OPTIONS] [TARGET | HOST PORT] [shell | demo | status | test]
       tinytcp-client [OPTIONS] [TARGET | HOST PORT] listen ROOM
       tinytcp-client [OPTIONS] [TARGET | HOST PORT] say ROOM [TEXT]"
)]
struct Arguments {
    /// The server: URL, HOST:PORT, HOST, or HOST PORT; then the mode
    ///
    /// The server is a URL whose scheme is the protocol (text://127.0.0.1:40000,
    /// text+tls://example.org, text+unix:///run/tinytcp.sock), HOST, HOST:PORT, or HOST PORT. The
    /// default is text://127.0.0.1:40000. A missing port is the default port of the protocol: text
    /// 40000, binary 65432, echo 8888, chat 9999. The modes: shell (the default on a terminal)
    /// reads commands from a person, demo shows the example session of the protocol, status shows
    /// the state of the server, test checks every promise of the server, listen ROOM prints the
    /// messages of a room, say ROOM TEXT sends one; without TEXT, each line of stdin. Without a
    /// mode, -e or a stdin that is no terminal is a script: the client sends its commands and
    /// prints only the answers.
    #[arg(value_name = "TARGET", num_args = 0.., hide_default_value = true)]
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

    /// Print `status`, or each message of `listen`, as JSON, an object in one line
    #[arg(long, env = "TINYTCP_JSON", value_parser = FalseyValueParser::new())]
    json: bool,

    /// The name that the other members see, for `listen` and `say`
    #[arg(long, value_name = "NAME", env = "TINYTCP_NICK")]
    nick: Option<String>,

    /// End `listen` after N messages
    #[arg(long, value_name = "N", env = "TINYTCP_COUNT", value_parser = units::count)]
    count: Option<usize>,

    /// End `listen` after this time; with exit code 1 if --count was not reached
    #[arg(long = "for", value_name = "D", env = "TINYTCP_FOR", value_parser = units::duration)]
    duration: Option<Duration>,

    /// Open a lost connection of `listen` again; messages in between are lost
    #[arg(long, env = "TINYTCP_RECONNECT", value_parser = FalseyValueParser::new())]
    reconnect: bool,

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

    #[command(flatten)]
    tls: TlsArguments,
}

/// The mode of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Mode {
    Shell,
    Demo,
    Status,
    Test,
    Listen { room: String },
    Say { room: String, text: Option<String> },
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
    if let Some(misplaced) = misplaced(&arguments, &mode) {
        tinytcp_cli::refuse::<Arguments>(misplaced);
    }
    let target = Target::from_words(&arguments.words, arguments.protocol)
        .unwrap_or_else(|error| tinytcp_cli::refuse::<Arguments>(error));
    let tls = arguments
        .tls
        .client(NAME, target.is_encrypted, &target.place)
        .unwrap_or_else(|error| tinytcp_cli::refuse::<Arguments>(error));
    match run(mode, &target, tls.as_ref(), arguments) {
        Ok(completion) => completion.exit_code().into(),
        Err(failure) => {
            if failure != ClientError::OutputClosed {
                tinytcp_cli::complain(NAME, &failure);
            }
            failure.exit_code().into()
        }
    }
}

/// Returns a sentence about a flag that has no effect in `mode`; `None` if each has one.
fn misplaced(arguments: &Arguments, mode: &Mode) -> Option<&'static str> {
    let is_listen = matches!(mode, Mode::Listen { .. });
    if arguments.only.is_some() && *mode != Mode::Test {
        return Some(
            "--only (TINYTCP_ONLY) chooses a suite of `test`: add that word, or leave the flag out",
        );
    }
    if arguments.watch && *mode != Mode::Status {
        return Some(
            "--watch (TINYTCP_WATCH) belongs to the mode `status`: add that word, or leave the \
             flag out",
        );
    }
    if arguments.json && *mode != Mode::Status && !is_listen {
        return Some(
            "--json (TINYTCP_JSON) belongs to the modes `status` and `listen`: add one of these \
             words, or leave the flag out",
        );
    }
    if arguments.nick.is_some() && !is_listen && !matches!(mode, Mode::Say { .. }) {
        return Some(
            "--nick (TINYTCP_NICK) belongs to the modes `listen` and `say`: add one of these \
             words, or leave the flag out",
        );
    }
    let has_end = arguments.count.is_some() || arguments.duration.is_some();
    ((has_end || arguments.reconnect) && !is_listen).then_some(
        "--count, --for and --reconnect (TINYTCP_COUNT, TINYTCP_FOR, TINYTCP_RECONNECT) belong to \
         the mode `listen`: add that word, or leave the flags out",
    )
}

/// Takes the mode: the last word if that is a mode, or `listen` or `say` and the words after it. A
/// host with such a name is written as a URL, or with its port: `test:40000`.
fn take_mode(arguments: &mut Arguments) -> Mode {
    /// The longest target has two words.
    const TARGET_WORDS_MAX: usize = 2;
    let mut words = arguments.words.iter().take(TARGET_WORDS_MAX + 1);
    let mode = match words.position(|word| ["listen", "say"].contains(&word.as_str())) {
        Some(at) => room_mode(arguments.words.split_off(at), arguments.nick.as_ref()),
        None => match arguments.words.last().map(String::as_str) {
            Some("shell") => Mode::Shell,
            Some("demo") => Mode::Demo,
            Some("status") => Mode::Status,
            Some("test") => Mode::Test,
            _ if arguments.execute.is_empty() && io::stdin().is_terminal() => return Mode::Shell,
            _ => return Mode::Script,
        },
    };
    if !arguments.execute.is_empty() {
        tinytcp_cli::refuse::<Arguments>(
            "-e (TINYTCP_EXECUTE) runs commands and needs no mode: leave out one of the two",
        );
    }
    if matches!(mode, Mode::Shell | Mode::Demo | Mode::Status | Mode::Test) {
        arguments.words.pop();
    }
    mode
}

/// Returns the mode of `words`, which begin with `listen` or `say`.
fn room_mode(words: Vec<String>, nick: Option<&String>) -> Mode {
    if words.iter().chain(nick).any(|word| word.contains(['\n', '\r'])) {
        tinytcp_cli::refuse::<Arguments>(
            "a room, a name and a text have no line break: say several lines through stdin",
        );
    }
    let mut words = words.into_iter();
    let is_listen = words.next().is_some_and(|word| word == "listen");
    let room = words.next().filter(|room| !room.trim().is_empty());
    let text: Vec<String> = words.collect();
    if !text.is_empty() && text.iter().all(|word| word.trim().is_empty()) {
        tinytcp_cli::refuse::<Arguments>(
            "the text is empty: say ROOM TEXT, or say ROOM with lines on stdin",
        );
    }
    match (room, is_listen, text.is_empty()) {
        (Some(room), true, true) => Mode::Listen { room },
        (Some(room), false, true) => Mode::Say { room, text: None },
        (Some(room), false, false) => Mode::Say { room, text: Some(text.join(" ")) },
        _ => tinytcp_cli::refuse::<Arguments>(
            "a room has one word: listen ROOM, say ROOM TEXT, or say ROOM with lines on stdin",
        ),
    }
}

fn run(
    mode: Mode,
    target: &Target,
    tls: Option<&TlsClient>,
    arguments: Arguments,
) -> Result<Completion, ClientError> {
    let options = ConnectOptions {
        timeout: arguments.timeout,
        wait: arguments.wait,
        proxy_header: arguments.proxy_header,
        tls,
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
        Mode::Listen { room } => {
            let listening = ListenOptions {
                membership: Membership { room, nick: arguments.nick },
                count: arguments.count.map(|count| count as u64),
                duration: arguments.duration,
                form: if arguments.json { Form::Json } else { Form::Line },
                reconnects: arguments.reconnect,
            };
            rooms::listen(target, options, &listening)
        }
        Mode::Say { room, text } => {
            let membership = Membership { room, nick: arguments.nick };
            rooms::say(target, options, &membership, text.as_deref())
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
