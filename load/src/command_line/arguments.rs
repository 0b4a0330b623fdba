//! The command line of `tinytcp-load`.

use std::path::PathBuf;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{Arg, CommandFactory, Parser};
use tinytcp_cli::proxy_header::ProxyHeader;
use tinytcp_cli::target::ProtocolName;
use tinytcp_cli::tls::TlsArguments;
use tinytcp_cli::units;

use super::broadcast_arguments::{self, BroadcastArguments};
use super::help;
use super::output_arguments::OutputArguments;
use super::rates::{self, Rates, Stages};
use super::values::{self, ArrivalsName, ResumptionName, Sources};
use crate::judgement::objective::Objective;
use crate::measurement::settings::{Lifetime, Pace};

/// Load-tests a TCP server and checks every reply: the protocols of tinytcp, or raw bytes.
#[derive(Debug, Parser)]
#[command(
    name = "tinytcp-load",
    version,
    before_long_help = help::EXAMPLES,
    after_long_help = help::EXIT_CODES,
    max_term_width = 100
)]
#[command(
    override_usage = "tinytcp-load [OPTIONS] [TARGET | HOST PORT]\n       tinytcp-load broadcast \
     [OPTIONS] [TARGET | HOST PORT]\n       tinytcp-load merge A.json B.json...\n       \
     tinytcp-load compare BEFORE.json AFTER.json"
)]
pub struct Arguments {
    /// The server: URL, HOST:PORT, HOST, or HOST PORT; `broadcast` and a server; or `merge` or
    /// `compare` and JSON reports
    ///
    /// A server is a URL whose scheme is the protocol (text://127.0.0.1:40000,
    /// text+unix:///run/tinytcp.sock), HOST, HOST:PORT, or HOST PORT; with --raw, it is
    /// tcp://HOST:PORT, HOST:PORT or tcp+unix://PATH. With +tls after the protocol, connections are
    /// encrypted (text+tls://HOST, tcp+tls+unix://PATH). The default is text://127.0.0.1:40000.
    #[arg(value_name = "TARGET", num_args = 0.., hide_default_value = true)]
    pub words: Vec<String>,

    /// Number of connections
    #[arg(
        short,
        long,
        value_name = "N",
        env = "TINYTCP_CONNECTIONS",
        default_value = "50",
        value_parser = units::count
    )]
    pub connections: usize,

    /// Duration of the load [default: 10s; with --find-max 3s at each rate]
    #[arg(short, long, value_name = "D", env = "TINYTCP_DURATION", value_parser = units::duration)]
    pub duration: Option<Duration>,

    /// Maximum number of requests in flight on each connection
    #[arg(
        short = 'P',
        long,
        value_name = "N",
        env = "TINYTCP_PIPELINE",
        default_value = "1",
        value_parser = units::count
    )]
    pub pipeline: usize,

    /// Open loop: requests per second, sent on schedule without waiting for replies: 5k, 0.5 or
    /// 30/m; A:B changes the rate linearly from A to B
    #[arg(
        short = 'R',
        long,
        value_name = "RATE",
        env = "TINYTCP_RATE",
        value_parser = rates::rates
    )]
    pub rate: Option<Rates>,

    /// Open loop in stages, each with a duration and a rate or ramp: 30s@100,1m@1k,30s@1k:5k
    #[arg(
        long,
        value_name = "STAGES",
        env = "TINYTCP_STAGES",
        value_parser = rates::stages,
        conflicts_with_all = ["rate", "duration", "hold", "find_max"]
    )]
    pub stages: Option<Stages>,

    /// How requests arrive at the rate of an open loop: at even intervals, or as a Poisson process
    #[arg(long, value_name = "NAME", env = "TINYTCP_ARRIVALS", default_value = "even")]
    pub arrivals: ArrivalsName,

    /// End after N requests over all connections, which are all answered or failed; or after -d
    /// [default of -d: 10m]
    #[arg(
        short = 'n',
        long,
        value_name = "N",
        env = "TINYTCP_REQUESTS",
        value_parser = units::count,
        conflicts_with_all = ["hold", "find_max", "warmup"]
    )]
    pub requests: Option<usize>,

    /// Closed loop: pause between a reply and the next request on its connection; no latency
    /// includes it
    #[arg(
        long,
        value_name = "D",
        env = "TINYTCP_THINK",
        value_parser = units::duration,
        conflicts_with_all = ["rate", "stages", "hold", "find_max"]
    )]
    pub think: Option<Duration>,

    /// Seed of random arrivals and values; the report shows it [default: another one in each run]
    #[arg(long, value_name = "NUMBER", env = "TINYTCP_SEED")]
    pub seed: Option<u32>,

    /// Search for the highest rate that meets an objective such as p99=1ms; -R sets the first rate
    #[arg(
        long,
        value_name = "OBJECTIVE",
        env = "TINYTCP_FIND_MAX",
        conflicts_with_all = ["hold", "warmup"]
    )]
    pub find_max: Option<Objective>,

    /// Exclude this first part of the run from throughput and latencies
    #[arg(long, value_name = "D", env = "TINYTCP_WARMUP", value_parser = units::duration)]
    pub warmup: Option<Duration>,

    /// Timeout of a connection attempt, and of each reply; a run ends at most this long after -d
    #[arg(
        long,
        value_name = "D",
        env = "TINYTCP_TIMEOUT",
        default_value = "5s",
        value_parser = units::duration
    )]
    pub timeout: Duration,

    /// Number of generator threads
    #[arg(
        long,
        value_name = "N",
        env = "TINYTCP_THREADS",
        default_value = "1",
        value_parser = units::count
    )]
    pub threads: usize,

    /// Open the connections evenly over this time, instead of all before the first request
    #[arg(
        long,
        value_name = "D",
        env = "TINYTCP_RAMP",
        value_parser = units::duration,
        conflicts_with = "connect_rate"
    )]
    pub ramp: Option<Duration>,

    /// Open this number of connections per second, instead of all before the first request
    #[arg(long, value_name = "N", env = "TINYTCP_CONNECT_RATE", value_parser = units::count)]
    pub connect_rate: Option<usize>,

    /// Close and reopen each connection after N requests (a bare number) or after a time (5s)
    #[arg(long, value_name = "N|D", env = "TINYTCP_LIFETIME", value_parser = values::lifetime)]
    pub lifetime: Option<Lifetime>,

    /// Keep the connections open with one request on each every --heartbeat; report lost
    /// connections
    #[arg(long, env = "TINYTCP_HOLD", conflicts_with_all = ["rate", "pipeline", "lifetime"])]
    pub hold: bool,

    /// Time between two requests on a held connection
    #[arg(
        long,
        value_name = "D",
        env = "TINYTCP_HEARTBEAT",
        default_value = "5s",
        value_parser = units::duration
    )]
    pub heartbeat: Duration,

    /// Source addresses, used in turn: 127.0.0.2-127.0.0.40, 127.0.1.0/28, several with commas
    #[arg(long, value_name = "ADDRESSES", env = "TINYTCP_SOURCE", value_parser = values::sources)]
    pub source: Option<Sources>,

    /// Begin each connection with a PROXY header, as a proxy would: v1, v2, v2:192.0.2.7:51234 for
    /// another client than this end, or local for a health check of the proxy
    #[arg(long, value_name = "HEADER", env = "TINYTCP_PROXY_HEADER")]
    pub proxy_header: Option<ProxyHeader>,

    /// Spread the connections over all addresses of the server's name, in turn, and report each
    /// address
    #[arg(long, env = "TINYTCP_SPREAD")]
    pub spread: bool,

    /// Close connections with a reset, which leaves no port in TIME_WAIT
    #[arg(long, env = "TINYTCP_RESET")]
    pub reset: bool,

    /// The protocol, if TARGET does not name it: text, binary, echo or chat
    #[arg(short, long, value_name = "NAME", env = "TINYTCP_PROTOCOL", conflicts_with = "raw")]
    pub protocol: Option<ProtocolName>,

    /// Size of the message in each request: the text after ECHO, the payload, or the line
    #[arg(
        long,
        value_name = "SIZE",
        env = "TINYTCP_SIZE",
        default_value = "17",
        value_parser = values::message_size,
        conflicts_with_all = ["message", "mix"]
    )]
    pub size: usize,

    /// Message to send: a text command, an echo or chat line, or `echo TEXT` or `rev TEXT` for
    /// binary; @FILE is a file with a message per line; repeatable
    ///
    /// Several messages are sent in turn. In a message, these words stand for a value if they are
    /// in braces, as in {hex:4}: n for the number of the request, c for that of the connection,
    /// rand:8 for 8 random digits, and hex:4 for 4 hexadecimal ones; {{ is {, and @@ at the start
    /// is @. With --raw, a message is bytes, and \n \r \t \0 \\ and \xff stand for bytes that are
    /// hard to type.
    #[arg(
        short,
        long,
        value_name = "TEXT",
        env = "TINYTCP_MESSAGE",
        conflicts_with = "mix",
        allow_hyphen_values = true
    )]
    pub message: Vec<String>,

    /// Messages to send, with their weights, such as 'TIME:1,ECHO hello:3'
    #[arg(long, value_name = "MIX", env = "TINYTCP_MIX")]
    pub mix: Option<String>,

    /// Raw bytes for any server: send those of -m or --mix, and expect those of --expect
    #[arg(long, env = "TINYTCP_RAW")]
    pub raw: bool,

    /// With --raw: the exact reply to each request, with the values of the request; once for all
    /// messages or once per -m [default: the request itself]; '' for no reply
    #[arg(
        long,
        value_name = "BYTES",
        env = "TINYTCP_EXPECT",
        requires = "raw",
        conflicts_with = "expect_end",
        allow_hyphen_values = true
    )]
    pub expect: Vec<String>,

    /// With --raw: accept any reply that ends with these bytes, such as '\r\n'; once, or once per
    /// -m
    #[arg(
        long,
        value_name = "BYTES",
        env = "TINYTCP_EXPECT_END",
        requires = "raw",
        allow_hyphen_values = true
    )]
    pub expect_end: Vec<String>,

    /// With --raw: a file with the steps of each connection: `send`, `expect`, `expect-end`,
    /// `sleep`, and `once send` for a login
    ///
    /// Each line is a step: `send BYTES`, `expect BYTES`, `expect-end BYTES`, `sleep 10ms` or a
    /// comment after #. Each connection first takes the steps with `once send`, which are not
    /// counted, and then repeats the others. The value n of -m is the number of the first request
    /// of each pass.
    #[arg(
        long,
        value_name = "FILE",
        env = "TINYTCP_SCRIPT",
        requires = "raw",
        conflicts_with_all = ["message", "mix", "expect", "expect_end"]
    )]
    pub script: Option<PathBuf>,

    /// With --raw: the exact bytes that the server sends first
    #[arg(
        long,
        value_name = "BYTES",
        env = "TINYTCP_GREETING",
        requires = "raw",
        allow_hyphen_values = true
    )]
    pub greeting: Option<String>,

    /// Only print the ports, descriptors and memory that the run needs; open nothing
    #[arg(long, env = "TINYTCP_PREFLIGHT")]
    pub preflight: bool,

    /// The rooms of `broadcast`.
    #[command(flatten)]
    pub broadcast: BroadcastArguments,

    /// The report and its files.
    #[command(flatten)]
    pub output: OutputArguments,

    /// Resume the TLS session of an earlier connection where one is left, with its ticket; off
    /// makes each handshake a full one, as that of a new client is
    #[arg(
        long,
        value_name = "WHEN",
        env = "TINYTCP_TLS_RESUME",
        default_value = "off",
        help_heading = "TLS (for targets such as text+tls://HOST)"
    )]
    pub tls_resume: ResumptionName,

    /// The TLS of the connections.
    #[command(flatten)]
    pub tls: TlsArguments,
}

impl Arguments {
    /// Returns the load model: open loop with --rate, held connections with --hold, else closed
    /// loop.
    #[must_use]
    pub fn pace(&self) -> Pace {
        match (self.rate.or(self.stages.as_ref().map(Stages::rates)), self.hold) {
            (Some((from, to)), _) => Pace::Open { from, to },
            (None, true) => Pace::Hold(self.heartbeat),
            (None, false) => Pace::Closed,
        }
    }

    /// Returns true if the word `broadcast` stands before or after the server.
    #[must_use]
    pub fn is_broadcast(&self) -> bool {
        self.words.iter().any(|word| word == broadcast_arguments::MODE)
    }

    /// Returns a sentence about the first flag on the command line that has no effect; `None` if
    /// each flag has one.
    ///
    /// Environment variables are not checked: they can be set for several runs.
    #[must_use]
    pub fn useless(&self) -> Option<String> {
        const OF_MERGE: &[&str] = &["words", "fail_if", "json", "csv", "html", "hgrm", "quiet"];
        const OF_COMPARE: &[&str] = &["words", "fail_if", "json"];
        // The same arguments were parsed before, so this cannot fail.
        let matches = Self::command().try_get_matches().ok()?;
        let is_given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
        let useful = match self.words.first().map(String::as_str) {
            Some("merge") => Some(("merge", OF_MERGE)),
            Some("compare") => Some(("compare", OF_COMPARE)),
            _ => self.is_broadcast().then_some(("broadcast", broadcast_arguments::FLAGS)),
        };
        if let Some((action, useful)) = useful {
            let command = Self::command();
            let useless = command.get_arguments().find(|argument| {
                let id = argument.get_id().as_str();
                !useful.contains(&id) && is_given(id)
            });
            return useless
                .and_then(Arg::get_long)
                .map(|flag| format!("--{flag} has no effect with {action}: leave it out"));
        }
        if let Some(id) = broadcast_arguments::OWN_FLAGS.iter().find(|id| is_given(id)) {
            let flag = id.replace('_', "-");
            return Some(format!("--{flag} has no effect without broadcast: add that word"));
        }
        if is_given("heartbeat") && !self.hold {
            return Some(
                "--heartbeat has no effect without --hold: add --hold, or leave --heartbeat out"
                    .into(),
            );
        }
        if is_given("tls_resume") && !self.words.first().is_some_and(|word| word.contains("+tls")) {
            return Some(
                "--tls-resume has no effect without TLS: write the target as text+tls://HOST, or \
                 leave --tls-resume out"
                    .into(),
            );
        }
        let has_rate = self.rate.is_some() || self.stages.is_some() || self.find_max.is_some();
        if is_given("arrivals") && !has_rate {
            return Some("--arrivals has no effect without a rate: add -R or --stages".into());
        }
        match self.rate {
            Some((from, to)) if self.find_max.is_some() && from != to => {
                Some("--find-max starts at one rate: use -R A instead of -R A:B".into())
            }
            _ => None,
        }
    }
}
