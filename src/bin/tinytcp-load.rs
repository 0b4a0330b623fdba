//! `tinytcp-load`: arguments to plan, plan to outcome, outcome to report and exit code.

use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use terminal_size::{Width, terminal_size};
use tinytcp::base::units;
use tinytcp::cli;
use tinytcp::load::gates::Gate;
use tinytcp::load::merge;
use tinytcp::load::message::{self, Framing, Message, Reply};
use tinytcp::load::objective::Objective;
use tinytcp::load::outcome::{Asked, Outcome, Pace};
use tinytcp::load::plan::{Lifetime, Opening, Plan};
use tinytcp::load::preflight::{self, Machine};
use tinytcp::load::progress::Progress;
use tinytcp::load::report::{self, Paths, Report};
use tinytcp::load::run::{self, Interruption};
use tinytcp::load::script::{self, Script};
use tinytcp::load::search;
use tinytcp::load::source;
use tinytcp::wire::address::Address;
use tinytcp::wire::target::{Protocol, Target};

const NAME: &str = "tinytcp-load";

const EXAMPLES: &str = "\
Examples:
  tinytcp-load                                      50 connections, a request at a time, 10 s
  tinytcp-load -c 1000 -P 16 text://10.0.0.5        16 requests in flight on each connection
  tinytcp-load -R 5k                                5000 requests a second, come what may
  tinytcp-load -R 100:20k -d 1m --html run.html     a ramp, and a page with its charts
  tinytcp-load --find-max p99=1ms                   the highest rate that holds this
  tinytcp-load -c 20k --hold -d 10m                 do 20,000 connections stay alive?
  tinytcp-load --lifetime 1                         connect, one request, close, again and again
  tinytcp-load --mix 'TIME:1,ECHO hello:3' --fail-if 'p99>5ms' --fail-if 'errors>0'
  tinytcp-load tcp://127.0.0.1:6379 --raw -m 'PING\\r\\n' --expect '+PONG\\r\\n'
  tinytcp-load merge a.json b.json                  one report of several machines";

const EXIT_CODES: &str = "\
Exit codes:
  0        the run was made as it was asked for
  1        nothing was completed, or fewer connections opened than asked for
  2        wrong arguments
  3        a --fail-if gate was crossed
  130, 143 interrupted; the report of what was done is still printed";

/// How long a run takes that was not told.
const DURATION: Duration = Duration::from_secs(10);

/// How long each rate is held by a search that was not told.
const SEARCH_DURATION: Duration = Duration::from_secs(3);

/// Where a search begins that was not told.
const SEARCH_START: f64 = 1000.0;

/// The width of a report that is not shown on a terminal.
const WIDTH: usize = 80;

/// Loads a TCP server and checks every reply: text, binary, echo and chat of tinytcp, or any bytes.
#[derive(Debug, Parser)]
#[command(name = NAME, version, before_long_help = EXAMPLES, after_long_help = EXIT_CODES, max_term_width = 120)]
#[command(override_usage = "tinytcp-load [OPTIONS] [TARGET | HOST PORT]\n       tinytcp-load merge A.json B.json...")]
struct Arguments {
    /// The server: URL, HOST:PORT, HOST, or HOST PORT; or `merge` and the JSON reports to join
    ///
    /// The server is a URL whose scheme is the protocol (text://127.0.0.1:40000), HOST, HOST:PORT, or HOST PORT; with --raw it is
    /// tcp://HOST:PORT or HOST:PORT. The default is text://127.0.0.1:40000.
    #[arg(value_name = "TARGET", num_args = 0.., hide_default_value = true)]
    words: Vec<String>,

    /// Connections
    #[arg(short, long, value_name = "N", env = "TINYTCP_CONNECTIONS", default_value = "50", value_parser = units::count)]
    connections: usize,

    /// How long requests are sent [default: 10s; 3s at each rate of --find-max]
    #[arg(short, long, value_name = "D", env = "TINYTCP_DURATION", value_parser = units::duration)]
    duration: Option<Duration>,

    /// Requests in flight on each connection, at most
    #[arg(short = 'P', long, value_name = "N", env = "TINYTCP_PIPELINE", default_value = "1", value_parser = units::count)]
    pipeline: usize,

    /// Open loop: so many requests a second, due whether or not replies come; A:B goes evenly from A to B
    #[arg(short = 'R', long, value_name = "RATE", env = "TINYTCP_RATE", value_parser = rates)]
    rate: Option<(f64, f64)>,

    /// Search the highest rate that holds an objective, as in p99=1ms; -R says where to begin
    #[arg(long, value_name = "OBJECTIVE", env = "TINYTCP_FIND_MAX", conflicts_with_all = ["hold", "warmup"])]
    find_max: Option<Objective>,

    /// Leave the first part of the run out of throughput and latencies
    #[arg(long, value_name = "D", env = "TINYTCP_WARMUP", value_parser = units::duration)]
    warmup: Option<Duration>,

    /// How long opening a connection, and each reply, may take; the run takes no longer than -d and this
    #[arg(long, value_name = "D", env = "TINYTCP_TIMEOUT", default_value = "5s", value_parser = units::duration)]
    timeout: Duration,

    /// Threads that generate
    #[arg(long, value_name = "N", env = "TINYTCP_THREADS", default_value = "1", value_parser = units::count)]
    threads: usize,

    /// Open the connections in the course of this time, instead of all before the first request
    #[arg(long, value_name = "D", env = "TINYTCP_RAMP", value_parser = units::duration, conflicts_with = "connect_rate")]
    ramp: Option<Duration>,

    /// Open so many connections a second, instead of all before the first request
    #[arg(long, value_name = "N", env = "TINYTCP_CONNECT_RATE", value_parser = units::count)]
    connect_rate: Option<usize>,

    /// Close each connection after N requests (a bare number) or after a time (5s), and open another one
    #[arg(long, value_name = "N|D", env = "TINYTCP_LIFETIME", value_parser = lifetime)]
    lifetime: Option<Lifetime>,

    /// Open the connections and keep them: one request on each every --heartbeat; says which ones die
    #[arg(long, env = "TINYTCP_HOLD", conflicts_with_all = ["rate", "pipeline", "lifetime"])]
    hold: bool,

    /// The pause between two requests on a connection that is held
    #[arg(long, value_name = "D", env = "TINYTCP_HEARTBEAT", default_value = "5s", value_parser = units::duration)]
    heartbeat: Duration,

    /// Connect from these addresses in turn: 127.0.0.2-127.0.0.40, 127.0.1.0/28, several with commas
    #[arg(long, value_name = "ADDRESSES", env = "TINYTCP_SOURCE", value_parser = sources)]
    source: Option<Sources>,

    /// Close connections with a reset, which leaves no port behind in TIME_WAIT
    #[arg(long, env = "TINYTCP_RESET")]
    reset: bool,

    /// The protocol, where TARGET does not say it: text, binary, echo or chat
    #[arg(short, long, value_name = "NAME", env = "TINYTCP_PROTOCOL", conflicts_with = "raw")]
    protocol: Option<Protocol>,

    /// Bytes of the message in each request: the text behind ECHO, the payload, the line
    #[arg(long, value_name = "SIZE", env = "TINYTCP_SIZE", default_value = "17", value_parser = message_size, conflicts_with_all = ["message", "mix"])]
    size: usize,

    /// Send this: a command of text, a line of echo and chat, `echo TEXT` or `rev TEXT` of binary; repeatable
    ///
    /// Several are sent in turn. With --raw they are bytes, with \n \r \t \0 \\ and \xff for those that are hard to type.
    #[arg(
        short,
        long,
        value_name = "TEXT",
        env = "TINYTCP_MESSAGE",
        conflicts_with = "mix",
        allow_hyphen_values = true
    )]
    message: Vec<String>,

    /// Send several messages by weight, as in 'TIME:1,ECHO hello:3'
    #[arg(long, value_name = "MIX", env = "TINYTCP_MIX")]
    mix: Option<String>,

    /// Any server: send the bytes of -m or --mix, and expect those of --expect
    #[arg(long, env = "TINYTCP_RAW")]
    raw: bool,

    /// With --raw: the reply to each request, byte for byte [default: the request itself]; '' for none
    #[arg(
        long,
        value_name = "BYTES",
        env = "TINYTCP_EXPECT",
        requires = "raw",
        conflicts_with = "expect_end",
        allow_hyphen_values = true
    )]
    expect: Option<String>,

    /// With --raw: any reply that ends with these bytes will do, as in '\r\n'
    #[arg(long, value_name = "BYTES", env = "TINYTCP_EXPECT_END", requires = "raw", allow_hyphen_values = true)]
    expect_end: Option<String>,

    /// With --raw: what the server says first, byte for byte
    #[arg(long, value_name = "BYTES", env = "TINYTCP_GREETING", requires = "raw", allow_hyphen_values = true)]
    greeting: Option<String>,

    /// Exit with 3 if this is so, as in 'p99>5ms', 'errors>0.1%' or 'rate<50k'; repeatable, also with merge
    #[arg(long, value_name = "GATE", env = "TINYTCP_FAIL_IF", value_delimiter = ',')]
    fail_if: Vec<Gate>,

    /// Write the whole report for programs; - is stdout, and the report for people then goes to stderr
    #[arg(long, value_name = "FILE", env = "TINYTCP_JSON")]
    json: Option<PathBuf>,

    /// Write a row for each slice of time
    #[arg(long, value_name = "FILE", env = "TINYTCP_CSV")]
    csv: Option<PathBuf>,

    /// Write a page with charts
    #[arg(long, value_name = "FILE", env = "TINYTCP_HTML")]
    html: Option<PathBuf>,

    /// Write the latencies as HdrHistogram's tools read them
    #[arg(long, value_name = "FILE", env = "TINYTCP_HGRM")]
    hgrm: Option<PathBuf>,

    /// Only say which ports, descriptors and memory the run needs; open nothing
    #[arg(long, env = "TINYTCP_PREFLIGHT")]
    preflight: bool,

    /// Show no progress, and no report where a file goes to stdout
    #[arg(short, long, env = "TINYTCP_QUIET")]
    quiet: bool,
}

/// Source addresses. A name of its own, because a `Vec` is to clap an argument that may be repeated.
#[derive(Clone, Debug)]
struct Sources(Vec<IpAddr>);

fn sources(text: &str) -> Result<Sources, String> {
    source::sources(text).map(Sources)
}

fn rates(text: &str) -> Result<(f64, f64), String> {
    const EXAMPLE: &str = "rates look like 5000, 20k, or 100:5k for a ramp";
    let rate = |text: &str| units::count(text).map(|count| count as f64).map_err(|_| EXAMPLE.to_owned());
    match text.split_once(':') {
        Some((from, to)) => Ok((rate(from)?, rate(to)?)),
        None => rate(text).map(|rate| (rate, rate)),
    }
}

fn lifetime(text: &str) -> Result<Lifetime, String> {
    let requests = |count| Lifetime::Requests(count as u64);
    // `2m` would be both: minutes are what connections live for.
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'k') {
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
    units::size(text).and_then(|size| if size <= MAX { Ok(size) } else { Err("at most 64MiB".into()) })
}

fn main() -> ExitCode {
    let arguments: Arguments = cli::parse();
    if paths(&arguments).stdout_count() > 1 {
        cli::refuse::<Arguments>("only one of --json, --csv, --html and --hgrm can go to stdout (-)");
    }
    let result = match arguments.words.split_first() {
        Some((word, files)) if word == "merge" => merged(files, &arguments),
        _ => measured(&arguments),
    };
    match result {
        Ok(code) => code.into(),
        Err(message) => {
            cli::complain(NAME, message);
            ExitCode::FAILURE
        }
    }
}

/// Joins reports.
fn merged(files: &[String], arguments: &Arguments) -> Result<u8, String> {
    if files.is_empty() {
        cli::refuse::<Arguments>("merge needs the JSON reports to join, as in merge a.json b.json");
    }
    let reports = files.iter().map(|file| report::read(file.as_ref())).collect::<Result<Vec<_>, _>>()?;
    show(&merge::merge(reports, &arguments.fail_if)?, arguments)
}

/// Makes the run, or the runs of a search.
fn measured(arguments: &Arguments) -> Result<u8, String> {
    let conversation = Conversation::of(arguments).unwrap_or_else(|error| cli::refuse::<Arguments>(error));
    let addresses = conversation.resolve()?;
    let machine = Machine::this();
    let plan = |pace| conversation.plan(arguments, addresses.clone(), pace);
    let first = plan(pace(arguments)).unwrap_or_else(|error| cli::refuse::<Arguments>(error));
    if !ready(&first, &machine, arguments.preflight)? {
        return Ok(0);
    }
    report::create_files(&paths(arguments))?;
    let interruption = Interruption::by(&[libc::SIGINT, libc::SIGTERM])
        .map_err(|error| format!("cannot catch signals: {error}; start it again"))?;
    let run = |plan: Plan| -> Result<Outcome, String> {
        let mut progress = progress(&plan.asked, arguments.quiet);
        run::run(plan, &interruption, &mut progress)
    };
    let Some(objective) = &arguments.find_max else {
        return show(&Report::new(&run(first)?, &arguments.fail_if), arguments);
    };
    let start = arguments.rate.map_or(SEARCH_START, |(from, _)| from);
    let found = search::find_max(objective, start, |rate| run(plan(Pace::Open { from: rate, to: rate })?))?;
    show(&Report::new(&found.outcome, &arguments.fail_if).with_search(found.search), arguments)
}

fn pace(arguments: &Arguments) -> Pace {
    match (arguments.rate, arguments.hold) {
        (Some((from, to)), _) => Pace::Open { from, to },
        (None, true) => Pace::Hold(arguments.heartbeat),
        (None, false) => Pace::Closed,
    }
}

fn progress(asked: &Asked, is_quiet: bool) -> Progress {
    if is_quiet { Progress::silent(asked) } else { Progress::new(asked, io::stderr().is_terminal()) }
}

/// Says what is missing before anything is opened. False when nothing is to be opened anyhow.
fn ready(plan: &Plan, machine: &Machine, is_all: bool) -> Result<bool, String> {
    let preflight = preflight::check(plan, machine);
    if is_all {
        let facts: String = preflight.facts.iter().map(|fact| format!("{fact}\n")).collect();
        // Whoever closed stdout does not want the text: that is no failure.
        let _ = io::stdout().write_all(facts.as_bytes());
    }
    match preflight.missing.split_first() {
        None => Ok(!is_all),
        Some((first, others)) => {
            others.iter().for_each(|missing| cli::complain(NAME, missing));
            Err(first.clone())
        }
    }
}

/// The files that were asked for.
fn paths(arguments: &Arguments) -> Paths {
    Paths {
        json: arguments.json.clone(),
        csv: arguments.csv.clone(),
        html: arguments.html.clone(),
        hgrm: arguments.hgrm.clone(),
    }
}

/// Prints the report and writes its files. A file that goes to stdout has it for itself: the report is then on stderr, unless it is to be quiet.
fn show(report: &Report, arguments: &Arguments) -> Result<u8, String> {
    let paths = paths(arguments);
    let is_told = paths.stdout_count() == 0;
    let is_terminal = if is_told { io::stdout().is_terminal() } else { io::stderr().is_terminal() };
    let is_coloured = cli::is_coloured(is_terminal);
    let width = if is_terminal { terminal_size().map_or(WIDTH, |(Width(width), _)| width.into()) } else { WIDTH };
    let mut out: Box<dyn Write> = match (is_told, arguments.quiet) {
        (true, _) => Box::new(io::stdout().lock()),
        (false, false) => Box::new(io::stderr().lock()),
        (false, true) => Box::new(io::sink()),
    };
    // Whoever closed it does not want the text: the files and the exit code still count.
    let _ = report::print(report, &mut out, is_coloured, width);
    drop(out);
    report::write_files(report, &paths)?;
    Ok(report.exit_code())
}

/// Whom to talk to, and about what.
struct Conversation {
    /// As reports name the server.
    target: String,
    host: String,
    port: u16,
    protocol: &'static str,
    /// As reports name the messages.
    summary: String,
    messages: Vec<Message>,
    greeting: Vec<u8>,
    framing: Framing,
}

impl Conversation {
    fn of(arguments: &Arguments) -> Result<Self, String> {
        if arguments.raw || arguments.words.first().is_some_and(|word| word.starts_with("tcp://")) {
            return Self::raw(arguments);
        }
        let target = Target::from_words(&arguments.words, arguments.protocol)?;
        let protocol = target.protocol;
        let parse = |text: &str| message::message(protocol, text);
        let messages = match &arguments.mix {
            Some(mix) => message::mix(mix, parse)?,
            None if arguments.message.is_empty() => numbered(protocol, arguments)?,
            None => arguments.message.iter().map(|text| parse(text)).collect::<Result<_, _>>()?,
        };
        let default = match protocol {
            Protocol::Text | Protocol::Binary => format!("ECHO of {} bytes", arguments.size),
            Protocol::Echo | Protocol::Chat => format!("messages of {} bytes", arguments.size),
        };
        Ok(Self {
            target: target.to_string(),
            protocol: protocol.name(),
            summary: summary(arguments).unwrap_or(default),
            messages,
            greeting: message::greeting(protocol).to_vec(),
            framing: message::framing(protocol),
            host: target.host,
            port: target.port,
        })
    }

    fn raw(arguments: &Arguments) -> Result<Self, String> {
        if !arguments.raw {
            return Err("tcp:// says nothing about the bytes: add --raw, -m and --expect".into());
        }
        let words: Vec<&str> = arguments.words.iter().map(String::as_str).collect();
        let url = match words.as_slice() {
            [host, port] => format!("tcp://{host}:{port}"),
            [url] if url.starts_with("tcp://") => (*url).into(),
            [url] if !url.contains("://") => format!("tcp://{url}"),
            _ => return Err("--raw needs the server as tcp://HOST:PORT or HOST:PORT".into()),
        };
        let address: Address = url.parse().map_err(|_| format!("'{url}' is no target: --raw takes tcp://HOST:PORT"))?;
        let port = address.port.filter(|port| *port > 0);
        let port = port.ok_or("--raw needs a port, as in tcp://127.0.0.1:6379")?;
        let expected = Expected::of(arguments)?;
        let parse = |text: &str| message::unescape(text).map(|request| expected.message(request));
        let messages = match &arguments.mix {
            Some(mix) => message::mix(mix, parse)?,
            None => arguments.message.iter().map(|text| parse(text)).collect::<Result<_, _>>()?,
        };
        if messages.is_empty() {
            return Err(r"--raw needs the bytes to send, as in -m 'PING\r\n' --expect '+PONG\r\n'".into());
        }
        let greeting = arguments.greeting.as_deref().map_or(Ok(Vec::new()), message::unescape)?;
        Ok(Self {
            target: address.to_string(),
            host: address.host,
            port,
            protocol: "raw",
            summary: summary(arguments).unwrap_or_default(),
            framing: message::raw_framing(&messages),
            messages,
            greeting,
        })
    }

    /// The addresses of the host.
    fn resolve(&self) -> Result<Vec<SocketAddr>, String> {
        let unknown =
            || format!("cannot find {}: unknown host; check the spelling, or give a numeric address", self.target);
        let addresses: Vec<SocketAddr> =
            (self.host.as_str(), self.port).to_socket_addrs().map_err(|_| unknown())?.collect();
        if addresses.is_empty() { Err(unknown()) } else { Ok(addresses) }
    }

    fn plan(&self, arguments: &Arguments, addresses: Vec<SocketAddr>, pace: Pace) -> Result<Plan, String> {
        let default = if arguments.find_max.is_some() { SEARCH_DURATION } else { DURATION };
        let duration = arguments.duration.unwrap_or(default);
        let warmup = arguments.warmup.unwrap_or(Duration::ZERO);
        if warmup >= duration {
            return Err("--warmup leaves nothing of the run to be counted: make it shorter than -d".into());
        }
        let sources = arguments.source.clone().map_or(Vec::new(), |sources| sources.0);
        Ok(Plan {
            asked: Asked {
                target: self.target.clone(),
                protocol: self.protocol.into(),
                messages: self.summary.clone(),
                connections: arguments.connections,
                depth: arguments.pipeline,
                threads: arguments.threads.min(arguments.connections),
                duration,
                warmup,
                timeout: arguments.timeout,
                pace,
                request_bytes: self.messages.iter().map(|message| message.request.len()).min().unwrap_or(0),
            },
            addresses: reachable(addresses, &sources)?,
            script: Script::new(&self.messages, arguments.pipeline, &self.greeting, self.framing)?,
            opening: match (arguments.ramp, arguments.connect_rate) {
                (Some(ramp), _) => Opening::Rate(arguments.connections as f64 / ramp.as_secs_f64()),
                (None, Some(rate)) => Opening::Rate(rate as f64),
                (None, None) => Opening::AtOnce,
            },
            lifetime: arguments.lifetime,
            sources,
            reset: arguments.reset,
        })
    }
}

/// The addresses that can be reached from `sources`: those of the same family.
fn reachable(addresses: Vec<SocketAddr>, sources: &[IpAddr]) -> Result<Vec<SocketAddr>, String> {
    let Some(first) = sources.first() else { return Ok(addresses) };
    if sources.iter().any(|source| source.is_ipv4() != first.is_ipv4()) {
        return Err("--source mixes IPv4 and IPv6: give addresses of the server's family".into());
    }
    let reachable: Vec<SocketAddr> = addresses.into_iter().filter(|addr| addr.is_ipv4() == first.is_ipv4()).collect();
    if reachable.is_empty() {
        return Err("--source and the server are not of the same family: both IPv4, or both IPv6".into());
    }
    Ok(reachable)
}

/// What a raw request gets.
enum Expected {
    Itself,
    Bytes(Vec<u8>),
    End(Vec<u8>),
}

impl Expected {
    fn of(arguments: &Arguments) -> Result<Self, String> {
        Ok(match (&arguments.expect, &arguments.expect_end) {
            (Some(expect), _) => Self::Bytes(message::unescape(expect)?),
            (None, Some(end)) if end.is_empty() => return Err(r"--expect-end needs a byte, as in '\n'".into()),
            (None, Some(end)) => Self::End(message::unescape(end)?),
            (None, None) => Self::Itself,
        })
    }

    fn message(&self, request: Vec<u8>) -> Message {
        let reply = match self {
            Self::Itself => Reply::Exact(request.clone()),
            Self::Bytes(bytes) if bytes.is_empty() => Reply::Nothing,
            Self::Bytes(bytes) => Reply::Exact(bytes.clone()),
            Self::End(end) => Reply::Until(end.clone()),
        };
        Message { request, reply }
    }
}

/// Messages that all differ, as many as a round of the script has room for.
fn numbered(protocol: Protocol, arguments: &Arguments) -> Result<Vec<Message>, String> {
    let first = message::numbered(protocol, arguments.size, 0)?;
    let count = script::round_len(first.request.len(), arguments.pipeline);
    (0..count).map(|number| message::numbered(protocol, arguments.size, number)).collect()
}

/// The messages as they were given.
fn summary(arguments: &Arguments) -> Option<String> {
    arguments.mix.clone().or_else(|| (!arguments.message.is_empty()).then(|| arguments.message.join(", ")))
}
