//! Attackers that request long answers and never read.

use std::io::{self, Write};
use std::time::Duration;

use mio::net::TcpStream;
use tinytcp_core::os::moment::Moment;
use tinytcp_core::wire::frame::Header;

use super::{Attacker, Kind, Next, Tally, Target, connect};

/// The length of the payload of each request, which the answer repeats: nearly the longest line.
const TEXT_LEN: usize = 60_000;

pub const KIND: Kind = Kind {
    name: "that never read",
    count: 500,
    first: 0,
    pause: Duration::from_millis(500),
    begin: |target, number, _, _| {
        let is_text = number.is_multiple_of(2);
        let Target { text, binary } = target;
        let stream = connect::with_small_window(if is_text { text } else { binary })?;
        Ok((stream, Box::new(Mute { request: request(is_text), sent: 0 })))
    },
};

struct Mute {
    request: Vec<u8>,
    /// The number of bytes sent of the current request.
    sent: usize,
}

fn request(is_text: bool) -> Vec<u8> {
    let text = [b'x'; TEXT_LEN];
    match is_text {
        true => [b"ECHO ", &text[..], b"\n"].concat(),
        false => [&Header { code: 1, payload_len: TEXT_LEN as u32 }.encode()[..], &text].concat(),
    }
}

impl Attacker for Mute {
    fn act(&mut self, stream: &mut TcpStream, _: Moment, tally: &mut Tally) -> io::Result<Next> {
        let count = stream.write(&self.request[self.sent..])?;
        tally.sent_bytes += count as u64;
        self.sent = (self.sent + count) % self.request.len();
        Ok(Next::GoOn)
    }
}
