//! The headers of connections to listeners for proxies, and the required behaviour of the server.

use std::net::SocketAddr;

use tinytcp_core::wire::proxy::{V2_PREFIX, Version, encode};

use super::choices::Choices;

/// The address from which proxies connect.
pub const PROXY: [u8; 4] = [127, 0, 0, 1];

/// An address that is no proxy.
pub const STRANGER: [u8; 4] = [10, 0, 0, 1];

/// The beginning of a connection to a listener for proxies.
#[derive(Clone, Debug)]
pub struct Header {
    pub bytes: Vec<u8>,
    pub fate: Fate,
}

/// The required act of the server after the last byte of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Opens the connection of this client; that of the proxy itself if there is none.
    Opens(Option<SocketAddr>),
    /// Closes the connection, because the last byte is wrong.
    IsBroken,
    /// Waits for the rest, which never comes.
    IsUnfinished,
    /// Closes the connection, because it does not come from a proxy, without reading the header.
    IsUntrusted,
}

impl Header {
    /// Chooses a header. A client that sends nothing may send none.
    pub fn choose(is_silent: bool, choices: &mut Choices) -> Self {
        let (mut bytes, source) = whole(choices);
        let fate = match choices.below(20) {
            0 => Fate::IsUntrusted,
            1 => {
                bytes.truncate(1 + choices.below(6));
                bytes.pop();
                bytes.push(0x80);
                Fate::IsBroken
            }
            2 => {
                bytes.truncate(1 + choices.below(bytes.len() - 1));
                Fate::IsUnfinished
            }
            _ if is_silent && choices.chance(500) => {
                bytes.clear();
                Fate::IsUnfinished
            }
            _ => Fate::Opens(source),
        };
        Self { bytes, fate }
    }
}

/// A whole header, and the client that it names.
fn whole(choices: &mut Choices) -> (Vec<u8>, Option<SocketAddr>) {
    let source = match choices.chance(500) {
        true => SocketAddr::from(([192, 0, 2, 7], 1 + choices.below(60_000) as u16)),
        false => SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 7], 51_234)),
    };
    let destination = SocketAddr::from(([198, 51, 100, 1], 40_000));
    let version = if choices.chance(500) { Version::V1 } else { Version::V2 };
    match choices.below(5) {
        0 => (encode(version, None), None),
        1 => {
            // A local header whose addresses have no meaning, with extensions.
            let rest = vec![9; choices.len(4000)];
            let len = (rest.len() as u16).to_be_bytes();
            ([V2_PREFIX, &[0x20, 0x11], &len, &rest].concat(), None)
        }
        _ => (encode(version, Some((source, destination))), Some(source)),
    }
}

/// The progress of a header in the server.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    len: usize,
    received: usize,
    fate: Fate,
}

impl Opening {
    pub fn new(header: &Header) -> Self {
        Self { len: header.bytes.len(), received: 0, fate: header.fate }
    }

    /// Notes a read of `count` bytes. Returns how many of them belong to the client and follow the
    /// header; `None` if the connection must not open yet.
    pub fn note_received(&mut self, count: usize) -> Option<usize> {
        self.received += count;
        let is_open = matches!(self.fate, Fate::Opens(_)) && self.received >= self.len;
        is_open.then(|| self.received - self.len)
    }

    /// The bytes of the header that were not read.
    pub fn left(&self) -> usize {
        self.len.saturating_sub(self.received)
    }

    /// True if the server must have closed the connection.
    pub fn is_hopeless(&self) -> bool {
        match self.fate {
            Fate::Opens(_) | Fate::IsUnfinished => false,
            Fate::IsBroken => self.received >= self.len,
            Fate::IsUntrusted => true,
        }
    }
}
