//! The settings of a broadcast run.

use std::net::IpAddr;
use std::time::Duration;

use tinytcp_cli::proxy_header::ProxyHeader;
use tinytcp_cli::target::ProtocolName;
use tinytcp_core::os::endpoint::Endpoint;

use crate::traffic::plan::TlsPlan;

/// The requested run.
#[derive(Debug)]
pub struct BroadcastSettings {
    /// The server, as the user wrote it.
    pub target: String,
    /// Its protocol.
    pub protocol: ProtocolName,
    /// Its addresses. The first one that answers is used.
    pub endpoints: Vec<Endpoint>,
    /// The TLS of all connections, with one configuration: no session is resumed.
    pub tls: Option<TlsPlan>,
    /// The flags as the user typed them.
    pub typed: String,
    /// Members of all rooms, publishers and silent ones included.
    pub members: usize,
    /// Rooms, over which the members are spread.
    pub rooms: usize,
    /// The name of the first room; that of each further one ends in its number.
    pub room: String,
    /// Publishers of each room. They are members too.
    pub publishers: usize,
    /// Members that join and never read, over all rooms.
    pub silent: usize,
    /// Messages per second of all publishers together.
    pub rate: f64,
    /// Bytes of the text of a message.
    pub size: usize,
    /// The time for which messages are published.
    pub duration: Duration,
    /// The limit for all members to join, and for the last deliveries after the end.
    pub timeout: Duration,
    /// Source addresses, used in turn; empty for that of the system.
    pub sources: Vec<IpAddr>,
    /// The header with which each connection begins.
    pub proxy_header: Option<ProxyHeader>,
}

impl BroadcastSettings {
    /// Returns the room of the member `index`.
    #[must_use]
    pub const fn room_of(&self, index: usize) -> usize {
        index % self.rooms
    }

    /// Returns the number of the publisher that the member `index` is, among those of its room;
    /// `None` for a member that only listens.
    #[must_use]
    pub fn publisher_of(&self, index: usize) -> Option<usize> {
        Some(index / self.rooms).filter(|number| *number < self.publishers)
    }

    /// Returns true for a member that never reads: one of the last ones.
    #[must_use]
    pub const fn is_silent(&self, index: usize) -> bool {
        index >= self.members - self.silent
    }

    /// Returns the name of the room with this number.
    #[must_use]
    pub fn room_name(&self, room: usize) -> String {
        if room == 0 { self.room.clone() } else { format!("{}-{}", self.room, room + 1) }
    }
}
