//! Before anything is opened: whether this machine has the ports, the descriptors and the memory
//! for what was asked.

use std::fs;
use std::io;
use std::mem;
use std::net::{IpAddr, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;

use tinytcp_cli::target::Protocol;
use tinytcp_core::os::endpoint::Endpoint;

use super::figures::{bytes, count, plural};
use super::peer::Peer;
use super::plan::Plan;

/// Descriptors that are no connection's: standard streams, report files, and what a resolver may
/// need.
const RESERVED_DESCRIPTORS: u64 = 16;

/// Descriptors of a thread: a poller and a timer.
const DESCRIPTORS_PER_THREAD: u64 = 2;

/// The kernel lets so many bytes wait in the two directions of one connection, and a message cannot
/// take more.
const SOCKET_BYTES_MAX: usize = 8 << 20;

/// A thread's block for reading and its histograms.
const THREAD_BYTES: usize = 4 << 20;

/// The places in the queues beside the connection itself, its flights and the growth of the tables.
const QUEUES_BYTES: usize = 320;

/// What this machine has.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Files that this process may have open.
    pub descriptors: u64,
    /// Ports that the system hands out for outgoing connections, for each source address.
    pub ports: u64,
    /// Memory that programs can still take; `None` where the system does not say.
    pub memory_bytes: Option<u64>,
}

impl Machine {
    /// This machine, after the soft limit of open files was raised to the hard one.
    #[must_use]
    pub fn this() -> Self {
        // Where it cannot be raised, the limit that is there decides.
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

/// How many ports there are from the first to the last one (ip(7)), without those that are never
/// our own. Where there is no such file, IANA's range from 49152 on is what systems use.
fn port_range(text: &str) -> Option<u64> {
    let mut bounds = text.split_ascii_whitespace().map(str::parse);
    let (first, last): (u16, u16) = (bounds.next()?.ok()?, bounds.next()?.ok()?);
    let ports = u64::from(last.checked_sub(first)?) + 1;
    let reserved =
        Protocol::ALL.iter().filter(|protocol| (first..=last).contains(&protocol.default_port()));
    Some(ports - reserved.count() as u64)
}

/// The line `MemAvailable: N kB` (proc_meminfo(5)).
fn memory_available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// What a run needs, beside what there is.
#[derive(Debug)]
pub struct Preflight {
    /// A line each about descriptors, ports and memory.
    pub facts: Vec<String>,
    /// A sentence each about what is missing, and what to do; empty when nothing is.
    pub missing: Vec<String>,
}

/// Compares what `plan` needs with what `machine` has.
#[must_use]
pub fn check(plan: &Plan, machine: &Machine) -> Preflight {
    let mut preflight = Preflight { facts: Vec::new(), missing: Vec::new() };
    preflight.descriptors(plan, machine);
    preflight.ports(plan, machine);
    preflight.sources(plan);
    preflight.permissions(plan);
    preflight.memory(plan, machine);
    preflight
}

impl Preflight {
    fn descriptors(&mut self, plan: &Plan, machine: &Machine) {
        let threads = plan.asked.threads as u64;
        let needed =
            plan.asked.connections as u64 + threads * DESCRIPTORS_PER_THREAD + RESERVED_DESCRIPTORS;
        let (has, wants) = (machine.descriptors, plan.asked.connections as u64);
        self.facts.push(format!("descriptors: {} needed, {} allowed", count(needed), count(has)));
        if needed > has {
            self.missing.push(format!(
                "{} need {} open files and this process may have {}: `ulimit -Hn {needed}` as root, or -c {}",
                plural(wants, "connection"),
                count(needed),
                count(has),
                has.saturating_sub(threads * DESCRIPTORS_PER_THREAD + RESERVED_DESCRIPTORS).max(1)
            ));
        }
    }

    fn ports(&mut self, plan: &Plan, machine: &Machine) {
        if plan.endpoints.iter().all(|endpoint| endpoint.addr().is_none()) {
            return self.facts.push("ports: none needed for a unix socket".into());
        }
        let sources = plan.sources.len().max(1) as u64;
        let (needed, has) = (plan.asked.connections as u64, machine.ports.saturating_mul(sources));
        self.facts.push(format!(
            "ports: {} needed, {} for {}",
            count(needed),
            count(has),
            addresses(sources)
        ));
        if needed > has {
            let (ports, more) = (machine.ports, needed.div_ceil(machine.ports.max(1)));
            self.missing.push(format!(
                "{} need as many ports and {} with {} each are there: give {more} of them, as in --source {}, or -c {has}",
                plural(needed, "connection"),
                addresses(sources),
                count(ports),
                example_range(plan, more)
            ));
        }
    }

    /// Giving the address to a socket asks the system, and sends nothing.
    fn sources(&mut self, plan: &Plan) {
        let is_elsewhere = |source: &&IpAddr| {
            UdpSocket::bind((**source, 0))
                .is_err_and(|error| error.kind() == io::ErrorKind::AddrNotAvailable)
        };
        if let Some(source) = plan.sources.iter().find(is_elsewhere) {
            self.missing.push(format!(
                "{source} is no address of this machine: add it (`ip addr add` as root), or leave it out of --source"
            ));
        }
    }

    /// Opening a socket like a file asks the system for its permissions, and connects to nothing. A
    /// pipe in its place must not be waited for.
    fn permissions(&mut self, plan: &Plan) {
        for endpoint in &plan.endpoints {
            let Endpoint::Unix(path) = endpoint else { continue };
            let opened =
                fs::OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path);
            if opened.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
                let path = path.display();
                self.missing.push(format!(
                    "{path}: permission denied; who may connect is set by --unix-mode of tinytcp-server"
                ));
            }
        }
    }

    fn memory(&mut self, plan: &Plan, machine: &Machine) {
        let needed = memory_bytes(plan);
        let has = machine.memory_bytes;
        let available = has.map_or("unknown".into(), |has| bytes(has as f64));
        self.facts
            .push(format!("memory: up to {} needed, {available} available", bytes(needed as f64)));
        if let Some(has) = has.filter(|has| needed > *has) {
            self.missing.push(format!(
                "up to {} of memory are needed and {} are available: ask for fewer connections, a smaller -P or a smaller --size",
                bytes(needed as f64),
                bytes(has as f64)
            ));
        }
    }
}

/// The most memory that the generator and its sockets take: what is in flight may wait in the
/// kernel.
fn memory_bytes(plan: &Plan) -> u64 {
    let message = plan.script.request_bytes_max().saturating_add(plan.script.reply_bytes_max());
    let in_flight = plan.asked.depth.saturating_mul(message).min(SOCKET_BYTES_MAX);
    let connection = mem::size_of::<Peer>() + QUEUES_BYTES + in_flight;
    let connections = plan.asked.connections.saturating_mul(connection);
    connections
        .saturating_add(plan.asked.threads.saturating_mul(THREAD_BYTES))
        .saturating_add(plan.script.memory_bytes()) as u64
}

/// `1 source address`, `3 source addresses`.
fn addresses(number: u64) -> String {
    if number == 1 {
        "1 source address".into()
    } else {
        format!("{} source addresses", count(number))
    }
}

/// Source addresses that work as they stand: those of loopback, for a server there.
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
    use super::super::plan::Opening;
    use super::super::samples;
    use super::*;

    const AMPLE: Machine =
        Machine { descriptors: 1_000_000, ports: 28_232, memory_bytes: Some(8 << 30) };

    fn plan(connections: usize) -> Plan {
        let mut plan = samples::plan(connections, 1, Opening::AtOnce);
        plan.asked.depth = 16;
        plan
    }

    fn missing(connections: usize, machine: Machine) -> Vec<String> {
        check(&plan(connections), &machine).missing
    }

    #[test]
    fn what_fits_misses_nothing_up_to_the_limit() {
        assert_eq!(missing(28_232, AMPLE), Vec::<String>::new());
        assert_eq!(missing(100, Machine { descriptors: 100 + 18, ..AMPLE }), Vec::<String>::new());
    }

    #[test]
    fn too_few_ports_are_said_together_with_sources_that_would_do() {
        let missing = missing(60_000, AMPLE);
        assert_eq!(missing.len(), 1, "{missing:?}");
        assert!(missing[0].contains("--source 127.0.0.2-127.0.0.4"), "{missing:?}");
    }

    #[test]
    fn too_few_descriptors_are_said_together_with_the_number_that_would_do() {
        let missing = missing(100, Machine { descriptors: 117, ..AMPLE });
        assert!(
            missing[0].contains("ulimit -Hn 118") && missing[0].ends_with("-c 99"),
            "{missing:?}"
        );
    }

    #[test]
    fn what_is_in_flight_counts_as_memory() {
        let missing = missing(20_000, Machine { memory_bytes: Some(300 << 20), ..AMPLE });
        assert!(missing[0].contains("a smaller -P"), "{missing:?}");
    }

    #[test]
    fn the_files_of_linux_are_read() {
        assert_eq!(port_range("32768\t60999\n"), Some(28_231), "port 40000 is that of a server");
        assert_eq!(memory_available("MemTotal: 10 kB\nMemAvailable:    2048 kB\n"), Some(2 << 20));
    }
}
