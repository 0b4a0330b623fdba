//! The hands of a check: a connection on which any bytes can be sent, and on which answers are
//! compared byte by byte.

use std::fmt;
use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::Assumed;
use crate::cli::target::{Protocol, Target};
use crate::client::connect::{Patience, connect};
use crate::client::failure::{reason, span};
use crate::client::receive::receive;
use crate::display::escape::quoted;

/// The outcome of a check.
pub type Outcome = Result<(), Mismatch>;

/// The banner of a text server.
pub const BANNER: &[u8] = b"WELCOME, I'm TinyServer not pressure\n";

/// The pause that puts two sends into two segments. Without it they may arrive as one, and the
/// check passes for the wrong reason; it must stay well under the quiet period, which would make
/// two messages of them.
const SEGMENT_PAUSE: Duration = Duration::from_millis(1);

/// How many bytes of something are shown.
const SHOWN_MAX: usize = 48;

/// A promise that was not kept.
#[derive(Debug, PartialEq, Eq)]
pub struct Mismatch {
    sent: String,
    expected: String,
    got: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sent {}, expected {}, got {}", self.sent, self.expected, self.got)
    }
}

/// What a check knows about the server.
#[derive(Debug)]
pub struct Probe<'a> {
    target: &'a Target,
    timeout: Option<Duration>,
    deadline: Option<Instant>,
    /// What the server is taken to allow.
    pub assumed: Assumed,
}

impl<'a> Probe<'a> {
    /// For a check that begins now and may take `timeout`.
    #[must_use]
    pub fn new(target: &'a Target, timeout: Option<Duration>, assumed: Assumed) -> Self {
        Self { target, timeout, deadline: timeout.map(|timeout| Instant::now() + timeout), assumed }
    }

    /// What the server speaks.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.target.protocol
    }

    /// A new connection, whatever banner there should be already read.
    pub fn open(&self) -> Result<Wire<'_>, Mismatch> {
        let patience = Patience { timeout: self.timeout, wait: None };
        let stream = connect(self.target, patience).map_err(|failure| Mismatch {
            sent: "nothing".into(),
            expected: "a connection".into(),
            got: failure.to_string(),
        })?;
        let mut wire =
            Wire { probe: self, stream, sent: Vec::new(), sent_len: 0, received: Vec::new() };
        if self.target.protocol == Protocol::Text {
            wire.expect(BANNER)?;
        }
        Ok(wire)
    }

    /// A connection of its own on which `request` must get exactly `answer`.
    pub fn dialogue(&self, request: &[u8], answer: &[u8]) -> Outcome {
        let mut wire = self.open()?;
        wire.send(request)?;
        wire.expect(answer)?;
        wire.expect_no_more()
    }

    /// As [`Probe::dialogue`]; the server must then close.
    pub fn last_dialogue(&self, request: &[u8], answer: &[u8]) -> Outcome {
        let mut wire = self.open()?;
        wire.send(request)?;
        wire.expect(answer)?;
        wire.expect_close()
    }

    /// As [`Probe::last_dialogue`], with our side of the connection closed behind the request.
    pub fn half_closed_dialogue(&self, request: &[u8], answer: &[u8]) -> Outcome {
        let mut wire = self.open()?;
        wire.send(request)?;
        wire.half_close();
        wire.expect(answer)?;
        wire.expect_close()
    }

    /// As [`Probe::dialogue`] for every way to cut the request in two segments, all on one
    /// connection.
    pub fn cut_dialogue(&self, request: &[u8], answer: &[u8]) -> Outcome {
        let mut wire = self.open()?;
        for cut in 1..request.len() {
            let (first, second) = request.split_at(cut);
            wire.send(first)?;
            thread::sleep(SEGMENT_PAUSE);
            wire.send(second)?;
            wire.expect(answer)?;
        }
        wire.expect_no_more()
    }

    /// As [`Probe::dialogue`], with a segment for each byte.
    pub fn dripped_dialogue(&self, request: &[u8], answer: &[u8]) -> Outcome {
        let mut wire = self.open()?;
        for byte in request {
            wire.send(&[*byte])?;
        }
        wire.expect(answer)?;
        wire.expect_no_more()
    }

    /// As [`Probe::dialogue`], with nothing read for a while: the server must keep the answers, or
    /// stop reading, and lose nothing.
    pub fn unread_dialogue(&self, request: &[u8], answer: &[u8]) -> Outcome {
        const UNREAD: Duration = Duration::from_millis(200);
        let mut wire = self.open()?;
        wire.note_sent(request);
        // Its failure shows in what comes back.
        let mut writer = wire
            .stream
            .try_clone()
            .map_err(|error| wire.mismatch("a connection", &reason(&error)))?;
        let timeout = self.timeout;
        thread::scope(|scope| {
            let write =
                move || writer.set_write_timeout(timeout).and_then(|()| writer.write_all(request));
            let writing = thread::Builder::new().spawn_scoped(scope, write);
            writing.map_err(|error| {
                wire.mismatch("a thread of our own that writes", &reason(&error))
            })?;
            thread::sleep(UNREAD);
            let outcome = wire.expect(answer);
            if outcome.is_err() {
                // The writer must not go on waiting for a server that has been found wanting.
                let _ = wire.stream.shutdown(Shutdown::Both);
            }
            outcome
        })?;
        wire.expect_no_more()
    }
}

/// One connection of a check.
#[derive(Debug)]
pub struct Wire<'a> {
    probe: &'a Probe<'a>,
    stream: TcpStream,
    /// The first bytes that were sent, and how many there were in all.
    sent: Vec<u8>,
    sent_len: usize,
    /// What has been received and was not expected yet.
    received: Vec<u8>,
}

/// Why no more bytes come.
enum End {
    Closed,
    Late,
    Broken(io::Error),
}

impl Wire<'_> {
    /// Sends `bytes`.
    ///
    /// A server that refuses may close before it has them all, which is no failure: its answer
    /// decides. One that stops taking bytes is.
    pub fn send(&mut self, bytes: &[u8]) -> Outcome {
        self.note_sent(bytes);
        let left = self.left().map_err(|_| self.mismatch("it to be taken", "no time left"))?;
        match self.stream.set_write_timeout(left).and_then(|()| self.stream.write_all(bytes)) {
            Err(error)
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
            {
                Err(self.mismatch("it to be taken in whole", "a server that takes no more"))
            }
            _ => Ok(()),
        }
    }

    /// Closes our side; the server's stays open.
    pub fn half_close(&mut self) {
        // Fails only where the server has closed already, and then the answer decides.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// The next bytes must be `expected`.
    pub fn expect(&mut self, expected: &[u8]) -> Outcome {
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
            // Long texts that agree for long are shown from shortly before they part.
            let agreeing = expected.iter().zip(&self.received).take_while(|(a, b)| a == b).count();
            let from =
                if expected.len() > SHOWN_MAX { agreeing.saturating_sub(SHOWN_MAX / 3) } else { 0 };
            return Err(self.mismatch(&shown_from(expected, from), &self.got(from, end.as_ref())));
        }
    }

    /// The next line must be `what`, which `fits` tells; it gets the line without its `\n`.
    pub fn expect_line(&mut self, what: &str, fits: impl Fn(&[u8]) -> bool) -> Outcome {
        loop {
            if let Some(newline) = self.received.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=newline).collect();
                let fits = line.strip_suffix(b"\n").is_some_and(&fits);
                return if fits { Ok(()) } else { Err(self.mismatch(what, &shown_from(&line, 0))) };
            }
            if let Err(end) = self.receive() {
                return Err(self.mismatch(what, &self.got(0, Some(&end))));
            }
        }
    }

    /// Nothing may have come beyond what was expected so far.
    pub fn expect_no_more(&self) -> Outcome {
        if self.received.is_empty() {
            Ok(())
        } else {
            Err(self.mismatch("no more", &self.got(0, None)))
        }
    }

    /// Nothing may come for `duration`.
    pub fn expect_silence(&mut self, duration: Duration) -> Outcome {
        match self.receive_until(Some(Instant::now() + duration)) {
            Err(End::Late) => self.expect_no_more(),
            Ok(()) => Err(self.mismatch("silence", &self.got(0, None))),
            Err(end) => Err(self.mismatch("silence", &self.got(0, Some(&end)))),
        }
    }

    /// The server must close now, and have said no more.
    pub fn expect_close(&mut self) -> Outcome {
        self.expect_no_more()?;
        let end = match self.receive() {
            Err(End::Closed) => return Ok(()),
            Err(end) => Some(end),
            Ok(()) => None,
        };
        Err(self.mismatch("the end of the connection", &self.got(0, end.as_ref())))
    }

    fn receive(&mut self) -> Result<(), End> {
        self.receive_until(self.probe.deadline)
    }

    fn receive_until(&mut self, deadline: Option<Instant>) -> Result<(), End> {
        let mut piece = [0; 64 << 10];
        match receive(&mut self.stream, deadline, &mut piece) {
            Ok(Some(0)) => Err(End::Closed),
            Ok(Some(len)) => {
                self.received.extend_from_slice(piece.get(..len).unwrap_or_default());
                Ok(())
            }
            Ok(None) => Err(End::Late),
            Err(error) => Err(End::Broken(error)),
        }
    }

    /// The time that the check has left.
    fn left(&self) -> Result<Option<Duration>, End> {
        match self.probe.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
        {
            Some(Duration::ZERO) => Err(End::Late),
            left => Ok(left),
        }
    }

    fn note_sent(&mut self, bytes: &[u8]) {
        let room = SHOWN_MAX.saturating_sub(self.sent.len());
        self.sent.extend(bytes.iter().take(room));
        self.sent_len += bytes.len();
    }

    /// What has been received from byte `from` on, and why there is no more.
    fn got(&self, from: usize, end: Option<&End>) -> String {
        let bytes = if self.received.is_empty() {
            "nothing".into()
        } else {
            shown_from(&self.received, from)
        };
        let timeout = self.probe.timeout.unwrap_or_default();
        match end {
            None => bytes,
            Some(End::Closed) => format!("{bytes} and the end of the connection"),
            Some(End::Late) => format!("{bytes} within {}", span(timeout)),
            Some(End::Broken(error)) => {
                format!("{bytes} and a broken connection ({})", reason(error))
            }
        }
    }

    fn mismatch(&self, expected: &str, got: &str) -> Mismatch {
        let sent = match self.sent_len {
            0 => "nothing".into(),
            len => cut(&self.sent, len),
        };
        Mismatch { sent, expected: expected.into(), got: got.into() }
    }
}

/// The bytes in quotes, from byte `from` on, cut to what a line can hold.
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
    fn what_is_shown_is_escaped_and_cut() {
        assert_eq!(shown_from(b"BYE\n\xff", 0), r#""BYE\n\xff""#);
        assert_eq!(shown_from(&[b'x'; 1000], 0), format!("\"{}...\" (1000 bytes)", "x".repeat(48)));
        assert_eq!(shown_from(b"I'm", 0), r#""I'm""#);
        assert_eq!(shown_from(b"0123456789", 8), r#"at byte 8 "89""#);
    }
}
