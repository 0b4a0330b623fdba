//! Attackers with short connections: no request, half of one or a whole one, then a close or a
//! reset.

use std::io::{self, Read, Write};
use std::time::Duration;

use mio::net::TcpStream;
use tinytcp_core::os::moment::Moment;

use super::{Attacker, Kind, Next, Tally, connect};

const REQUEST: &[u8] = b"ECHO here and gone\n";
const HALF_LEN: usize = REQUEST.len() / 2;

/// The lives of churners, in turn. They differ in the bytes of the request, in whether the attacker
/// waits for the answer, and in how the connection ends.
const LIVES: [Churner; 6] = [
    Churner { asks: &[], waits: false, resets: false, sent: false },
    Churner { asks: REQUEST.split_at(HALF_LEN).0, waits: false, resets: false, sent: false },
    Churner { asks: REQUEST.split_at(HALF_LEN).0, waits: false, resets: true, sent: false },
    Churner { asks: REQUEST, waits: false, resets: false, sent: false },
    Churner { asks: REQUEST, waits: false, resets: true, sent: false },
    Churner { asks: REQUEST, waits: true, resets: false, sent: false },
];

pub const KIND: Kind = Kind {
    name: "churners",
    count: 200,
    // 2000 connections per second in total.
    first: 0,
    pause: Duration::from_millis(100),
    begin: |target, number, lives, _| {
        let stream = connect::from_own_address(target.text, number)?;
        let turn = (number as u64 + lives) % LIVES.len() as u64;
        Ok((stream, Box::new(LIVES[turn as usize])))
    },
};

#[derive(Clone, Copy)]
struct Churner {
    asks: &'static [u8],
    /// True exactly when the attacker leaves only after the last byte of its answer.
    waits: bool,
    resets: bool,
    sent: bool,
}

impl Attacker for Churner {
    fn act(&mut self, stream: &mut TcpStream, _: Moment, tally: &mut Tally) -> io::Result<Next> {
        // While there is no peer address, the connection is being established. An event follows.
        if stream.peer_addr().is_err() {
            return stream.take_error()?.map_or(Ok(Next::Wait), Err);
        }
        if !self.sent && !self.asks.is_empty() {
            // An empty send buffer takes these few bytes in one write.
            tally.sent_bytes += stream.write(self.asks)? as u64;
        }
        self.sent = true;
        let mut answer = [0; 256];
        while self.waits {
            let count = stream.read(&mut answer)?;
            if count == 0 {
                return Ok(Next::Ended);
            }
            tally.received_bytes += count as u64;
            // The greeting arrives with the answer or in a read of its own.
            self.waits = !answer[..count].ends_with(REQUEST);
        }
        Ok(if self.resets { Next::Reset } else { Next::Close })
    }
}
