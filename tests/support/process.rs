//! The kernel's view of a process: its descriptors, memory, processor time and limits.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

/// A running process, observed from outside.
#[derive(Clone, Copy)]
pub struct Process {
    pub id: u32,
}

impl Process {
    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(self, name: &str) {
        let sent = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.id.to_string())
            .status()
            .expect("run kill");
        assert!(sent.success(), "kill -{name} {}", self.id);
    }

    /// Returns the numbers of the open descriptors, in order.
    pub fn descriptors(self) -> Vec<u32> {
        let entries = fs::read_dir(self.file("fd")).expect("list the descriptors");
        // An entry may disappear before it is read, because the server goes on.
        let mut numbers: Vec<u32> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        numbers.sort_unstable();
        numbers
    }

    /// The lowest number that the next descriptor can get.
    pub fn lowest_free_descriptor(self) -> u32 {
        let taken = self.descriptors();
        (0..).find(|number| !taken.contains(number)).expect("a process never holds all numbers")
    }

    /// Returns its threads as processes.
    pub fn threads(self) -> Vec<Process> {
        let entries = fs::read_dir(self.file("task")).expect("list the threads");
        let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        ids.map(|id| Process { id }).collect()
    }

    /// Sets the soft limit of open descriptors. The hard limit stays.
    pub fn limit_descriptors(self, soft: u32) {
        self.limit(&format!("--nofile={soft}:"));
    }

    /// Limits the address space of the process to `bytes`.
    pub fn limit_address_space(self, bytes: usize) {
        self.limit(&format!("--as={bytes}"));
    }

    fn limit(self, flag: &str) {
        let set = Command::new("prlimit").arg("--pid").arg(self.id.to_string()).arg(flag).status();
        assert!(set.expect("run prlimit").success(), "prlimit {flag} of {}", self.id);
    }

    /// Returns the size of the address space, resident or not.
    pub fn address_space_bytes(self) -> usize {
        self.kilobytes("VmSize") * 1024
    }

    /// The soft and the hard limit of open descriptors.
    pub fn descriptor_limits(self) -> (u32, u32) {
        let limits = self.read("limits");
        let row = limits
            .lines()
            .find(|line| line.starts_with("Max open files"))
            .expect("the row of open files");
        let mut numbers = row.split_ascii_whitespace().filter_map(|word| word.parse().ok());
        (numbers.next().expect("the soft limit"), numbers.next().expect("the hard limit"))
    }

    /// Returns the resident memory.
    pub fn resident_bytes(self) -> usize {
        self.kilobytes("VmRSS") * 1024
    }

    /// Returns the most memory that was ever resident.
    pub fn resident_bytes_most(self) -> usize {
        self.kilobytes("VmHWM") * 1024
    }

    fn kilobytes(self, field: &str) -> usize {
        let value = self.status_field(field);
        let value = value.strip_suffix("kB").map(str::trim).and_then(|value| value.parse().ok());
        value.unwrap_or_else(|| panic!("{field} is a number of kB"))
    }

    /// Returns the processor time so far, in clock ticks of 10 ms.
    pub fn processor_ticks(self) -> u64 {
        // The second field is the name of the program in parentheses and may have blanks, so the
        // fields are counted after it.
        let stat = self.read("stat");
        let (_, fields) = stat.rsplit_once(')').expect("a program name in parentheses");
        let mut fields = fields.split_ascii_whitespace().skip(11);
        let mut ticks = || {
            fields.next().and_then(|field| field.parse::<u64>().ok()).expect("a number of ticks")
        };
        ticks() + ticks()
    }

    /// Returns the number of times that the process has slept voluntarily, once for each wait
    /// without an event.
    pub fn sleeps(self) -> u64 {
        self.status_field("voluntary_ctxt_switches").parse().expect("a count")
    }

    /// Checks that the process has nothing to do: it has a second and a half with hardly a wake-up
    /// and hardly a tick of processor time. The load of the machine adds neither. The first looks
    /// may see the end of its start, and a summary of the log.
    #[track_caller]
    pub fn check_sleeps(self) {
        const WATCHED: Duration = Duration::from_millis(1500);
        const LOOKS: usize = 5;
        const WAKE_UPS_MAX: u64 = 4;
        const TICKS_MAX: u64 = 1;
        let mut seen = Vec::new();
        for _ in 0..LOOKS {
            let (sleeps, ticks) = (self.sleeps(), self.processor_ticks());
            thread::sleep(WATCHED);
            seen.push((self.sleeps() - sleeps, self.processor_ticks() - ticks));
            if let [.., (0..=WAKE_UPS_MAX, 0..=TICKS_MAX)] = seen[..] {
                return;
            }
        }
        panic!("wake-ups and ticks of processor time, each in {WATCHED:?}: {seen:?}");
    }

    /// Returns the letter of the process's state, such as `T` for stopped.
    pub fn state(self) -> char {
        self.status_field("State").chars().next().expect("a letter")
    }

    /// One field of `/proc/PID/status`.
    pub fn status_field(self, name: &str) -> String {
        let status = self.read("status");
        let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap_or_else(|| panic!("no {name} in the status of {}", self.id)).trim().to_owned()
    }

    /// Returns the flags with which a descriptor was opened; `None` if it is not open.
    pub fn descriptor_flags(self, number: u32) -> Option<u32> {
        let info = fs::read_to_string(self.file("fdinfo").join(number.to_string())).ok()?;
        let flags = info
            .lines()
            .find_map(|line| line.strip_prefix("flags:"))
            .expect("the flags of a descriptor");
        Some(u32::from_str_radix(flags.trim(), 8).expect("flags are octal"))
    }

    /// The TCP ports over IPv4 at which the process listens.
    pub fn listening_ports(self) -> Vec<u16> {
        const LISTEN: &str = "0A";
        let own: Vec<String> =
            self.descriptors().into_iter().filter_map(|number| self.socket_inode(number)).collect();
        self.connections()
            .into_iter()
            .filter(|connection| connection.state == LISTEN && own.contains(&connection.inode))
            .map(|connection| connection.local_port)
            .collect()
    }

    /// Returns the number of connections to the process that their peer has closed and the process
    /// has not, accepted or not.
    pub fn close_waits(self) -> usize {
        const CLOSE_WAIT: &str = "08";
        let ports = self.listening_ports();
        let is_one = |connection: &Connection| {
            connection.state == CLOSE_WAIT && ports.contains(&connection.local_port)
        };
        self.connections().iter().filter(|connection| is_one(connection)).count()
    }

    /// Reads the kernel's table of TCP over IPv4, with the connections of all processes.
    fn connections(self) -> Vec<Connection> {
        let table = self.read("net/tcp");
        let rows =
            table.lines().skip(1).map(|row| row.split_ascii_whitespace().collect::<Vec<_>>());
        rows.map(|row| {
            let (_, port) = row[1].split_once(':').expect("address and port");
            let local_port = u16::from_str_radix(port, 16).expect("ports are hexadecimal");
            Connection { local_port, state: row[3].to_owned(), inode: row[9].to_owned() }
        })
        .collect()
    }

    /// Returns the bytes from local port `local` to port `peer` over IPv4 that the kernel holds
    /// because the peer has not acknowledged them.
    pub fn unacknowledged_bytes(self, local: u16, peer: u16) -> usize {
        let table = self.read("net/tcp");
        let mut rows =
            table.lines().skip(1).map(|row| row.split_ascii_whitespace().collect::<Vec<_>>());
        let is_at = |addr: &str, port: u16| addr.ends_with(&format!(":{port:04X}"));
        let row =
            rows.find(|row| is_at(row[1], local) && is_at(row[2], peer)).expect("the connection");
        let (sent, _) = row[4].split_once(':').expect("the queues of both directions");
        usize::from_str_radix(sent, 16).expect("lengths of queues are hexadecimal")
    }

    fn socket_inode(self, number: u32) -> Option<String> {
        let target = fs::read_link(self.file("fd").join(number.to_string())).ok()?;
        Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
    }

    fn read(self, name: &str) -> String {
        fs::read_to_string(self.file(name))
            .unwrap_or_else(|error| panic!("/proc/{}/{name}: {error}", self.id))
    }

    fn file(self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.id))
    }
}

/// A row of the kernel's table of connections.
struct Connection {
    local_port: u16,
    /// Two hexadecimal digits.
    state: String,
    /// 0 for a connection that is not accepted yet.
    inode: String,
}
