//! The rows of the tables, and how each is measured.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use super::contenders::{Contender, DESCRIPTORS_BESIDE, FLOOR};
use super::encryption::{self, Certificate, Encrypted};
use super::generator::{Generator, Load, Outcome};
use super::processors::Processors;
use super::server::Server;

/// `Hello from client`, which makes a line of 23 bytes with `ECHO ` before it.
const SHORT_LEN: usize = 17;
/// A line of 64 KiB, the longest that our server takes: with `ECHO ` before it.
const LARGE_LEN: usize = (64 << 10) - "ECHO ".len();

/// These connections come first, so that allocations that a server makes only once are not counted.
const WARM_UP_CONNECTIONS: usize = 100;
/// With 20,000 descriptors, a program that needs two for a client can hold them too.
const IDLE_CONNECTIONS: usize = 9_000;
/// A server logs new connections within this time.
const SETTLING: Duration = Duration::from_millis(1500);

/// Above this number of connections, a thread per connection would keep the machine busy for
/// minutes, and connecting is more than a hundredth of the work.
const MANY: usize = 1000;

/// A row of the summary, and a table of its own.
pub struct Row {
    /// The name on the command line.
    pub name: &'static str,
    /// The name in the tables.
    pub title: &'static str,
    /// The names of its figures. The first is the main one.
    pub columns: &'static [&'static str],
    /// True exactly when the first figure is shown relative to the floor's.
    pub is_relative: bool,
    /// The greatest ratio for each contender on a quiet machine.
    pub goals: &'static [(&'static str, f64)],
    kind: Kind,
}

enum Kind {
    Load(Load),
    Polite,
    Memory,
}

const LOAD_COLUMNS: &[&str] = &["server CPU, us a request", "requests/s", "p50, us", "p99, us"];
const SHORT: Load = Load {
    connections: 50,
    depth: 1,
    text_len: SHORT_LEN,
    is_mix: false,
    is_churn: false,
    is_resumed: false,
    is_background: false,
};
const FLOOD: Load = Load { connections: 8, depth: 1024, is_background: true, ..SHORT };

const fn load(
    name: &'static str,
    title: &'static str,
    goals: &'static [(&'static str, f64)],
    load: Load,
) -> Row {
    Row { name, title, columns: LOAD_COLUMNS, is_relative: true, goals, kind: Kind::Load(load) }
}

pub static ROWS: [Row; 11] = [
    load("depth=1", "50 connections, one request at a time", &[("text", 1.05)], SHORT),
    load(
        "depth=16",
        "50 connections, 16 in flight",
        &[("text", 1.10)],
        Load { depth: 16, ..SHORT },
    ),
    load(
        "depth=128",
        "50 connections, 128 in flight",
        &[("text", 1.40)],
        Load { depth: 128, ..SHORT },
    ),
    load(
        "depth=1024",
        "50 connections, 1024 in flight",
        &[("text", 2.5), ("echo", 3.0), ("chat", 3.0)],
        Load { depth: 1024, ..SHORT },
    ),
    load(
        "mix",
        "50 connections, 128 in flight, commands of every kind",
        &[("text", 1.60)],
        Load { depth: 128, is_mix: true, ..SHORT },
    ),
    load("many", "19,000 connections, one at a time", &[], Load { connections: 19_000, ..SHORT }),
    load(
        "large",
        "64 KiB lines, 4 in flight, 8 connections",
        &[("text", 1.25), ("echo", 1.5), ("chat", 2.0)],
        Load { connections: 8, depth: 4, text_len: LARGE_LEN, ..SHORT },
    ),
    load(
        "churn",
        "connect, one request, close",
        &[("text", 1.10)],
        Load { connections: 8, is_churn: true, ..SHORT },
    ),
    load(
        "resumed",
        "connect, resume a TLS session, one request, close",
        &[],
        Load { connections: 8, is_churn: true, is_resumed: true, ..SHORT },
    ),
    Row {
        name: "polite",
        title: "one request at a time beside a flood",
        columns: &[
            "p99 beside the flood, us",
            "p99 alone, us",
            "p50 beside the flood, us",
            "p50 alone, us",
        ],
        is_relative: true,
        goals: &[],
        kind: Kind::Polite,
    },
    Row {
        name: "memory",
        title: "memory of an idle connection after use",
        columns: &["bytes"],
        is_relative: false,
        goals: &[],
        kind: Kind::Memory,
    },
];

impl Row {
    /// Returns the number of descriptors that a server needs, and the generator too.
    pub fn descriptors(&self) -> u64 {
        let connections = match self.kind {
            Kind::Load(load) => load.connections,
            Kind::Polite => SHORT.connections,
            Kind::Memory => WARM_UP_CONNECTIONS + IDLE_CONNECTIONS,
        };
        connections as u64 + DESCRIPTORS_BESIDE
    }
}

/// The way in which the rows are measured.
pub struct Bench {
    pub processors: Processors,
    /// True exactly when the run only shows that all parts work.
    pub is_quick: bool,
}

impl Bench {
    /// Returns the number of turns of each contender.
    pub fn rounds(&self, row: &Row) -> usize {
        match row.kind {
            _ if self.is_quick => 1,
            // Memory is counted, not timed.
            Kind::Memory => 1,
            Kind::Load(load)
                if load.text_len == SHORT_LEN && load.connections == SHORT.connections =>
            {
                5
            }
            Kind::Load(_) | Kind::Polite => 3,
        }
    }

    /// Measures one turn of one contender, and returns the figures of the row's columns.
    ///
    /// # Errors
    /// A note for the table: not installed, failed, ...
    pub fn measure(&self, row: &Row, contender: &Contender) -> Result<Vec<f64>, Box<dyn Error>> {
        match row.kind {
            Kind::Load(load) => self.cost(load, contender),
            Kind::Polite => self.politeness(contender),
            Kind::Memory => self.memory(contender),
        }
    }

    /// Returns the duration of the load that warms up, and of the measured one.
    fn durations(&self, load: Load) -> (Duration, Duration) {
        let (short, long) = match (load.connections > MANY, self.is_quick) {
            (true, true) => (300, 900),
            (true, false) => (300, 1500),
            (false, true) => (100, 200),
            (false, false) => (100, 400),
        };
        (Duration::from_millis(short), Duration::from_millis(long))
    }

    /// Makes two runs of the same load, the first of which warms up.
    fn cost(&self, load: Load, contender: &Contender) -> Result<Vec<f64>, Box<dyn Error>> {
        if load.text_len > SHORT_LEN && !contender.protocol.carries_text() {
            return Err("no such request".into());
        }
        if load.is_mix && !contender.protocol.answers_any_line() {
            return Err("no such request".into());
        }
        if load.connections > MANY && contender.has_a_thread_each() {
            return Err("too many threads".into());
        }
        if load.is_resumed && !contender.is_encrypted() && contender.name != FLOOR {
            return Err("no TLS".into());
        }
        let contender = if load.is_churn { contender.greeting() } else { contender };
        let server = Server::start(contender, self.processors)?;
        let (short, long) = self.durations(load);
        let measure = |duration| -> Result<(f64, Outcome), Box<dyn Error>> {
            let before = server.cpu_seconds_at_rest()?;
            let outcome = Generator::start(load, server.addr, contender, duration)?.finish()?;
            Ok((server.cpu_seconds_at_rest()? - before, outcome))
        };
        let (warm_up_seconds, warm_up) = measure(short)?;
        let (mut seconds, outcome) = measure(long)?;
        let mut answers = outcome.answers;
        if load.connections > MANY {
            // Connecting and closing take about as long as the load. Both runs have that part, so
            // the difference in time and in answers is the load alone.
            seconds -= warm_up_seconds;
            answers -= warm_up.answers;
        }
        if seconds <= 0.0 || answers <= 0.0 {
            return Err("too noisy to measure".into());
        }
        Ok(vec![seconds * 1e6 / answers, outcome.per_second, outcome.p50_us, outcome.p99_us])
    }

    fn politeness(&self, contender: &Contender) -> Result<Vec<f64>, Box<dyn Error>> {
        let polite = Load { connections: 1, ..SHORT };
        let server = Server::start(contender, self.processors)?;
        let start = |load, duration| Generator::start(load, server.addr, contender, duration);
        let (short, long) = self.durations(polite);
        let alone = start(polite, long)?.finish()?;
        // The flood lasts longer than needed, and is stopped when the polite client is done.
        let flood = start(FLOOD, 100 * long)?;
        thread::sleep(short);
        let beside = start(polite, long)?.finish()?;
        flood.stop()?;
        Ok(vec![beside.p99_us, alone.p99_us, beside.p50_us, alone.p50_us])
    }

    fn memory(&self, contender: &Contender) -> Result<Vec<f64>, Box<dyn Error>> {
        let server = Server::start(contender, self.processors)?;
        let warm_up = use_and_leave_open(&server, contender, WARM_UP_CONNECTIONS)?;
        let before = server.resident_bytes()?;
        let idle = use_and_leave_open(&server, contender, IDLE_CONNECTIONS)?;
        thread::sleep(SETTLING);
        let after = server.resident_bytes()?;
        drop((warm_up, idle));
        Ok(vec![after.saturating_sub(before) as f64 / IDLE_CONNECTIONS as f64])
    }
}

/// A connection, encrypted or not.
trait Stream: Read + Write {}

impl Stream for TcpStream {}
impl Stream for Encrypted {}

/// Opens connections on each of which one request is answered.
fn use_and_leave_open(
    server: &Server,
    contender: &Contender,
    count: usize,
) -> Result<Vec<Box<dyn Stream>>, Box<dyn Error>> {
    let exchange = contender.protocol.exchange(SHORT_LEN);
    let expected = [contender.protocol.greeting(), &exchange.answer].concat();
    let mut answer = vec![0; expected.len()];
    let config = match contender.is_encrypted() {
        true => Some(encryption::client(&Certificate::of_this_run()?.certificate())?),
        false => None,
    };
    let mut streams = Vec::new();
    for _ in 0..count {
        let stream = TcpStream::connect(server.addr)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut stream: Box<dyn Stream> = match &config {
            Some(config) => Box::new(encryption::encrypted(config, stream)?),
            None => Box::new(stream),
        };
        stream.write_all(&exchange.request)?;
        stream.read_exact(&mut answer)?;
        if answer != expected {
            return Err("a wrong answer".into());
        }
        streams.push(stream);
    }
    Ok(streams)
}
