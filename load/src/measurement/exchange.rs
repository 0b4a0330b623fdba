//! The first exchanges of each kind of error: the request, the expected reply and the received
//! bytes.
//!
//! A count shows that replies were wrong, but not how. A few exchanges of each kind are kept,
//! truncated, and only if an error occurs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::causes::{Cause, ReplyError};

/// Number of exchanges kept of each kind.
pub const KEPT_MAX: usize = 3;

/// A failed exchange. Bytes are escaped, and truncated after 64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// The kind of error: `wrong`, `surplus`, ...
    pub cause: String,
    /// When the error was noticed, after the start of the load; 0 before it.
    pub at_s: f64,
    /// The number of the connection among the requested ones, from 0.
    pub connection_number: u64,
    /// The request; empty if none was waiting for a reply.
    pub sent: String,
    /// The expected reply, as bytes or as a description.
    pub expected: String,
    /// The received bytes.
    pub got: String,
    /// What the bytes suggest; `None` if they suggest nothing.
    pub hint: Option<String>,
}

impl Exchange {
    /// Returns an exchange of which the kind, the time and the connection are to be added.
    #[must_use]
    pub const fn new(sent: String, expected: String, got: String, hint: Option<String>) -> Self {
        Self { cause: String::new(), at_s: 0.0, connection_number: 0, sent, expected, got, hint }
    }
}

/// The first exchanges of each kind.
#[derive(Clone, Debug, Default)]
pub struct Exchanges([Vec<Exchange>; ReplyError::ALL.len()]);

impl Exchanges {
    /// Adds those of `other`, and keeps the earliest of each kind.
    pub fn merge(&mut self, other: &Self) {
        for (kept, more) in self.0.iter_mut().zip(&other.0) {
            kept.extend_from_slice(more);
            truncate(kept);
        }
    }

    /// Returns the exchanges in the order of their kinds, and of their times.
    pub fn iter(&self) -> impl Iterator<Item = &Exchange> {
        self.0.iter().flatten()
    }

    /// Returns the log of a connection at a time, which keeps its exchanges here.
    pub const fn log(&mut self, at: Duration, connection: usize) -> ExchangeLog<'_> {
        ExchangeLog { exchanges: self, at, connection }
    }
}

/// Keeps the earliest exchanges of one kind.
pub fn truncate(exchanges: &mut Vec<Exchange>) {
    exchanges.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    exchanges.truncate(KEPT_MAX);
}

/// The exchanges of a connection at one time.
#[derive(Debug)]
pub struct ExchangeLog<'a> {
    exchanges: &'a mut Exchanges,
    at: Duration,
    connection: usize,
}

impl ExchangeLog<'_> {
    /// Keeps `exchange` if it is one of the first of its kind, and calls the closure only then.
    pub fn keep(&mut self, error: ReplyError, exchange: impl FnOnce() -> Exchange) {
        let Some(kept) = self.exchanges.0.get_mut(error.index()) else { return };
        if kept.len() < KEPT_MAX {
            kept.push(Exchange {
                cause: error.name().into(),
                at_s: self.at.as_secs_f64(),
                connection_number: self.connection as u64,
                ..exchange()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps the exchanges of errors of these kinds at these seconds, on connections 0, 1, ...
    fn keep(kept: &mut Exchanges, errors: &[(ReplyError, u64)]) {
        for (connection, (error, at)) in errors.iter().enumerate() {
            let mut log = kept.log(Duration::from_secs(*at), connection);
            log.keep(*error, || {
                let [sent, expected] = [String::new(), String::new()];
                Exchange::new(sent, expected, format!("at {at}"), None)
            });
        }
    }

    #[test]
    fn only_the_first_exchanges_of_a_kind_are_kept() {
        use ReplyError::{Surplus, Wrong};
        let (mut kept, mut other) = (Exchanges::default(), Exchanges::default());
        keep(&mut kept, &[(Surplus, 1), (Surplus, 2), (Surplus, 4), (Surplus, 5), (Wrong, 9)]);
        keep(&mut other, &[(Surplus, 3), (Wrong, 8)]);
        kept.merge(&other);
        let kept: Vec<(&str, &str, u64)> = kept
            .iter()
            .map(|kept| (&kept.cause[..], &kept.got[..], kept.connection_number))
            .collect();
        assert_eq!(
            kept,
            [
                ("wrong", "at 8", 1),
                ("wrong", "at 9", 4),
                ("surplus", "at 1", 0),
                ("surplus", "at 2", 1),
                ("surplus", "at 3", 0)
            ]
        );
    }
}
