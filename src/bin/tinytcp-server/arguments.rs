//! The command line of the server.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgAction, Parser, ValueEnum};
use tinytcp_cli::UsageError;
use tinytcp_cli::address::{Place, Url, parse_url};
use tinytcp_cli::units::{self, Timeout};
use tinytcp_core::bus::settings::{BusError, BusSettings, DEFAULT_PREFIX, check_prefix};
use tinytcp_core::limits::Limits;
use tinytcp_core::os::subnet::Subnet;

use crate::listen_address::ListenAddress;
use crate::tls::TlsArguments;

use crate::room_arguments::RoomArguments;

const EXAMPLES: &str = "\
Examples:
  tinytcp-server                                   all four protocols on their default ports
  tinytcp-server --listen text://127.0.0.1:4000    one protocol, one port
  tinytcp-server --host 0.0.0.0                    reachable from other machines
  tinytcp-server --listen echo://127.0.0.1:0       any free port; stdout names it
  tinytcp-server --listen text+tls://127.0.0.1:40443 --tls-self-signed
  printf 'TIME\\nQUIT\\n' | nc 127.0.0.1 40000       talk to it";

/// A TCP server with four tiny protocols: text (port 40000), binary (65432), echo (8888) and chat
/// (9999).
#[derive(Parser)]
#[command(name = "tinytcp-server", version, before_long_help = EXAMPLES, max_term_width = 100)]
pub struct Arguments {
    /// Listen here instead of on the default ports: text://127.0.0.1:40000, or
    /// text+unix:///run/tinytcp.sock for a unix socket; port 0 takes any free port; text+tls://...
    /// for TLS; with ?proxy=on at its end for proxies, whose connections begin with a PROXY header;
    /// repeatable
    #[arg(long, value_name = "URL", env = "TINYTCP_LISTEN", value_delimiter = ',',
        value_parser = ListenAddress::parse)]
    pub listen: Vec<ListenAddress>,

    /// Host of the default listeners [default: loopback, IPv4 and IPv6]
    #[arg(long, value_name = "HOST", env = "TINYTCP_HOST")]
    pub host: Option<String>,

    /// The address or block of addresses of proxies, such as 10.0.0.0/8, from which listeners with
    /// ?proxy=on take connections; repeatable
    #[arg(long, value_name = "CIDR", env = "TINYTCP_PROXY_FROM", value_delimiter = ',',
        value_parser = Subnet::from_str)]
    pub proxy_from: Vec<Subnet>,

    /// Permissions of the files of unix sockets, in octal, as in 0660 [default: those that the
    /// umask allows]
    #[arg(long, value_name = "MODE", env = "TINYTCP_UNIX_MODE", value_parser = file_mode)]
    pub unix_mode: Option<u32>,

    /// Share the ports of --listen and --host with other processes of this user that have this flag
    /// too; the kernel spreads new connections over all of them
    #[arg(long, env = "TINYTCP_REUSE_PORT")]
    pub reuse_port: bool,

    /// Maximum number of connections; further ones get SERVER_BUSY [default: as many as the
    /// open-file limit allows]
    #[arg(long, value_name = "N", env = "TINYTCP_MAX_CONNECTIONS", value_parser = units::count)]
    pub max_connections: Option<usize>,

    /// Maximum number of connections of one IPv4 address or IPv6 /64; further ones get SERVER_BUSY;
    /// `off` for no limit
    #[arg(long, value_name = "N", env = "TINYTCP_MAX_CONNECTIONS_PER_IP", default_value = "off",
        value_parser = limit_per_ip)]
    pub max_connections_per_ip: LimitPerIp,

    /// Connections per second from one address, and as many at once; further ones are reset; `off`
    /// for no limit
    #[arg(long, value_name = "N", env = "TINYTCP_ACCEPT_RATE_PER_IP", default_value = "off",
        value_parser = limit_per_ip)]
    pub accept_rate_per_ip: LimitPerIp,

    /// Messages per second from one address, and as many at once; further ones are read later;
    /// `off` for no limit
    #[arg(long, value_name = "N", env = "TINYTCP_MESSAGE_RATE_PER_IP", default_value = "off",
        value_parser = limit_per_ip)]
    pub message_rate_per_ip: LimitPerIp,

    /// Longest line of text, longest message of echo and chat
    #[arg(long, value_name = "SIZE", env = "TINYTCP_MAX_LINE", default_value = "64KiB",
        value_parser = units::message_size)]
    pub max_line: u32,

    /// Longest payload of a binary frame
    #[arg(long, value_name = "SIZE", env = "TINYTCP_MAX_FRAME", default_value = "16MiB",
        value_parser = units::message_size)]
    pub max_frame: u32,

    /// Maximum memory for the buffers of all connections together
    #[arg(long, value_name = "SIZE", env = "TINYTCP_MEMORY_LIMIT", default_value = "256MiB",
        value_parser = memory_size)]
    pub memory_limit: usize,

    #[command(flatten)]
    pub rooms: RoomArguments,

    /// Close a connection after this time without traffic and without an incomplete message
    #[arg(long, value_name = "D", env = "TINYTCP_IDLE_TIMEOUT", default_value = "5m",
        value_parser = units::timeout)]
    pub idle_timeout: Timeout,

    /// Close a connection when a message takes longer than this from its first to its last byte
    #[arg(long, value_name = "D", env = "TINYTCP_MESSAGE_TIMEOUT", default_value = "30s",
        value_parser = units::timeout)]
    pub message_timeout: Timeout,

    /// Reset a connection whose client is late by this time in reading its answers at 8 KiB per
    /// second
    #[arg(long, value_name = "D", env = "TINYTCP_WRITE_TIMEOUT", default_value = "30s",
        value_parser = units::timeout)]
    pub write_timeout: Timeout,

    /// Close a connection of a proxy whose PROXY header takes longer than this
    #[arg(long, value_name = "D", env = "TINYTCP_PROXY_TIMEOUT", default_value = "3s",
        value_parser = units::timeout)]
    pub proxy_timeout: Timeout,

    #[command(flatten)]
    pub tls: TlsArguments,

    /// Echo and chat: bytes without a newline are a message after this time without another byte
    #[arg(long, value_name = "D", env = "TINYTCP_QUIET_PERIOD", default_value = "20ms",
        value_parser = units::timeout)]
    pub quiet_period: Timeout,

    /// Maximum time that a shutdown waits until clients have read their answers; a drain closes its
    /// connections over the same time
    #[arg(long, value_name = "D", env = "TINYTCP_DRAIN_TIMEOUT", default_value = "5s",
        value_parser = units::timeout)]
    pub drain_timeout: Timeout,

    /// After SIGUSR2: serve for this time without being ready, then close the connections one by
    /// one; or `off`: serve until another signal
    #[arg(long, value_name = "D", env = "TINYTCP_DRAIN_DELAY", default_value = "10s",
        value_parser = units::timeout)]
    pub drain_delay: Timeout,

    /// Length of the kernel's queue of connections that are not accepted yet
    #[arg(long, value_name = "N", env = "TINYTCP_BACKLOG", default_value = "1024",
        value_parser = units::count)]
    pub backlog: usize,

    /// Maximum number of activity log lines per second; the rest is summarised. `connections` logs
    /// no messages, `off` nothing [default: 50; connections if other machines can connect]
    #[arg(long, value_name = "N", env = "TINYTCP_ACTIVITY_LOG", value_parser = parse_activity_log)]
    pub activity_log: Option<ActivityLog>,

    /// Format of the log: lines of text, or one JSON object for each event
    #[arg(long, value_name = "FORMAT", env = "TINYTCP_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// Answer health checks, Prometheus and browsers here: http://127.0.0.1:9464, or
    /// http+unix:///run/tinytcp-admin.sock [default: none]
    #[arg(long, value_name = "URL", env = "TINYTCP_ADMIN", value_parser = admin_address)]
    pub admin: Option<Place>,

    /// A name of this machine by which --admin may be requested, besides its addresses and
    /// localhost; repeatable
    #[arg(long, value_name = "NAME", env = "TINYTCP_ADMIN_HOST", value_delimiter = ',')]
    pub admin_host: Vec<String>,

    /// Answer the agent checks of haproxy here, such as agent://127.0.0.1:9465: ready, drain or
    /// maint [default: none]
    #[arg(long, value_name = "URL", env = "TINYTCP_AGENT_CHECK", value_parser = agent_address)]
    pub agent_check: Option<Place>,

    /// Share the rooms with other servers through this broker of NATS: nats://127.0.0.1:4222,
    /// nats://USER:PASSWORD@HOST or nats://TOKEN@HOST, with tls:// for an encrypted connection; the
    /// variable and the configuration file keep the password out of the list of processes
    /// [default: none]
    #[arg(long, value_name = "URL", env = "TINYTCP_BUS", hide_env_values = true,
        value_parser = bus_broker)]
    pub bus: Option<Broker>,

    /// For --bus tls://HOST: trust the authorities in FILE (PEM), such as
    /// /etc/ssl/certs/ca-certificates.crt
    #[arg(long, value_name = "FILE", env = "TINYTCP_BUS_CA")]
    pub bus_ca: Option<PathBuf>,

    /// The beginning of the subjects of rooms at the broker
    #[arg(long, value_name = "PREFIX", env = "TINYTCP_BUS_PREFIX", default_value = DEFAULT_PREFIX,
        value_parser = bus_prefix)]
    pub bus_prefix: String,

    /// Be ready for new connections only while the broker of --bus is connected
    #[arg(long, env = "TINYTCP_BUS_REQUIRED")]
    pub bus_required: bool,

    /// Ask the server at this URL whether it is healthy, and exit with 0 or 1 [default: that of
    /// --admin, or http://127.0.0.1:9464]
    #[arg(long, value_name = "URL", num_args = 0..=1, value_parser = admin_address)]
    pub health: Option<Option<Place>>,

    /// Read settings from this TOML file too: max-line = "64KiB". Flags and variables override it,
    /// and SIGHUP reads it again
    #[arg(long, value_name = "FILE", env = "TINYTCP_CONFIG")]
    pub config: Option<PathBuf>,

    /// Check the configuration, print each setting and where it comes from, and exit without
    /// listening
    #[arg(long, conflicts_with = "health")]
    pub check: bool,

    /// Refused; the error names the flag to use.
    #[arg(short, long, hide = true, value_name = "PORT")]
    port: Option<String>,

    /// Log more: -v probes and details, -vv everything; RUST_LOG overrides
    #[arg(short, long, action = ArgAction::Count, env = "TINYTCP_VERBOSE")]
    pub verbose: u8,

    /// Log less: -q warnings, -qq errors; RUST_LOG overrides
    #[arg(short, long, action = ArgAction::Count, env = "TINYTCP_QUIET")]
    pub quiet: u8,
}

/// The port of `--admin` if its URL has none: the usual one for the metrics of a program.
pub const ADMIN_PORT: u16 = 9464;

/// The port of `--agent-check` if its URL has none: the next one.
const AGENT_PORT: u16 = ADMIN_PORT + 1;

impl Arguments {
    /// Returns the server that `--health` asks, if it is given.
    pub fn health(&self) -> Option<Place> {
        let asked = self.health.as_ref()?;
        let known = asked.as_ref().or(self.admin.as_ref());
        Some(known.cloned().unwrap_or_else(|| Place::host("127.0.0.1", ADMIN_PORT)))
    }

    /// Returns the settings of the bus, if there is one.
    pub fn bus_settings(&self) -> Option<BusSettings> {
        let settings = self.bus.clone()?.and_then(|bus| bus.with_prefix(&self.bus_prefix)).ok()?;
        Some(settings.required(self.bus_required))
    }

    /// Returns why the arguments contradict each other, if they do. A variable counts as its flag.
    /// If the service manager `has_sockets` for the server, these can be what a flag is about.
    pub fn contradiction(&self, has_sockets: bool) -> Option<String> {
        if let Some(port) = &self.port {
            let port = port.parse().unwrap_or(4000u16);
            return Some(format!(
                "--port belongs to no protocol here: use --listen text://127.0.0.1:{port}"
            ));
        }
        if self.host.is_some() && !self.listen.is_empty() {
            return Some(
                "--host (TINYTCP_HOST) moves the default listeners, which --listen \
                 (TINYTCP_LISTEN) replaces: leave one of them out, and name the host in the URL"
                    .into(),
            );
        }
        let trusts_none = |listener: &&ListenAddress| {
            // A unix socket has permissions instead.
            listener.is_for_proxies
                && matches!(listener.place, Place::Host { .. })
                && self.proxy_from.is_empty()
        };
        if let Some(listener) = self.listen.iter().find(trusts_none) {
            return Some(format!(
                "?proxy=on at {} needs the addresses of the proxies: \
                 add --proxy-from (TINYTCP_PROXY_FROM), such as --proxy-from 127.0.0.1",
                listener.place
            ));
        }
        if !self.proxy_from.is_empty() && !self.listen.iter().any(|it| it.is_for_proxies) {
            return Some(
                "--proxy-from (TINYTCP_PROXY_FROM) is for listeners with ?proxy=on, and there \
                 is none: leave it out, or add the option to the URL of a --listen"
                    .into(),
            );
        }
        let encrypted = self.listen.iter().filter_map(|it| Some((it.url(), it.tls.as_ref()?)));
        if let Some(contradiction) = self.tls.contradiction(encrypted, has_sockets) {
            return Some(contradiction);
        }
        if let Some(Err(error)) = &self.bus {
            return Some(format!("--bus (TINYTCP_BUS): {error}"));
        }
        match (self.bus_settings().is_some_and(|bus| bus.is_encrypted()), &self.bus_ca) {
            (true, None) => {
                return Some(
                    "--bus (TINYTCP_BUS) with tls:// needs the authority of the broker: add \
                     --bus-ca (TINYTCP_BUS_CA), such as \
                     --bus-ca /etc/ssl/certs/ca-certificates.crt"
                        .into(),
                );
            }
            (false, Some(_)) => {
                return Some(
                    "--bus-ca (TINYTCP_BUS_CA) is for an encrypted --bus (TINYTCP_BUS), and there \
                     is none: leave it out, or write --bus tls://HOST"
                        .into(),
                );
            }
            _ => {}
        }
        if self.bus_required && self.bus.is_none() {
            return Some(
                "--bus-required (TINYTCP_BUS_REQUIRED) is about the broker of --bus (TINYTCP_BUS), \
                 and there is none: leave it out, or add --bus nats://127.0.0.1:4222"
                    .into(),
            );
        }
        if self.verbose > 0 && self.quiet > 0 {
            return Some(
                "-v (TINYTCP_VERBOSE) logs more and -q (TINYTCP_QUIET) less: leave one of them out"
                    .into(),
            );
        }
        if self.health.is_some() { None } else { self.useless_flag(has_sockets) }
    }

    /// Returns why a flag about a listener is wrong, if there is no such listener.
    fn useless_flag(&self, has_sockets: bool) -> Option<String> {
        if !self.admin_host.is_empty() && self.admin.is_none() && !has_sockets {
            return Some(
                "--admin-host (TINYTCP_ADMIN_HOST) is a name for --admin (TINYTCP_ADMIN), and \
                 there is none: leave it out, or add --admin http://127.0.0.1:9464"
                    .into(),
            );
        }
        let listeners = self.listen.iter().map(|it| &it.place);
        let mut places = listeners.chain(&self.admin).chain(&self.agent_check);
        if self.unix_mode.is_some() && !places.any(|place| matches!(place, Place::Unix(_))) {
            return Some(
                "--unix-mode (TINYTCP_UNIX_MODE) is for the unix sockets that the server opens, \
                 and there is none: leave it out, or add --listen text+unix:///run/tinytcp.sock"
                    .into(),
            );
        }
        None
    }
}

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for a person.
    Text,
    /// One JSON object for each event.
    Json,
}

/// The content of the activity log.
#[derive(Clone, Copy, Debug)]
pub enum ActivityLog {
    /// Nothing.
    Off,
    /// Opened and closed connections, without their messages.
    Connections,
    /// Messages too, in at most this number of lines per second.
    Lines(u32),
}

fn parse_activity_log(text: &str) -> Result<ActivityLog, UsageError> {
    match text {
        "off" => Ok(ActivityLog::Off),
        "connections" => Ok(ActivityLog::Connections),
        _ => units::count(text)
            .map(|lines| ActivityLog::Lines(u32::try_from(lines).unwrap_or(u32::MAX)))
            .map_err(|error| format!("{error}; or `connections`, or `off` for none").into()),
    }
}

/// A limit per address; `None` is `off`. A name of its own, because clap takes an `Option` for a
/// flag that may be absent.
type LimitPerIp = Option<u32>;

fn limit_per_ip(text: &str) -> Result<LimitPerIp, UsageError> {
    let count = units::count_or_off(text)?;
    Ok(count.map(|count| u32::try_from(count).unwrap_or(u32::MAX)))
}

fn memory_size(text: &str) -> Result<usize, UsageError> {
    units::size(text).and_then(|size| match size {
        Limits::MEMORY_BYTES_MIN.. => Ok(size),
        _ => Err("the server needs 1MiB at least".into()),
    })
}

fn file_mode(text: &str) -> Result<u32, UsageError> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| "permissions are octal digits from 0 to 0777, as in 0660".into())
}

fn agent_address(text: &str) -> Result<Place, UsageError> {
    plain_url(text, "agent", AGENT_PORT)
}

fn admin_address(text: &str) -> Result<Place, UsageError> {
    plain_url(text, "http", ADMIN_PORT)
}

/// Parses the URL of a listener without TLS.
fn plain_url(text: &str, scheme: &str, port: u16) -> Result<Place, UsageError> {
    let example = format!("the URL looks like {scheme}://127.0.0.1:{port}");
    if !text.contains("://") {
        return Err(example.into());
    }
    match parse_url(text, |_| Ok(port))? {
        Url { scheme: found, is_encrypted: false, place } if found == scheme => Ok(place),
        Url { scheme: found, is_encrypted, .. } if is_encrypted || found == "https" => {
            Err(format!("there is no TLS here; {example}").into())
        }
        _ => Err(example.into()),
    }
}

/// The broker of `--bus`, or why its URL is refused. An error of the parser would repeat the URL,
/// which can hold a password.
type Broker = Result<BusSettings, BusError>;

#[expect(clippy::unnecessary_wraps, reason = "a parser returns a result")]
fn bus_broker(text: &str) -> Result<Broker, UsageError> {
    Ok(BusSettings::parse(text))
}

fn bus_prefix(text: &str) -> Result<String, UsageError> {
    check_prefix(text).map(|()| text.to_owned()).map_err(UsageError::new)
}
