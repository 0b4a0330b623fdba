//! `tinytcp-server`: arguments to config, config to server, outcome to exit code.

use std::io::{self, IsTerminal, Write};
use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{ArgAction, Parser};
use env_logger::{Target, WriteStyle};
use log::kv::Key;
use log::{LevelFilter, Record};
use tinytcp_cli::address::{Address, unix_path};
use tinytcp_cli::sink::Sink;
use tinytcp_cli::{signals, units};
use tinytcp_core::display::plural::plural;
use tinytcp_core::limits::{Limits, Timeouts};
use tinytcp_core::logging::activity::AGE_KEY;
use tinytcp_core::os::clock::log_time;
use tinytcp_core::os::endpoint::{Bound, Endpoint};
use tinytcp_core::os::zone;
use tinytcp_core::protocol::{BUILT_IN, BuiltIn};
use tinytcp_core::server::{Config, Listener, STOP_SIGNALS, Server};

/// Descriptors that are no connection's: eight listeners, the poller, standard streams, and a few
/// to turn away with.
const RESERVED_DESCRIPTORS: usize = 32;

/// The listeners that [`RESERVED_DESCRIPTORS`] has room for. Each more takes a connection's
/// descriptor.
const RESERVED_LISTENERS: usize = 8;

/// How many of these are left to turn connections away with: eight listeners, the poller, the
/// waker, the signals and the standard streams take 17.
const REJECTED_DESCRIPTORS: usize = 12;

/// Activity lines a second, where no number is given.
const ACTIVITY_LINES: u32 = 50;

/// The listeners that the log names at the start; stdout names them all.
const LOGGED_LISTENERS_MAX: usize = 16;

/// How long the program waits at its end for its last log lines to be taken.
const LAST_LINES_TIMEOUT: Duration = Duration::from_millis(200);

const EXAMPLES: &str = "\
Examples:
  tinytcp-server                                   all four protocols on their default ports
  tinytcp-server --listen text://127.0.0.1:4000    one protocol, one port
  tinytcp-server --host 0.0.0.0                    reachable from other machines
  tinytcp-server --listen echo://127.0.0.1:0       any free port; the line on stdout says which
  printf 'TIME\\nQUIT\\n' | nc 127.0.0.1 40000       talk to it";

/// A TCP server with four tiny protocols: text (port 40000), binary (65432), echo (8888) and chat
/// (9999).
#[derive(Parser)]
#[command(name = "tinytcp-server", version, before_long_help = EXAMPLES, max_term_width = 120)]
struct Arguments {
    /// Listen here, instead of on the default ports: text://127.0.0.1:40000, or
    /// text+unix:///run/tinytcp.sock for a unix socket; repeatable; port 0 takes any free one
    #[arg(long, value_name = "URL", env = "TINYTCP_LISTEN", value_delimiter = ',', value_parser = listen_address)]
    listen: Vec<ListenAddress>,

    /// Host of the default listeners [default: loopback, IPv4 and IPv6]
    #[arg(long, value_name = "HOST", env = "TINYTCP_HOST")]
    host: Option<String>,

    /// Permissions of the files of unix sockets, in octal: 0660 [default: what the umask leaves]
    #[arg(long, value_name = "MODE", env = "TINYTCP_UNIX_MODE", value_parser = file_mode)]
    unix_mode: Option<u32>,

    /// Connections over this number get SERVER_BUSY [default: what the open-file limit allows,
    /// less 32]
    #[arg(long, value_name = "N", env = "TINYTCP_MAX_CONNECTIONS", value_parser = units::count)]
    max_connections: Option<usize>,

    /// Longest line that is taken: text, echo, chat
    #[arg(long, value_name = "SIZE", env = "TINYTCP_MAX_LINE", default_value = "64KiB", value_parser = units::message_size)]
    max_line: u32,

    /// Longest payload that is taken: binary
    #[arg(long, value_name = "SIZE", env = "TINYTCP_MAX_FRAME", default_value = "16MiB", value_parser = units::message_size)]
    max_frame: u32,

    /// What the buffers of all connections may hold together
    #[arg(long, value_name = "SIZE", env = "TINYTCP_MEMORY_LIMIT", default_value = "256MiB", value_parser = memory_size)]
    memory_limit: usize,

    /// Close a connection with no message in progress and nothing sent or received for so long
    #[arg(long, value_name = "D", env = "TINYTCP_IDLE_TIMEOUT", default_value = "5m", value_parser = parse_timeout)]
    idle_timeout: Timeout,

    /// Close a connection whose message takes longer from its first to its last byte
    #[arg(long, value_name = "D", env = "TINYTCP_MESSAGE_TIMEOUT", default_value = "30s", value_parser = parse_timeout)]
    message_timeout: Timeout,

    /// Reset a connection that falls so far behind taking 8 KiB a second of its waiting answers
    #[arg(long, value_name = "D", env = "TINYTCP_WRITE_TIMEOUT", default_value = "30s", value_parser = parse_timeout)]
    write_timeout: Timeout,

    /// Echo and chat: bytes without a newline are a message after so long without another byte
    #[arg(long, value_name = "D", env = "TINYTCP_QUIET_PERIOD", default_value = "20ms", value_parser = parse_timeout)]
    quiet_period: Timeout,

    /// How long a shutdown waits for answers that are still to be sent
    #[arg(long, value_name = "D", env = "TINYTCP_DRAIN_TIMEOUT", default_value = "5s", value_parser = parse_timeout)]
    drain_timeout: Timeout,

    /// The kernel's queue of connections that are not yet accepted
    #[arg(long, value_name = "N", env = "TINYTCP_BACKLOG", default_value = "1024", value_parser = units::count)]
    backlog: usize,

    /// Activity lines a second, what is over them is summed up; or `connections` without their
    /// messages, or `off` [default: 50; connections where other machines can connect]
    #[arg(long, value_name = "N", env = "TINYTCP_ACTIVITY_LOG", value_parser = parse_activity_log)]
    activity_log: Option<ActivityLog>,

    /// Refused with the flag that is meant.
    #[arg(short, long, hide = true, value_name = "PORT")]
    port: Option<String>,

    /// Log more: -v probes and details, -vv everything; RUST_LOG overrides
    #[arg(short, long, action = ArgAction::Count, env = "TINYTCP_VERBOSE")]
    verbose: u8,

    /// Log less: -q warnings, -qq errors; RUST_LOG overrides
    #[arg(short, long, action = ArgAction::Count, env = "TINYTCP_QUIET")]
    quiet: u8,
}

/// A timeout, or none. Its own type, because clap takes a bare `Option` for a flag that may be
/// absent.
#[derive(Clone, Copy, Debug)]
struct Timeout(Option<Duration>);

fn parse_timeout(text: &str) -> Result<Timeout, String> {
    units::timeout(text).map(Timeout)
}

/// What the activity log shows.
#[derive(Clone, Copy, Debug)]
enum ActivityLog {
    Off,
    /// That connections are opened and closed, and nothing of what they say.
    Connections,
    /// Messages too, in so many lines a second.
    Lines(u32),
}

fn parse_activity_log(text: &str) -> Result<ActivityLog, String> {
    match text {
        "off" => Ok(ActivityLog::Off),
        "connections" => Ok(ActivityLog::Connections),
        _ => units::count(text)
            .map(|lines| ActivityLog::Lines(u32::try_from(lines).unwrap_or(u32::MAX)))
            .map_err(|error| format!("{error}; or `connections`, or `off` for none")),
    }
}

fn memory_size(text: &str) -> Result<usize, String> {
    units::size(text).and_then(|size| match size {
        Limits::MEMORY_BYTES_MIN.. => Ok(size),
        _ => Err("the server works with 1MiB at least".into()),
    })
}

fn file_mode(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| "permissions are octal digits from 0 to 0777, as in 0660".into())
}

/// An endpoint whose scheme is one of ours.
#[derive(Clone)]
struct ListenAddress {
    place: Place,
    protocol: &'static BuiltIn,
}

/// Where to listen; nothing is looked up yet.
#[derive(Clone)]
enum Place {
    Tcp(Address),
    Unix(PathBuf),
}

fn listen_address(text: &str) -> Result<ListenAddress, String> {
    let (scheme, place) = match unix_path(text)? {
        Some((scheme, path)) => (scheme, Place::Unix(path)),
        None => {
            let address: Address = text.parse()?;
            (address.scheme.clone(), Place::Tcp(address))
        }
    };
    let protocol = BUILT_IN.iter().find(|built_in| built_in.scheme == scheme);
    let protocol = protocol
        .ok_or("the protocol is text, binary, echo or chat, as in text://127.0.0.1:40000")?;
    Ok(ListenAddress { place, protocol })
}

fn main() -> ExitCode {
    let arguments: Arguments = tinytcp_cli::parse();
    if let Some(contradiction) = contradiction(&arguments) {
        tinytcp_cli::refuse::<Arguments>(contradiction);
    }
    match serve(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            tinytcp_cli::complain("tinytcp-server", message);
            ExitCode::FAILURE
        }
    }
}

/// Why the arguments make no sense together, where they do not. A variable counts as its flag.
fn contradiction(arguments: &Arguments) -> Option<String> {
    if let Some(port) = &arguments.port {
        let port = port.parse().unwrap_or(4000u16);
        return Some(format!(
            "--port belongs to no protocol here: say --listen text://127.0.0.1:{port}"
        ));
    }
    if arguments.host.is_some() && !arguments.listen.is_empty() {
        return Some(
            "--host (TINYTCP_HOST) moves the default listeners, which --listen (TINYTCP_LISTEN) replaces: leave one \
                     of them out, and name the host in the URL"
                .into(),
        );
    }
    if arguments.verbose > 0 && arguments.quiet > 0 {
        return Some(
            "-v (TINYTCP_VERBOSE) logs more and -q (TINYTCP_QUIET) less: leave one of them out"
                .into(),
        );
    }
    None
}

fn serve(arguments: &Arguments) -> Result<(), String> {
    let started = |error| {
        format!("cannot start a thread: {error}; the machine is out of memory or processes")
    };
    let log = Sink::new("stderr", io::stderr()).map_err(started)?;
    let announcements = Sink::new("stdout", io::stdout()).map_err(started)?;
    start_logging(arguments, &log)?;
    if let Err(warning) = zone::of_environment() {
        log::warn!("{warning}");
    }
    let listeners = listeners(arguments)?;
    let open_files =
        OpenFiles::raise(listeners.iter().map(|listener| listener.endpoints.len()).sum());
    let config = config(arguments, listeners, &open_files);
    let server =
        Server::bind_stopping_on(&config, &STOP_SIGNALS).map_err(|error| error.to_string())?;
    signals::unblock(&STOP_SIGNALS)
        .map_err(|error| format!("cannot unblock signals: {error}; start the server again"))?;
    log_start(server.addresses());
    open_files.log(arguments.max_connections);
    // One item, however many lines: the queue to stdout drops items when it is full, and a start
    // without its line is none.
    let lines = server.addresses().iter().map(|bound| format!("listening on {bound}"));
    announcements.line(&lines.collect::<Vec<_>>().join("\n"));
    let outcome = server.run();
    if let Ok(status) = &outcome {
        log::info!("stopped: {status}");
    }
    log.flush(LAST_LINES_TIMEOUT);
    announcements.flush(LAST_LINES_TIMEOUT);
    outcome
        .map(drop)
        .map_err(|error| format!("cannot wait for events: {error}; start the server again"))
}

fn start_logging(arguments: &Arguments, sink: &Sink) -> Result<(), String> {
    let directives = std::env::var("RUST_LOG").unwrap_or_default();
    // Checked here, because the logger would complain on a stderr that may be closed, and panic.
    env_filter::Builder::new().try_parse(&directives).map_err(|error| {
        format!("RUST_LOG is wrong: {error}; it looks like debug, or tinytcp=trace")
    })?;
    let level = match (arguments.quiet, arguments.verbose) {
        (0, 0) => LevelFilter::Info,
        (0, 1) => LevelFilter::Debug,
        (0, _) => LevelFilter::Trace,
        (1, _) => LevelFilter::Warn,
        (_, _) => LevelFilter::Error,
    };
    let coloured = tinytcp_cli::is_coloured(io::stderr().is_terminal());
    env_logger::Builder::new()
        .filter_level(level)
        .parse_filters(&directives)
        .write_style(if coloured { WriteStyle::Always } else { WriteStyle::Never })
        .target(Target::Pipe(Box::new(sink.clone())))
        .format(|line, record| {
            let time = log_time(event_time(record));
            let style = line.default_level_style(record.level());
            writeln!(line, "{time} {style}{:5}{style:#} {}", record.level(), record.args())
        })
        .init();
    Ok(())
}

/// When the event of a log record happened: now, or as long ago as the record says.
fn event_time(record: &Record<'_>) -> SystemTime {
    let age_ms =
        record.key_values().get(Key::from_str(AGE_KEY)).and_then(|age| age.to_u64()).unwrap_or(0);
    let now = SystemTime::now();
    now.checked_sub(Duration::from_millis(age_ms)).unwrap_or(now)
}

/// Says what was started, and what is to be known of it.
fn log_start(addresses: &[Bound]) {
    let named = addresses.iter().take(LOGGED_LISTENERS_MAX).map(ToString::to_string);
    let mut listeners = named.collect::<Vec<_>>().join(", ");
    if let Some(more @ 1..) = addresses.len().checked_sub(LOGGED_LISTENERS_MAX) {
        listeners += &format!(" and {more} more");
    }
    log::info!("tinytcp-server {} listens on {listeners}", env!("CARGO_PKG_VERSION"));
    if !addresses.iter().all(|bound| bound.endpoint.is_local()) {
        log::warn!(
            "other machines can connect, and there are no accounts: keep strangers out with a firewall, or listen on 127.0.0.1"
        );
    }
}

fn config(arguments: &Arguments, listeners: Vec<Listener>, open_files: &OpenFiles) -> Config {
    let connections_max = open_files.connections_max(arguments.max_connections);
    let default =
        match listeners.iter().flat_map(|listener| &listener.endpoints).all(Endpoint::is_local) {
            true => ActivityLog::Lines(ACTIVITY_LINES),
            false => ActivityLog::Connections,
        };
    let activity_log = arguments.activity_log.unwrap_or(default);
    Config {
        listeners,
        connections_max,
        rejected_max: (open_files.connections - connections_max + REJECTED_DESCRIPTORS).min(256),
        limits: Limits {
            line_bytes_max: arguments.max_line,
            frame_bytes_max: arguments.max_frame,
            memory_bytes_max: arguments.memory_limit,
        },
        timeouts: Timeouts {
            idle: arguments.idle_timeout.0,
            message: arguments.message_timeout.0,
            write: arguments.write_timeout.0,
            quiet: arguments.quiet_period.0,
            drain: arguments.drain_timeout.0,
        },
        unix_mode: arguments.unix_mode,
        backlog: u32::try_from(arguments.backlog).unwrap_or(u32::MAX),
        activity_lines_max: match activity_log {
            ActivityLog::Off => None,
            ActivityLog::Connections => Some(ACTIVITY_LINES),
            ActivityLog::Lines(lines) => Some(lines),
        },
        activity_shows_messages: matches!(activity_log, ActivityLog::Lines(_)),
    }
}

/// The limit of open files, and what follows from it.
struct OpenFiles {
    soft: u64,
    hard: u64,
    /// What is no connection's.
    reserved: usize,
    /// How many connections the limit allows.
    connections: usize,
}

impl OpenFiles {
    /// Raises the soft limit to the hard one, for a server with so many listeners.
    fn raise(listeners: usize) -> Self {
        let (soft, hard) = rlimit::Resource::NOFILE.get().unwrap_or((1024, 1024));
        let raised = rlimit::Resource::NOFILE.set(hard, hard).map_or(soft, |()| hard);
        let reserved = RESERVED_DESCRIPTORS + listeners.saturating_sub(RESERVED_LISTENERS);
        let connections =
            usize::try_from(raised).unwrap_or(usize::MAX).saturating_sub(reserved).max(1);
        Self { soft, hard, reserved, connections }
    }

    fn connections_max(&self, wanted: Option<usize>) -> usize {
        wanted.unwrap_or(self.connections).min(self.connections)
    }

    fn log(&self, wanted: Option<usize>) {
        let Self { soft, hard, reserved, connections } = self;
        let connections_max = plural(self.connections_max(wanted) as u64, "connection");
        log::info!("open files: soft limit {soft}, hard limit {hard}; at most {connections_max}");
        if let Some(wanted) = wanted.filter(|wanted| wanted > connections) {
            let needed = wanted.saturating_add(*reserved);
            log::warn!("{wanted} connections need a higher open-file limit: `ulimit -Hn {needed}`");
        }
    }
}

/// The listeners that were asked for, all of them required; or the default ones, of which those are
/// taken that can be had.
fn listeners(arguments: &Arguments) -> Result<Vec<Listener>, String> {
    if arguments.listen.is_empty() {
        let hosts =
            arguments.host.as_ref().map_or(vec!["127.0.0.1", "::1"], |host| vec![host.as_str()]);
        let default = |protocol: &BuiltIn| listener(protocol, &hosts, protocol.default_port, false);
        return BUILT_IN.iter().map(default).collect();
    }
    let asked = arguments.listen.iter().map(|ListenAddress { place, protocol }| match place {
        Place::Tcp(address) => listener(
            protocol,
            &[&address.host],
            address.port.unwrap_or(protocol.default_port),
            true,
        ),
        Place::Unix(path) => {
            let endpoints = vec![Endpoint::Unix(path.clone())];
            Ok(Listener { endpoints, protocol: (protocol.build)(), required: true })
        }
    });
    asked.collect()
}

/// A listener on all addresses of `hosts`, each of them once.
fn listener(
    protocol: &BuiltIn,
    hosts: &[&str],
    port: u16,
    required: bool,
) -> Result<Listener, String> {
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for host in hosts {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let resolved = (bare, port).to_socket_addrs().map_err(|error| {
            let scheme = protocol.scheme;
            format!("cannot listen on {scheme}://{host}:{port}: unknown host ({error}); use an address of this machine")
        })?;
        for endpoint in resolved.map(Endpoint::Tcp) {
            if !endpoints.contains(&endpoint) {
                endpoints.push(endpoint);
            }
        }
    }
    Ok(Listener { endpoints, protocol: (protocol.build)(), required })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_resolves_to_one_address_twice_is_one_listener() {
        let found = listener(&BUILT_IN[0], &["127.0.0.1", "127.0.0.1", "[::1]"], 4000, true)
            .expect("addresses");
        let addrs: Vec<String> = found.endpoints.iter().map(ToString::to_string).collect();
        assert_eq!(addrs, ["127.0.0.1:4000", "[::1]:4000"]);
    }
}
