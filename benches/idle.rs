//! What an idle connection costs: the growth of the server's resident set with 10,000 of them, each used once.
//!
//! ```text
//! cargo bench --bench idle
//! ```
//!
//! It takes 10,000 descriptors here and as many in the server. Linux only.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

const CONNECTIONS: usize = 10_000;
/// What the first connections make the server allocate once and for all is not counted.
const WARM_UP: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let mut server = Command::new(env!("CARGO_BIN_EXE_tinytcp-server"))
        .args(["--listen", "text://127.0.0.1:0", "-qq"])
        .stdout(Stdio::piped())
        .spawn()?;
    let result = measure(&mut server);
    server.kill()?;
    let (before, after) = result?;
    let bytes = (after - before) / CONNECTIONS as u64;
    println!("{CONNECTIONS} idle connections: {bytes} bytes each ({before} bytes before, {after} after)");
    Ok(())
}

/// The resident set before and after, in bytes.
fn measure(server: &mut Child) -> Result<(u64, u64), Box<dyn Error>> {
    let mut line = String::new();
    BufReader::new(server.stdout.take().ok_or("stdout is piped")?).read_line(&mut line)?;
    let addr = line.trim().rsplit('/').next().ok_or("the server says where it listens")?;
    let warm_up = use_and_leave_open(addr, WARM_UP)?;
    let before = resident_bytes(server.id())?;
    let idle = use_and_leave_open(addr, CONNECTIONS)?;
    // The log is told of new connections a second later; that is over then too.
    thread::sleep(Duration::from_millis(1500));
    let after = resident_bytes(server.id())?;
    drop((warm_up, idle));
    Ok((before, after))
}

/// Connections on each of which one request was answered.
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
    let line = rollup.lines().find(|line| line.starts_with("Rss:")).ok_or("the kernel tells the resident set")?;
    let kilobytes: u64 = line.split_whitespace().nth(1).ok_or("a number of kB")?.parse()?;
    Ok(kilobytes * 1024)
}
