//! Honest clients beside a storm of TLS handshakes: 1,000 per second, each a full one on a new
//! connection that sends one request and is then closed.
//!
//! The storm yields to the honest clients on their processor, so that the figures are those of
//! the server. Checked: every answer is right and, except in a quick run, the 99th percentile of
//! the honest clients is at most 1.5 times that without handshakes, in the round with the median of
//! five.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;
use std::{io, thread};

use tinytcp_load::report::Report;

use super::checks::{Check, check};
use super::generator::Generator;
use super::honest;
use super::processors::Processors;
use super::report::latency;
use super::server::Server;

const HANDSHAKES_PER_SECOND: usize = 1000;
const ROUNDS: usize = 5;
const STAY: Duration = Duration::from_secs(3);
const QUICK_STAY: Duration = Duration::from_secs(1);
/// The time from the first handshake to the first honest client.
const SETTLING: Duration = Duration::from_millis(500);
const MEMORY_LIMIT: usize = 256 << 20;
const GOAL: f64 = 1.5;

/// The listener of the storm. The storm accepts any certificate.
const FLAGS: [&str; 3] = ["--listen", "text+tls://127.0.0.1:0", "--tls-self-signed"];

/// Measures and prints a table. Returns the checks.
///
/// # Errors
/// When a program does not start, or the server ends early.
pub fn run(processors: Processors) -> Result<Vec<Check>, Box<dyn Error>> {
    measure(processors, ROUNDS, STAY, true)
}

/// The same in two seconds, without a check of the latency.
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
        let alone = honest::start(server.target.text, stay)?.report()?;
        print("alone", &alone, None);
        let storm = storm(encrypted, stay + SETTLING)?;
        thread::sleep(SETTLING);
        let beside = honest::start(server.target.text, stay)?.report()?;
        let storm = storm.report()?;
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

fn print(name: &str, honest: &Report, storm: Option<&Report>) {
    let latency = latency(honest);
    let [p50, p99, most] = [0.5, 0.99, 1.0].map(|quantile| latency.quantile(quantile));
    let handshakes = storm.map_or(0.0, |report| report.throughput.replies_per_s);
    println!("| {name} | {p50:.0?} | {p99:.0?} | {most:.0?} | {handshakes:.0} |");
}

/// Starts a storm of handshakes, which yields to the honest clients.
fn storm(addr: SocketAddr, duration: Duration) -> io::Result<Generator> {
    let (url, duration) = (format!("text+tls://{addr}"), format!("{}ms", duration.as_millis()));
    let rate = HANDSHAKES_PER_SECOND.to_string();
    let load = ["--tls-insecure", "-c", "100", "--lifetime", "1", "-R", &rate, "-d", &duration];
    Generator::start("storm", true, &[&[url.as_str()], &load[..]].concat())
}
