//! What a request costs: the CPU time of the server's thread, beside that of an echo on the same seam which parses
//! nothing, in one run and in turns.
//!
//! ```text
//! cargo bench --bench cost
//! ```
//!
//! One generator thread keeps a number of requests in flight on each of 50 connections. The figures are CPU time (user
//! and system) of the thread that serves, from the kernel's scheduler statistics, divided by the requests it answered:
//! they are steadier than throughput, and the ratio of the two is steadier than both. Linux only.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use tinytcp::base::kernel::{self, Kernel};
use tinytcp::base::system::{Event, Socket, System, would_block};
use tinytcp::base::table::Table;
use tinytcp::protocol::text::Text;
use tinytcp::server::{Config, Server};

const CONNECTIONS: usize = 50;
const REQUEST: &[u8] = b"ECHO Hello from client\n";
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(600);

fn main() -> io::Result<()> {
    let loopback: SocketAddr = ([127, 0, 0, 1], 0).into();
    let config = Config { activity_lines_max: None, ..Config::default() }.listen(loopback, Text::new());
    let server = Server::bind(&config).map_err(io::Error::other)?;
    let server_addr = server.addresses()[0].1;
    let server_cpu = spawn(move || server.run().map(drop));
    let listener = kernel::listen(loopback, 1024)?;
    let echo_addr = listener.local_addr()?;
    let echo_cpu = spawn(move || echo(Kernel::new(vec![listener])?));

    println!("| connections | in flight | text ECHO, us | bare echo, us | ratio |\n|---|---|---|---|---|");
    for depth in [1, 16, 128, 1024] {
        let (mut served, mut echoed) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            echoed.push(microseconds_per_request(echo_addr, &echo_cpu, depth)?);
            served.push(microseconds_per_request(server_addr, &server_cpu, depth)?);
        }
        let ratios = served.iter().zip(&echoed).map(|(served, echoed)| served / echoed).collect();
        let (served, echoed, ratio) = (median(served), median(echoed), median(ratios));
        println!("| {CONNECTIONS} | {depth} | {served:.4} | {echoed:.4} | {ratio:.2} |");
    }
    Ok(())
}

/// Runs `serve` on a thread of its own, and gives the file that tells how much CPU time the thread has used.
fn spawn(serve: impl FnOnce() -> io::Result<()> + Send + 'static) -> String {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let thread = fs::read_link("/proc/thread-self").expect("Linux has a directory for every thread");
        sender.send(format!("/proc/{}/schedstat", thread.display())).expect("the main thread waits for this");
        serve().expect("serving goes on until the process ends");
    });
    receiver.recv().expect("the thread has started")
}

/// An echo that parses nothing: what the seam and the kernel cost.
fn echo(mut system: Kernel) -> io::Result<()> {
    let mut table = Table::default();
    let mut block = vec![0; 64 * 1024];
    let mut ready = Vec::new();
    loop {
        system.wait(None, |event| ready.push(event))?;
        for event in ready.drain(..) {
            match event {
                Event::Listener(index) => {
                    while let Ok((mut socket, _)) = system.accept(index) {
                        system.register(&mut socket, table.next_token())?;
                        table.insert(socket);
                    }
                }
                Event::Connection(token, _) => {
                    let is_over = table.get_mut(token).is_some_and(|socket| echo_one(socket, &mut block).is_err());
                    if is_over {
                        table.remove(token);
                    }
                }
                Event::Stop => return Ok(()),
            }
        }
    }
}

fn echo_one(socket: &mut impl Socket, block: &mut [u8]) -> io::Result<()> {
    loop {
        let count = match socket.receive(block) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if would_block(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut rest = &block[..count];
        while !rest.is_empty() {
            rest = &rest[socket.send(rest)?..];
        }
        if count < block.len() {
            return Ok(());
        }
    }
}

/// Loads the server at `addr` for one round, with `depth` requests in flight on each connection.
fn microseconds_per_request(addr: SocketAddr, cpu: &str, depth: usize) -> io::Result<f64> {
    let batch = REQUEST.repeat(depth);
    let mut poll = Poll::new()?;
    let mut connections = Vec::new();
    for index in 0..CONNECTIONS {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
        connections.push((stream, batch.len()));
    }
    let mut events = Events::with_capacity(CONNECTIONS);
    let mut block = vec![0; 1 << 20];
    // The greeting, where there is one, has come before the first batch is sent.
    thread::sleep(Duration::from_millis(50));
    for (stream, _) in &mut connections {
        let _ = stream.read(&mut block);
        stream.write_all(&batch)?;
    }
    let (began, cpu_before, mut requests) = (Instant::now(), cpu_nanoseconds(cpu)?, 0);
    while began.elapsed() < ROUND {
        poll.poll(&mut events, Some(ROUND))?;
        for event in &events {
            let (stream, missing) = &mut connections[event.token().0];
            loop {
                match stream.read(&mut block) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(count) => *missing -= count,
                    Err(error) if would_block(&error) => break,
                    Err(error) => return Err(error),
                }
                if *missing == 0 {
                    requests += depth;
                    *missing = batch.len();
                    stream.write_all(&batch)?;
                }
            }
        }
    }
    Ok((cpu_nanoseconds(cpu)? - cpu_before) / 1000.0 / requests as f64)
}

/// The CPU time of a thread: the first number of its scheduler statistics.
fn cpu_nanoseconds(schedstat: &str) -> io::Result<f64> {
    let text = fs::read_to_string(schedstat)?;
    text.split(' ').next().and_then(|number| number.parse().ok()).ok_or(io::ErrorKind::InvalidData.into())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
