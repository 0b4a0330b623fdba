//! The members connect and join their rooms.

use std::io;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::SockRef;

use super::channel::{Channel, Ended};
use super::member::{Member, Phase};
use super::settings::BroadcastSettings;
use crate::engine::connect;

/// The most connections that are being opened at the same time: less than the backlog of a common
/// server.
const OPENING_MAX: usize = 100;

/// The receive buffer of a member that never reads. Its server notices soon that it does not read.
const SILENT_BUFFER_BYTES: usize = 4096;

/// The members that are not connected yet.
#[derive(Debug)]
pub struct Opening {
    /// The next member.
    next: usize,
    /// Connections that are being opened, or whose member has not joined.
    pub pending: usize,
    /// The address that is tried. The first one that answers is kept.
    endpoint: usize,
}

impl Opening {
    pub const fn new() -> Self {
        Self { next: 0, pending: 0, endpoint: 0 }
    }

    /// Starts as many connections as may be opened at the same time. Returns the members that the
    /// system refused, with the reason.
    pub fn start(
        &mut self,
        settings: &BroadcastSettings,
        members: &mut [Member],
        registry: &Registry,
    ) -> Vec<(usize, Ended)> {
        let mut refused = Vec::new();
        while self.pending < OPENING_MAX
            && let Some(member) = members.get_mut(self.next)
        {
            self.pending += 1;
            if let Err(ended) = self.open(settings, member, registry) {
                refused.push((self.next, ended));
            }
            self.next += 1;
        }
        refused
    }

    /// Opens the connection of `member` again at the next address. Returns false if there is none.
    pub fn try_next(
        &mut self,
        settings: &BroadcastSettings,
        member: &mut Member,
        registry: &Registry,
    ) -> bool {
        if self.endpoint + 1 >= settings.endpoints.len() || self.next > OPENING_MAX {
            return false;
        }
        self.endpoint += 1;
        self.open(settings, member, registry).is_ok()
    }

    fn open(
        &self,
        settings: &BroadcastSettings,
        member: &mut Member,
        registry: &Registry,
    ) -> Result<(), Ended> {
        let source = settings.sources.get(member.index % settings.sources.len().max(1));
        let opened = connect::open(&settings.endpoints[self.endpoint], source.copied(), &mut 0);
        let registered = opened.and_then(|mut stream| {
            if member.is_silent {
                SockRef::from(&stream).set_recv_buffer_size(SILENT_BUFFER_BYTES)?;
            }
            let interest = Interest::READABLE | Interest::WRITABLE;
            registry.register(&mut stream, Token(member.index), interest)?;
            Ok(stream)
        });
        member.channel = Some(Channel::new(registered?));
        member.phase = Phase::Connecting;
        Ok(())
    }
}

/// Continues with a member whose connection may be open now: sends the header for a proxy, and
/// begins the handshake of TLS, or else lets it enter its room with `join`.
///
/// # Errors
/// When the connection was refused or is over.
pub fn opened(settings: &BroadcastSettings, member: &mut Member, join: &[u8]) -> Result<(), Ended> {
    let Some(channel) = &mut member.channel else { return Ok(()) };
    if !is_open(channel.stream())? {
        return Ok(());
    }
    if let Some(header) = settings.proxy_header {
        header.send(channel.stream())?;
    }
    match &settings.tls {
        None => member.enter(settings.protocol, join),
        Some(tls) => {
            member.phase = Phase::Encrypting;
            channel.begin_handshake(tls)
        }
    }
}

fn is_open(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match SockRef::from(stream).peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

/// The members that joined, and the time that this took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Joined {
    /// Their number.
    pub count: usize,
    /// The time from the first attempt to the last answer.
    pub took: Duration,
}
