//! The thread of a script that sends its requests.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender};

use tinytcp_cli::target::ProtocolName;
use tinytcp_core::display::escape::shown;

use super::ScriptEvent;
use crate::dialogue::{self, DueAnswer, Request};
use crate::error::reason;
use crate::receiver::PIECE_LEN;
use crate::stream::StreamHandle;

/// Sends the script.
pub struct RequestSender<Script> {
    protocol: ProtocolName,
    script: BufReader<Script>,
    server: StreamHandle,
    events: SyncSender<ScriptEvent>,
    /// Without pipelining: a message for each answer, after which the next request may be sent.
    next_turn: Receiver<()>,
    /// The next requests that are not pipelined: those without which the rest must not be sent.
    entry_left: usize,
    /// Requests that are not sent yet, and the answers that are due to them.
    requests: Vec<u8>,
    due: Option<(DueAnswer, usize)>,
}

/// Why no more requests are sent.
enum SendEnd {
    /// The connection is broken, or the caller is gone.
    Connection,
    /// The script cannot be read or understood.
    Script(String),
}

impl<Script: Read> RequestSender<Script> {
    /// Sends all lines of `script` to `server`, each of the first `entry_len` ones after the answer
    /// to the one before.
    pub fn new(
        protocol: ProtocolName,
        script: Script,
        server: StreamHandle,
        events: SyncSender<ScriptEvent>,
        next_turn: Receiver<()>,
        entry_len: usize,
    ) -> Self {
        let script = BufReader::with_capacity(PIECE_LEN, script);
        let (entry_left, requests, due) = (entry_len, Vec::new(), None);
        Self { protocol, script, server, events, next_turn, entry_left, requests, due }
    }

    /// Sends requests until the script or the connection ends.
    pub fn run(mut self) {
        let end = match self.send_all() {
            Ok(ends_session) => ScriptEvent::EndOfScript { ends_session },
            // The receiver reports the same broken connection, after the last bytes of the server.
            Err(SendEnd::Connection) => return,
            Err(SendEnd::Script(text)) => ScriptEvent::Invalid(text),
        };
        // The caller may have ended already.
        let _ = self.events.send(end);
    }

    /// Returns whether the last request has ended the session.
    fn send_all(&mut self) -> Result<bool, SendEnd> {
        let mut line = Vec::new();
        for number in 1_u64.. {
            line.clear();
            let read = self.script.read_until(b'\n', &mut line);
            let read = read.map_err(|error| {
                SendEnd::Script(format!("cannot read the script: {}", reason(&error)))
            })?;
            if read == 0 {
                break;
            }
            let request =
                match dialogue::encode(self.protocol, without_ending(&line), &mut self.requests) {
                    Ok(request) => request,
                    Err(error) => {
                        self.send()?;
                        return Err(SendEnd::Script(format!(
                            "line {number} of the script: {error}"
                        )));
                    }
                };
            let is_last = matches!(request, Request::Last(_));
            if let Request::Answered(due) | Request::Last(Some(due)) = request {
                let count = self.due.take().map_or(0, |(_, count)| count);
                self.due = Some((due, count + 1));
            }
            if is_last || !self.pipelines() || !self.another_line_is_buffered() {
                self.send()?;
            }
            if is_last {
                return self.report_unsent(&line).map(|()| true);
            }
        }
        self.send().map(|()| false)
    }

    /// Reports the first line after `last` that is not empty, as far as the script has been read.
    fn report_unsent(&self, last: &[u8]) -> Result<(), SendEnd> {
        let mut rest = self.script.buffer().split(|byte| *byte == b'\n').map(without_ending);
        match rest.find(|line| !line.trim_ascii().is_empty()) {
            Some(line) => {
                let (line, last) = (shown(line), shown(without_ending(last)));
                self.report(ScriptEvent::Unsent(format!(
                    "'{line}' was not sent: '{last}' before it ends the session"
                )))
            }
            None => Ok(()),
        }
    }

    /// Returns false when requests must be sent now: the writer of the script may be waiting for
    /// their answers.
    fn another_line_is_buffered(&self) -> bool {
        self.requests.len() < PIECE_LEN && memchr::memchr(b'\n', self.script.buffer()).is_some()
    }

    /// Reports the due answers, sends the requests and, without pipelining, waits for the answer.
    fn send(&mut self) -> Result<(), SendEnd> {
        let waits = self.due.is_some() && !self.pipelines();
        if let Some((due, count)) = self.due.take() {
            self.report(ScriptEvent::Requests(due, count))?;
        }
        let mut sent = 0;
        while let Some(rest) = self.requests.get(sent..).filter(|rest| !rest.is_empty()) {
            match self.server.write(rest) {
                Ok(0) => return Err(SendEnd::Connection),
                Ok(len) => sent += len,
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                        self.report(ScriptEvent::Stalled)?
                    }
                    _ => return Err(SendEnd::Connection),
                },
            }
        }
        self.requests.clear();
        if waits {
            self.next_turn.recv().map_err(|_| SendEnd::Connection)?;
            self.entry_left = self.entry_left.saturating_sub(1);
        }
        Ok(())
    }

    /// Returns true if the next request need not wait for an answer.
    fn pipelines(&self) -> bool {
        self.entry_left == 0 && dialogue::pipelines(self.protocol)
    }

    fn report(&self, event: ScriptEvent) -> Result<(), SendEnd> {
        self.events.send(event).map_err(|_| SendEnd::Connection)
    }
}

fn without_ending(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_loses_its_ending_and_nothing_else() {
        let cases: [(&[u8], &[u8]); 5] =
            [(b"a\n", b"a"), (b"a\r\n", b"a"), (b"a\r\r\n", b"a\r"), (b"a ", b"a "), (b"\n", b"")];
        for (line, expected) in cases {
            assert_eq!(without_ending(line), expected, "{line:?}");
        }
    }
}
