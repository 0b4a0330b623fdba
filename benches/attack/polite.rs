//! A polite client, which sends one request at a time and pauses after each answer.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// The time from one answer to the next request, so that others have most of the server's time.
const THOUGHT: Duration = Duration::from_millis(1);

/// The percentiles of the latency of a client.
#[derive(Clone, Copy)]
pub struct Latency {
    pub p50: Duration,
    pub p90: Duration,
    pub p99: Duration,
    pub max: Duration,
}

impl Latency {
    /// Calls `ask`, which waits for an answer, repeatedly for the time `stay`.
    ///
    /// # Errors
    /// Those of `ask`.
    pub fn measure(stay: Duration, mut ask: impl FnMut() -> io::Result<()>) -> io::Result<Self> {
        let (began, mut taken) = (Instant::now(), Vec::new());
        while began.elapsed() < stay || taken.is_empty() {
            thread::sleep(THOUGHT);
            let asked = Instant::now();
            ask()?;
            taken.push(asked.elapsed());
        }
        taken.sort_unstable();
        let quantile = |percent: usize| taken[(taken.len() * percent / 100).min(taken.len() - 1)];
        Ok(Self { p50: quantile(50), p90: quantile(90), p99: quantile(99), max: quantile(100) })
    }
}

/// Connects a client that waits up to `patience` for an answer.
///
/// # Errors
/// When it cannot connect.
pub fn connect(addr: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(patience))?;
    Ok(stream)
}

/// Sends `request` and waits for its answer, which has the same bytes.
///
/// # Errors
/// When the answer has other bytes, or none arrives.
pub fn ask(stream: &mut TcpStream, request: &[u8], answer: &mut [u8]) -> io::Result<()> {
    stream.write_all(request)?;
    stream.read_exact(answer)?;
    if answer == request {
        Ok(())
    } else {
        Err(io::Error::other("a polite client had a wrong answer"))
    }
}
