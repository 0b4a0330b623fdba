//! What the program decides for the library: its listeners, the limits that follow from the
//! open-file limit of the process, and the log lines that explain them.

use std::sync::Arc;

use tinytcp_cli::address::Place;
use tinytcp_core::bus::settings::BusSettings;
use tinytcp_core::display::plural::plural;
use tinytcp_core::limits::{Limits, Settings, Timeouts};
use tinytcp_core::os::endpoint::{Bound, Endpoint};
use tinytcp_core::protocol::admin::Admin;
use tinytcp_core::protocol::agent::Agent;
use tinytcp_core::protocol::{BUILT_IN, BuiltIn, Protocol};
use tinytcp_core::server::{Config, Listener};

use crate::arguments::{ActivityLog, Arguments};
use crate::listen_address::ListenAddress;
use crate::program_error::ProgramError;
use crate::systemd::activation::Sockets;
use crate::tls::Encryption;

/// Descriptors that connections cannot use: the poller, the waker, the signals, the standard
/// streams, [`RESERVED_SOCKETS`] and [`REJECTED_DESCRIPTORS`].
const RESERVED_DESCRIPTORS: usize = 32;

/// The listening sockets among [`RESERVED_DESCRIPTORS`]: those of the default listeners.
const RESERVED_SOCKETS: usize = 8;

/// The descriptors that a bus needs: its connection, and those of a lookup.
const BUS_DESCRIPTORS: usize = 4;

/// The descriptors among [`RESERVED_DESCRIPTORS`] for connections that are rejected.
const REJECTED_DESCRIPTORS: usize = 12;

/// The most rejected connections that linger at the same time.
const REJECTED_MAX: usize = 256;

/// Activity log lines per second without a number on the command line.
const ACTIVITY_LINES: u32 = 50;

/// The number of listeners that the log names at the start; stdout names all of them.
const LOGGED_LISTENERS_MAX: usize = 16;

/// Returns the listeners and their encryption. There are listeners on the `sockets` of the service
/// manager and those of `--listen`, all of which are required. Without any of them there are the
/// default listeners, some of which may be missing. Those of `--admin` and `--agent-check` are the
/// last.
///
/// # Errors
/// When a host is unknown, a socket is of no use, or a certificate cannot be used.
pub fn listeners(
    arguments: &Arguments,
    sockets: Sockets,
) -> Result<(Vec<Listener>, Encryption), ProgramError> {
    let admin = Arc::new(Admin::with_hosts(arguments.admin_host.iter().cloned()));
    let mut encryption = Encryption::new(encrypted_hosts(arguments));
    let mut listeners = match sockets.is_empty() {
        true => protocol_listeners(arguments, &mut encryption)?,
        false => activated_listeners(arguments, sockets, &admin, &mut encryption)?,
    };
    // Administrative listeners share no port: their answers are about one process.
    listeners.iter_mut().for_each(|listener| listener.shares_ports = arguments.reuse_port);
    if let Some(place) = &arguments.admin {
        listeners.push(listener(admin, std::slice::from_ref(place), true)?);
    }
    if let Some(place) = &arguments.agent_check {
        listeners.push(listener(Arc::new(Agent), std::slice::from_ref(place), true)?);
    }
    Ok((listeners, encryption))
}

/// Returns the settings of the bus, if there is one. Reads the authorities that the server trusts.
///
/// # Errors
/// When their file cannot be used.
pub fn bus(arguments: &Arguments) -> Result<Option<BusSettings>, ProgramError> {
    match (arguments.bus_settings(), &arguments.bus_ca) {
        (Some(bus), Some(path)) => {
            let trusting = bus.with_ca_file(path).map(Some);
            trusting.map_err(|error| ProgramError::Failure(format!("--bus-ca: {error}")))
        }
        (bus, _) => Ok(bus),
    }
}

/// Returns the hosts of the listeners with TLS.
fn encrypted_hosts(arguments: &Arguments) -> impl Iterator<Item = String> {
    arguments.listen.iter().filter(|it| it.tls.is_some()).filter_map(|it| match &it.place {
        Place::Host { host, .. } => Some(host.clone()),
        Place::Unix(_) => None,
    })
}

/// The listeners on sockets of the service manager, which replace the default ones.
fn activated_listeners(
    arguments: &Arguments,
    sockets: Sockets,
    admin: &Arc<Admin>,
    encryption: &mut Encryption,
) -> Result<Vec<Listener>, ProgramError> {
    if arguments.host.is_some() {
        return Err(ProgramError::failure(
            "--host (TINYTCP_HOST) moves the default listeners, which the sockets of the service \
             manager replace: leave it out",
        ));
    }
    let mut listeners = sockets.listeners(admin, &arguments.tls, encryption)?;
    if !arguments.listen.is_empty() {
        listeners.extend(protocol_listeners(arguments, encryption)?);
    }
    Ok(listeners)
}

fn protocol_listeners(
    arguments: &Arguments,
    encryption: &mut Encryption,
) -> Result<Vec<Listener>, ProgramError> {
    if arguments.listen.is_empty() {
        let hosts =
            arguments.host.as_ref().map_or(vec!["127.0.0.1", "::1"], |host| vec![host.as_str()]);
        let default = |protocol: &BuiltIn| {
            let port = protocol.default_port;
            let places: Vec<Place> = hosts.iter().map(|host| Place::host(host, port)).collect();
            listener((protocol.build)(), &places, false)
        };
        return BUILT_IN.iter().map(default).collect();
    }
    let required = |ListenAddress { place, protocol, is_for_proxies, tls }: &ListenAddress| {
        let mut listener = listener((protocol.build)(), std::slice::from_ref(place), true)?;
        if *is_for_proxies {
            listener = listener.for_proxies(arguments.proxy_from.iter().copied());
        }
        Ok(match tls {
            Some(options) => listener.encrypted(encryption.settings(options, &arguments.tls)?),
            None => listener,
        })
    };
    arguments.listen.iter().map(required).collect()
}

/// A listener on every endpoint of `places`.
fn listener(
    protocol: Arc<dyn Protocol>,
    places: &[Place],
    required: bool,
) -> Result<Listener, ProgramError> {
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for place in places {
        let resolved = place.resolve().map_err(|error| {
            let scheme = protocol.name();
            ProgramError::Failure(format!(
                "cannot listen on {scheme}://{place}: unknown host ({error}); \
                 use an address of this machine"
            ))
        })?;
        for endpoint in resolved {
            if !endpoints.contains(&endpoint) {
                endpoints.push(endpoint);
            }
        }
    }
    let mut listener = Listener::new(endpoints, protocol);
    listener.required = required;
    Ok(listener)
}

/// The configuration of the server.
///
/// # Errors
/// As for [`bus`].
pub fn config(
    arguments: &Arguments,
    listeners: Vec<Listener>,
    open_files: &OpenFiles,
) -> Result<Config, ProgramError> {
    let mut config = Config::from(settings(arguments, &listeners, open_files));
    config.listeners = listeners;
    config.backlog = u32::try_from(arguments.backlog).unwrap_or(u32::MAX);
    config.unix_mode = arguments.unix_mode;
    config.bus = bus(arguments)?;
    Ok(config)
}

/// The settings that a reload can change.
pub fn settings(arguments: &Arguments, listeners: &[Listener], open_files: &OpenFiles) -> Settings {
    let connections_max = open_files.connections_max(arguments.max_connections);
    let default =
        match listeners.iter().flat_map(|listener| &listener.endpoints).all(Endpoint::is_local) {
            true => ActivityLog::Lines(ACTIVITY_LINES),
            false => ActivityLog::Connections,
        };
    let activity_log = arguments.activity_log.unwrap_or(default);
    let spare = open_files.connections - connections_max;
    let mut settings = Settings::default();
    settings.connections_max = connections_max;
    settings.rejected_max = (spare + REJECTED_DESCRIPTORS).min(REJECTED_MAX);
    settings.limits = Limits::default()
        .with_line_bytes_max(arguments.max_line)
        .with_frame_bytes_max(arguments.max_frame)
        .with_memory_bytes_max(arguments.memory_limit)
        .with_address_connections_max(arguments.max_connections_per_ip)
        .with_address_accept_rate_max(arguments.accept_rate_per_ip)
        .with_address_message_rate_max(arguments.message_rate_per_ip);
    settings.limits = arguments.rooms.apply(settings.limits);
    settings.timeouts = Timeouts::default()
        .with_idle(arguments.idle_timeout)
        .with_message(arguments.message_timeout)
        .with_write(arguments.write_timeout)
        .with_quiet(arguments.quiet_period)
        .with_proxy_header(arguments.proxy_timeout)
        .with_drain_delay(arguments.drain_delay)
        .with_drain(arguments.drain_timeout);
    settings.timeouts = arguments.tls.timeouts(settings.timeouts);
    settings.activity_lines_max = match activity_log {
        ActivityLog::Off => None,
        ActivityLog::Connections => Some(ACTIVITY_LINES),
        ActivityLog::Lines(lines) => Some(lines),
    };
    settings.activity_shows_messages = matches!(activity_log, ActivityLog::Lines(_));
    settings
}

/// Logs the listeners, and a warning if other machines can connect.
pub fn log_start(addresses: &[Bound]) {
    let named = addresses.iter().take(LOGGED_LISTENERS_MAX).map(ToString::to_string);
    let mut listeners = named.collect::<Vec<_>>().join(", ");
    if let Some(more @ 1..) = addresses.len().checked_sub(LOGGED_LISTENERS_MAX) {
        listeners += &format!(" and {more} more");
    }
    let version = env!("CARGO_PKG_VERSION");
    log::info!(
        event = "started", version, listeners = addresses.len();
        "tinytcp-server {version} listens on {listeners}"
    );
    let mut open = addresses.iter().filter(|bound| !bound.endpoint.is_local()).peekable();
    if open.peek().is_some() {
        let without = match open.all(|bound| bound.is_encrypted) {
            true => "without accounts",
            false => "without encryption and without accounts",
        };
        log::warn!(
            event = "open_to_others";
            "other machines can connect, {without}: \
             restrict access with a firewall, or listen on 127.0.0.1"
        );
    }
}

/// The open-file limit of the process, and the number of connections that it allows.
#[derive(Clone, Copy)]
pub struct OpenFiles {
    soft: u64,
    hard: u64,
    /// Descriptors that connections cannot use.
    reserved: usize,
    /// Connections that the limit allows.
    connections: usize,
}

impl OpenFiles {
    /// Raises the soft limit to the hard one. The server has these listeners, and a bus if
    /// `has_bus` is true.
    pub fn raise(listeners: &[Listener], has_bus: bool) -> Self {
        let (soft, hard) = rlimit::Resource::NOFILE.get().unwrap_or((1024, 1024));
        let raised = rlimit::Resource::NOFILE.set(hard, hard).map_or(soft, |()| hard);
        let reserved = reserved_descriptors(listeners) + if has_bus { BUS_DESCRIPTORS } else { 0 };
        let connections =
            usize::try_from(raised).unwrap_or(usize::MAX).saturating_sub(reserved).max(1);
        Self { soft, hard, reserved, connections }
    }

    fn connections_max(&self, wanted: Option<usize>) -> usize {
        wanted.unwrap_or(self.connections).min(self.connections)
    }

    /// Logs the limit, and a warning as [`OpenFiles::warn`].
    pub fn log(&self, wanted: Option<usize>) {
        let Self { soft, hard, .. } = self;
        let connections_max = plural(self.connections_max(wanted) as u64, "connection");
        log::info!(
            event = "open_files", soft_limit = soft, hard_limit = hard,
            connections_limit = self.connections_max(wanted);
            "open files: soft limit {soft}, hard limit {hard}; at most {connections_max}"
        );
        self.warn(wanted);
    }

    /// Logs a warning if `--max-connections` is over the limit.
    pub fn warn(&self, wanted: Option<usize>) {
        let Self { reserved, connections, .. } = self;
        if let Some(wanted) = wanted.filter(|wanted| wanted > connections) {
            let needed = wanted.saturating_add(*reserved);
            log::warn!(
                event = "open_files_low", needed;
                "{wanted} connections need a higher open-file limit: `ulimit -Hn {needed}`"
            );
        }
    }
}

/// Returns the number of descriptors that connections cannot use: those of further listening
/// sockets, and of connections that have places of their own, are among them.
fn reserved_descriptors(listeners: &[Listener]) -> usize {
    let sockets: usize = listeners.iter().map(|listener| listener.endpoints.len()).sum();
    let own_places = |listener: &Listener| {
        listener.endpoints.len() * listener.protocol.own_places().unwrap_or(0)
    };
    RESERVED_DESCRIPTORS
        + sockets.saturating_sub(RESERVED_SOCKETS)
        + listeners.iter().map(own_places).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    /// The descriptors that connections of a server with these arguments cannot use.
    fn reserved(arguments: &[&str]) -> usize {
        let arguments = Arguments::parse_from([&["tinytcp-server"], arguments].concat());
        reserved_descriptors(&listeners(&arguments, Sockets::default()).expect("addresses").0)
    }

    #[test]
    fn the_documented_number_of_descriptors_is_reserved() {
        let operations = include_str!("../../../docs/operations.md").replace('\n', " ");
        let documented = "reserves: 32, 16 for each socket of `--admin` and `--agent-check`, 4 for \
                          `--bus`, and 1 for each listening socket over eight.";
        assert!(operations.contains(documented), "docs/operations.md");
        assert_eq!((reserved(&[]), BUS_DESCRIPTORS), (32, 4));
        assert_eq!(reserved(&["--admin", "http://127.0.0.1:0"]), 49);
        assert_eq!(reserved(&["--agent-check", "agent://127.0.0.1:0"]), 49);
        assert_eq!(reserved(&["--listen", "text://127.0.0.1:0"]), 32);
        assert_eq!(
            reserved(&["--listen", "text://127.0.0.1:0", "--admin", "http://127.0.0.1:0"]),
            48
        );
    }

    #[test]
    fn a_name_with_the_same_address_twice_is_one_listener() {
        let places = ["127.0.0.1", "127.0.0.1", "[::1]"].map(|host| Place::host(host, 4000));
        let found = listener((BUILT_IN[0].build)(), &places, true).expect("addresses");
        let addrs: Vec<String> = found.endpoints.iter().map(ToString::to_string).collect();
        assert_eq!(addrs, ["127.0.0.1:4000", "[::1]:4000"]);
    }
}
