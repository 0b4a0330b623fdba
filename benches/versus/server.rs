//! A running server, observed through the kernel.

use std::error::Error;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use super::contenders::{Contender, Start, listening_addr};
use super::processors::Processors;

/// Longer than any server takes to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// A server that uses less of its processor is at rest: this share goes to its timers.
const REST_SHARE: f64 = 0.02;

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    /// The server after the program that terminates TLS.
    backend: Option<Child>,
    pub addr: SocketAddr,
}

impl Server {
    /// Starts a contender on its processor and waits until it listens.
    ///
    /// # Errors
    /// When it is not installed, or does not listen.
    pub fn start(contender: &Contender, processors: Processors) -> Result<Self, Box<dyn Error>> {
        processors.be_server()?;
        let start = contender.start();
        processors.be_generator()?;
        let Start { mut command, addr, backend } = start?;
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command.stdout(if addr.is_none() { Stdio::piped() } else { Stdio::null() });
        processors.be_server()?;
        let child = command.spawn();
        processors.be_generator()?;
        let addr_known = addr.unwrap_or(([0, 0, 0, 0], 0).into());
        let mut server = Self { child: child?, backend, addr: addr_known };
        match addr {
            None => server.addr = listening_addr(&mut server.child)?,
            Some(addr) => wait_for(addr)?,
        }
        Ok(server)
    }

    /// Returns the processes that answer: the server, and one after a program that terminates TLS.
    fn processes(&self) -> impl Iterator<Item = u32> {
        [&self.child].into_iter().chain(&self.backend).map(Child::id)
    }

    /// Returns the number of resident bytes.
    ///
    /// # Errors
    /// When the server has ended.
    pub fn resident_bytes(&self) -> Result<u64, Box<dyn Error>> {
        let mut bytes = 0;
        for process in self.processes() {
            let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
            let line =
                rollup.lines().find_map(|line| line.strip_prefix("Rss:")).ok_or("it has ended")?;
            let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
            bytes += kilobytes * 1024;
        }
        Ok(bytes)
    }

    /// Returns the processor seconds of all threads, living and ended, user and system. It waits
    /// until the server is at rest.
    ///
    /// # Errors
    /// When the server has ended.
    pub fn cpu_seconds_at_rest(&self) -> nix::Result<f64> {
        let clock = |process: u32| clock_getcpuclockid(Pid::from_raw(process.cast_signed()));
        let clocks = self.processes().map(clock).collect::<nix::Result<Vec<_>>>()?;
        let used_by = |clock| clock_gettime(clock).map(|used| Duration::from(used).as_secs_f64());
        let used = || clocks.iter().copied().map(used_by).sum::<nix::Result<f64>>();
        let deadline = Instant::now() + PATIENCE;
        let mut before = used()?;
        loop {
            thread::sleep(LOOK_AGAIN);
            let now = used()?;
            let share = (now - before) / LOOK_AGAIN.as_secs_f64();
            if share < REST_SHARE || Instant::now() > deadline {
                return Ok(now);
            }
            before = now;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for child in [&mut self.child].into_iter().chain(&mut self.backend) {
            // Both fail only if the process has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn wait_for(addr: SocketAddr) -> Result<(), Box<dyn Error>> {
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = TcpStream::connect(addr) {
        if Instant::now() > deadline {
            return Err(error.into());
        }
        thread::sleep(LOOK_AGAIN);
    }
    Ok(())
}
