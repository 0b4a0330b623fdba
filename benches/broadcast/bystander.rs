//! A client that asks each millisecond, beside the broadcast.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{io, mem};

use tinytcp_load::measurement::latency::Latency;

use super::protocol::Protocol;
use super::server::{Server, ask, connect};

/// A running bystander.
pub struct Bystander {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Latency>>,
}

impl Bystander {
    /// Connects a bystander to `server`.
    ///
    /// # Errors
    /// When it cannot connect.
    pub fn connect(protocol: Protocol, server: &Server) -> io::Result<TcpStream> {
        // The listener of `echo` sends no greeting.
        let greeter = if protocol == Protocol::Ours { Protocol::Redis } else { protocol };
        connect(greeter, server.bystander_addr, &protocol.ping())
    }

    /// Starts the bystander whose connection is `stream`.
    pub fn start(protocol: Protocol, mut stream: TcpStream) -> Self {
        let ping = protocol.ping();
        let is_over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            let mut pings = Latency::default();
            while !flag.load(Ordering::Relaxed) {
                let asked_at = Instant::now();
                ask(&mut stream, &ping)?;
                pings.record(asked_at.elapsed(), 1);
                thread::sleep(Duration::from_millis(1));
            }
            Ok(mem::take(&mut pings))
        });
        Self { is_over, thread }
    }

    /// Ends it, and returns the latencies of its pings.
    ///
    /// # Errors
    /// When its connection was lost.
    pub fn end(self) -> io::Result<Latency> {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| io::Error::other("the bystander failed"))?
    }
}
