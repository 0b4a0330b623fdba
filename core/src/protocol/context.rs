//! What a session can use of the server: the context of a call, and the facts about its connection.

use std::time::{Duration, SystemTime};

use super::Output;
use crate::limits::Limits;
use crate::logging::activity::Activity;
use crate::os::clock::Clock;
use crate::os::moment::Moment;
use crate::os::peer::{Peer, PeerAddr};
use crate::os::table::Token;
use crate::rooms::{Rooms, Seat};
use crate::status::Status;
use crate::tls::TlsInfo;

/// A new connection, for which a protocol creates a session.
#[derive(Clone, Copy, Debug)]
pub struct Accepted {
    peer: Peer,
    number: u64,
    limits: Limits,
}

impl Accepted {
    /// Describes connection `number` from `peer`.
    pub(crate) const fn new(peer: Peer, number: u64, limits: Limits) -> Self {
        Self { peer, number, limits }
    }

    /// The address of the peer: that of the client if a proxy has named it.
    #[must_use]
    pub fn peer(&self) -> PeerAddr {
        self.peer.addr()
    }

    /// The index of the listener, in the order of [`Status::listeners`].
    #[must_use]
    pub fn listener(&self) -> usize {
        self.peer.listener()
    }

    /// The number of the connection: see [`Context::number`].
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The limits of the server when the connection was accepted.
    /// [`Context::limits`] returns the present ones.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }
}

/// The facts about a connection that its session can read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionInfo {
    pub peer: Peer,
    pub token: Token,
    pub opened: Moment,
    pub received_bytes: u64,
    pub sent_bytes: u64,
    pub messages: u64,
}

/// Everything that a session can use during one call: its output, the time, its connection, and the
/// state of the server.
#[derive(Debug)]
pub struct Context<'a> {
    pub(super) output: Output<'a>,
    pub(super) clock: &'a mut Clock,
    activity: &'a mut Activity,
    connection: &'a ConnectionInfo,
    status: &'a Status,
    pub(super) rooms: &'a mut Rooms,
    /// The place of the connection in a room, which its session lends for the call.
    pub(super) seat: Seat,
    pub(super) has_news: bool,
    tls: Option<&'a TlsInfo>,
    messages: u64,
    ended: bool,
}

impl<'a> Context<'a> {
    /// Creates the context of one call.
    pub(crate) const fn new(
        output: Output<'a>,
        clock: &'a mut Clock,
        activity: &'a mut Activity,
        connection: &'a ConnectionInfo,
        status: &'a Status,
        rooms: &'a mut Rooms,
    ) -> Self {
        let seat = Seat::nowhere();
        Self {
            output,
            clock,
            activity,
            connection,
            status,
            tls: None,
            rooms,
            seat,
            has_news: false,
            messages: 0,
            ended: false,
        }
    }

    /// Returns the same context of an encrypted connection.
    pub(crate) const fn over(mut self, tls: Option<&'a TlsInfo>) -> Self {
        self.tls = tls;
        self
    }

    /// The subject of the client's certificate, as RFC 4514 writes it, such as `CN=alice`; `None`
    /// without mutual TLS.
    #[must_use]
    pub fn client_name(&self) -> Option<&'a str> {
        self.tls.and_then(|info| info.client.as_deref())
    }

    /// The output, to which answers are appended.
    #[inline]
    pub const fn output(&mut self) -> &mut Output<'a> {
        &mut self.output
    }

    /// The monotonic time of this round.
    pub(super) const fn now(&self) -> Moment {
        self.clock.now()
    }

    /// The wall clock time of this round, which may jump.
    #[must_use]
    pub const fn wall(&self) -> SystemTime {
        self.clock.wall()
    }

    /// Appends the local time in seconds with a numeric offset: `2025-09-12T17:24:13-05:00`.
    pub fn append_date_and_time(&mut self) {
        self.output.append(self.clock.date_and_time().as_bytes());
    }

    /// The address of the peer: that of the client if a proxy has named it.
    #[must_use]
    pub fn peer(&self) -> PeerAddr {
        self.connection.peer.addr()
    }

    /// The index of the listener, in the order of [`Status::listeners`].
    #[must_use]
    pub fn listener(&self) -> usize {
        self.connection.peer.listener()
    }

    /// What the handshake of an encrypted connection has agreed on; `None` if it is not encrypted.
    #[must_use]
    pub const fn tls(&self) -> Option<&TlsInfo> {
        self.tls
    }

    /// The number of the connection: 1 for the first accepted connection, 2 for the second. It
    /// wraps around after 4 billion.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.connection.token.number()
    }

    /// The time since the connection was accepted.
    #[must_use]
    pub const fn age(&self) -> Duration {
        self.clock.now().since(self.connection.opened)
    }

    /// The bytes received on this connection, including those that are not consumed yet.
    #[must_use]
    pub const fn received_bytes(&self) -> u64 {
        self.connection.received_bytes
    }

    /// The bytes sent on this connection: those that the kernel has accepted.
    #[must_use]
    pub const fn sent_bytes(&self) -> u64 {
        self.connection.sent_bytes
    }

    /// The messages received on this connection, including those of this call.
    #[must_use]
    pub const fn messages_so_far(&self) -> u64 {
        self.connection.messages + self.messages
    }

    /// The limits of the server, which [`Handle::reload`] can change.
    ///
    /// [`Handle::reload`]: crate::server::Handle::reload
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.status.limits
    }

    /// The state of the server. It does not count the messages of this call yet.
    #[must_use]
    pub const fn status(&self) -> &'a Status {
        self.status
    }

    /// Counts a complete message, and logs it as `name` and its bytes.
    #[inline]
    pub fn received(&mut self, name: &str, message: &[u8]) {
        self.messages += 1;
        self.ended = true;
        self.activity.message(&self.connection.peer, name, message);
    }

    /// Counts a message that is refused before its end has arrived, and logs it as `token`.
    #[cold]
    pub fn refused(&mut self, token: &str) {
        self.messages += 1;
        self.activity.message(&self.connection.peer, token, b"");
    }

    /// Notes the end of a refused message, or of bytes that are not a message, such as a blank
    /// line: the next byte begins a message.
    pub const fn message_ended(&mut self) {
        self.ended = true;
    }

    /// The token of the connection.
    pub(super) const fn token(&self) -> Token {
        self.connection.token
    }

    /// True if messages of the room wait until the output is low.
    pub(crate) const fn has_news(&self) -> bool {
        self.has_news
    }

    /// The messages received in this call.
    #[must_use]
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// True if a message has ended in this call: an incomplete message after it has just begun.
    pub(crate) const fn has_ended_a_message(&self) -> bool {
        self.ended
    }
}
