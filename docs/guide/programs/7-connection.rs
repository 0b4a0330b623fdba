//! The connection of step 7: one socket, its buffers, and nothing of the server. The trap and the
//! repair share it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::Instant;

use mio::net::TcpStream;

/// How many bytes one read may return.
const CHUNK: usize = 4096;

/// The longest line that is answered.
const LINE_BYTES_MAX: usize = 64 << 10;

/// The high-water mark: while this many bytes of answers wait, no request is read.
const HIGH_WATER: usize = 64 << 10;

/// How many bytes are discarded after the last answer, at most.
const LINGER_BYTES_MAX: usize = 1 << 20;

/// The budget: a turn that has read this many bytes is over.
const TURN_BYTES_MAX: usize = 16 << 10;

pub struct Connection {
    stream: TcpStream,
    /// The beginning of a line, whose end has not arrived yet.
    input: Vec<u8>,
    /// How many bytes of the input are known to hold no newline.
    searched: usize,
    /// Answers that the kernel has not taken yet.
    output: Vec<u8>,
    phase: Phase,
    /// True exactly when the client has ended its input and all of it has been read.
    input_ended: bool,
    /// True exactly when an event has reported the end of the client's input.
    pub peer_closed: bool,
    /// How many bytes were discarded after the last answer.
    discarded: usize,
    /// When bytes were last received or sent.
    pub last_moved: Instant,
    /// Remembered readiness: false once a read has found nothing, until an event follows.
    pub readable: bool,
    /// True exactly when it is in the run queue.
    pub queued: bool,
}

/// The phases of a connection.
#[derive(PartialEq)]
enum Phase {
    /// It reads requests.
    Open,
    /// It reads no more requests. The last answers wait for the client.
    Flushing,
    /// The client has all answers. Its end of input is awaited, and what comes before is discarded.
    Lingering,
}

/// What a connection needs after its turn.
pub enum Turn {
    /// The next event.
    Idle,
    /// Another turn: it has spent its budget.
    Yield,
    /// Its end.
    Close,
}

impl Connection {
    /// A new connection. Its first event is yet to come.
    pub fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            input: Vec::new(),
            searched: 0,
            output: Vec::new(),
            phase: Phase::Open,
            input_ended: false,
            peer_closed: false,
            discarded: 0,
            last_moved: Instant::now(),
            readable: false,
            queued: false,
        }
    }

    /// Reads requests and sends answers, until nothing moves or the budget is spent.
    pub fn drive(&mut self) -> io::Result<Turn> {
        let mut turn_bytes = 0;
        loop {
            self.flush()?;
            if self.phase == Phase::Flushing && self.output.is_empty() {
                if self.input_ended {
                    return Ok(Turn::Close);
                }
                // Closing now would reset the connection if the client has sent more than was
                // read, and a reset destroys answers on their way.
                self.stream.shutdown(Shutdown::Write)?;
                self.phase = Phase::Lingering;
            }
            let is_over = self.input_ended || self.discarded > LINGER_BYTES_MAX;
            if self.phase == Phase::Lingering && is_over {
                return Ok(Turn::Close);
            }
            let wants_fill = self.phase != Phase::Flushing && self.output.len() < HIGH_WATER;
            if !self.readable || !wants_fill {
                return Ok(Turn::Idle); // an event follows
            }
            if turn_bytes >= TURN_BYTES_MAX {
                return Ok(Turn::Yield); // no event follows: the bytes are there already
            }
            turn_bytes += self.fill()?;
        }
    }

    /// Reads once. Returns the number of bytes.
    fn fill(&mut self) -> io::Result<usize> {
        let mut buf = [0; CHUNK];
        let len = match self.stream.read(&mut buf) {
            Err(error) if would_block(&error) => {
                self.readable = false;
                return Ok(0);
            }
            result => result?,
        };
        self.last_moved = Instant::now();
        if len < CHUNK {
            // A short read has emptied the socket: the next one would find nothing and is left out.
            // No event follows for an end of input that came together with these bytes.
            self.readable = false;
            self.input_ended = len == 0 || self.peer_closed;
        }
        if self.phase == Phase::Lingering {
            self.discarded += len;
            return Ok(len);
        }
        self.input.extend_from_slice(&buf[..len]);
        self.advance();
        if self.input_ended {
            self.phase = Phase::Flushing;
        }
        Ok(len)
    }

    /// Answers the whole lines of the input.
    fn advance(&mut self) {
        let mut consumed = 0;
        // The search goes on where the last one ended: a long line that comes in small pieces is
        // searched once, not once for each piece.
        while let Some(at) = self.input[self.searched..].iter().position(|byte| *byte == b'\n') {
            self.searched += at + 1;
            let line = &self.input[consumed..self.searched];
            consumed = self.searched;
            if line == b"QUIT\n" {
                return self.end(b"BYE\n");
            }
            self.output.extend_from_slice(line);
        }
        self.input.drain(..consumed);
        self.searched = self.input.len();
        if self.searched > LINE_BYTES_MAX {
            self.end(b"ERROR LINE_TOO_LONG\n");
        }
    }

    /// Ends the conversation with a last answer.
    fn end(&mut self, answer: &[u8]) {
        self.output.extend_from_slice(answer);
        self.input = Vec::new();
        self.phase = Phase::Flushing;
    }

    /// Writes the output until the kernel takes no more.
    fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(len) => {
                    self.output.drain(..len);
                    self.last_moved = Instant::now();
                }
                // The kernel is full. An event follows when it has room again.
                Err(error) if would_block(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// True exactly when the call has nothing to do now and an event will follow.
pub fn would_block(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
}
