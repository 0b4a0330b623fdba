//! The limits per address: the addresses of clients, and a count of what each has used.

use std::collections::HashMap;
use std::time::Duration;

use tinytcp_core::close_reason::CloseReason;
use tinytcp_core::connection::inspection::Inspection as State;
use tinytcp_core::limits::Limits;
use tinytcp_core::os::moment::Moment;
use tinytcp_core::os::peer::{self, Peer, PeerAddr};
use tinytcp_core::status::Counters;

use super::choices::Choices;
use super::coverage::Behaviour;
use super::invariant::Invariant;
use super::network::Network;
use super::oracle::Unasked;

/// A full bucket holds the tokens of one second.
const FULL: i64 = 1_000_000_000;

/// Chooses the limits per address: none in most worlds.
pub fn limit(limits: Limits, choices: &mut Choices) -> Limits {
    if !choices.chance(250) {
        return limits;
    }
    let mut some = |of: &[u32]| choices.chance(600).then(|| choices.pick(of));
    limits
        .with_address_connections_max(some(&[2, 1, 3, 5]))
        .with_address_accept_rate_max(some(&[5, 1, 2, 10]))
        .with_address_message_rate_max(some(&[1000, 50, 100]))
}

/// The address of a client that connects itself: one of three, of which one is a whole /64. The
/// headers of proxies name clients of two of them.
pub fn own_address(id: usize) -> PeerAddr {
    let number = u16::try_from(id).unwrap_or(u16::MAX);
    let port = number.saturating_add(10_000);
    match id % 3 {
        0 => ([192, 0, 2, 7], port).into(),
        1 => ([0x2001, 0xdb8, 0, 0, 0, 0, 1, number], port).into(),
        _ => ([198, 51, 100, 7], port).into(),
    }
}

/// A token bucket, which counts its tokens in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    level: i64,
    counted_at: Moment,
}

impl Default for Bucket {
    fn default() -> Self {
        Self { level: FULL, counted_at: Moment::START }
    }
}

impl Bucket {
    fn level(&self, now: Moment) -> i64 {
        let passed = i64::try_from(now.since(self.counted_at).as_nanos()).unwrap_or(i64::MAX);
        self.level.saturating_add(passed).min(FULL)
    }

    fn has_token(&self, rate: u32, now: Moment) -> bool {
        self.level(now) >= FULL / i64::from(rate)
    }

    fn take(&mut self, count: u64, rate: u32, now: Moment) {
        let tokens = FULL / i64::from(rate) * i64::try_from(count).unwrap_or(i64::MAX);
        (self.level, self.counted_at) = (self.level(now) - tokens, now);
    }

    fn full_at(&self) -> Moment {
        self.counted_at.after(Duration::from_nanos(self.level.abs_diff(FULL)))
    }
}

/// What the addresses have used of their limits, and how often a limit was enforced.
#[derive(Debug, Default)]
pub struct Addresses {
    accepts: HashMap<peer::Network, Bucket>,
    messages: HashMap<peer::Network, Bucket>,
    /// Connections that were reset over the accept rate.
    reset: u64,
    /// Connections that were rejected over the limit of their address.
    rejected: u64,
    /// Rounds after which a connection was delayed that was not delayed before.
    delayed: u64,
}

impl Network {
    /// Notes that the server creates a session for `peer`. An encrypted connection has its place
    /// since its handshake began.
    pub fn note_admitted(&mut self, id: usize, peer: PeerAddr) {
        self.links[id].account.has_session = true;
        if self.is_encrypted(id) {
            return;
        }
        self.links[id].account.is_admitted = true;
        // A connection that is rejected before its header counts for no address.
        if self.is_admin(id) || self.links[id].account.opening.is_some() {
            return;
        }
        let (_, may_open) = self.take_token(id, peer);
        if !may_open {
            let what = "it is accepted over the rate of its address";
            self.fail(Invariant::AddressLimits, Some(id), what);
        }
    }

    /// Takes a token for a new connection of `peer`. Returns the bucket as it was before, and
    /// whether it had a token.
    pub fn take_token(&mut self, id: usize, peer: PeerAddr) -> (Bucket, bool) {
        let rate = self.settings().limits.address_accept_rate_max;
        let network = Peer::new(peer, 0).network();
        self.links[id].account.network = Some(network);
        let bucket = self.addresses.accepts.entry(network).or_default();
        let before = *bucket;
        let Some(rate) = rate else { return (before, true) };
        let may_open = bucket.has_token(rate, self.read_at);
        bucket.take(1, rate, self.read_at);
        (before, may_open)
    }

    /// Returns the token of an accepted connection.
    pub fn return_token(&mut self, network: Option<peer::Network>, before: Bucket) {
        if let Some(network) = network {
            self.addresses.accepts.insert(network, before);
        }
    }

    /// Counts a connection that is rejected, if for the limit of its address.
    pub fn note_rejection(&mut self, is_for_address: bool) {
        self.addresses.rejected += u64::from(is_for_address);
    }

    /// Checks that the server may reset a connection for which it has created no session.
    pub fn check_turned_away(&mut self, id: usize) {
        let network = Peer::new(self.peer(id), 0).network();
        let rate = self.settings().limits.address_accept_rate_max;
        let bucket = self.addresses.accepts.entry(network).or_default();
        let may_open = rate.is_none_or(|rate| bucket.has_token(rate, self.read_at));
        self.addresses.reset += 1;
        if may_open {
            let what = format!("it is reset although {network} may open another one");
            self.fail(Invariant::AddressLimits, Some(id), what);
        }
    }

    /// True if a connection that is rejected would exceed no limit of connections. Counts those
    /// over the limit of their address.
    pub fn has_place(&mut self, id: usize) -> bool {
        if self.is_admin(id) {
            return self.has_own_place();
        }
        if self.is_full_for(id) {
            return false;
        }
        self.addresses.rejected += 1;
        !self.is_address_full(id)
    }

    /// True if the server has more connections than it may have. A connection that has a header
    /// took its place before.
    pub fn is_full_for(&self, id: usize) -> bool {
        let link = &self.links[id];
        let has_taken_place = link.client.header.is_some() && link.account.opening.is_none();
        !has_taken_place && self.served_ids().len() > self.settings().connections_max
    }

    /// True if the address of a connection has more connections than it may have.
    pub fn is_address_full(&self, id: usize) -> bool {
        self.open_of_address(id) > self.address_connections_max()
    }

    /// How many connections of its address are served.
    fn open_of_address(&self, id: usize) -> usize {
        let network = self.links[id].account.network;
        let is_of_it = |id: &usize| self.links[*id].account.network == network;
        self.served_ids().into_iter().filter(is_of_it).count()
    }

    fn address_connections_max(&self) -> usize {
        self.settings().limits.address_connections_max.map_or(usize::MAX, |max| max as usize)
    }

    /// Notes messages that a session has run.
    pub fn note_messages(&mut self, id: usize, count: u64) {
        let rate = self.settings().limits.address_message_rate_max;
        if let (Some(rate), Some(network)) = (rate, self.links[id].account.network) {
            let bucket = self.addresses.messages.entry(network).or_default();
            bucket.take(count, rate, self.read_at);
        }
    }

    /// True if the address of a connection may send no message now.
    pub fn is_over_message_rate(&self, id: usize) -> bool {
        let rate = self.settings().limits.address_message_rate_max;
        self.message_bucket(id)
            .zip(rate)
            .is_some_and(|(bucket, rate)| !bucket.has_token(rate, self.read_at))
    }

    fn message_bucket(&self, id: usize) -> Option<Bucket> {
        let network = self.links[id].account.network?;
        self.addresses.messages.get(&network).copied()
    }

    /// The latest moment until which a delay lasts: the bucket of the address is full then.
    pub fn delay_ends(&self, id: usize) -> Moment {
        self.message_bucket(id).map_or(Moment::START, |bucket| bucket.full_at())
    }

    /// Checks after a round that an address has no more connections than it may have, and that a
    /// delay has its reason.
    pub fn check_address(&mut self, id: usize, state: &State) {
        let is_over_rate = self.is_over_message_rate(id);
        let account = &mut self.links[id].account;
        let was_delayed = std::mem::replace(&mut account.is_delayed, state.is_delayed);
        if was_delayed || state.is_delayed {
            account.delayed_until = self.now;
        }
        let (is_admitted, unasked) = (account.network.is_some(), account.unasked);
        if state.is_delayed && !was_delayed {
            self.addresses.delayed += 1;
            self.cover(Behaviour::Delay);
            if !is_over_rate {
                self.fail(Invariant::AddressLimits, Some(id), "it is delayed without a reason");
            }
        }
        let is_served = is_admitted && unasked != Some(Unasked::Busy);
        if is_served && self.open_of_address(id) > self.address_connections_max() {
            let what = format!("its address has {} connections", self.open_of_address(id));
            self.fail(Invariant::AddressLimits, Some(id), what);
        }
    }

    /// Checks the counters of the limits in the end.
    pub fn check_address_counters(&mut self, counters: &Counters) {
        let Addresses { reset, rejected, delayed, .. } = self.addresses;
        let counted = (
            counters.closed_for(CloseReason::AddressAcceptRate),
            counters.closed_for(CloseReason::AddressConnections),
            counters.delays,
        );
        // A client that does not read its rejection is closed for that reason in the end. A delay
        // can begin and end within a round.
        let has_other_reason = counters.closed_for(CloseReason::WriteTimeout) > 0
            || counters.closed_for(CloseReason::Shutdown) > 0;
        let is_right = counted.0 == reset
            && (counted.1 == rejected || counted.1 < rejected && has_other_reason)
            && counted.2 >= delayed
            && (counted.2 == 0 || self.settings().limits.address_message_rate_max.is_some());
        if !is_right {
            let what = format!(
                "{reset} connections were reset, {rejected} rejected and {delayed} delayed for \
                 their addresses; counted {counted:?}"
            );
            self.fail(Invariant::Accounted, None, what);
        }
    }
}
