//! The servers that are measured, and how each is started.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{env, io};

use tinytcp_core::protocol::text::BANNER;

use super::encryption::{Certificate, Terminator};
use super::generator::Defect;
use super::protocol::Protocol;

const OUR_SERVER: &str = env!("CARGO_BIN_EXE_tinytcp-server");
const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers");

#[derive(Clone)]
pub struct Contender {
    /// The name on the command line.
    pub name: &'static str,
    /// The name in the tables.
    title: &'static str,
    pub protocol: Protocol,
    program: Program,
}

/// The program of a contender.
#[derive(Clone)]
enum Program {
    /// Our own server.
    Ours,
    /// Our own server with TLS.
    OursEncrypted,
    /// A program of `benches/peers` with TLS.
    EncryptedPeer(&'static str),
    /// A program that terminates TLS before the floor.
    Before(Terminator),
    /// Another build of our server.
    Other(PathBuf),
    /// A program of `benches/peers` with its arguments.
    Peer(&'static str, &'static [&'static str]),
    /// A script of `benches/peers`.
    Python(&'static str),
    Redis,
    Memcached,
}

/// All contenders. The floor comes first, because the figures of the others are relative to it.
pub static CONTENDERS: [Contender; 15] = [
    Contender {
        name: FLOOR,
        title: "floor",
        protocol: Protocol::Echo,
        program: Program::Peer("floor", &[]),
    },
    Contender {
        name: "text",
        title: "**text**",
        protocol: Protocol::Ours("text"),
        program: Program::Ours,
    },
    Contender {
        name: "binary",
        title: "**binary**",
        protocol: Protocol::Ours("binary"),
        program: Program::Ours,
    },
    Contender {
        name: "echo",
        title: "**echo**",
        protocol: Protocol::Ours("echo"),
        program: Program::Ours,
    },
    Contender {
        name: "chat",
        title: "**chat**",
        protocol: Protocol::Ours("chat"),
        program: Program::Ours,
    },
    Contender {
        name: "tokio",
        title: "tokio",
        protocol: Protocol::Echo,
        program: Program::Peer("tokio_line", &[]),
    },
    Contender {
        name: "threads",
        title: "threads",
        protocol: Protocol::Echo,
        program: Program::Peer("threads", &[]),
    },
    Contender {
        name: "redis",
        title: "redis `ECHO`",
        protocol: Protocol::Resp,
        program: Program::Redis,
    },
    Contender {
        name: "memcached",
        title: "memcached `mn`",
        protocol: Protocol::MetaNoop,
        program: Program::Memcached,
    },
    Contender {
        name: "python",
        title: "Python threads",
        protocol: Protocol::Ours("text"),
        program: Program::Python("threads.py"),
    },
    Contender {
        name: "text+tls",
        title: "**text+tls**",
        protocol: Protocol::Ours("text"),
        program: Program::OursEncrypted,
    },
    Contender {
        name: "tokio+tls",
        title: "tokio-rustls",
        protocol: Protocol::Ours("text"),
        program: Program::EncryptedPeer("tokio_tls_line"),
    },
    Contender {
        name: "haproxy",
        title: "haproxy, TLS before the floor",
        protocol: Protocol::Ours("text"),
        program: Program::Before(Terminator::Haproxy),
    },
    Contender {
        name: "nginx",
        title: "nginx, TLS before the floor",
        protocol: Protocol::Ours("text"),
        program: Program::Before(Terminator::Nginx),
    },
    Contender {
        name: "stunnel",
        title: "stunnel before the floor",
        protocol: Protocol::Ours("text"),
        program: Program::Before(Terminator::Stunnel),
    },
];

/// The floor for rows that count the cost of connecting: it greets, as `text` does.
static GREETING_FLOOR: Contender = Contender {
    name: FLOOR,
    title: "floor",
    protocol: Protocol::Ours("text"),
    program: Program::Peer("floor", &[BANNER]),
};

/// The name of the contender that the others are relative to.
pub const FLOOR: &str = "floor";

/// The descriptors of a server or the generator that are no connections, with a margin.
pub const DESCRIPTORS_BESIDE: u64 = 64;

/// The command of a contender.
pub struct Start {
    pub command: Command,
    /// The address in its arguments; none if it chooses one and prints it.
    pub addr: Option<SocketAddr>,
    /// The server after the program that terminates TLS.
    pub backend: Option<Child>,
}

impl Contender {
    /// True exactly for our own server and for the floor: a defect of theirs is an error.
    pub fn must_succeed(&self) -> bool {
        matches!(self.program, Program::Ours | Program::OursEncrypted) || self.name == FLOOR
    }

    /// Returns the same contender with the build of our server at `path`; `None` for a contender
    /// that is not ours.
    pub fn on_other_build(&self, path: &Path) -> Option<Self> {
        let is_ours = matches!(self.program, Program::Ours);
        is_ours.then(|| Self { program: Program::Other(path.to_owned()), ..self.clone() })
    }

    /// True exactly for another build of our server.
    pub fn is_other_build(&self) -> bool {
        matches!(self.program, Program::Other(_))
    }

    /// Returns its name in a row of the tables.
    pub fn title(&self) -> String {
        format!("{}{}", self.title, if self.is_other_build() { ", other build" } else { "" })
    }

    /// Returns the contender that replaces it in rows that count the cost of connecting.
    pub fn greeting(&self) -> &Self {
        if self.name == FLOOR { &GREETING_FLOOR } else { self }
    }

    /// True exactly when its connections are encrypted.
    pub fn is_encrypted(&self) -> bool {
        matches!(
            self.program,
            Program::OursEncrypted | Program::EncryptedPeer(_) | Program::Before(_)
        )
    }

    /// True exactly when it has a thread per connection.
    pub fn has_a_thread_each(&self) -> bool {
        matches!(
            self.program,
            Program::Peer("threads", _) | Program::Python(_) | Program::Before(Terminator::Stunnel)
        )
    }

    /// Returns the command that starts it on a free port of the loopback.
    ///
    /// # Errors
    /// When it is not installed. The error names the package that has it.
    pub fn start(&self) -> Result<Start, Box<dyn Error>> {
        let ours = |program: &Path| {
            let Protocol::Ours(scheme) = self.protocol else {
                unreachable!("ours speaks our protocols")
            };
            says_where(program, &["--listen", &format!("{scheme}://127.0.0.1:0")])
        };
        match &self.program {
            Program::Ours => Ok(ours(Path::new(OUR_SERVER))),
            Program::Other(path) => Ok(ours(path)),
            Program::OursEncrypted => {
                let files = Certificate::of_this_run()?;
                let mut start =
                    says_where(OUR_SERVER, &["--listen", "text+tls://127.0.0.1:0", "--tls-cert"]);
                start.command.arg(files.certificate()).arg("--tls-key").arg(files.key());
                Ok(start)
            }
            Program::EncryptedPeer(name) => {
                let files = Certificate::of_this_run()?;
                let mut start = says_where(peer(name), &[]);
                start.command.arg(files.certificate()).arg(files.key()).arg(BANNER);
                Ok(start)
            }
            Program::Before(terminator) => before_floor(*terminator),
            Program::Peer(name, arguments) => Ok(says_where(peer(name), arguments)),
            Program::Python(name) => {
                installed("python3", "python3")?;
                Ok(says_where("python3", &[&format!("{PEERS}/{name}")]))
            }
            Program::Redis => {
                installed("redis-server", "redis-server")?;
                let clients_max = &clients_max()?;
                let flags = [
                    "--bind",
                    "127.0.0.1",
                    "--save",
                    "",
                    "--appendonly",
                    "no",
                    "--maxclients",
                    clients_max,
                ];
                is_told_where("redis-server", "--port", &flags)
            }
            Program::Memcached => {
                installed("memcached", "memcached")?;
                // One thread, as the others have, and no datagrams. As root it needs the name of a
                // user.
                let flags =
                    ["-l", "127.0.0.1", "-t", "1", "-U", "0", "-c", &clients_max()?, "-u", "root"];
                is_told_where("memcached", "-p", &flags)
            }
        }
    }
}

fn says_where(program: impl AsRef<Path>, arguments: &[&str]) -> Start {
    let mut command = Command::new(program.as_ref());
    command.args(arguments);
    Start { command, addr: None, backend: None }
}

/// Returns the path of the program of `benches/peers` with this name.
fn peer(name: &str) -> PathBuf {
    target_folder().join("release").join(name)
}

/// Starts the floor, which greets, and returns the command of a program that terminates TLS before
/// it.
fn before_floor(terminator: Terminator) -> Result<Start, Box<dyn Error>> {
    let (program, package) = terminator.program();
    installed(program, package)?;
    let mut floor = says_where(peer(FLOOR), &[BANNER]);
    floor.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut backend = floor.command.spawn()?;
    let backend_addr = listening_addr(&mut backend)?;
    let addr = free_addr()?;
    let files = Certificate::of_this_run()?;
    // A client is two connections of the program.
    let clients_max = descriptors_for_clients()? / 2;
    let settings = files.settings(terminator, addr, backend_addr, clients_max)?;
    let mut command = Command::new(program);
    command.args(terminator.flags()).arg(settings);
    Ok(Start { command, addr: Some(addr), backend: Some(backend) })
}

/// Returns the address in the line `listening on SCHEME://ADDRESS` that a program prints.
///
/// # Errors
/// When it prints no such line.
pub fn listening_addr(child: &mut Child) -> Result<SocketAddr, Box<dyn Error>> {
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("stdout is piped")?).read_line(&mut line)?;
    let (_, addr) =
        line.trim_end().rsplit_once("://").ok_or_else(|| Defect("it did not come up".into()))?;
    Ok(addr.parse()?)
}

/// Returns an address that is free now. It stays free, because the servers start one after the
/// other.
fn free_addr() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn is_told_where(program: &str, flag: &str, arguments: &[&str]) -> Result<Start, Box<dyn Error>> {
    let addr = free_addr()?;
    let mut command = Command::new(program);
    command.args([flag, &addr.port().to_string()]).args(arguments);
    Ok(Start { command, addr: Some(addr), backend: None })
}

/// Returns the number of clients that the limit of descriptors allows, for servers that ask for it.
fn clients_max() -> io::Result<String> {
    Ok(descriptors_for_clients()?.to_string())
}

fn descriptors_for_clients() -> io::Result<u64> {
    let (limit, _) = rlimit::Resource::NOFILE.get()?;
    Ok(limit.saturating_sub(DESCRIPTORS_BESIDE))
}

fn installed(program: &str, package: &str) -> Result<(), Box<dyn Error>> {
    let folders = env::var_os("PATH").unwrap_or_default();
    let is_there = env::split_paths(&folders).any(|folder| folder.join(program).is_file());
    is_there.then_some(()).ok_or_else(|| format!("not installed (package {package})").into())
}

/// Builds `benches/peers` in the target directory of our own programs.
///
/// # Errors
/// When cargo fails; it has printed the reason.
pub fn build_peers() -> io::Result<()> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--manifest-path"])
        .arg(format!("{PEERS}/Cargo.toml"))
        .arg("--target-dir")
        .arg(target_folder())
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other("benches/peers could not be built"))
    }
}

fn target_folder() -> PathBuf {
    let programs = Path::new(OUR_SERVER).parent().and_then(Path::parent);
    programs.expect("cargo puts programs into target/PROFILE").to_owned()
}
