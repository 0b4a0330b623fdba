//! Eviction: when all connections together hold more than the memory limit, some give up what they
//! hold.
//!
//! ```text
//!   held   |----------------------------|----|  limit
//!                                    1/32
//!   over the limit, or no room for a message     evict at once until the limit holds again
//!   from there on                                one connection a round, until the message and 1/32 of the limit fit
//! ```
//!
//! Which connections? Those with the largest space-time product: the bytes that they hold between
//! their turns times how long they have held them. Half a message that waits for its end is so
//! evicted before the message that has just come, however many connections hold such halves. While
//! one address holds more than half of all, only its connections are evicted. (redis evicts clients
//! by size alone: `maxmemory-clients`.)
//!
//! A survey of all connections finds enough of them at once. It takes 10 ns for each connection,
//! and at least 1/32 of the limit is evicted before the next one.

use std::collections::HashMap;

use crate::buffers::pool::Pool;
use crate::connection::Connection;
use crate::logging::warnings::Warnings;
use crate::os::moment::Moment;
use crate::os::peer::Network;
use crate::os::system::Socket;
use crate::os::table::{Table, Token};

/// What one connection holds between its turns.
#[derive(Clone, Copy, Debug)]
struct Holding {
    token: Token,
    network: Network,
    bytes: usize,
    since: Moment,
}

/// Which connections give up what they hold.
#[derive(Debug, Default)]
pub(super) struct Eviction {
    /// What the last survey found, the next one to be evicted last.
    victims: Vec<Token>,
    /// True exactly when the limit was reached, and not enough is free again.
    goes_on: bool,
    warnings: Warnings,
    misfit_warnings: Warnings,
}

impl Eviction {
    /// The limit was reached, by what is held or by what there was no room for.
    #[cold]
    pub(super) fn begin(&mut self, pool: &mut Pool, now: Moment) {
        if pool.take_misfit() {
            if self.misfit_warnings.may_pass(now) {
                log::warn!(
                    "a message that has no room within the memory limit of {} MiB, or whose answer has none, is refused: \
                     raise --memory-limit, or lower --max-line and --max-frame",
                    pool.memory_bytes_max() >> 20
                );
            }
            if !pool.is_over_limit() && !pool.is_short() {
                return;
            }
        }
        self.goes_on = true;
        if self.warnings.may_pass(now) {
            log::warn!(
                "the memory limit of {} MiB is reached: connections that hold the most for the longest are evicted",
                pool.memory_bytes_max() >> 20
            );
        }
    }

    /// True exactly when a connection is to be evicted in this round, though the limit holds.
    pub(super) const fn goes_on(&self) -> bool {
        self.goes_on
    }

    /// The connection to evict next. `None` when enough is free, or no connection holds anything:
    /// then eviction is over.
    pub(super) fn next<S: Socket>(
        &mut self,
        connections: &Table<Connection<S>>,
        pool: &mut Pool,
        now: Moment,
    ) -> Option<Token> {
        let excess = pool.excess();
        if excess > 0 {
            let holding = |(token, connection): (Token, &Connection<S>)| {
                let (bytes, since) = (connection.held_bytes(), connection.holds_since());
                (bytes > 0).then(|| Holding {
                    token,
                    network: connection.peer().network(),
                    bytes,
                    since,
                })
            };
            if self.victims.is_empty() {
                self.victims =
                    choose(connections.iter().filter_map(holding).collect(), excess, now);
            }
            if let Some(token) = self.victims.pop() {
                return Some(token);
            }
        }
        self.victims = Vec::new();
        self.goes_on = false;
        pool.forget_shortage();
        None
    }
}

/// The connections to evict so that `excess` bytes or more become free, the first one last.
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
    /// Byte-microseconds, in which what came in this round counts by its bytes alone.
    fn space_time(&self, now: Moment) -> u128 {
        self.bytes as u128 * (1 + now.since(self.since).as_micros())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The keys that are evicted, of holdings with the keys 0, 1, ... that are an address, KiB, and
    /// their age in ms.
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
    fn the_largest_of_those_that_came_together_is_evicted_first() {
        assert_eq!(evicted(&[(1, 10, 5), (2, 30, 5), (3, 20, 5)], 1), [1]);
        assert_eq!(evicted(&[(1, 10, 0), (2, 30, 0), (3, 20, 0)], 31), [1, 2]);
    }

    #[test]
    fn what_is_held_for_long_is_evicted_before_a_larger_message_that_has_just_come() {
        assert_eq!(
            evicted(&[(1, 16, 9000), (2, 16, 8000), (3, 16, 7000), (4, 40, 10)], 20),
            [0, 1]
        );
    }

    #[test]
    fn an_address_that_holds_more_than_half_is_evicted_alone() {
        assert_eq!(evicted(&[(1, 16, 10), (2, 30, 9000), (1, 16, 20)], 100), [2, 0]);
        assert_eq!(evicted(&[(1, 16, 10), (2, 40, 9000), (3, 16, 20)], 1), [1]);
    }

    #[test]
    fn nothing_is_evicted_where_nothing_is_held() {
        assert!(evicted(&[], 100).is_empty());
    }
}
