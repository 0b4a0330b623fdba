//! Resident memory under frames that lack their last byte.
//!
//! Lengths and lifetimes of allocations can leave holes that no later frame fits. An allocator that
//! keeps freed memory then holds several times the memory limit. Two attacks are tried, each on a
//! new server:
//!
//! - *growing*: one whole frame of 16 MiB; then frames of 300 KiB without their last byte, up to
//!   the limit; each second connection is closed; the same with frames 2.1 times as long, up to 16
//!   MiB.
//! - *random*: the whole frame; then frames of a random length without their last byte, up to 1.1
//!   times the limit. Random connections are closed before each frame that would exceed it.
//!
//! Checked: at most 1.1 times the limit plus 16 MiB are ever resident, and after the last close at
//! most 16 MiB more than at the start.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use tinytcp_core::wire::frame::{HEADER_LEN, Header};

use super::checks::{Check, check};
use super::processors::Processors;
use super::run::wait_for_descriptors;
use super::server::Server;

const MEMORY_LIMIT: usize = 256 << 20;
const QUICK_MEMORY_LIMIT: usize = 48 << 20;
const ROUNDS: usize = 3;

const FRAME_MIN: usize = 300 << 10;
const FRAME_MAX: usize = (16 << 20) - 1;
/// The memory of the process itself, and the memory that it may keep.
const BESIDE: usize = 16 << 20;
/// Random frames in a round.
const STEPS: usize = 300;
const SEED: u64 = 0x5eed;
/// Without timeouts a slow machine closes no connection early.
const TIMEOUTS: [&str; 2] = ["--message-timeout=off", "--write-timeout=off"];
/// The time that the server has to read the frames.
const READING: Duration = Duration::from_millis(100);
/// The memory of closed connections is free within this time.
const AFTERMATH: Duration = Duration::from_secs(10);
const LOOK_AROUND: Duration = Duration::from_millis(50);
/// Longer than a frame takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Measures both attacks. Returns the checks.
pub fn run(processors: Processors) -> Result<Vec<Check>, Box<dyn Error>> {
    measure(processors, MEMORY_LIMIT, ROUNDS)
}

/// The same in a few seconds, with a smaller limit.
pub fn quick(processors: Processors) -> Result<Vec<Check>, Box<dyn Error>> {
    measure(processors, QUICK_MEMORY_LIMIT, 1)
}

fn measure(
    processors: Processors,
    limit: usize,
    rounds: usize,
) -> Result<Vec<Check>, Box<dyn Error>> {
    let mut checks = Vec::new();
    for (name, act) in
        [("growing", growing as fn(SocketAddr, usize, usize) -> io::Result<()>), ("random", random)]
    {
        let server = Server::start(processors, limit, &TIMEOUTS)?;
        let (descriptors, before) =
            (server.process.descriptors().len(), server.process.resident_bytes());
        act(server.target.binary, limit, rounds)?;
        wait_for_descriptors(&server, descriptors);
        let (most_max, after_max) = (limit + limit / 10 + BESIDE, before + BESIDE);
        let after = resident_at_last(&server, after_max);
        let most = server.resident_bytes_most()?;
        server.stop()?;
        let ratio = most as f64 / limit as f64;
        checks.push(check(
            most <= most_max,
            format!(
                "{name} frames: {most} bytes were resident at most, {ratio:.2} x the memory limit; \
                 {most_max} are allowed"
            ),
        ));
        checks.push(check(
            after <= after_max,
            format!("{name} frames: {after} bytes are resident at the end, {before} at the start"),
        ));
    }
    Ok(checks)
}

/// Waits until at most `bytes_max` bytes are resident, for some seconds, and returns their number.
fn resident_at_last(server: &Server, bytes_max: usize) -> usize {
    let deadline = Instant::now() + AFTERMATH;
    loop {
        let resident = server.process.resident_bytes();
        if resident <= bytes_max || Instant::now() > deadline {
            return resident;
        }
        thread::sleep(LOOK_AROUND);
    }
}

/// Sends a whole frame of the longest kind and reads its answer.
fn whole(addr: SocketAddr) -> io::Result<()> {
    let mut stream = unfinished(addr, FRAME_MAX)?;
    stream.write_all(b"x")?;
    stream.read_exact(&mut vec![0; HEADER_LEN + FRAME_MAX])
}

fn growing(addr: SocketAddr, limit: usize, rounds: usize) -> io::Result<()> {
    for _ in 0..rounds {
        whole(addr)?;
        let (mut streams, mut len) = (Vec::new(), FRAME_MIN);
        while len <= FRAME_MAX {
            let held: usize = streams.iter().map(|(_, len)| len).sum();
            for _ in 0..limit.saturating_sub(held) / len {
                streams.push((unfinished(addr, len)?, len));
            }
            thread::sleep(READING);
            let mut number = 0;
            streams.retain(|_| {
                number += 1;
                number % 2 == 0
            });
            len = len * 21 / 10;
        }
    }
    Ok(())
}

fn random(addr: SocketAddr, limit: usize, rounds: usize) -> io::Result<()> {
    let mut state = SEED;
    println!("random frames from the seed {SEED:#x}");
    // xorshift64
    let mut below = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % bound as u64).unwrap_or(0)
    };
    whole(addr)?;
    let mut streams: Vec<(TcpStream, usize)> = Vec::new();
    for _ in 0..rounds * STEPS {
        let power = 10 + below(14);
        let len = (1 << power) + below(1 << power);
        while !streams.is_empty()
            && streams.iter().map(|(_, len)| len).sum::<usize>() + len > limit + limit / 10
        {
            streams.swap_remove(below(streams.len()));
        }
        let len = len.min(FRAME_MAX);
        streams.push((unfinished(addr, len)?, len));
    }
    Ok(())
}

/// Opens a connection that sends a frame of `len` bytes without its last byte.
fn unfinished(addr: SocketAddr, len: usize) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let payload_len = u32::try_from(len).map_err(io::Error::other)?;
    stream.write_all(&Header { code: 1, payload_len }.encode())?;
    stream.write_all(&vec![b'x'; len - 1])?;
    Ok(stream)
}
