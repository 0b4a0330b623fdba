//! The limits per address: open connections, accepted connections per second, and messages per
//! second.
//!
//! An address is a single IPv4 address or an IPv6 /64: see [`Network`]. Peers of unix sockets have
//! none and are not limited.
//!
//! | over the limit of | the server | until |
//! |---|---|---|
//! | open connections | answers `SERVER_BUSY` and closes | a connection of the address is closed |
//! | accepted connections | resets the connection without an answer | a token is available |
//! | messages | reads nothing from the connections of the address | a token is available |
//!
//! Both rates are token buckets that hold one second's worth. A flood of connections gets no
//! answer, because an answer costs more than the reset. Messages are delayed and not refused: a
//! refusal would cost the work of the message, and lose messages of a client that sends ahead. The
//! messages of one read run together and may overdraw the bucket. So a delayed connection holds no
//! memory for messages that wait: they stay in the kernel, and then with the peer.
//!
//! The table has at most [`ENTRIES_MAX`] addresses. An entry without connections and with full
//! buckets equals a new one, so it makes room for another address. When there is no room, further
//! addresses are not limited: a full table must not lock out a client.

use std::collections::HashMap;
use std::time::Duration;

use crate::close_reason::CloseReason;
use crate::limits::Limits;
use crate::logging::throttle::Throttle;
use crate::os::moment::Moment;
use crate::os::peer::{Network, Peer, PeerAddr};
use crate::token_bucket::{Rate, TokenBucket};

/// How many addresses the table remembers. The table takes 3.2 MB. It can double once, because the
/// places of removed entries are not always free at once.
pub const ENTRIES_MAX: usize = 50_000;

/// The time between two searches for entries to reuse. `cargo bench --bench wire -- addresses`
/// measures one.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The limits per address, and what each address has used of them.
#[derive(Debug)]
pub struct AddressLimits {
    connections_max: Option<u32>,
    accept_rate: Option<Rate>,
    message_rate: Option<Rate>,
    entries: HashMap<Network, Entry>,
    entries_max: usize,
    next_sweep: Moment,
    /// Connections that are not limited, because the table was full.
    overflows: u64,
    connections_throttle: Throttle,
    accepts_throttle: Throttle,
    messages_throttle: Throttle,
}

/// What one address has used of its limits.
#[derive(Debug, Default)]
struct Entry {
    open: u32,
    accepts: TokenBucket,
    messages: TokenBucket,
}

impl Entry {
    /// True if the entry equals a new one, so that it can be removed.
    fn is_idle(&self, now: Moment) -> bool {
        self.open == 0 && self.accepts.is_full(now) && self.messages.is_full(now)
    }
}

impl AddressLimits {
    /// Creates the table for `limits`. It takes no memory while all of them are off.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let mut table = Self {
            connections_max: None,
            accept_rate: None,
            message_rate: None,
            entries: HashMap::new(),
            entries_max: ENTRIES_MAX,
            next_sweep: Moment::START,
            overflows: 0,
            connections_throttle: Throttle::default(),
            accepts_throttle: Throttle::default(),
            messages_throttle: Throttle::default(),
        };
        table.set_limits(limits);
        table
    }

    /// Replaces the limits. What each address has used of them stays.
    pub fn set_limits(&mut self, limits: &Limits) {
        self.connections_max = limits.address_connections_max;
        self.accept_rate = limits.address_accept_rate_max.map(Rate::new);
        self.message_rate = limits.address_message_rate_max.map(Rate::new);
        if self.is_on() && self.entries.is_empty() {
            // No later insertion moves the entries, which would take milliseconds.
            self.entries.reserve(ENTRIES_MAX);
        }
    }

    /// Counts a connection against the accept rate of the address of `peer`. Returns false, and
    /// counts nothing, if the rate does not allow it. The loop calls this when the peer has become
    /// known.
    pub fn accept(&mut self, peer: &Peer, now: Moment) -> bool {
        let (Some(rate), Some(network)) = (self.accept_rate, limited_network(peer)) else {
            return true;
        };
        let Some(entry) = self.entry(network, now) else { return true };
        let may_open = entry.accepts.has_token(rate, now);
        if may_open {
            entry.accepts.take(1, rate, now);
        } else {
            self.warn_of_accept_rate(network, rate, now);
        }
        may_open
    }

    /// Counts a connection that was accepted. Returns true if it counts for its address until
    /// [`AddressLimits::leave`], and false if it is not limited.
    ///
    /// # Errors
    /// [`CloseReason::AddressConnections`] when its address has reached the limit.
    pub fn enter(&mut self, peer: &Peer, now: Moment) -> Result<bool, CloseReason> {
        if let Some(max) = self.connections_max
            && let Some(network) = limited_network(peer)
            && self.entries.get(&network).is_some_and(|entry| entry.open >= max)
        {
            self.warn_of_connections(network, max, now);
            return Err(CloseReason::AddressConnections);
        }
        Ok(self.count(peer, now))
    }

    /// Counts a connection, even over the limit: it was open before there was a limit. Returns
    /// false if it is not limited.
    pub fn count(&mut self, peer: &Peer, now: Moment) -> bool {
        let Some(network) = limited_network(peer).filter(|_| self.is_on()) else { return false };
        let Some(entry) = self.entry(network, now) else {
            self.overflows += 1;
            return false;
        };
        entry.open += 1;
        true
    }

    /// Notes the close of a connection that was counted for its address.
    pub fn leave(&mut self, peer: &Peer, now: Moment) {
        let network = peer.network();
        if let Some(entry) = self.entries.get_mut(&network) {
            entry.open -= 1;
            if entry.is_idle(now) {
                self.entries.remove(&network);
            }
        }
    }

    /// Counts messages of a connection that was counted for its address.
    pub fn count_messages(&mut self, peer: &Peer, count: u64, now: Moment) {
        if let Some(rate) = self.message_rate
            && let Some(entry) = self.entries.get_mut(&peer.network())
        {
            entry.messages.take(u32::try_from(count).unwrap_or(u32::MAX), rate, now);
        }
    }

    /// True if the address of a connection may send another message, and always for a connection
    /// that was not counted for its address.
    pub fn may_send(&mut self, peer: &Peer, now: Moment) -> bool {
        let Some(rate) = self.message_rate else { return true };
        let network = peer.network();
        let may_send =
            self.entries.get(&network).is_none_or(|entry| entry.messages.has_token(rate, now));
        if !may_send {
            self.warn_of_messages(network, rate, now);
        }
        may_send
    }

    /// Returns when a delayed connection checks the rate again: when there is a token for each
    /// connection of its address, or the bucket is full. Earlier, most of them would find no token,
    /// and 10,000 delayed connections would keep the loop busy.
    #[must_use]
    pub fn may_send_at(&self, peer: &Peer, now: Moment) -> Moment {
        match (self.message_rate, self.entries.get(&peer.network())) {
            (Some(rate), Some(entry)) => entry.messages.holds_at(entry.open.max(1), rate, now),
            _ => now,
        }
    }

    /// Returns how many connections are not limited, because the table was full.
    #[must_use]
    pub const fn overflows(&self) -> u64 {
        self.overflows
    }

    const fn is_on(&self) -> bool {
        self.connections_max.is_some() || self.accept_rate.is_some() || self.message_rate.is_some()
    }

    /// Returns the entry of an address, a new one if it has none; `None` if the table is full.
    fn entry(&mut self, network: Network, now: Moment) -> Option<&mut Entry> {
        if self.entries.len() >= self.entries_max && !self.entries.contains_key(&network) {
            if now >= self.next_sweep {
                self.next_sweep = now.after(SWEEP_INTERVAL);
                self.entries.retain(|_, entry| !entry.is_idle(now));
            }
            if self.entries.len() >= self.entries_max {
                return None;
            }
        }
        Some(self.entries.entry(network).or_default())
    }

    #[cold]
    fn warn_of_connections(&mut self, network: Network, max: u32, now: Moment) {
        if self.connections_throttle.allows(now) {
            log::warn!(
                event = "address_connections", address:% = network, address_limit = max;
                "rejecting connections of {network}: its limit of {max} is reached; \
                 raise --max-connections-per-ip"
            );
        }
    }

    #[cold]
    fn warn_of_accept_rate(&mut self, network: Network, rate: Rate, now: Moment) {
        if self.accepts_throttle.allows(now) {
            log::warn!(
                event = "address_accept_rate", address:% = network,
                address_limit = rate.per_second();
                "resetting connections of {network}: more than {} per second; \
                 raise --accept-rate-per-ip",
                rate.per_second()
            );
        }
    }

    #[cold]
    fn warn_of_messages(&mut self, network: Network, rate: Rate, now: Moment) {
        if self.messages_throttle.allows(now) {
            log::warn!(
                event = "address_message_rate", address:% = network,
                address_limit = rate.per_second();
                "delaying messages of {network}: more than {} per second; \
                 raise --message-rate-per-ip",
                rate.per_second()
            );
        }
    }
}

/// Returns the network of a peer; `None` for a peer of a unix socket, which has no address.
fn limited_network(peer: &Peer) -> Option<Network> {
    matches!(peer.addr(), PeerAddr::Ip(_)).then(|| peer.network())
}

#[cfg(test)]
mod tests;
