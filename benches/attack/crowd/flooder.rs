//! Attackers that send requests as fast as they can, and read and compare every answer.

use std::io::{self, Read, Write};
use std::time::Duration;

use mio::net::TcpStream;
use tinytcp_core::os::moment::Moment;
use tinytcp_core::os::system::would_block;
use tinytcp_core::protocol::text::BANNER;
use tinytcp_core::wire::frame::Header;

use super::{Attacker, Kind, Next, Tally, connect};

/// The most bytes of one write.
const BATCH_LEN: usize = 64 << 10;
const TEXT: &[u8] = b"Hello from client";

pub const KIND: Kind = Kind {
    name: "flooders",
    count: 1,
    first: 0,
    pause: Duration::from_millis(100),
    begin: |target, number, _, _| {
        let is_text = number.is_multiple_of(2);
        let stream = connect::plainly(if is_text { target.text } else { target.binary })?;
        Ok((stream, Box::new(Flooder::new(is_text))))
    },
};

struct Flooder {
    /// A whole number of requests, one after the other.
    batch: Vec<u8>,
    sent: usize,
    /// The answers that are right after the greeting: the request itself; a refusal for lack of
    /// memory; and a message timeout, if this process had no processor while a request was half
    /// sent.
    answers: [Vec<u8>; 3],
    /// The greeting that has to come first; empty after it has come.
    greeting: Vec<u8>,
    buffer: Vec<u8>,
    /// The number of bytes in the buffer that are not compared yet: the beginning of an answer.
    waiting: usize,
}

impl Flooder {
    fn new(is_text: bool) -> Self {
        let frame = |code, text: &[u8]| {
            [&Header { code, payload_len: text.len() as u32 }.encode()[..], text].concat()
        };
        let line = |text: &[u8]| [text, b"\n"].concat();
        let [request, refusal, farewell] = match is_text {
            true => [
                line(&[b"ECHO ", TEXT].concat()),
                line(b"ERROR SERVER_BUSY"),
                line(b"ERROR MESSAGE_TIMEOUT"),
            ],
            false => [frame(1, TEXT), frame(255, b"SERVER_BUSY"), frame(255, b"MESSAGE_TIMEOUT")],
        };
        let batch = request.repeat(BATCH_LEN / request.len());
        let greeting = if is_text { line(BANNER.as_bytes()) } else { Vec::new() };
        Self {
            batch,
            sent: 0,
            answers: [request, refusal, farewell],
            greeting,
            buffer: vec![0; BATCH_LEN],
            waiting: 0,
        }
    }

    /// Compares the bytes in the buffer with the right answers. Returns false if they are anything
    /// else.
    fn is_right(&mut self, tally: &mut Tally) -> bool {
        let mut rest = &self.buffer[..self.waiting];
        if !self.greeting.is_empty() {
            match rest.strip_prefix(&self.greeting[..]) {
                Some(after) => (rest, self.greeting) = (after, Vec::new()),
                None => return self.greeting.starts_with(rest),
            }
        }
        let [right, refusal, farewell] = &self.answers;
        let is_right = loop {
            if let Some(after) = rest.strip_prefix(&right[..]) {
                tally.answered += 1;
                rest = after;
            } else if let Some(after) = rest.strip_prefix(&refusal[..]) {
                tally.refused += 1;
                rest = after;
            } else {
                break [right, refusal, farewell].iter().any(|answer| answer.starts_with(rest));
            }
        };
        if !is_right {
            tally.note_wrong(rest);
        }
        let compared = self.waiting - rest.len();
        self.buffer.copy_within(compared..self.waiting, 0);
        self.waiting -= compared;
        is_right
    }
}

impl Attacker for Flooder {
    fn act(&mut self, stream: &mut TcpStream, _: Moment, tally: &mut Tally) -> io::Result<Next> {
        let written = none_if_would_block(stream.write(&self.batch[self.sent..]))?;
        let sent = written.unwrap_or(0);
        self.sent = (self.sent + sent) % self.batch.len();
        tally.sent_bytes += sent as u64;
        let read = none_if_would_block(stream.read(&mut self.buffer[self.waiting..]))?;
        if read == Some(0) {
            return Ok(Next::Ended);
        }
        let received = read.unwrap_or(0);
        tally.received_bytes += received as u64;
        self.waiting += received;
        if !self.is_right(tally) {
            return Ok(Next::Wrong);
        }
        Ok(if written.is_some() || read.is_some() { Next::GoOn } else { Next::Wait })
    }
}

fn none_if_would_block(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Err(error) if would_block(&error) => Ok(None),
        other => other.map(Some),
    }
}
