//! The rows: the subscribers, the messages, and the figures.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use tinytcp_load::measurement::format;
use tinytcp_load::measurement::latency::Latency;

use super::bystander::Bystander;
use super::crowd::Crowd;
use super::protocol::Protocol;
use super::server::{Server, connect, installed};

/// The duration of a row, and of a quick one.
const DURATION: Duration = Duration::from_secs(10);
const QUICK_DURATION: Duration = Duration::from_secs(2);

/// The longest wait for the last deliveries.
const SETTLING: Duration = Duration::from_secs(60);

/// The memory of a server is watched for this time after the last message.
const AFTERMATH: Duration = Duration::from_millis(500);

/// A row.
#[derive(Clone, Copy)]
pub struct Row {
    pub name: &'static str,
    pub subscribers: usize,
    /// Subscribers that never read.
    silent: usize,
    pub text_len: usize,
    traffic: Traffic,
}

/// The schedule of the messages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Traffic {
    /// This number per second.
    Rate(u32),
    /// This number, as fast as the server takes them.
    Whole(u32),
    /// This number at once.
    Burst(u32),
}

pub static ROWS: [Row; 5] = [
    Row { name: "1000", subscribers: 1_000, silent: 0, text_len: 100, traffic: Traffic::Rate(20) },
    Row { name: "10000", subscribers: 10_000, silent: 0, text_len: 100, traffic: Traffic::Rate(2) },
    Row {
        name: "silent",
        subscribers: 1_000,
        silent: 10,
        text_len: 100,
        traffic: Traffic::Rate(20),
    },
    Row {
        name: "dead",
        subscribers: 100,
        silent: 100,
        text_len: 4_000,
        traffic: Traffic::Whole(2_500),
    },
    Row {
        name: "burst",
        subscribers: 1_000,
        silent: 0,
        text_len: 100,
        traffic: Traffic::Burst(100),
    },
];

impl Row {
    pub fn description(&self) -> String {
        let traffic = match self.traffic {
            Traffic::Rate(rate) => format!("{rate} messages of {} bytes per second", self.text_len),
            Traffic::Whole(count) => format!("{count} messages of {} bytes", self.text_len),
            Traffic::Burst(count) => format!("{count} messages of {} bytes at once", self.text_len),
        };
        format!("{} subscribers, {} of which never read; {traffic}", self.subscribers, self.silent)
    }

    /// Returns the number of messages, and the time from one to the next.
    fn messages(&self, is_quick: bool) -> (u32, Duration) {
        let duration = if is_quick { QUICK_DURATION } else { DURATION };
        match self.traffic {
            Traffic::Rate(rate) => {
                let seconds = u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
                (rate * seconds, Duration::from_secs(1) / rate)
            }
            Traffic::Whole(count) | Traffic::Burst(count) => (count, Duration::ZERO),
        }
    }
}

/// The figures of a row.
pub struct Figures {
    user_us: f64,
    total_us: f64,
    delivery: Latency,
    bystander: Latency,
    grown_bytes: u64,
    sends: Option<u64>,
}

impl Figures {
    pub const HEADER: &'static str = "| server | user us per delivery | total us per delivery \
        (x floor) | p50 | p99 | bystander p99 | bystander max | memory | sends |\n\
        |---|---|---|---|---|---|---|---|---|";

    /// Returns the line of the table.
    pub fn line(&self, name: &str, floor_us: f64) -> String {
        let (p50, p99, delivery) = match self.delivery.count() {
            0 => ("-".into(), "-".into(), "- | -".into()),
            _ => (
                format::duration(self.delivery.quantile(0.5)),
                format::duration(self.delivery.quantile(0.99)),
                format!(
                    "{:.2} | {:.2} ({:.2})",
                    self.user_us,
                    self.total_us,
                    self.total_us / floor_us
                ),
            ),
        };
        format!(
            "| {name} | {delivery} | {p50} | {p99} | {} | {} | +{} | {} |",
            format::duration(self.bystander.quantile(0.99)),
            format::duration(self.bystander.max()),
            format::bytes(self.grown_bytes as f64),
            self.sends.map_or("-".into(), |sends| sends.to_string())
        )
    }
}

/// Measures a row on a running server.
///
/// # Errors
/// When a connection is lost, or deliveries are missing.
pub fn measure(
    row: &Row,
    protocol: Protocol,
    server: &Server,
    is_quick: bool,
) -> Result<Figures, Box<dyn Error>> {
    let mut streams = Vec::new();
    for _ in 0..row.subscribers {
        streams.push(connect(protocol, server.addr, &protocol.subscribe())?);
    }
    let mut publisher = connect(protocol, server.addr, &protocol.prepare())?;
    let mut crowd = Crowd::new(streams, row.silent, protocol.frame(row.text_len), row.text_len)?;
    let bystander = Bystander::connect(protocol, server)?;
    let trace = match row.traffic {
        Traffic::Burst(_) => Trace::start(server).ok(),
        _ => None,
    };
    let bystander = Bystander::start(protocol, bystander);
    let (processor, resident) = (server.processor()?, server.resident_bytes()?);
    let mut most = resident;
    let (count, interval) = row.messages(is_quick);
    let mut answers = publisher.try_clone()?;
    answers.set_nonblocking(true)?;
    crowd.start();
    let mut batch = Vec::new();
    for number in 0..count {
        let due = interval * number;
        while crowd.now() < due {
            crowd.read((due - crowd.now()).min(Duration::from_millis(20)))?;
        }
        let due = if interval.is_zero() { crowd.now() } else { due };
        let command = protocol.publish(&Crowd::text(due, row.text_len));
        if let Traffic::Burst(_) = row.traffic {
            batch.extend(command);
            continue;
        }
        // The clone shares its mode, blocking or not, with the handle that reads answers.
        write_all(&mut publisher, &command)?;
        // A publisher that does not read would be a slow client itself.
        let _ = answers.read(&mut [0; 4096]);
        if number % 16 == 0 {
            most = most.max(server.resident_bytes()?);
        }
    }
    write_all(&mut publisher, &batch)?;
    let expected = u64::from(count) * crowd.readers() as u64;
    let deadline = Instant::now() + SETTLING;
    while crowd.delivered < expected && Instant::now() < deadline {
        crowd.read(Duration::from_millis(20))?;
    }
    let after = Instant::now();
    while after.elapsed() < AFTERMATH {
        crowd.read(Duration::from_millis(20))?;
        most = most.max(server.resident_bytes()?);
    }
    if crowd.delivered != expected {
        return Err(format!("{} of {expected} deliveries came", crowd.delivered).into());
    }
    let used = server.processor()?;
    let per_delivery = |used: Duration, before: Duration| {
        (used - before).as_secs_f64() * 1e6 / expected.max(1) as f64
    };
    let bystander = bystander.end()?;
    // Each ping has one answer, which is not part of the broadcast.
    let sends = trace.and_then(Trace::end).map(|sends| sends.saturating_sub(bystander.count()));
    Ok(Figures {
        user_us: per_delivery(used.user, processor.user),
        total_us: per_delivery(used.total, processor.total),
        delivery: crowd.latency,
        bystander,
        grown_bytes: most - resident,
        sends,
    })
}

/// Writes all of `bytes` to a stream that does not block.
fn write_all(stream: &mut std::net::TcpStream, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(len) => bytes = &bytes[len..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_micros(100));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// strace, which counts the sends of a server.
struct Trace(Child);

impl Trace {
    fn start(server: &Server) -> Result<Self, Box<dyn Error>> {
        let mut command = installed("strace", "strace")?;
        command.args(["-f", "-c", "-U", "name,calls", "-e"]);
        command.args(["trace=sendto,sendmsg,write,writev", "-p", &server.id().to_string()]);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        // strace reports when it is attached.
        let mut line = String::new();
        if let Some(stderr) = &mut child.stderr {
            BufReader::with_capacity(1, stderr).read_line(&mut line)?;
        }
        if line.contains("attached") { Ok(Self(child)) } else { Err(line.into()) }
    }

    /// Returns the number of sends so far.
    fn end(mut self) -> Option<u64> {
        let pid = nix::unistd::Pid::from_raw(self.0.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).ok()?;
        let mut text = String::new();
        self.0.stderr.take()?.read_to_string(&mut text).ok()?;
        self.0.wait().ok()?;
        let total = text.lines().find(|line| line.contains("total"))?;
        total.split_whitespace().find_map(|word| word.parse().ok())
    }
}
