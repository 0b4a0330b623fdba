//! The preflight check: whether this machine has the ports, descriptors and memory for a run.

use std::fs;
use std::io;
use std::mem;
use std::net::{IpAddr, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;

use tinytcp_cli::target::ProtocolName;
use tinytcp_core::os::endpoint::Endpoint;

use crate::engine::connection::LoadConnection;
use crate::measurement::format::{bytes, count, plural};
use crate::traffic::plan::Plan;

/// Descriptors for other purposes than connections: standard streams, report files and a resolver.
const RESERVED_DESCRIPTORS: u64 = 16;

/// Descriptors per thread: a poller and a timer.
const DESCRIPTORS_PER_THREAD: u64 = 2;

/// Maximum number of bytes that the kernel buffers for one connection in both directions.
const SOCKET_BYTES_MAX: usize = 8 << 20;

/// A thread's read block and its histograms.
const THREAD_BYTES: usize = 4 << 20;

/// The TLS session of a connection, and the records of one system call that it has encrypted.
const TLS_BYTES: usize = 8 * 1024;
const SEALED_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a connection in queues and tables, besides the connection itself.
const QUEUES_BYTES: usize = 320;

/// The resources of a machine.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Maximum number of open files of this process.
    pub descriptors: u64,
    /// Ports for outgoing connections, per source address.
    pub ports: u64,
    /// Available memory; `None` if the system does not report it.
    pub memory_bytes: Option<u64>,
}

impl Machine {
    /// Raises the soft limit of open files to the hard limit, and returns the resources of this
    /// machine.
    #[must_use]
    pub fn this() -> Self {
        // If it cannot be raised, the current limit applies.
        let descriptors = rlimit::increase_nofile_limit(u64::MAX)
            .or_else(|_| rlimit::Resource::NOFILE.get_soft())
            .unwrap_or(1024);
        Self {
            descriptors,
            ports: fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
                .ok()
                .as_deref()
                .and_then(port_range)
                .unwrap_or(16_384),
            memory_bytes: fs::read_to_string("/proc/meminfo")
                .ok()
                .as_deref()
                .and_then(memory_available),
        }
    }
}

/// Returns the number of ports of the range (ip(7)), without the default ports of the server.
/// Systems without such a file use IANA's range from 49152.
fn port_range(text: &str) -> Option<u64> {
    let mut bounds = text.split_ascii_whitespace().map(str::parse);
    let (first, last): (u16, u16) = (bounds.next()?.ok()?, bounds.next()?.ok()?);
    let ports = u64::from(last.checked_sub(first)?) + 1;
    let reserved = ProtocolName::ALL
        .iter()
        .filter(|protocol| (first..=last).contains(&protocol.default_port()));
    Some(ports - reserved.count() as u64)
}

/// Parses the line `MemAvailable: N kB` (proc_meminfo(5)).
fn memory_available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The needs of a run compared with the available resources.
#[derive(Debug)]
pub struct Preflight {
    /// One line each about descriptors, ports and memory.
    pub facts: Vec<String>,
    /// One sentence about each missing resource, with a remedy; empty if nothing is missing.
    pub missing: Vec<String>,
}

/// Compares the needs of `plan` with the resources of `machine`.
#[must_use]
pub fn check(plan: &Plan, machine: &Machine) -> Preflight {
    let mut preflight = Preflight { facts: Vec::new(), missing: Vec::new() };
    preflight.descriptors(plan, machine);
    preflight.ports(plan, machine);
    preflight.sources(plan);
    preflight.permissions(plan);
    preflight.memory(plan, machine);
    preflight.tls(plan);
    preflight
}

impl Preflight {
    fn descriptors(&mut self, plan: &Plan, machine: &Machine) {
        let threads = plan.settings.threads as u64;
        let needed = plan.settings.connections as u64
            + threads * DESCRIPTORS_PER_THREAD
            + RESERVED_DESCRIPTORS;
        let (has, wants) = (machine.descriptors, plan.settings.connections as u64);
        self.facts.push(format!("descriptors: {} needed, {} allowed", count(needed), count(has)));
        if needed > has {
            let connections = plural(wants, "connection");
            let fits = has.saturating_sub(needed - wants);
            self.missing.push(missing_descriptors(needed, &connections, has, fits));
        }
    }

    fn ports(&mut self, plan: &Plan, machine: &Machine) {
        if plan.endpoints.iter().all(|endpoint| endpoint.addr().is_none()) {
            return self.facts.push("ports: none needed for a unix socket".into());
        }
        let sources = plan.sources.len().max(1) as u64;
        let (needed, has) =
            (plan.settings.connections as u64, machine.ports.saturating_mul(sources));
        self.facts.push(format!(
            "ports: {} needed, {} for {}",
            count(needed),
            count(has),
            addresses(sources)
        ));
        if needed > has {
            let more = needed.div_ceil(machine.ports.max(1));
            self.missing.push(format!(
                "{} are needed, but {} are available from {}: use {more} addresses, such as \
                 --source {}, or use -c {has}",
                plural(needed, "port"),
                count(has),
                addresses(sources),
                example_range(plan, more)
            ));
        }
    }

    /// Binding a socket checks the address without sending anything.
    fn sources(&mut self, plan: &Plan) {
        let is_elsewhere = |source: &&IpAddr| {
            UdpSocket::bind((**source, 0))
                .is_err_and(|error| error.kind() == io::ErrorKind::AddrNotAvailable)
        };
        if let Some(source) = plan.sources.iter().find(is_elsewhere) {
            self.missing.push(format!(
                "{source} is not an address of this machine: add it (`ip addr add` as root), or \
                 remove it from --source"
            ));
        }
    }

    /// Opening a socket like a file checks its permissions without connecting. `O_NONBLOCK` avoids
    /// waiting if the file is a pipe.
    fn permissions(&mut self, plan: &Plan) {
        for endpoint in &plan.endpoints {
            let Endpoint::Unix(path) = endpoint else { continue };
            let opened =
                fs::OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path);
            if opened.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
                let path = path.display();
                self.missing.push(format!(
                    "{path}: permission denied; tinytcp-server sets the permissions with \
                     --unix-mode"
                ));
            }
        }
    }

    /// The files of certificates and keys are read before this check.
    fn tls(&mut self, plan: &Plan) {
        let Some(tls) = plan.settings.tls else { return };
        let check = if tls.is_verified { "checked" } else { "not checked" };
        let kind = if tls.resumes { "resumed where a ticket is left" } else { "full" };
        self.facts.push(format!("TLS: the certificate is {check}, each handshake is {kind}"));
    }

    fn memory(&mut self, plan: &Plan, machine: &Machine) {
        let needed = memory_bytes(plan);
        let has = machine.memory_bytes;
        let available = has.map_or("unknown".into(), |has| bytes(has as f64));
        self.facts
            .push(format!("memory: up to {} needed, {available} available", bytes(needed as f64)));
        if let Some(has) = has.filter(|has| needed > *has) {
            self.missing.push(format!(
                "up to {} of memory is needed, but {} is available: use fewer connections, a \
                 smaller -P or a smaller --size",
                bytes(needed as f64),
                bytes(has as f64)
            ));
        }
    }
}

/// Returns the most memory that the generator and its sockets can use: all requests in flight can
/// wait in the kernel.
fn memory_bytes(plan: &Plan) -> u64 {
    let message = plan.script.message_bytes_max();
    let in_flight = plan.settings.depth.saturating_mul(message).min(SOCKET_BYTES_MAX);
    let tls = match &plan.tls {
        None => 0,
        Some(_) => TLS_BYTES + in_flight.min(SEALED_BYTES_MAX),
    };
    let connection = mem::size_of::<LoadConnection>() + QUEUES_BYTES + in_flight + tls;
    let connections = plan.settings.connections.saturating_mul(connection);
    connections
        .saturating_add(plan.settings.threads.saturating_mul(THREAD_BYTES))
        .saturating_add(plan.script.memory_bytes()) as u64
}

/// Returns the sentence about `needed` descriptors for `wanted`, of which this process `has` fewer.
/// The remedy names `fits`, the most connections for which they suffice, unless that is none.
pub fn missing_descriptors(needed: u64, wanted: &str, has: u64, fits: u64) -> String {
    let fewer = if fits > 0 { format!(", or use -c {fits}") } else { String::new() };
    format!(
        "{} open files are needed for {wanted}, but this process may open {}: raise the limit \
         (`ulimit -Hn {needed}` as root){fewer}",
        count(needed),
        count(has)
    )
}

/// `1 source address`, `3 source addresses`.
fn addresses(number: u64) -> String {
    if number == 1 {
        "1 source address".into()
    } else {
        format!("{} source addresses", count(number))
    }
}

/// Returns an example of source addresses: for a server on loopback, one that works unchanged.
fn example_range(plan: &Plan, addresses: u64) -> String {
    if plan
        .endpoints
        .iter()
        .filter_map(Endpoint::addr)
        .any(|addr| addr.ip().is_loopback() && addr.is_ipv4())
    {
        let last = u32::from_be_bytes([127, 0, 0, 1])
            .saturating_add(u32::try_from(addresses).unwrap_or(u32::MAX));
        return format!("127.0.0.2-{}", std::net::Ipv4Addr::from(last));
    }
    "192.0.2.10-192.0.2.20 (addresses of this machine)".into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::measurement::settings::Opening;

    const AMPLE: Machine =
        Machine { descriptors: 1_000_000, ports: 28_232, memory_bytes: Some(8 << 30) };

    fn plan(connections: usize) -> Plan {
        let mut plan = fixtures::plan(connections, 1, Opening::AtOnce);
        plan.settings.depth = 16;
        plan
    }

    fn missing(connections: usize, machine: Machine) -> Vec<String> {
        check(&plan(connections), &machine).missing
    }

    #[test]
    fn a_run_up_to_the_limits_misses_nothing() {
        assert_eq!(missing(28_232, AMPLE), Vec::<String>::new());
        assert_eq!(missing(100, Machine { descriptors: 100 + 18, ..AMPLE }), Vec::<String>::new());
    }

    #[test]
    fn too_few_ports_are_reported_with_sufficient_sources() {
        let missing = missing(60_000, AMPLE);
        assert_eq!(missing.len(), 1, "{missing:?}");
        assert!(missing[0].contains("--source 127.0.0.2-127.0.0.4"), "{missing:?}");
    }

    #[test]
    fn too_few_descriptors_are_reported_with_the_needed_number() {
        let missing = missing(100, Machine { descriptors: 117, ..AMPLE });
        assert!(
            missing[0].contains("ulimit -Hn 118") && missing[0].ends_with("-c 99"),
            "{missing:?}"
        );
    }

    #[test]
    fn descriptors_for_no_connection_have_no_smaller_number_as_a_remedy() {
        let missing = missing(100, Machine { descriptors: 18, ..AMPLE });
        assert!(missing[0].ends_with("(`ulimit -Hn 118` as root)"), "{missing:?}");
    }

    #[test]
    fn requests_in_flight_count_as_memory() {
        let missing = missing(20_000, Machine { memory_bytes: Some(300 << 20), ..AMPLE });
        assert!(missing[0].contains("a smaller -P"), "{missing:?}");
    }

    #[test]
    fn the_files_of_linux_are_parsed() {
        assert_eq!(port_range("32768\t60999\n"), Some(28_231), "port 40000 belongs to a server");
        assert_eq!(memory_available("MemTotal: 10 kB\nMemAvailable:    2048 kB\n"), Some(2 << 20));
    }
}
