//! The side of a script that asks.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, SyncSender};

use tinytcp_cli::target::Protocol;
use tinytcp_core::display::escape::shown;

use super::Event;
use crate::dialogue::{Dialogue, Due, Request};
use crate::failure::reason;
use crate::listener::PIECE_LEN;

/// Sends the script.
pub struct Asker<Script> {
    protocol: Protocol,
    script: BufReader<Script>,
    server: TcpStream,
    events: SyncSender<Event>,
    /// Where requests may not be sent ahead: says that the answer to the last one is in.
    next_turn: Receiver<()>,
    /// Requests that are not sent yet, and the answers that they will get.
    requests: Vec<u8>,
    due: Option<(Due, usize)>,
}

/// Why no more is asked.
enum Stop {
    /// The connection is broken, or the caller has gone.
    Connection,
    /// The script cannot be read or understood.
    Script(String),
}

impl<Script: Read> Asker<Script> {
    /// An asker of all lines of `script`.
    pub fn new(
        protocol: Protocol,
        script: Script,
        server: TcpStream,
        events: SyncSender<Event>,
        next_turn: Receiver<()>,
    ) -> Self {
        let script = BufReader::with_capacity(PIECE_LEN, script);
        Self { protocol, script, server, events, next_turn, requests: Vec::new(), due: None }
    }

    /// Asks until the script or the connection ends.
    pub fn run(mut self) {
        let end = match self.ask_all() {
            Ok(()) => Event::AllAsked,
            // The listener meets the same broken connection, after what the server said before it
            // broke.
            Err(Stop::Connection) => return,
            Err(Stop::Script(text)) => Event::Spoiled(text),
        };
        // Nobody is there to be told when the caller has already stopped.
        let _ = self.events.send(end);
    }

    fn ask_all(&mut self) -> Result<(), Stop> {
        let mut line = Vec::new();
        for number in 1_u64.. {
            line.clear();
            let read = self.script.read_until(b'\n', &mut line);
            let read = read.map_err(|error| {
                Stop::Script(format!("cannot read the script: {}", reason(&error)))
            })?;
            if read == 0 {
                break;
            }
            let request = match self.protocol.encode(without_ending(&line), &mut self.requests) {
                Ok(request) => request,
                Err(error) => {
                    self.send()?;
                    return Err(Stop::Script(format!("line {number} of the script: {error}")));
                }
            };
            let is_last = matches!(request, Request::Farewell(_));
            if let Request::Answered(due) | Request::Farewell(Some(due)) = request {
                let count = self.due.take().map_or(0, |(_, count)| count);
                self.due = Some((due, count + 1));
            }
            if is_last || !self.protocol.pipelines() || !self.another_line_is_at_hand() {
                self.send()?;
            }
            if is_last {
                return self.tell_unsent(&line);
            }
        }
        self.send()
    }

    /// Tells of the first line behind `farewell` that says something, as far as it has been read
    /// already.
    fn tell_unsent(&self, farewell: &[u8]) -> Result<(), Stop> {
        let mut rest = self.script.buffer().split(|byte| *byte == b'\n').map(without_ending);
        match rest.find(|line| !line.trim_ascii().is_empty()) {
            Some(line) => {
                let (line, farewell) = (shown(line), shown(without_ending(farewell)));
                self.tell(Event::Unsent(format!(
                    "'{line}' was not sent: '{farewell}' before it ends the session"
                )))
            }
            None => Ok(()),
        }
    }

    /// False when requests must be sent now: whoever writes the script may be waiting for their
    /// answers.
    fn another_line_is_at_hand(&self) -> bool {
        self.requests.len() < PIECE_LEN && memchr::memchr(b'\n', self.script.buffer()).is_some()
    }

    /// Announces the answers, sends the requests and, where it must be, waits for its turn.
    fn send(&mut self) -> Result<(), Stop> {
        let waits = self.due.is_some() && !self.protocol.pipelines();
        if let Some((due, count)) = self.due.take() {
            self.tell(Event::Asked(due, count))?;
        }
        let mut sent = 0;
        while let Some(rest) = self.requests.get(sent..).filter(|rest| !rest.is_empty()) {
            match self.server.write(rest) {
                Ok(0) => return Err(Stop::Connection),
                Ok(len) => sent += len,
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                        self.tell(Event::Stalled)?
                    }
                    _ => return Err(Stop::Connection),
                },
            }
        }
        self.requests.clear();
        if waits { self.next_turn.recv().map_err(|_| Stop::Connection) } else { Ok(()) }
    }

    fn tell(&self, event: Event) -> Result<(), Stop> {
        self.events.send(event).map_err(|_| Stop::Connection)
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
