//! A running server: ours, redis or nats-server.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, io, thread};

use super::processors::Processors;
use super::protocol::{Exchange, Protocol};

/// Longer than any server takes to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// A tick of the processor times in /proc.
const TICK: Duration = Duration::from_millis(10);

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    /// The address for subscribers.
    pub addr: SocketAddr,
    /// The address for the bystander.
    pub bystander_addr: SocketAddr,
}

/// Processor times of a process.
#[derive(Clone, Copy)]
pub struct Processor {
    pub user: Duration,
    pub total: Duration,
}

impl Server {
    /// Starts the server of `protocol` on its processor.
    ///
    /// # Errors
    /// When it is not installed, or does not listen.
    pub fn start(protocol: Protocol, processors: Processors) -> Result<Self, Box<dyn Error>> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port().to_string();
        let mut command = match protocol {
            Protocol::Ours => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_tinytcp-server"));
                command.args(["--listen", "text://127.0.0.1:0", "--listen", "echo://127.0.0.1:0"]);
                command.args(["--say-rate", "off", "--write-timeout", "5m", "-q"]);
                command
            }
            Protocol::Redis => {
                let mut command = installed("redis-server", "redis-server")?;
                command.args(["--bind", "127.0.0.1", "--port", &port, "--save", ""]);
                command.args(["--appendonly", "no", "--maxclients", "15000"]);
                command
            }
            Protocol::Nats => {
                let mut command = installed("nats-server", "nats-server")?;
                command.args(["-a", "127.0.0.1", "-p", &port]);
                command
            }
        };
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command.stdout(if protocol == Protocol::Ours { Stdio::piped() } else { Stdio::null() });
        processors.be_server()?;
        let child = command.spawn();
        processors.be_generator()?;
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse()?));
        let mut server = Self { child: child?, addr, bystander_addr: addr };
        if protocol == Protocol::Ours {
            let mut lines = BufReader::new(server.child.stdout.take().ok_or("piped")?).lines();
            let mut addr = || -> Result<SocketAddr, Box<dyn Error>> {
                let line = lines.next().ok_or("the server did not start")??;
                let (_, addr) = line.rsplit_once("://").ok_or("the server prints its URLs")?;
                Ok(addr.parse()?)
            };
            (server.addr, server.bystander_addr) = (addr()?, addr()?);
        }
        server.wait()?;
        Ok(server)
    }

    fn wait(&self) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = TcpStream::connect(self.addr) {
            if Instant::now() > deadline {
                return Err(error);
            }
            thread::sleep(TICK);
        }
        Ok(())
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the processor times so far, of all threads.
    ///
    /// # Errors
    /// When the server has ended.
    pub fn processor(&self) -> Result<Processor, Box<dyn Error>> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name of the program, in parentheses, may have blanks.
        let (_, fields) = stat.rsplit_once(") ").ok_or("a malformed stat")?;
        let ticks: Vec<u32> =
            fields.split(' ').skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
        let [user, system] = ticks[..] else { return Err("a short stat".into()) };
        Ok(Processor { user: TICK * user, total: TICK * (user + system) })
    }

    /// Returns the number of resident bytes.
    ///
    /// # Errors
    /// When the server has ended.
    pub fn resident_bytes(&self) -> Result<u64, Box<dyn Error>> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.ok_or("the server has ended")?.trim().trim_end_matches(" kB");
        Ok(kilobytes.trim().parse::<u64>()? * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Opens a connection to `addr`, reads the greeting and makes an exchange.
///
/// # Errors
/// When the server closes, or does not answer.
pub fn connect(protocol: Protocol, addr: SocketAddr, exchange: &Exchange) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    read_to(&mut stream, protocol.greeting_end())?;
    ask(&mut stream, exchange)?;
    Ok(stream)
}

/// Makes an exchange.
///
/// # Errors
/// When the server closes, or does not answer.
pub fn ask(stream: &mut TcpStream, exchange: &Exchange) -> io::Result<()> {
    stream.write_all(&exchange.request)?;
    read_to(stream, exchange.answer_end)
}

fn read_to(stream: &mut TcpStream, end: &[u8]) -> io::Result<()> {
    let (mut read, mut block) = (Vec::new(), [0; 4096]);
    while !read.ends_with(end) {
        match stream.read(&mut block)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            len => read.extend_from_slice(&block[..len]),
        }
    }
    Ok(())
}

/// Returns the command of an installed program.
///
/// # Errors
/// When it is not installed; the error names the package of Debian.
pub fn installed(program: &str, package: &str) -> Result<Command, Box<dyn Error>> {
    let mut folders = env::var_os("PATH").unwrap_or_default();
    folders.push(":/usr/sbin");
    let file = env::split_paths(&folders).map(|folder| folder.join(program));
    let found = file.into_iter().find(|file| file.is_file());
    let found = found.ok_or_else(|| format!("not installed (package {package} of Debian)"))?;
    Ok(Command::new(found))
}
