//! `tinytcp-server`: arguments to config, config to server, outcome to exit code.

use std::io::{self, IsTerminal, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use clap::{ArgAction, Parser};
use env_logger::{Target, WriteStyle};
use log::LevelFilter;
use tinytcp::base::limits::{Limits, Timeouts};
use tinytcp::base::units;
use tinytcp::cli;
use tinytcp::protocol::{BUILT_IN, BuiltIn};
use tinytcp::server::{BindError, Config, Listener, Server, sink::Sink};
use tinytcp::wire::address::Address;

/// Descriptors that are no connection's: listeners, the poller, standard streams, and a few to turn away with.
const RESERVED_DESCRIPTORS: usize = 32;

/// How many of these are left to turn connections away with: eight listeners, the poller, the waker, the signals and the
/// standard streams take 16.
const REJECTED_DESCRIPTORS: usize = 12;

/// How long the program waits at its end for its last log lines to be taken.
const LAST_LINES_TIMEOUT: Duration = Duration::from_millis(200);

const EXAMPLES: &str = "\
Examples:
  tinytcp-server                                   all four protocols on their default ports
  tinytcp-server --listen text://127.0.0.1:4000    one protocol, one port
  tinytcp-server --host 0.0.0.0                    reachable from other machines
  tinytcp-server --listen echo://127.0.0.1:0       any free port; the line on stdout says which
  printf 'TIME\\nQUIT\\n' | nc 127.0.0.1 40000       talk to it";

/// A TCP server with four tiny protocols: text (port 40000), binary (65432), echo (8888) and chat (9999).
#[derive(Parser)]
#[command(name = "tinytcp-server", version, before_long_help = EXAMPLES, max_term_width = 120)]
struct Arguments {
    /// Listen here, instead of on the default ports: text://127.0.0.1:40000; repeatable; port 0 takes any free one
    #[arg(long, value_name = "URL", env = "TINYTCP_LISTEN", value_delimiter = ',', value_parser = listen_address)]
    listen: Vec<ListenAddress>,

    /// Host of the default listeners [default: loopback, IPv4 and IPv6]
    #[arg(long, value_name = "HOST", env = "TINYTCP_HOST")]
    host: Option<String>,

    /// Connections over this number get SERVER_BUSY [default: what the open-file limit allows, less 32]
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

    /// Close a connection that takes none of its answers for so long
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

    /// Activity lines a second, what is over them is summed up; or `off`
    #[arg(long, value_name = "N", env = "TINYTCP_ACTIVITY_LOG", default_value = "50", value_parser = parse_lines)]
    activity_log: Lines,

    /// Log more: -v probes and details, -vv everything; RUST_LOG overrides
    #[arg(short, long, action = ArgAction::Count, env = "TINYTCP_VERBOSE")]
    verbose: u8,

    /// Log less: -q warnings, -qq errors; RUST_LOG overrides
    #[arg(short, long, action = ArgAction::Count, env = "TINYTCP_QUIET")]
    quiet: u8,
}

/// A timeout, or none. Its own type, because clap takes a bare `Option` for a flag that may be absent.
#[derive(Clone, Copy, Debug)]
struct Timeout(Option<Duration>);

fn parse_timeout(text: &str) -> Result<Timeout, String> {
    units::timeout(text).map(Timeout)
}

/// Lines a second, or none, for the same reason.
#[derive(Clone, Copy, Debug)]
struct Lines(Option<usize>);

fn parse_lines(text: &str) -> Result<Lines, String> {
    units::count_or_off(text).map(Lines)
}

fn memory_size(text: &str) -> Result<usize, String> {
    units::size(text).and_then(|size| match size {
        Limits::MEMORY_BYTES_MIN.. => Ok(size),
        _ => Err("the server works with 1MiB at least".into()),
    })
}

/// An address whose scheme is one of ours.
#[derive(Clone)]
struct ListenAddress {
    address: Address,
    protocol: &'static BuiltIn,
}

fn listen_address(text: &str) -> Result<ListenAddress, String> {
    let address: Address = text.parse()?;
    let protocol = BUILT_IN.iter().find(|built_in| built_in.scheme == address.scheme);
    let protocol = protocol.ok_or("the protocol is text, binary, echo or chat, as in text://127.0.0.1:40000")?;
    Ok(ListenAddress { address, protocol })
}

fn main() -> ExitCode {
    let arguments: Arguments = cli::parse();
    match serve(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            cli::complain("tinytcp-server", message);
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: &Arguments) -> Result<(), String> {
    let started = |error| format!("cannot start a thread: {error}; the machine is out of memory or processes");
    let log = Sink::new("stderr", io::stderr()).map_err(started)?;
    let announcements = Sink::new("stdout", io::stdout()).map_err(started)?;
    start_logging(arguments, &log)?;
    let open_files = OpenFiles::raise();
    let config = config(arguments, &open_files)?;
    let server = Server::bind_stopping_on(&config, &[libc::SIGINT, libc::SIGTERM]).map_err(|error| explain(&error))?;
    open_files.log(arguments.max_connections);
    for (protocol, addr) in server.addresses() {
        announcements.line(&format!("listening on {protocol}://{addr}"));
    }
    let outcome = server.run();
    if let Ok(counters) = &outcome {
        log::info!("stopped: {counters}");
    }
    log.flush(LAST_LINES_TIMEOUT);
    announcements.flush(LAST_LINES_TIMEOUT);
    outcome.map(drop).map_err(|error| format!("cannot wait for events: {error}; start the server again"))
}

fn start_logging(arguments: &Arguments, sink: &Sink) -> Result<(), String> {
    let directives = std::env::var("RUST_LOG").unwrap_or_default();
    // Checked here, because the logger would complain on a stderr that may be closed, and panic.
    env_filter::Builder::new()
        .try_parse(&directives)
        .map_err(|error| format!("RUST_LOG is wrong: {error}; it looks like debug, or tinytcp=trace"))?;
    let level = match (arguments.quiet, arguments.verbose) {
        (0, 0) => LevelFilter::Info,
        (0, 1) => LevelFilter::Debug,
        (0, _) => LevelFilter::Trace,
        (1, _) => LevelFilter::Warn,
        (_, _) => LevelFilter::Error,
    };
    let coloured = cli::is_coloured(io::stderr().is_terminal());
    env_logger::Builder::new()
        .filter_level(level)
        .parse_filters(&directives)
        .write_style(if coloured { WriteStyle::Always } else { WriteStyle::Never })
        .target(Target::Pipe(Box::new(sink.clone())))
        .format(|line, record| {
            let now = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
            let style = line.default_level_style(record.level());
            writeln!(line, "{now} {style}{:5}{style:#} {}", record.level(), record.args())
        })
        .init();
    Ok(())
}

fn config(arguments: &Arguments, open_files: &OpenFiles) -> Result<Config, String> {
    let connections_max = open_files.connections_max(arguments.max_connections);
    Ok(Config {
        listeners: listeners(arguments)?,
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
        backlog: u32::try_from(arguments.backlog).unwrap_or(u32::MAX),
        activity_lines_max: arguments.activity_log.0.map(|lines| u32::try_from(lines).unwrap_or(u32::MAX)),
    })
}

/// The limit of open files, and what follows from it.
struct OpenFiles {
    soft: u64,
    hard: u64,
    /// How many connections the limit allows.
    connections: usize,
}

impl OpenFiles {
    /// Raises the soft limit to the hard one.
    fn raise() -> Self {
        let (soft, hard) = rlimit::Resource::NOFILE.get().unwrap_or((1024, 1024));
        let raised = rlimit::Resource::NOFILE.set(hard, hard).map_or(soft, |()| hard);
        let connections = usize::try_from(raised).unwrap_or(usize::MAX).saturating_sub(RESERVED_DESCRIPTORS).max(1);
        Self { soft, hard, connections }
    }

    fn connections_max(&self, wanted: Option<usize>) -> usize {
        wanted.unwrap_or(self.connections).min(self.connections)
    }

    fn log(&self, wanted: Option<usize>) {
        let Self { soft, hard, connections } = self;
        let connections_max = self.connections_max(wanted);
        log::info!("open files: soft limit {soft}, hard limit {hard}; at most {connections_max} connections");
        if let Some(wanted) = wanted.filter(|wanted| wanted > connections) {
            let needed = wanted.saturating_add(RESERVED_DESCRIPTORS);
            log::warn!("{wanted} connections need a higher open-file limit: `ulimit -Hn {needed}`");
        }
    }
}

/// The listeners that were asked for, or the default ones.
fn listeners(arguments: &Arguments) -> Result<Vec<Listener>, String> {
    let mut listeners = Vec::new();
    for ListenAddress { address, protocol } in &arguments.listen {
        let port = address.port.unwrap_or(protocol.default_port);
        listeners.extend(resolve(protocol, &address.host, port, false)?);
    }
    if listeners.is_empty() {
        let hosts = arguments.host.as_ref().map_or(vec!["127.0.0.1", "::1"], |host| vec![host.as_str()]);
        for protocol in &BUILT_IN {
            for host in &hosts {
                listeners.extend(resolve(protocol, host, protocol.default_port, arguments.host.is_none())?);
            }
        }
    }
    Ok(listeners)
}

/// A listener for each address of `host`. An IPv6 address is optional where there is one of IPv4 too.
fn resolve(protocol: &BuiltIn, host: &str, port: u16, is_default: bool) -> Result<Vec<Listener>, String> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let addrs: Vec<SocketAddr> = (bare, port)
        .to_socket_addrs()
        .map_err(|error| {
            let scheme = protocol.scheme;
            format!("cannot listen on {scheme}://{host}:{port}: unknown host ({error}); use an address of this machine")
        })?
        .collect();
    let has_ipv4 = is_default || addrs.iter().any(SocketAddr::is_ipv4);
    let listener =
        |addr: SocketAddr| Listener { addr, protocol: (protocol.build)(), optional: has_ipv4 && addr.is_ipv6() };
    Ok(addrs.into_iter().map(listener).collect())
}

/// One line for whoever started the server: what failed, why, and what to do.
fn explain(failure: &BindError) -> String {
    let advice = match failure.error.kind() {
        // On Linux the port may also be that of an outgoing connection, for a minute after it was closed.
        io::ErrorKind::AddrInUse => {
            "stop the program that has this port, wait a minute, or choose another with --listen"
        }
        io::ErrorKind::PermissionDenied => "ports below 1024 are privileged: choose one from 1025 to 49151",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address: use 127.0.0.1, or 0.0.0.0 for all",
        _ => "look at the limits of this process and its user",
    };
    format!("{failure}: {}; {advice}", failure.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_may_not_listen_somewhere_is_told_why_and_what_to_do() {
        for (errno, why, what) in [
            (libc::EADDRINUSE, "in use", "choose another with --listen"),
            (libc::EACCES, "ermission denied", "choose one from 1025 to 49151"),
            (libc::EADDRNOTAVAIL, "assign requested address", "use 127.0.0.1"),
            (libc::EMFILE, "open files", "look at the limits"),
        ] {
            let listener = Some(("text", ([127, 0, 0, 1], 80).into()));
            let line = explain(&BindError { listener, error: io::Error::from_raw_os_error(errno) });
            assert!(line.starts_with("cannot listen on text://127.0.0.1:80: "), "{line}");
            assert!(line.contains(why) && line.contains(what), "{line}");
            assert!(!line.contains('\n'), "{line}");
        }
    }
}
