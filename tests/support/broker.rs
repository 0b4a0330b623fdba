//! A NATS broker whose side the test scripts, and a real one.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::lines::Lines;
use super::process::Process;
use super::wait::{PATIENCE, uninterrupted, wait_for, wait_until};

/// A broker whose side the test scripts.
pub struct FakeBroker {
    listener: TcpListener,
}

/// A connection from a server to it.
pub struct BusLink {
    stream: TcpStream,
    /// The bytes after the last line.
    rest: Vec<u8>,
}

impl FakeBroker {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("do not block");
        Self { listener }
    }

    pub fn port(&self) -> u16 {
        self.listener.local_addr().expect("bound").port()
    }

    /// Waits for a server to connect.
    #[track_caller]
    pub fn accept(&self) -> BusLink {
        let (stream, _) = wait_for("a server connects", || self.listener.accept().ok());
        stream.set_nonblocking(false).expect("block");
        stream.set_nodelay(true).expect("send each piece at once");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        BusLink { stream, rest: Vec::new() }
    }

    /// Waits for a server to connect and accepts it. Returns its `CONNECT` too.
    #[track_caller]
    pub fn join(&self) -> (BusLink, String) {
        let mut link = self.accept();
        link.send("INFO {\"max_payload\":1048576}\r\n");
        let connect = link.line();
        assert_eq!(link.line(), "PING");
        link.send("PONG\r\n");
        (link, connect)
    }
}

impl BusLink {
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("send");
    }

    /// Sends the bytes one by one.
    #[track_caller]
    pub fn send_slowly(&mut self, bytes: impl AsRef<[u8]>) {
        bytes.as_ref().iter().for_each(|byte| self.send([*byte]));
    }

    /// Reads the next line of the server, without its ending. A `PING` before it is answered.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let start = Instant::now();
        loop {
            if let Some(end) = self.rest.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.rest.drain(..end + 2).collect::<Vec<_>>();
                return String::from_utf8(line[..end].to_vec()).expect("text");
            }
            assert!(start.elapsed() < PATIENCE, "no line: {}", self.rest.escape_ascii());
            let mut bytes = [0; 4096];
            let count = uninterrupted(|| self.stream.read(&mut bytes)).expect("a line");
            assert!(count > 0, "the server closed after {}", self.rest.escape_ascii());
            self.rest.extend_from_slice(&bytes[..count]);
        }
    }

    /// Reads the next `count` bytes of the server.
    #[track_caller]
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).expect("bytes of the server");
        bytes
    }

    /// True when the server has ended the connection, within the patience.
    pub fn is_ended(&mut self) -> bool {
        self.stream.read_to_end(&mut Vec::new()).is_ok()
    }
}

/// A real `nats-server`, killed when dropped.
pub struct Nats {
    child: Child,
    log: Lines,
    pub port: u16,
    flags: Vec<String>,
}

impl Nats {
    /// Starts it on a free port.
    pub fn start(flags: &[&str]) -> Self {
        Self::launch("-1", flags.iter().map(|flag| (*flag).to_owned()).collect())
    }

    fn launch(port: &str, flags: Vec<String>) -> Self {
        let mut command = Command::new("nats-server");
        command.args(["-a", "127.0.0.1", "-p", port]).args(&flags);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("nats-server");
        let log = Lines::collect(child.stderr.take().expect("stderr is piped"));
        let is_ready = || log.find(&["Server is ready"]).is_some();
        wait_until("the broker listens", is_ready);
        let line = log.find(&["Listening for client connections on "]).expect("logged before");
        let port = line.rsplit_once(':').and_then(|(_, port)| port.trim().parse().ok());
        Self { child, log, port: port.expect("a port"), flags }
    }

    pub fn process(&self) -> Process {
        Process { id: self.child.id() }
    }

    /// Kills it, without an orderly end.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child");
        self.child.wait().expect("a child");
    }

    /// Starts it again on the same port.
    pub fn restart(&mut self) {
        self.kill();
        let again = Self::launch(&self.port.to_string(), self.flags.clone());
        *self = again;
    }

    /// Publishes as a program of the operator does.
    pub fn publish(&self, subject: &str, payload: &str) {
        let addr = SocketAddr::from(([127, 0, 0, 1], self.port));
        let mut stream = TcpStream::connect(addr).expect("connect");
        let len = payload.len();
        write!(
            stream,
            "CONNECT {{\"verbose\":false}}\r\nPUB {subject} {len}\r\n{payload}\r\nPING\r\n"
        )
        .expect("send");
        let mut answer = Vec::new();
        let mut bytes = [0; 4096];
        while !answer.ends_with(b"PONG\r\n") {
            let count = stream.read(&mut bytes).expect("an answer");
            assert!(count > 0, "{}", answer.escape_ascii());
            answer.extend_from_slice(&bytes[..count]);
        }
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the log of the broker: {:#?}", self.log.text());
        }
    }
}
