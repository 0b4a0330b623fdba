//! Honest clients beside a storm of TLS handshakes: 1,000 per second, each a full one on a new
//! connection that sends one request and is then closed.
//!
//! The storm gives way to the honest clients on their processor, so what is measured is the server.
//! Checked: every answer is right and, but for a quick run, the 99th percentile of the honest
//! clients is at most 1.5 times that without handshakes, in the middle one of five rounds.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs, process, thread};

use tinytcp_load::measurement::latency::Latency;
use tinytcp_load::report::{self, Report};

use super::checks::{Check, check};
use super::honest::Honest;
use super::processors::Processors;
use super::report::latency;
use super::server::Server;

const HANDSHAKES_PER_SECOND: usize = 1000;
const ROUNDS: usize = 5;
const STAY: Duration = Duration::from_secs(3);
const QUICK_STAY: Duration = Duration::from_secs(1);
/// From the first handshake to the first honest client.
const SETTLING: Duration = Duration::from_millis(500);
const LOOK_AROUND: Duration = Duration::from_millis(10);
const MEMORY_LIMIT: usize = 256 << 20;
const GOAL: f64 = 1.5;

/// The listener of the storm. The storm accepts any certificate.
const FLAGS: [&str; 3] = ["--listen", "text+tls://127.0.0.1:0", "--tls-self-signed"];

/// Measures and prints a table. Returns what must be so.
///
/// # Errors
/// When a program does not start, or the server did not live to the end.
pub fn run(processors: Processors) -> Result<Vec<Check>, Box<dyn Error>> {
    measure(processors, ROUNDS, STAY, true)
}

/// The same in two seconds, in which no latency is judged.
///
/// # Errors
/// As [`run`].
pub fn quick(processors: Processors) -> Result<Vec<Check>, Box<dyn Error>> {
    measure(processors, 1, QUICK_STAY, false)
}

fn measure(
    processors: Processors,
    rounds: usize,
    stay: Duration,
    is_judged: bool,
) -> Result<Vec<Check>, Box<dyn Error>> {
    let mut server = Server::start(processors, MEMORY_LIMIT, &FLAGS)?;
    let encrypted = server.listener()?;
    println!("| honest clients | p50 | p99 | max | full handshakes per second |");
    println!("|---|---|---|---|---|");
    let (mut ratios, mut errors, mut handshakes, mut failed) = (Vec::new(), 0, 0, 0);
    for _ in 0..rounds {
        let alone = honest(&server, stay)?;
        print("alone", &alone, None);
        let storm = Storm::start(encrypted, stay + SETTLING)?;
        thread::sleep(SETTLING);
        let beside = honest(&server, stay)?;
        let storm = storm.finish()?;
        print("beside the storm", &beside, Some(&storm));
        let p99 = |report| latency(report).quantile(0.99).as_secs_f64();
        ratios.push(p99(&beside) / p99(&alone));
        errors += alone.errors.total_count + beside.errors.total_count;
        handshakes += storm.replies.correct_count;
        failed += storm.errors.total_count + storm.connections.failed.total();
    }
    server.stop()?;
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios[rounds / 2];
    println!();
    let mut checks = vec![check(
        errors == 0 && handshakes > 0,
        format!(
            "honest clients: {errors} errors; the storm: {handshakes} handshakes, {failed} failed"
        ),
    )];
    if is_judged {
        checks.push(check(
            ratio <= GOAL,
            format!("p99 beside handshakes is {ratio:.2} × that alone, goal {GOAL} ×"),
        ));
    }
    Ok(checks)
}

fn honest(server: &Server, stay: Duration) -> Result<Report, Box<dyn Error>> {
    let mut honest = Honest::start(server.target.text, stay)?;
    while !honest.is_over()? {
        thread::sleep(LOOK_AROUND);
    }
    honest.report()
}

fn print(name: &str, honest: &Report, storm: Option<&Report>) {
    let latency: &Latency = latency(honest);
    let [p50, p99, most] = [0.5, 0.99, 1.0].map(|quantile| latency.quantile(quantile));
    let handshakes = storm.map_or(0.0, |report| report.throughput.replies_per_s);
    println!("| {name} | {p50:.0?} | {p99:.0?} | {most:.0?} | {handshakes:.0} |");
}

/// A generator of handshakes; killed when dropped.
struct Storm {
    child: Child,
    /// Where it puts its report.
    path: PathBuf,
}

impl Storm {
    fn start(addr: SocketAddr, duration: Duration) -> Result<Self, Box<dyn Error>> {
        let path = env::temp_dir().join(format!("attack-storm-{}.json", process::id()));
        let mut command = Command::new("chrt");
        command
            .args(["--idle", "0", env!("CARGO_BIN_EXE_tinytcp-load")])
            .arg(format!("text+tls://{addr}"))
            .args(["--tls-insecure", "-c", "100", "--lifetime", "1"])
            .args(["-R", &HANDSHAKES_PER_SECOND.to_string()])
            .args(["-d", &format!("{}ms", duration.as_millis()), "--json"])
            .arg(&path);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { child: command.spawn()?, path })
    }

    /// Waits for its end and reads its report.
    fn finish(mut self) -> Result<Report, Box<dyn Error>> {
        self.child.wait()?;
        Ok(report::read(&self.path).map_err(|error| format!("the storm gave up: {error}"))?)
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        // These fail only when there is nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.path);
    }
}
