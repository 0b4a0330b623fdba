//! The tools of each check: connections to the server, and the exchanges that many checks share.

use std::io::Write;
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use tinytcp_cli::target::{ProtocolName, Target};

use super::AssumedLimits;
use super::connection::{CheckResult, Mismatch, TestConnection};
use crate::connect::{ConnectOptions, connect};
use crate::error::reason;

/// The banner of a text server.
const BANNER: &[u8] = b"WELCOME, I'm TinyServer not pressure\n";

/// The pause that puts two sends into two segments. Without it they may arrive as one, and the
/// check passes for the wrong reason. It must be well under the quiet period, which would make two
/// messages of them.
const SEGMENT_PAUSE: Duration = Duration::from_millis(1);

/// The server and the time for one check.
#[derive(Debug)]
pub struct Probe<'a> {
    target: &'a Target,
    pub timeout: Option<Duration>,
    pub deadline: Option<Instant>,
    options: ConnectOptions<'a>,
    /// The limits that the check assumes of the server.
    pub limits: AssumedLimits,
}

impl<'a> Probe<'a> {
    /// Creates a probe for a check that begins now and must end within the timeout of `options`.
    #[must_use]
    pub fn new(target: &'a Target, options: ConnectOptions<'a>, limits: AssumedLimits) -> Self {
        let timeout = options.timeout;
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let options = ConnectOptions { wait: None, ..options };
        Self { target, timeout, deadline, options, limits }
    }

    /// The protocol of the server.
    #[must_use]
    pub fn protocol(&self) -> ProtocolName {
        self.target.protocol
    }

    /// Opens a connection and reads the banner, if the protocol has one.
    pub fn open(&self) -> Result<TestConnection, Mismatch> {
        let stream = connect(self.target, self.options)
            .map_err(|failure| Mismatch::new("nothing", "a connection", &failure.to_string()))?;
        let mut connection = TestConnection::new(stream, self.timeout, self.deadline);
        if self.target.protocol == ProtocolName::Text {
            connection.expect(BANNER)?;
        }
        Ok(connection)
    }

    /// Sends `request` on a connection of its own. The server must send exactly `answer`.
    pub fn exchange(&self, request: &[u8], answer: &[u8]) -> CheckResult {
        let mut connection = self.open()?;
        connection.send(request)?;
        connection.expect(answer)?;
        connection.expect_no_more()
    }

    /// As [`Probe::exchange`]. The server must then close.
    pub fn last_exchange(&self, request: &[u8], answer: &[u8]) -> CheckResult {
        let mut connection = self.open()?;
        connection.send(request)?;
        connection.expect(answer)?;
        connection.expect_close()
    }

    /// As [`Probe::last_exchange`]. The client half-closes the connection after the request.
    pub fn half_closed_exchange(&self, request: &[u8], answer: &[u8]) -> CheckResult {
        let mut connection = self.open()?;
        connection.send(request)?;
        connection.half_close();
        connection.expect(answer)?;
        connection.expect_close()
    }

    /// As [`Probe::exchange`], once for every way to cut the request into two segments, all on one
    /// connection.
    pub fn cut_exchange(&self, request: &[u8], answer: &[u8]) -> CheckResult {
        let mut connection = self.open()?;
        for cut in 1..request.len() {
            let (first, second) = request.split_at(cut);
            connection.send(first)?;
            thread::sleep(SEGMENT_PAUSE);
            connection.send(second)?;
            connection.expect(answer)?;
        }
        connection.expect_no_more()
    }

    /// As [`Probe::exchange`], with a segment for each byte of the request.
    pub fn bytewise_exchange(&self, request: &[u8], answer: &[u8]) -> CheckResult {
        let mut connection = self.open()?;
        for byte in request {
            connection.send(&[*byte])?;
        }
        connection.expect(answer)?;
        connection.expect_no_more()
    }

    /// As [`Probe::exchange`], but the client reads nothing for a while. The server must keep the
    /// answers or stop reading, and lose nothing.
    pub fn unread_exchange(&self, request: &[u8], answer: &[u8]) -> CheckResult {
        const UNREAD: Duration = Duration::from_millis(200);
        let mut connection = self.open()?;
        connection.note_sent(request);
        let (timeout, mut writer) = (self.timeout, connection.writer());
        thread::scope(|scope| {
            // A failed write shows in the answers.
            let write =
                move || writer.set_write_timeout(timeout).and_then(|()| writer.write_all(request));
            let writing = thread::Builder::new().spawn_scoped(scope, write);
            writing.map_err(|error| {
                connection.mismatch("a thread of the client that writes", &reason(&error))
            })?;
            thread::sleep(UNREAD);
            let result = connection.expect(answer);
            if result.is_err() {
                // The writer must not wait for a server that has failed the check.
                connection.shut_down(Shutdown::Both);
            }
            result
        })?;
        connection.expect_no_more()
    }

    /// A TLS client must receive `answer`, and the server must then close.
    pub fn tls_exchange(&self, answer: &[u8]) -> CheckResult {
        const CLIENT_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
        self.last_exchange(CLIENT_HELLO, answer)
    }
}
