//! One connection of a check: sends any bytes, and compares what comes back byte by byte.

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use tinytcp_core::display::escape::quoted;

use crate::error::{readable_duration, reason};
use crate::stream::{Stream, StreamHandle};

/// The number of bytes that a report shows of a text.
const SHOWN_MAX: usize = 48;

/// The longest line that a check waits for: without a limit, a server that never ends its line
/// would fill the memory.
const LINE_LEN_MAX: usize = 64 << 10;

/// The result of a check.
pub type CheckResult = Result<(), Mismatch>;

/// A promise that the server did not keep.
#[derive(Debug, PartialEq, Eq)]
pub struct Mismatch {
    sent: String,
    expected: String,
    got: String,
}

impl Mismatch {
    /// The three parts of the report, each as it is shown.
    #[must_use]
    pub fn new(sent: &str, expected: &str, got: &str) -> Self {
        Self { sent: sent.into(), expected: expected.into(), got: got.into() }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sent {}, expected {}, got {}", self.sent, self.expected, self.got)
    }
}

/// A connection of a check.
#[derive(Debug)]
pub struct TestConnection {
    stream: Stream,
    timeout: Option<Duration>,
    deadline: Option<Instant>,
    /// The first bytes that were sent, and the number of all of them.
    sent: Vec<u8>,
    sent_len: usize,
    /// Bytes that were received and not expected yet.
    received: Vec<u8>,
}

/// Why no more bytes come.
enum ReadEnd {
    Closed,
    Late,
    Broken(io::Error),
}

impl TestConnection {
    /// The connection `stream` of a check that must end by `deadline`, which is `timeout` after its
    /// beginning.
    #[must_use]
    pub fn new(stream: Stream, timeout: Option<Duration>, deadline: Option<Instant>) -> Self {
        Self { stream, timeout, deadline, sent: Vec::new(), sent_len: 0, received: Vec::new() }
    }

    /// Sends `bytes`.
    ///
    /// A server that refuses a request may close before it has read all of it. This is no
    /// failure: its answer decides. A server that stops reading fails the check.
    pub fn send(&mut self, bytes: &[u8]) -> CheckResult {
        self.note_sent(bytes);
        let left = self.left().map_err(|_| self.mismatch("a server that reads", "no time left"))?;
        match self.stream.set_write_timeout(left).and_then(|()| self.stream.send(bytes)) {
            Err(error)
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
            {
                Err(self.mismatch("a server that reads all of it", "a server that stopped reading"))
            }
            _ => Ok(()),
        }
    }

    /// Ends the client's side of the connection; the server's side stays open.
    pub fn half_close(&mut self) {
        self.shut_down(Shutdown::Write);
    }

    /// Ends a side of the connection, or both.
    pub fn shut_down(&mut self, how: Shutdown) {
        // Fails only after the server has closed, and then its answer decides.
        let _ = self.stream.shutdown(how);
    }

    /// A second handle of the same connection, for a thread that writes.
    pub fn writer(&self) -> StreamHandle {
        self.stream.handle()
    }

    /// The next bytes must be `expected`.
    pub fn expect(&mut self, expected: &[u8]) -> CheckResult {
        loop {
            let len = expected.len().min(self.received.len());
            let (got, wanted) = (self.received.get(..len), expected.get(..len));
            let end = if got != wanted {
                None
            } else if len == expected.len() {
                self.received.drain(..len);
                return Ok(());
            } else {
                match self.receive() {
                    Ok(()) => continue,
                    Err(end) => Some(end),
                }
            };
            // A long text is shown from shortly before its first difference.
            let agreeing = expected.iter().zip(&self.received).take_while(|(a, b)| a == b).count();
            let from =
                if expected.len() > SHOWN_MAX { agreeing.saturating_sub(SHOWN_MAX / 3) } else { 0 };
            return Err(self.mismatch(&shown_from(expected, from), &self.got(from, end.as_ref())));
        }
    }

    /// The next line, of at most [`LINE_LEN_MAX`] bytes, must satisfy `fits`, which is called with
    /// the line without its `\n`. `expected` describes such a line.
    pub fn expect_line(&mut self, expected: &str, fits: impl Fn(&[u8]) -> bool) -> CheckResult {
        loop {
            if let Some(newline) = self.received.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=newline).collect();
                let fits = line.strip_suffix(b"\n").is_some_and(&fits);
                return match fits {
                    true => Ok(()),
                    false => Err(self.mismatch(expected, &shown_from(&line, 0))),
                };
            }
            self.receive_more(expected, LINE_LEN_MAX)?;
        }
    }

    /// The next bytes, at most `len_max`, must satisfy `fits`: an answer without an ending, whose
    /// exact bytes are unknown. `expected` describes such bytes.
    pub fn expect_fitting(
        &mut self,
        expected: &str,
        len_max: usize,
        fits: impl Fn(&[u8]) -> bool,
    ) -> CheckResult {
        loop {
            if fits(&self.received) {
                self.received.clear();
                return Ok(());
            }
            self.receive_more(expected, len_max)?;
        }
    }

    /// The server must not have sent more than was expected so far.
    pub fn expect_no_more(&self) -> CheckResult {
        if self.received.is_empty() {
            Ok(())
        } else {
            Err(self.mismatch("no more", &self.got(0, None)))
        }
    }

    /// The server must send nothing for `duration`.
    pub fn expect_silence(&mut self, duration: Duration) -> CheckResult {
        match self.receive_until(Some(Instant::now() + duration)) {
            Err(ReadEnd::Late) => self.expect_no_more(),
            Ok(()) => Err(self.mismatch("silence", &self.got(0, None))),
            Err(end) => Err(self.mismatch("silence", &self.got(0, Some(&end)))),
        }
    }

    /// The server must close now, and must not have sent more.
    pub fn expect_close(&mut self) -> CheckResult {
        self.expect_no_more()?;
        let end = match self.receive() {
            Err(ReadEnd::Closed) => return Ok(()),
            Err(end) => Some(end),
            Ok(()) => None,
        };
        Err(self.mismatch("the end of the connection", &self.got(0, end.as_ref())))
    }

    /// Counts `bytes` as sent, for the report.
    pub fn note_sent(&mut self, bytes: &[u8]) {
        let room = SHOWN_MAX.saturating_sub(self.sent.len());
        self.sent.extend(bytes.iter().take(room));
        self.sent_len += bytes.len();
    }

    /// A failure of this connection's check.
    #[must_use]
    pub fn mismatch(&self, expected: &str, got: &str) -> Mismatch {
        let sent = match self.sent_len {
            0 => "nothing".into(),
            len => cut(&self.sent, len),
        };
        Mismatch { sent, expected: expected.into(), got: got.into() }
    }

    /// Receives more of `expected`, which has at most `len_max` bytes.
    fn receive_more(&mut self, expected: &str, len_max: usize) -> CheckResult {
        if self.received.len() >= len_max {
            return Err(self.mismatch(expected, &self.got(0, None)));
        }
        self.receive().map_err(|end| self.mismatch(expected, &self.got(0, Some(&end))))
    }

    fn receive(&mut self) -> Result<(), ReadEnd> {
        self.receive_until(self.deadline)
    }

    fn receive_until(&mut self, deadline: Option<Instant>) -> Result<(), ReadEnd> {
        let mut piece = [0; 64 << 10];
        match self.stream.read_until(deadline, &mut piece) {
            Ok(Some(0)) => Err(ReadEnd::Closed),
            Ok(Some(len)) => {
                self.received.extend_from_slice(piece.get(..len).unwrap_or_default());
                Ok(())
            }
            Ok(None) => Err(ReadEnd::Late),
            Err(error) => Err(ReadEnd::Broken(error)),
        }
    }

    /// The time that is left for the check.
    fn left(&self) -> Result<Option<Duration>, ReadEnd> {
        match self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
            Some(Duration::ZERO) => Err(ReadEnd::Late),
            left => Ok(left),
        }
    }

    /// The received bytes from byte `from` on, and why no more came.
    fn got(&self, from: usize, end: Option<&ReadEnd>) -> String {
        let bytes = if self.received.is_empty() {
            "nothing".into()
        } else {
            shown_from(&self.received, from)
        };
        let timeout = self.timeout.unwrap_or_default();
        match end {
            None => bytes,
            Some(ReadEnd::Closed) => format!("{bytes} and the end of the connection"),
            Some(ReadEnd::Late) => format!("{bytes} within {}", readable_duration(timeout)),
            Some(ReadEnd::Broken(error)) => {
                format!("{bytes} and a broken connection ({})", reason(error))
            }
        }
    }
}

/// The bytes from byte `from` on, in quotes, at most [`SHOWN_MAX`] of them.
fn shown_from(bytes: &[u8], from: usize) -> String {
    let rest = bytes.get(from..).unwrap_or_default();
    match from {
        0 => cut(rest, rest.len()),
        _ => format!("at byte {from} {}", cut(rest, rest.len())),
    }
}

/// The first bytes of a text of `len` bytes, in double quotes.
fn cut(bytes: &[u8], len: usize) -> String {
    let start = bytes.get(..bytes.len().min(SHOWN_MAX)).unwrap_or_default();
    let escaped = quoted(start).to_string().replace('"', r#"\""#);
    if len > start.len() {
        format!("\"{escaped}...\" ({len} bytes)")
    } else {
        format!("\"{escaped}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_bytes_are_escaped_and_cut() {
        assert_eq!(shown_from(b"BYE\n\xff", 0), r#""BYE\n\xff""#);
        assert_eq!(shown_from(&[b'x'; 1000], 0), format!("\"{}...\" (1000 bytes)", "x".repeat(48)));
        assert_eq!(shown_from(b"I'm", 0), r#""I'm""#);
        assert_eq!(shown_from(b"0123456789", 8), r#"at byte 8 "89""#);
    }
}
