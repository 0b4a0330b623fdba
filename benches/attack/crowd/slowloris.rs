//! Attackers that send a byte now and then of a message that never ends.

use std::io::{self, Read, Write};
use std::time::Duration;

use mio::net::TcpStream;
use tinytcp_core::os::moment::Moment;
use tinytcp_core::os::system::would_block;
use tinytcp_core::wire::frame::Header;

use super::{Attacker, Kind, Next, Tally, connect};

/// The time from one byte to the next.
const DRIP: Duration = Duration::from_millis(500);

/// One of this number of attackers goes on after the server has ended its output.
const STUBBORN: usize = 4;

/// The header of a frame of 1 MiB, with which each second attacker begins. The others begin a line.
const FRAME: [u8; 5] = Header { code: 1, payload_len: 1 << 20 }.encode();
const LINE: &[u8] = b"ECHO ";

pub const KIND: Kind = Kind {
    name: "slowloris",
    count: 1000,
    first: 0,
    pause: Duration::from_millis(100),
    begin: |target, number, _, now| {
        let is_line = number.is_multiple_of(2);
        let stream = connect::plainly(if is_line { target.text } else { target.binary })?;
        let front = if is_line { LINE } else { &FRAME };
        let is_stubborn = number / 2 % STUBBORN == 0;
        Ok((
            stream,
            Box::new(Slowloris { front, sent: 0, next: now, is_stubborn, is_ended: false }),
        ))
    },
};

struct Slowloris {
    /// The first bytes of the message; all later bytes are `x`.
    front: &'static [u8],
    sent: usize,
    /// The time at which the next byte is due.
    next: Moment,
    is_stubborn: bool,
    is_ended: bool,
}

impl Attacker for Slowloris {
    fn act(&mut self, stream: &mut TcpStream, now: Moment, tally: &mut Tally) -> io::Result<Next> {
        self.listen(stream, tally)?;
        if self.is_ended && !self.is_stubborn {
            return Ok(Next::Ended);
        }
        if now >= self.next {
            let byte = self.front.get(self.sent).unwrap_or(&b'x');
            self.next = now.after(DRIP);
            match stream.write(&[*byte]) {
                Err(error) if would_block(&error) => {}
                written => {
                    let count = written?;
                    self.sent += count;
                    tally.sent_bytes += count as u64;
                }
            }
        }
        Ok(Next::Until(self.next))
    }
}

impl Slowloris {
    /// Reads what has arrived, and notes the end of the server's output.
    fn listen(&mut self, stream: &mut TcpStream, tally: &mut Tally) -> io::Result<()> {
        let mut answer = [0; 256];
        while !self.is_ended {
            match stream.read(&mut answer) {
                Ok(0) => self.is_ended = true,
                Ok(count) => tally.received_bytes += count as u64,
                Err(error) if would_block(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
