//! The command line of `tinytcp-load`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{Arg, CommandFactory, Parser};
use tinytcp_cli::target::Protocol;
use tinytcp_cli::units;

use super::gates::Gate;
use super::objective::Objective;
use super::outcome::{Lifetime, Pace};
use super::report::Paths;
use super::source;

const EXAMPLES: &str = "\
Examples:
  tinytcp-load                                      50 connections, a request at a time, 10 s
  tinytcp-load -c 1000 -P 16 text://10.0.0.5        16 requests in flight on each connection
  tinytcp-load -R 5k                                5000 requests a second, come what may
  tinytcp-load -R 100:20k -d 1m --html run.html     a ramp, and a page with its charts
  tinytcp-load --find-max p99=1ms                   the highest rate that holds this
  tinytcp-load -c 10k --hold -d 10m                 do 10,000 connections stay alive?
  tinytcp-load --lifetime 1                         connect, one request, close, again and again
  tinytcp-load --mix 'TIME:1,ECHO hello:3' --fail-if 'p99>5ms' --fail-if 'errors>0'
  tinytcp-load tcp://127.0.0.1:6379 --raw -m 'PING\\r\\n' --expect '+PONG\\r\\n'
  tinytcp-load merge a.json b.json                  one report of several machines";

const EXIT_CODES: &str = "\
Exit codes:
  0        the verdict is valid, generator-limited, server-overloaded or tail queued
  1        nothing was completed, or fewer connections opened than asked for
  2        wrong arguments
  3        a --fail-if gate was crossed
  4        the server left, gave wrong replies or none, or did not keep connections that were held
  130, 143 interrupted; the report of what was done is still printed

A valid run may have lost up to 0.1 % of its requests or connections, and says so; --fail-if 'errors>0' allows none.";

/// Loads a TCP server and checks every reply: text, binary, echo and chat of tinytcp, or any bytes.
#[derive(Debug, Parser)]
#[command(name = "tinytcp-load", version, before_long_help = EXAMPLES, after_long_help = EXIT_CODES, max_term_width = 120)]
#[command(
    override_usage = "tinytcp-load [OPTIONS] [TARGET | HOST PORT]\n       tinytcp-load merge A.json B.json..."
)]
pub struct Arguments {
    /// The server: URL, HOST:PORT, HOST, or HOST PORT; or `merge` and the JSON reports to join
    ///
    /// The server is a URL whose scheme is the protocol (text://127.0.0.1:40000,
    /// text+unix:///run/tinytcp.sock), HOST, HOST:PORT, or HOST PORT; with --raw it is
    /// tcp://HOST:PORT, HOST:PORT or tcp+unix://PATH. The default is text://127.0.0.1:40000.
    #[arg(value_name = "TARGET", num_args = 0.., hide_default_value = true)]
    pub words: Vec<String>,

    /// Connections
    #[arg(short, long, value_name = "N", env = "TINYTCP_CONNECTIONS", default_value = "50", value_parser = units::count)]
    pub connections: usize,

    /// How long requests are sent [default: 10s; 3s at each rate of --find-max]
    #[arg(short, long, value_name = "D", env = "TINYTCP_DURATION", value_parser = units::duration)]
    pub duration: Option<Duration>,

    /// Requests in flight on each connection, at most
    #[arg(short = 'P', long, value_name = "N", env = "TINYTCP_PIPELINE", default_value = "1", value_parser = units::count)]
    pub pipeline: usize,

    /// Open loop: so many requests a second, due whether or not replies come; A:B goes evenly from
    /// A to B
    #[arg(short = 'R', long, value_name = "RATE", env = "TINYTCP_RATE", value_parser = rates)]
    pub rate: Option<(f64, f64)>,

    /// Search the highest rate that holds an objective, as in p99=1ms; -R says where to begin
    #[arg(long, value_name = "OBJECTIVE", env = "TINYTCP_FIND_MAX", conflicts_with_all = ["hold", "warmup"])]
    pub find_max: Option<Objective>,

    /// Leave the first part of the run out of throughput and latencies
    #[arg(long, value_name = "D", env = "TINYTCP_WARMUP", value_parser = units::duration)]
    pub warmup: Option<Duration>,

    /// How long opening a connection, and each reply, may take; the run takes no longer than -d
    /// and this
    #[arg(long, value_name = "D", env = "TINYTCP_TIMEOUT", default_value = "5s", value_parser = units::duration)]
    pub timeout: Duration,

    /// Threads that generate
    #[arg(long, value_name = "N", env = "TINYTCP_THREADS", default_value = "1", value_parser = units::count)]
    pub threads: usize,

    /// Open the connections in the course of this time, instead of all before the first request
    #[arg(long, value_name = "D", env = "TINYTCP_RAMP", value_parser = units::duration, conflicts_with = "connect_rate")]
    pub ramp: Option<Duration>,

    /// Open so many connections a second, instead of all before the first request
    #[arg(long, value_name = "N", env = "TINYTCP_CONNECT_RATE", value_parser = units::count)]
    pub connect_rate: Option<usize>,

    /// Close each connection after N requests (a bare number) or after a time (5s), and open
    /// another one
    #[arg(long, value_name = "N|D", env = "TINYTCP_LIFETIME", value_parser = lifetime)]
    pub lifetime: Option<Lifetime>,

    /// Open the connections and keep them: one request on each every --heartbeat; says which ones
    /// die
    #[arg(long, env = "TINYTCP_HOLD", conflicts_with_all = ["rate", "pipeline", "lifetime"])]
    pub hold: bool,

    /// The pause between two requests on a connection that is held
    #[arg(long, value_name = "D", env = "TINYTCP_HEARTBEAT", default_value = "5s", value_parser = units::duration)]
    pub heartbeat: Duration,

    /// Connect from these addresses in turn: 127.0.0.2-127.0.0.40, 127.0.1.0/28, several with
    /// commas
    #[arg(long, value_name = "ADDRESSES", env = "TINYTCP_SOURCE", value_parser = sources)]
    pub source: Option<Sources>,

    /// Close connections with a reset, which leaves no port behind in TIME_WAIT
    #[arg(long, env = "TINYTCP_RESET")]
    pub reset: bool,

    /// The protocol, where TARGET does not say it: text, binary, echo or chat
    #[arg(short, long, value_name = "NAME", env = "TINYTCP_PROTOCOL", conflicts_with = "raw")]
    pub protocol: Option<Protocol>,

    /// Bytes of the message in each request: the text behind ECHO, the payload, the line
    #[arg(long, value_name = "SIZE", env = "TINYTCP_SIZE", default_value = "17", value_parser = message_size, conflicts_with_all = ["message", "mix"])]
    pub size: usize,

    /// Send this: a command of text, a line of echo and chat, `echo TEXT` or `rev TEXT` of binary;
    /// repeatable
    ///
    /// Several are sent in turn. With --raw they are bytes, with \n \r \t \0 \\ and \xff for those
    /// that are hard to type.
    #[arg(
        short,
        long,
        value_name = "TEXT",
        env = "TINYTCP_MESSAGE",
        conflicts_with = "mix",
        allow_hyphen_values = true
    )]
    pub message: Vec<String>,

    /// Send several messages by weight, as in 'TIME:1,ECHO hello:3'
    #[arg(long, value_name = "MIX", env = "TINYTCP_MIX")]
    pub mix: Option<String>,

    /// Any server: send the bytes of -m or --mix, and expect those of --expect
    #[arg(long, env = "TINYTCP_RAW")]
    pub raw: bool,

    /// With --raw: the reply to each request, byte for byte [default: the request itself]; '' for
    /// none
    #[arg(
        long,
        value_name = "BYTES",
        env = "TINYTCP_EXPECT",
        requires = "raw",
        conflicts_with = "expect_end",
        allow_hyphen_values = true
    )]
    pub expect: Option<String>,

    /// With --raw: any reply that ends with these bytes will do, as in '\r\n'
    #[arg(
        long,
        value_name = "BYTES",
        env = "TINYTCP_EXPECT_END",
        requires = "raw",
        allow_hyphen_values = true
    )]
    pub expect_end: Option<String>,

    /// With --raw: what the server says first, byte for byte
    #[arg(
        long,
        value_name = "BYTES",
        env = "TINYTCP_GREETING",
        requires = "raw",
        allow_hyphen_values = true
    )]
    pub greeting: Option<String>,

    /// Exit with 3 if this is so, as in 'p99>5ms', 'errors>0.1%' or 'rate<50k'; repeatable, also
    /// with merge
    #[arg(long, value_name = "GATE", env = "TINYTCP_FAIL_IF", value_delimiter = ',')]
    pub fail_if: Vec<Gate>,

    /// Write the whole report for programs; - is stdout, and the report for people then goes to
    /// stderr
    #[arg(long, value_name = "FILE", env = "TINYTCP_JSON")]
    pub json: Option<PathBuf>,

    /// Write a row for each slice of time
    #[arg(long, value_name = "FILE", env = "TINYTCP_CSV")]
    pub csv: Option<PathBuf>,

    /// Write a page with charts
    #[arg(long, value_name = "FILE", env = "TINYTCP_HTML")]
    pub html: Option<PathBuf>,

    /// Write the latencies as HdrHistogram's tools read them
    #[arg(long, value_name = "FILE", env = "TINYTCP_HGRM")]
    pub hgrm: Option<PathBuf>,

    /// Only say which ports, descriptors and memory the run needs; open nothing
    #[arg(long, env = "TINYTCP_PREFLIGHT")]
    pub preflight: bool,

    /// Show no progress, and no report where a file goes to stdout
    #[arg(short, long, env = "TINYTCP_QUIET")]
    pub quiet: bool,
}

impl Arguments {
    /// When requests are sent.
    #[must_use]
    pub const fn pace(&self) -> Pace {
        match (self.rate, self.hold) {
            (Some((from, to)), _) => Pace::Open { from, to },
            (None, true) => Pace::Hold(self.heartbeat),
            (None, false) => Pace::Closed,
        }
    }

    /// A sentence about the first flag on the command line that would do nothing; `None` when each
    /// does something.
    ///
    /// Variables of the environment are not looked at: they are there for several runs.
    #[must_use]
    pub fn useless(&self) -> Option<String> {
        const OF_MERGE: [&str; 7] = ["words", "fail_if", "json", "csv", "html", "hgrm", "quiet"];
        // The arguments were taken before: this cannot fail.
        let matches = Self::command().try_get_matches().ok()?;
        let is_given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
        if self.words.first().is_some_and(|word| word == "merge") {
            let command = Self::command();
            let useless = command.get_arguments().find(|argument| {
                let id = argument.get_id().as_str();
                !OF_MERGE.contains(&id) && is_given(id)
            });
            return useless
                .and_then(Arg::get_long)
                .map(|flag| format!("--{flag} does nothing with merge: leave it out"));
        }
        if is_given("heartbeat") && !self.hold {
            return Some(
                "--heartbeat does nothing without --hold: add it, or leave --heartbeat out".into(),
            );
        }
        match self.rate {
            Some((from, to)) if self.find_max.is_some() && from != to => {
                Some("--find-max begins at one rate: give -R A in place of -R A:B".into())
            }
            _ => None,
        }
    }

    /// The files to write.
    #[must_use]
    pub fn paths(&self) -> Paths {
        Paths {
            json: self.json.clone(),
            csv: self.csv.clone(),
            html: self.html.clone(),
            hgrm: self.hgrm.clone(),
        }
    }
}

/// Source addresses. A name of its own, because a `Vec` is to clap an argument that may be
/// repeated.
#[derive(Clone, Debug)]
pub struct Sources(pub Vec<IpAddr>);

fn sources(text: &str) -> Result<Sources, String> {
    source::sources(text).map(Sources)
}

fn rates(text: &str) -> Result<(f64, f64), String> {
    const EXAMPLE: &str = "rates look like 5000, 20k, 1.5M, or 100:5k for a ramp";
    let rate =
        |text: &str| units::count(text).map(|count| count as f64).map_err(|_| EXAMPLE.to_owned());
    match text.split_once(':') {
        Some((from, to)) => Ok((rate(from)?, rate(to)?)),
        None => rate(text).map(|rate| (rate, rate)),
    }
}

fn lifetime(text: &str) -> Result<Lifetime, String> {
    let requests = |count| Lifetime::Requests(count as u64);
    // `2m` would be both: minutes are what connections live for.
    if text.bytes().all(|byte| byte.is_ascii_digit()) || text.ends_with(['k', 'K', 'M']) {
        return units::count(text).map(requests);
    }
    units::duration(text)
        .map(Lifetime::Time)
        .map_err(|error| format!("{error}; a bare number, as in 100, counts requests"))
}

fn message_size(text: &str) -> Result<usize, String> {
    // Several messages are kept, with their replies: this much is a gigabyte of memory.
    const MAX: usize = 64 << 20;
    // An empty frame is a message; where the protocol has no empty message, one byte is sent.
    if text == "0" {
        return Ok(0);
    }
    units::size(text)
        .and_then(|size| if size <= MAX { Ok(size) } else { Err("at most 64MiB".into()) })
}
