//! The first exchange of each kind of error: the request, the expected reply and the received
//! bytes.
//!
//! A count shows that replies were wrong, but not how. One exchange of each kind is kept,
//! truncated, and only if an error occurs.

use serde::{Deserialize, Serialize};

use super::causes::{Cause, ReplyError};

/// A failed exchange. Bytes are escaped, and truncated after 64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// The kind of error: `wrong`, `surplus`, ...
    pub cause: String,
    /// The request; empty if none was waiting for a reply.
    pub sent: String,
    /// The expected reply, as bytes or as a description.
    pub expected: String,
    /// The received bytes.
    pub got: String,
    /// What the bytes suggest; `None` if they suggest nothing.
    pub hint: Option<String>,
}

/// The first exchange of each kind.
#[derive(Clone, Debug, Default)]
pub struct Exchanges([Option<Box<Exchange>>; ReplyError::ALL.len()]);

impl Exchanges {
    /// Keeps `exchange` if it is the first of its kind, and calls the closure only then.
    pub fn keep(&mut self, error: ReplyError, exchange: impl FnOnce() -> Exchange) {
        if let Some(place) = self.0.get_mut(error.index()) {
            place.get_or_insert_with(|| {
                Box::new(Exchange { cause: error.name().into(), ..exchange() })
            });
        }
    }

    /// Adds those of `other` whose kinds are missing.
    pub fn merge(&mut self, other: &Self) {
        for (place, more) in self.0.iter_mut().zip(&other.0) {
            if place.is_none() {
                place.clone_from(more);
            }
        }
    }

    /// Returns the exchanges in the order of their kinds.
    pub fn iter(&self) -> impl Iterator<Item = &Exchange> {
        self.0.iter().flatten().map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(got: &str) -> Exchange {
        let [cause, sent, expected] = [String::new(), String::new(), String::new()];
        Exchange { cause, sent, expected, got: got.into(), hint: None }
    }

    #[test]
    fn only_the_first_exchange_of_a_kind_is_kept() {
        let mut kept = Exchanges::default();
        for got in ["first", "other"] {
            kept.keep(ReplyError::Surplus, || exchange(got));
        }
        let mut later = Exchanges::default();
        later.keep(ReplyError::Surplus, || exchange("later"));
        later.keep(ReplyError::Wrong, || exchange("wrong"));
        kept.merge(&later);
        let kept: Vec<(&str, &str)> =
            kept.iter().map(|exchange| (&exchange.cause[..], &exchange.got[..])).collect();
        assert_eq!(kept, [("wrong", "wrong"), ("surplus", "first")]);
    }
}
