//! The kernel's part of a broadcast: a send of each message to each connection, and nothing else.

use std::error::Error;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

use super::crowd::{Crowd, STAMP_LEN};
use super::processors::Processors;
use super::rows::Row;

/// Both ends of a connection are in this process, which may have 20,000 descriptors.
const CONNECTIONS_MAX: usize = 5_000;

/// The least number of sends, which is enough for a steady figure.
const SENDS_MIN: usize = 10_000;

/// The least number of sends in a quick run.
const QUICK_SENDS_MIN: usize = 2_000;

/// Returns the processor time of one send of the row's size, in microseconds.
///
/// # Errors
/// When the system refuses.
pub fn send_us(processors: Processors, row: &Row, is_quick: bool) -> Result<f64, Box<dyn Error>> {
    let connections = row.subscribers.min(CONNECTIONS_MAX);
    let sends = if is_quick { QUICK_SENDS_MIN } else { SENDS_MIN };
    let messages = sends.div_ceil(connections);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let (mut clients, mut servers) = (Vec::new(), Vec::new());
    for _ in 0..connections {
        clients.push(TcpStream::connect(addr)?);
        servers.push(listener.accept()?.0);
    }
    let mut crowd = Crowd::new(clients, 0, (0, 0), row.text_len)?;
    let text_len = row.text_len.max(STAMP_LEN);
    let (turns, its_turn) = mpsc::channel::<Vec<u8>>();
    let sender = thread::spawn(move || -> io::Result<Duration> {
        processors.be_server()?;
        let mut used = Duration::ZERO;
        for text in its_turn {
            let before = processor_time()?;
            for server in &mut servers {
                server.write_all(&text)?;
            }
            used += processor_time()?.saturating_sub(before);
        }
        Ok(used)
    });
    crowd.start();
    let deadline = Instant::now() + Duration::from_secs(60);
    for number in 1..=messages {
        // The sender has ended if a connection was lost, and then reports it.
        let _ = turns.send(Crowd::text(crowd.now(), text_len));
        while crowd.delivered < (number * connections) as u64 && Instant::now() < deadline {
            crowd.read(Duration::from_millis(10))?;
        }
    }
    drop(turns);
    let used = sender.join().map_err(|_| "the sender failed")??;
    Ok(used.as_secs_f64() * 1e6 / (messages * connections) as f64)
}

/// The processor time of this thread.
fn processor_time() -> io::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}
