//! A room in which 500 of 600 members never read, and a polite client of another protocol.
//!
//! `tinytcp-load broadcast` has the members, publishes 100 messages of 4,000 bytes per second, and
//! checks each delivery. The polite client asks for a frame on the listener of `binary`, alone and
//! then beside the room.
//!
//! Checked: each member that reads gets each message once and in order, and misses none; the server
//! holds the ring of the room and one output below the low-water mark for each member; and, except
//! in a quick run, the 99th percentile of the polite client is at most 5 ms and twice that alone.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use tinytcp_core::limits::{LOW_WATER_BYTES, Limits};
use tinytcp_core::wire::frame::Header;
use tinytcp_load::broadcast::report::{BroadcastReport, BroadcastVerdict};

use super::checks::{Check, check};
use super::generator::Generator;
use super::polite::{self, Latency};
use super::processors::Processors;
use super::server::Server;

const MEMBERS: usize = 600;
const SILENT: usize = 500;
const RATE: usize = 100;
const SIZE: usize = 4000;

/// The time in which messages are published, and that of a quick run.
const STAY: Duration = Duration::from_secs(10);
const QUICK_STAY: Duration = Duration::from_secs(3);

/// Limits that do not take effect here: no silent member is reset, and a late publisher may catch
/// up.
const MEMORY_LIMIT: usize = 256 << 20;
const FLAGS: [&str; 2] = ["--write-timeout=5m", "--say-rate=off"];

/// What the process may hold in addition to the ring and the outputs: connections, and memory that
/// the allocator keeps.
const BESIDE: usize = 4 << 20;

const GOAL: Duration = Duration::from_millis(5);
/// Longer than all members need to join, and longer than an answer takes.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AROUND: Duration = Duration::from_millis(10);

/// Measures all of it and prints a table. Returns the checks.
pub fn run(processors: Processors) -> Result<Vec<Check>, Box<dyn Error>> {
    measure(processors, STAY, true)
}

/// The same in a few seconds, without a check of the latency.
pub fn quick(processors: Processors) -> Result<Vec<Check>, Box<dyn Error>> {
    measure(processors, QUICK_STAY, false)
}

fn measure(
    processors: Processors,
    stay: Duration,
    judges_latency: bool,
) -> Result<Vec<Check>, Box<dyn Error>> {
    let server = Server::start(processors, MEMORY_LIMIT, &FLAGS)?;
    // Afterwards that of the polite client may still be open.
    let descriptors = server.process.descriptors().len();
    let quiet = ask(server.target.binary, stay)?;
    let resident = server.process.resident_bytes();
    let room = room(server.target.text, stay, judges_latency)?;
    wait_for_members(&server, descriptors)?;
    let beside = ask(server.target.binary, stay)?;
    let report = room.report_with(read)?;
    let most = server.resident_bytes_most()?;
    server.stop()?;
    println!("| polite client | p50 | p90 | p99 | max |\n|---|---|---|---|---|");
    for (name, Latency { p50, p90, p99, max }) in [("alone", quiet), ("beside the room", beside)] {
        println!("| {name} | {p50:.0?} | {p90:.0?} | {p99:.0?} | {max:.0?} |");
    }
    let ratio = beside.p99.as_secs_f64() / quiet.p99.as_secs_f64();
    println!("\np99 beside the room is {ratio:.2} times that alone.\n");
    let mut checks = deliveries(&report);
    checks.push(memory(resident, most));
    if judges_latency {
        let (p99, goal) = (beside.p99, GOAL + 2 * quiet.p99);
        let statement = format!("the polite client beside the room: p99 {p99:?}, goal {goal:?}");
        checks.push(check(p99 <= goal, statement));
    }
    Ok(checks)
}

fn deliveries(report: &BroadcastReport) -> Vec<Check> {
    let (accepted, correct) = (report.messages.accepted_count, report.deliveries.correct_count);
    let (missed, broken) = (report.deliveries.missed_count, report.violations.total());
    // The publisher is a member that reads, and does not receive its own messages.
    let expected = accepted * (MEMBERS - SILENT - 1) as u64;
    vec![
        check(
            report.verdict == BroadcastVerdict::Valid && report.members.lost_silent_count == 0,
            format!(
                "the room: {:?}, {} members joined, {} silent ones were lost, {broken} promises \
                 broken",
                report.verdict, report.members.joined_count, report.members.lost_silent_count
            ),
        ),
        check(
            accepted > 0 && correct == expected && missed == 0,
            format!(
                "{accepted} messages: {correct} of {expected} deliveries in order, {missed} missed"
            ),
        ),
    ]
}

/// Checks the memory. Queues per member would hold all published messages for each silent member.
fn memory(before: usize, most: usize) -> Check {
    let ring = Limits::default().room_memory_bytes_max;
    let bound = before + ring + MEMBERS * LOW_WATER_BYTES + BESIDE;
    check(
        most <= bound,
        format!("the room: {most} bytes were resident at most, {before} before, limit {bound}"),
    )
}

/// Returns the latencies of a polite client of `binary`.
fn ask(addr: SocketAddr, stay: Duration) -> io::Result<Latency> {
    let mut stream = polite::connect(addr, PATIENCE)?;
    let request = [&Header { code: 1, payload_len: 5 }.encode()[..], b"hello"].concat();
    let mut answer = vec![0; request.len()];
    Latency::measure(stay, || polite::ask(&mut stream, &request, &mut answer))
}

/// Starts the members of the room. If they yield, the polite client runs first on their
/// processor, so that the figures are those of the server.
fn room(addr: SocketAddr, stay: Duration, yields: bool) -> io::Result<Generator> {
    // Publishing ends after the polite client.
    let duration = format!("{}ms", (stay + Duration::from_secs(1)).as_millis());
    let (url, patience) = (format!("text://{addr}"), format!("{}s", PATIENCE.as_secs()));
    let [members, silent, rate, size] = [MEMBERS, SILENT, RATE, SIZE].map(|it| it.to_string());
    let crowd = ["broadcast", &url, "-c", &members, "--members-silent", &silent];
    let load = ["-R", &rate, "--size", &size, "-d", &duration, "--timeout", &patience];
    Generator::start("members", yields, &[&crowd[..], &load].concat())
}

/// Waits until the server has accepted all members.
fn wait_for_members(server: &Server, descriptors: usize) -> Result<(), Box<dyn Error>> {
    let deadline = Instant::now() + PATIENCE;
    while server.process.descriptors().len() < descriptors + MEMBERS {
        if Instant::now() > deadline {
            return Err("the members of the room do not connect".into());
        }
        thread::sleep(LOOK_AROUND);
    }
    Ok(())
}

fn read(path: &Path) -> Result<BroadcastReport, Box<dyn Error>> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}
