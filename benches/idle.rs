//! The memory of an idle connection: the growth of the server's resident set with 10,000 of them,
//! each used once. Then each sends half a message, and at last the other half.
//!
//! ```text
//! cargo bench --bench idle
//! ```
//!
//! It needs 10,000 descriptors here and as many in the server. Linux only.

use std::error::Error;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

const CONNECTIONS: usize = 10_000;
/// The number of bytes of a line that each connection sends before it pauses.
const HALF_LEN: usize = 1000;
/// These connections come first, so that allocations that the server makes only once are not
/// counted.
const WARM_UP: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let mut server = Command::new(env!("CARGO_BIN_EXE_tinytcp-server"))
        .args(["--listen", "text://127.0.0.1:0", "-qq"])
        .stdout(Stdio::piped())
        .spawn()?;
    let result = measure(&mut server);
    server.kill()?;
    let Resident { before, idle, waiting, answered } = result?;
    let each = |bytes: u64| bytes.saturating_sub(before) / CONNECTIONS as u64;
    println!(
        "{CONNECTIONS} idle connections: {} bytes each ({before} bytes before, {idle} after)",
        each(idle)
    );
    println!("with {HALF_LEN} bytes of a message: {} bytes each", each(waiting));
    println!("after the answer: {} bytes each", each(answered));
    Ok(())
}

/// The resident set of the server in bytes, after each step.
struct Resident {
    before: u64,
    idle: u64,
    waiting: u64,
    answered: u64,
}

fn measure(server: &mut Child) -> Result<Resident, Box<dyn Error>> {
    let mut line = String::new();
    BufReader::new(server.stdout.take().ok_or("stdout is piped")?).read_line(&mut line)?;
    let addr = line.trim().rsplit('/').next().ok_or("the server says where it listens")?;
    let mut warm_up = use_and_leave_open(addr, WARM_UP)?;
    send_half(&mut warm_up)?;
    send_rest(&mut warm_up)?;
    let before = resident_bytes(server.id())?;
    let mut streams = use_and_leave_open(addr, CONNECTIONS)?;
    // The log reports new connections up to a second later. This wait includes that.
    thread::sleep(Duration::from_millis(1500));
    let idle = resident_bytes(server.id())?;
    send_half(&mut streams)?;
    // A wait, until each half has been read. A request would allocate memory after the halves, and
    // so keep the system from reclaiming theirs.
    thread::sleep(Duration::from_millis(1500));
    let waiting = resident_bytes(server.id())?;
    send_rest(&mut streams)?;
    Ok(Resident { before, idle, waiting, answered: resident_bytes(server.id())? })
}

fn send_half(streams: &mut [TcpStream]) -> io::Result<()> {
    let half = [b"ECHO ".as_slice(), &[b'x'; HALF_LEN - 5]].concat();
    streams.iter_mut().try_for_each(|stream| stream.write_all(&half))
}

fn send_rest(streams: &mut [TcpStream]) -> io::Result<()> {
    let mut answer = [0; HALF_LEN + 1];
    streams.iter_mut().try_for_each(|stream| {
        stream.write_all(b"\n").and_then(|()| stream.read_exact(&mut answer))
    })
}

/// Opens connections on each of which one request is answered.
fn use_and_leave_open(addr: &str, count: usize) -> Result<Vec<TcpStream>, Box<dyn Error>> {
    let mut streams = Vec::new();
    let mut answer = [0; "WELCOME, I'm TinyServer not pressure\nECHO hello\n".len()];
    for _ in 0..count {
        let mut stream = TcpStream::connect(addr)?;
        stream.write_all(b"ECHO hello\n")?;
        stream.read_exact(&mut answer)?;
        streams.push(stream);
    }
    Ok(streams)
}

fn resident_bytes(pid: u32) -> Result<u64, Box<dyn Error>> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup
        .lines()
        .find(|line| line.starts_with("Rss:"))
        .ok_or("the kernel reports no resident set")?;
    let kilobytes: u64 = line.split_whitespace().nth(1).ok_or("a number of kB")?.parse()?;
    Ok(kilobytes * 1024)
}
