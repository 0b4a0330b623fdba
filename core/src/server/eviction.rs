//! Eviction: when the buffers of all connections exceed the memory limit, some connections lose
//! what they hold.
//!
//! ```text
//!   held  |----------------------------|----|  limit
//!                                   1/32
//!   over the limit                evict at once, until the limit holds again
//!   after that, or no room for    evict one connection per round, until the message
//!   a message                     and 1/32 of the limit have room
//! ```
//!
//! The victims are the connections with the largest space-time product: the bytes that they hold
//! between their turns, times how long they have held them. So an incomplete message that has
//! waited long is evicted before a message that has just arrived, no matter how many connections
//! hold incomplete messages. While one network holds more than half of all bytes, only its
//! connections are evicted. (redis evicts clients by size alone: `maxmemory-clients`.)
//!
//! One survey of all connections chooses enough victims for the whole excess. It costs 10 ns per
//! connection, and at least 1/32 of the limit is freed before the next survey.

use std::collections::HashMap;

use crate::buffers::pool::Pool;
use crate::connection::Connection;
use crate::logging::throttle::Throttle;
use crate::os::moment::Moment;
use crate::os::peer::Network;
use crate::os::system::Socket;
use crate::os::table::{Table, Token};

/// The memory that one connection holds between its turns.
#[derive(Clone, Copy, Debug)]
struct Holding {
    token: Token,
    network: Network,
    bytes: usize,
    since: Moment,
}

/// Chooses the connections to evict.
#[derive(Debug, Default)]
pub(super) struct Eviction {
    /// The victims of the last survey; the last element is evicted first.
    victims: Vec<Token>,
    /// True from the moment when the limit is reached until enough memory is free again.
    is_active: bool,
    throttle: Throttle,
    misfit_throttle: Throttle,
}

impl Eviction {
    /// Begins an eviction: the limit is reached, or a message found no room.
    #[cold]
    pub(super) fn begin(&mut self, pool: &mut Pool, now: Moment) {
        if pool.take_misfit() {
            if self.misfit_throttle.allows(now) {
                log::warn!(
                    event = "message_refused", buffered_bytes_limit = pool.memory_bytes_max();
                    "refusing a message: it or its answer exceeds the memory limit ({} MiB); \
                     raise --memory-limit, or lower --max-line and --max-frame",
                    pool.memory_bytes_max() >> 20
                );
            }
            if !pool.is_over_limit() && !pool.is_short() {
                return;
            }
        }
        self.is_active = true;
        if self.throttle.allows(now) {
            log::warn!(
                event = "memory_limit", buffered_bytes_limit = pool.memory_bytes_max();
                "memory limit reached ({} MiB): evicting the connections with the largest buffers",
                pool.memory_bytes_max() >> 20
            );
        }
    }

    /// True while each round has to evict a connection, even if the limit holds.
    pub(super) const fn is_active(&self) -> bool {
        self.is_active
    }

    /// Returns the connection to evict next. `None` ends the eviction: enough memory is free, or no
    /// connection holds any.
    pub(super) fn next<S: Socket>(
        &mut self,
        connections: &Table<Connection<S>>,
        pool: &mut Pool,
        now: Moment,
    ) -> Option<Token> {
        let excess = pool.excess();
        if excess > 0 {
            if self.victims.is_empty() {
                self.victims = choose(holdings(connections), excess, now);
            }
            if let Some(token) = self.victims.pop() {
                return Some(token);
            }
        }
        self.victims = Vec::new();
        self.is_active = false;
        pool.forget_shortage();
        None
    }
}

/// Returns the memory that each connection holds, without the connections that hold none.
fn holdings<S: Socket>(connections: &Table<Connection<S>>) -> Vec<Holding> {
    let holding = |(token, connection): (Token, &Connection<S>)| {
        let bytes = connection.held_bytes();
        (bytes > 0).then(|| Holding {
            token,
            network: connection.peer().network(),
            bytes,
            since: connection.holds_since(),
        })
    };
    connections.iter().filter_map(holding).collect()
}

/// Chooses victims that together hold at least `excess` bytes; the first one to evict is the last
/// element.
fn choose(mut holdings: Vec<Holding>, excess: usize, now: Moment) -> Vec<Token> {
    let mut by_network: HashMap<Network, usize> = HashMap::new();
    for holding in &holdings {
        *by_network.entry(holding.network).or_default() += holding.bytes;
    }
    let held: usize = by_network.values().sum();
    if let Some((greedy, _)) = by_network.iter().find(|(_, bytes)| **bytes > held / 2) {
        holdings.retain(|holding| holding.network == *greedy);
    }
    holdings.sort_unstable_by_key(|holding| std::cmp::Reverse(holding.space_time(now)));
    let mut found = 0;
    let is_needed = |holding: &&Holding| {
        let is_needed = found < excess;
        found += holding.bytes;
        is_needed
    };
    let mut victims: Vec<Token> =
        holdings.iter().take_while(is_needed).map(|holding| holding.token).collect();
    victims.reverse();
    victims
}

impl Holding {
    /// The space-time product in byte-microseconds. The added microsecond lets size decide between
    /// bytes that arrived in this round.
    fn space_time(&self, now: Moment) -> u128 {
        self.bytes as u128 * (1 + now.since(self.since).as_micros())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The keys of the victims, in their order. Each holding is the last byte of an address, a size
    /// in KiB, and an age in ms; its key is its index.
    fn evicted(holdings: &[(u8, usize, u64)], excess_kib: usize) -> Vec<usize> {
        let now = Moment::START.after(Duration::from_secs(60));
        let holding = |(key, (host, kib, age)): (usize, &(u8, usize, u64))| Holding {
            token: Token::from_usize(key),
            network: Network::of(std::net::Ipv4Addr::new(192, 0, 2, *host).into()),
            bytes: kib << 10,
            since: Moment::START.after(Duration::from_secs(60) - Duration::from_millis(*age)),
        };
        let mut victims =
            choose(holdings.iter().enumerate().map(holding).collect(), excess_kib << 10, now);
        victims.reverse();
        victims.into_iter().map(Token::key).collect()
    }

    #[test]
    fn of_holdings_of_the_same_age_the_largest_is_evicted_first() {
        assert_eq!(evicted(&[(1, 10, 5), (2, 30, 5), (3, 20, 5)], 1), [1]);
        assert_eq!(evicted(&[(1, 10, 0), (2, 30, 0), (3, 20, 0)], 31), [1, 2]);
    }

    #[test]
    fn an_old_holding_is_evicted_before_a_larger_new_one() {
        assert_eq!(
            evicted(&[(1, 16, 9000), (2, 16, 8000), (3, 16, 7000), (4, 40, 10)], 20),
            [0, 1]
        );
    }

    #[test]
    fn only_a_network_that_holds_more_than_half_is_evicted() {
        assert_eq!(evicted(&[(1, 16, 10), (2, 30, 9000), (1, 16, 20)], 100), [2, 0]);
        assert_eq!(evicted(&[(1, 16, 10), (2, 40, 9000), (3, 16, 20)], 1), [1]);
    }

    #[test]
    fn no_holding_means_no_victim() {
        assert!(evicted(&[], 100).is_empty());
    }
}
