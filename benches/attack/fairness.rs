//! Polite clients beside many flooders: the latency of a client that sends one request at a time,
//! and whether each flooder is served.
//!
//! | client | what it asks for |
//! |---|---|
//! | small | a line of 23 bytes, on a connection that stays |
//! | medium | a line of 3,000 bytes, on a connection that stays |
//! | new | a line of 23 bytes, on a new connection each time |
//!
//! Flooders yield to the polite client on their processor, so that the figures are those of the
//! server. Checked: every answer is right and each flooder is served. Except in a quick run, the
//! 99th percentile of small and medium requests is at most 5 ms plus twice that without flooders,
//! in the round with the median.

use std::error::Error;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use tinytcp_core::protocol::text::BANNER;

use super::checks::{Check, check};
use super::crowd::{Attack, Tally, flooders};
use super::polite::{self, Latency};
use super::processors::Processors;
use super::server::Server;

const FLOODERS: [usize; 4] = [2, 100, 500, FLOODERS_MAX];
pub const FLOODERS_MAX: usize = 2000;
const ROUNDS: usize = 3;
const STAY: Duration = Duration::from_secs(3);

const QUICK_FLOODERS: [usize; 2] = [2, 100];
const QUICK_STAY: Duration = Duration::from_millis(500);

const MEMORY_LIMIT: usize = 256 << 20;
/// The time from the first flooder to the first polite request.
const SETTLING: Duration = Duration::from_secs(3);
/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(20);

const GOAL: Duration = Duration::from_millis(5);

/// A kind of polite client.
#[derive(Clone, Copy)]
struct Client {
    name: &'static str,
    request_len: usize,
    is_new_each_time: bool,
    has_goal: bool,
}

const CLIENTS: [Client; 3] = [
    Client { name: "small", request_len: 23, is_new_each_time: false, has_goal: true },
    Client { name: "medium", request_len: 3000, is_new_each_time: false, has_goal: true },
    Client { name: "new", request_len: 23, is_new_each_time: true, has_goal: false },
];

/// Measures all of it and prints a table. Returns the checks.
pub fn run(processors: Processors) -> Result<Vec<Check>, Box<dyn Error>> {
    measure(processors, &FLOODERS, Some(ROUNDS))
}

/// The same in a few seconds, without a check of the latency.
pub fn quick(processors: Processors) -> Result<Vec<Check>, Box<dyn Error>> {
    measure(processors, &QUICK_FLOODERS, None)
}

/// Measures this number of rounds. Without a number it is one short round without a check of the
/// latency, on a machine that may have other work to do.
fn measure(
    processors: Processors,
    counts: &[usize],
    rounds: Option<usize>,
) -> Result<Vec<Check>, Box<dyn Error>> {
    println!("| flooders | client | p50 | p90 | p99 | max |\n|---|---|---|---|---|---|");
    let quiet = beside(0, processors, rounds)?.0;
    let mut checks = Vec::new();
    for count in counts {
        let (latencies, tallies) = beside(*count, processors, rounds)?;
        for ((client, latency), quiet) in CLIENTS.iter().zip(latencies).zip(&quiet) {
            if client.has_goal && rounds.is_some() {
                let goal = GOAL + 2 * quiet.p99;
                let statement = format!(
                    "{} beside {count} flooders: p99 {:?}, goal {goal:?}",
                    client.name, latency.p99
                );
                checks.push(check(latency.p99 <= goal, statement));
            }
        }
        let served: Vec<u64> = tallies.iter().map(|tally| tally.answered).collect();
        let (least, most) =
            (served.iter().min().copied().unwrap_or(0), served.iter().max().copied().unwrap_or(0));
        let wrong: u64 = tallies.iter().map(|tally| tally.wrong).sum();
        let sum = served.iter().sum::<u64>() as f64 / 1e6;
        checks.push(check(
            least > 0 && wrong == 0,
            format!(
                "{count} flooders: {sum:.1} million answers, {least} to {most} for each, \
                 {wrong} wrong"
            ),
        ));
    }
    Ok(checks)
}

/// Returns the latencies of each client beside `count` flooders, in the round with the median, and
/// the tallies of the flooders.
fn beside(
    count: usize,
    processors: Processors,
    rounds: Option<usize>,
) -> Result<(Vec<Latency>, Vec<Tally>), Box<dyn Error>> {
    let (stay, yields) = if rounds.is_some() { (STAY, true) } else { (QUICK_STAY, false) };
    let rounds = rounds.unwrap_or(1);
    let server = Server::start(processors, MEMORY_LIMIT, &[])?;
    let attack = || Attack::start(flooders(count), server.target, processors, yields);
    let attack = (count > 0).then(attack).transpose()?;
    thread::sleep(if count > 0 { SETTLING } else { Duration::ZERO });
    let mut latencies = Vec::new();
    for client in CLIENTS {
        let round = |_| client.measure(server.target.text, stay);
        let mut taken = (0..rounds).map(round).collect::<io::Result<Vec<Latency>>>()?;
        taken.sort_by_key(|latency| latency.p99);
        let Latency { p50, p90, p99, max } = taken[rounds / 2];
        println!("| {count} | {} | {p50:.0?} | {p90:.0?} | {p99:.0?} | {max:.0?} |", client.name);
        latencies.push(taken[rounds / 2]);
    }
    let tallies = attack.map(Attack::stop).transpose()?.unwrap_or_default();
    server.stop()?;
    Ok((latencies, tallies))
}

impl Client {
    fn measure(self, addr: SocketAddr, stay: Duration) -> io::Result<Latency> {
        let request =
            [b"ECHO ".as_slice(), &vec![b'x'; self.request_len - "ECHO \n".len()], b"\n"].concat();
        let mut answer = vec![0; request.len()];
        let mut standing = connect(addr)?;
        Latency::measure(stay, || {
            if self.is_new_each_time {
                standing = connect(addr)?;
            }
            polite::ask(&mut standing, &request, &mut answer)
        })
    }
}

/// Opens a connection and reads its greeting.
fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = polite::connect(addr, PATIENCE)?;
    stream.read_exact(&mut vec![0; BANNER.len() + 1])?;
    Ok(stream)
}
