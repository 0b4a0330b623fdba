//! Those who ask as fast as they can, and read every answer.

use std::io::{self, Read, Write};
use std::time::Duration;

use mio::net::TcpStream;
use tinytcp::base::moment::Moment;
use tinytcp::base::system::would_block;
use tinytcp::protocol::text::BANNER;
use tinytcp::wire::frame::Header;

use super::{Attacker, Kind, Next, Tally, connect};

/// What is written with one call, at most.
const BATCH_LEN: usize = 64 << 10;
const TEXT: &[u8] = b"Hello from client";

pub static KIND: Kind = Kind {
    name: "flooders",
    count: 2,
    pause: Duration::from_millis(100),
    begin: |target, number, _, _| {
        let is_text = number.is_multiple_of(2);
        let stream = connect::plainly(if is_text { target.text } else { target.binary })?;
        Ok((stream, Box::new(Flooder::new(is_text))))
    },
};

struct Flooder {
    /// Requests, one behind the other; an answer is the same bytes.
    batch: Vec<u8>,
    /// What is left of what has to come first.
    greeting: Vec<u8>,
    sent: usize,
    /// Bytes that have come behind the greeting.
    received: usize,
    buffer: Vec<u8>,
}

impl Flooder {
    fn new(is_text: bool) -> Self {
        let request = match is_text {
            true => [b"ECHO ", TEXT, b"\n"].concat(),
            false => [&Header { code: 1, payload_len: TEXT.len() as u32 }.encode()[..], TEXT].concat(),
        };
        let batch = request.repeat(BATCH_LEN / request.len());
        let greeting = if is_text { format!("{BANNER}\n").into_bytes() } else { Vec::new() };
        Self { batch, greeting, sent: 0, received: 0, buffer: vec![0; BATCH_LEN] }
    }

    /// True exactly when the first `count` bytes of the buffer are what has to come next.
    fn is_right(&mut self, count: usize) -> bool {
        let (greeting, mut bytes) = self.buffer[..count].split_at(self.greeting.len().min(count));
        let is_greeted = self.greeting.drain(..greeting.len()).eq(greeting.iter().copied());
        while !bytes.is_empty() {
            let expected = &self.batch[self.received % self.batch.len()..];
            let (piece, rest) = bytes.split_at(expected.len().min(bytes.len()));
            if !expected.starts_with(piece) {
                return false;
            }
            self.received += piece.len();
            bytes = rest;
        }
        is_greeted
    }
}

impl Attacker for Flooder {
    fn act(&mut self, stream: &mut TcpStream, _: Moment, tally: &mut Tally) -> io::Result<Next> {
        let written = none_if_would_block(stream.write(&self.batch[self.sent..]))?;
        let sent = written.unwrap_or(0);
        self.sent = (self.sent + sent) % self.batch.len();
        tally.sent_bytes += sent as u64;
        let read = none_if_would_block(stream.read(&mut self.buffer))?;
        if read == Some(0) {
            return Ok(Next::Ended);
        }
        let received = read.unwrap_or(0);
        tally.received_bytes += received as u64;
        if !self.is_right(received) {
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
