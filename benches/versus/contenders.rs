//! Who is measured, and how each is started.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, io};

use tinytcp_core::protocol::text::BANNER;

use super::speech::Speech;

const OUR_SERVER: &str = env!("CARGO_BIN_EXE_tinytcp-server");
const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers");

/// A server to measure.
#[derive(Clone)]
pub struct Contender {
    /// How the command line calls it.
    pub name: &'static str,
    /// How the tables call it.
    title: &'static str,
    pub speech: Speech,
    program: Program,
}

/// What runs.
#[derive(Clone)]
enum Program {
    /// Our own server.
    Ours,
    /// Another build of it.
    Other(PathBuf),
    /// A program of `benches/peers` with its arguments.
    Peer(&'static str, &'static [&'static str]),
    /// A script of `benches/peers`.
    Python(&'static str),
    Redis,
    Memcached,
}

/// Everyone. The floor comes first: the others are set in relation to it.
pub static CONTENDERS: [Contender; 10] = [
    Contender {
        name: FLOOR,
        title: "floor",
        speech: Speech::Echo,
        program: Program::Peer("floor", &[]),
    },
    Contender {
        name: "text",
        title: "**text**",
        speech: Speech::Ours("text"),
        program: Program::Ours,
    },
    Contender {
        name: "binary",
        title: "**binary**",
        speech: Speech::Ours("binary"),
        program: Program::Ours,
    },
    Contender {
        name: "echo",
        title: "**echo**",
        speech: Speech::Ours("echo"),
        program: Program::Ours,
    },
    Contender {
        name: "chat",
        title: "**chat**",
        speech: Speech::Ours("chat"),
        program: Program::Ours,
    },
    Contender {
        name: "tokio",
        title: "tokio",
        speech: Speech::Echo,
        program: Program::Peer("tokio_line", &[]),
    },
    Contender {
        name: "threads",
        title: "threads",
        speech: Speech::Echo,
        program: Program::Peer("threads", &[]),
    },
    Contender {
        name: "redis",
        title: "redis `ECHO`",
        speech: Speech::Resp,
        program: Program::Redis,
    },
    Contender {
        name: "memcached",
        title: "memcached `mn`",
        speech: Speech::MetaNoop,
        program: Program::Memcached,
    },
    Contender {
        name: "python",
        title: "Python threads",
        speech: Speech::Ours("text"),
        program: Program::Python("threads.py"),
    },
];

/// The floor for rows in which connecting counts: it greets, as `text` does.
static GREETING_FLOOR: Contender = Contender {
    name: FLOOR,
    title: "floor",
    speech: Speech::Ours("text"),
    program: Program::Peer("floor", &[BANNER]),
};

/// The name of what the others are set in relation to.
pub const FLOOR: &str = "floor";

/// Descriptors that a server and the generator have beside their connections, generously.
pub const DESCRIPTORS_BESIDE: u64 = 64;

/// How a contender is started.
pub struct Start {
    pub command: Command,
    /// Where it was told to listen; none when it says itself where.
    pub addr: Option<SocketAddr>,
}

impl Contender {
    /// True exactly for our own server, and for what it is set in relation to: a defect of theirs
    /// is an error.
    pub fn must_succeed(&self) -> bool {
        matches!(self.program, Program::Ours) || self.name == FLOOR
    }

    /// The same protocol on the server at `path`, another build of ours; none for a contender that
    /// is not ours.
    pub fn on_other_build(&self, path: &Path) -> Option<Self> {
        let is_ours = matches!(self.program, Program::Ours);
        is_ours.then(|| Self { program: Program::Other(path.to_owned()), ..self.clone() })
    }

    /// True exactly when it is another build of our server.
    pub fn is_other_build(&self) -> bool {
        matches!(self.program, Program::Other(_))
    }

    /// How a row calls it that sets it beside the other contenders.
    pub fn title(&self) -> String {
        format!("{}{}", self.title, if self.is_other_build() { ", other build" } else { "" })
    }

    /// The contender that takes its place where connecting counts.
    pub fn greeting(&self) -> &Self {
        if self.name == FLOOR { &GREETING_FLOOR } else { self }
    }

    /// True exactly when each of its connections has a thread.
    pub fn has_a_thread_each(&self) -> bool {
        matches!(self.program, Program::Peer("threads", _) | Program::Python(_))
    }

    /// The command that starts it on a free port of the loopback.
    ///
    /// # Errors
    /// When it is not installed: the package that has it.
    pub fn start(&self) -> Result<Start, Box<dyn Error>> {
        let ours = |program: &Path| {
            let Speech::Ours(scheme) = self.speech else {
                unreachable!("ours speaks our protocols")
            };
            says_where(program, &["--listen", &format!("{scheme}://127.0.0.1:0")])
        };
        match &self.program {
            Program::Ours => Ok(ours(Path::new(OUR_SERVER))),
            Program::Other(path) => Ok(ours(path)),
            Program::Peer(name, arguments) => {
                Ok(says_where(target_folder().join("release").join(name), arguments))
            }
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
                // One thread as everybody else, no datagrams; it refuses to run as root unless it
                // is told who it is.
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
    Start { command, addr: None }
}

fn is_told_where(program: &str, flag: &str, arguments: &[&str]) -> Result<Start, Box<dyn Error>> {
    // Free now, and nobody else is about to take one: the servers are started one after the other.
    let addr = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let mut command = Command::new(program);
    command.args([flag, &addr.port().to_string()]).args(arguments);
    Ok(Start { command, addr: Some(addr) })
}

/// As many clients as the limit of descriptors allows, for servers that ask.
fn clients_max() -> io::Result<String> {
    let (limit, _) = rlimit::Resource::NOFILE.get()?;
    Ok(limit.saturating_sub(DESCRIPTORS_BESIDE).to_string())
}

fn installed(program: &str, package: &str) -> Result<(), Box<dyn Error>> {
    let folders = env::var_os("PATH").unwrap_or_default();
    let is_there = env::split_paths(&folders).any(|folder| folder.join(program).is_file());
    is_there.then_some(()).ok_or_else(|| format!("not installed (package {package})").into())
}

/// Builds `benches/peers` beside our own programs.
///
/// # Errors
/// When cargo fails; it has said why.
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
