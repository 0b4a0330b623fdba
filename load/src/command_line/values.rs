//! Values of flags that have a notation of their own.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use clap::ValueEnum;
use tinytcp_cli::units;

use super::source_addresses;
use crate::error::UsageError;
use crate::measurement::settings::{Arrivals, Lifetime};

/// Source addresses. A type of its own, because clap takes a `Vec` for a repeatable argument.
#[derive(Clone, Debug)]
pub struct Sources(pub Vec<IpAddr>);

/// Parses source addresses.
///
/// # Errors
/// Fails like [`source_addresses::sources`].
pub fn sources(text: &str) -> Result<Sources, UsageError> {
    source_addresses::sources(text).map(Sources)
}

/// A share of a number, or a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Share {
    /// This share, from 0 to 1.
    Ratio(f64),
    /// This number.
    Count(usize),
}

impl Share {
    /// Returns the share of `all`, rounded up, so that a share above zero is at least one.
    #[must_use]
    pub fn of(self, all: usize) -> usize {
        match self {
            Self::Ratio(ratio) => ((all as f64 * ratio).ceil() as usize).min(all),
            Self::Count(count) => count,
        }
    }
}

/// Parses a share such as `1%`, or a number, which can be zero.
///
/// # Errors
/// Fails with an example.
pub fn share(text: &str) -> Result<Share, UsageError> {
    const EXAMPLE: &str = "shares look like 1% or 0.5%, numbers like 10";
    if text == "0" {
        return Ok(Share::Count(0));
    }
    let Some(percent) = text.strip_suffix('%') else {
        return units::count(text).map(Share::Count).map_err(|_| EXAMPLE.into());
    };
    let percent: f64 = percent.trim().parse().map_err(|_| EXAMPLE)?;
    if (0.0..=100.0).contains(&percent) {
        Ok(Share::Ratio(percent / 100.0))
    } else {
        Err(EXAMPLE.into())
    }
}

/// The names of the arrivals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ArrivalsName {
    /// At even intervals.
    Even,
    /// As a Poisson process.
    Poisson,
}

impl From<ArrivalsName> for Arrivals {
    fn from(name: ArrivalsName) -> Self {
        match name {
            ArrivalsName::Even => Self::Even,
            ArrivalsName::Poisson => Self::Poisson,
        }
    }
}

/// Whether connections resume sessions of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ResumptionName {
    /// Each handshake is a full one.
    Off,
    /// With the tickets of earlier connections.
    On,
}

/// The names of the formats of live rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LiveFormatName {
    /// A JSON object per line.
    Ndjson,
    /// Comma-separated values.
    Csv,
}

/// Parses the address of an endpoint; a port alone is one of the loopback address.
///
/// # Errors
/// Fails with an example.
pub fn metrics_address(text: &str) -> Result<SocketAddr, UsageError> {
    let port = text.strip_prefix(':').unwrap_or(text);
    let address = match port.parse::<u16>() {
        Ok(port) => Some(SocketAddr::from(([127, 0, 0, 1], port))),
        Err(_) => text.to_socket_addrs().ok().and_then(|mut found| found.next()),
    };
    address.ok_or_else(|| "addresses look like 9123 or 127.0.0.1:9123".into())
}

/// Parses a number of requests, or a duration.
///
/// # Errors
/// Fails with an example.
pub fn lifetime(text: &str) -> Result<Lifetime, UsageError> {
    let requests = |count| Lifetime::Requests(count as u64);
    // `2m` could mean both, and means 2 minutes.
    if text.bytes().all(|byte| byte.is_ascii_digit()) || text.ends_with(['k', 'K', 'M']) {
        return units::count(text).map(requests).map_err(UsageError::new);
    }
    units::duration(text)
        .map(Lifetime::Time)
        .map_err(|error| format!("{error}; a bare number, as in 100, counts requests").into())
}

/// Parses the size of a message, which can be zero.
///
/// # Errors
/// Fails with an example, and for more than 64 MiB.
pub fn message_size(text: &str) -> Result<usize, UsageError> {
    // A script holds several messages with their replies: at this size, a gigabyte of memory.
    const MAX: usize = 64 << 20;
    // An empty frame is a message; protocols without an empty message send one byte.
    if text == "0" {
        return Ok(0);
    }
    match units::size(text) {
        Ok(size) if size <= MAX => Ok(size),
        Ok(_) => Err("at most 64MiB".into()),
        Err(error) => Err(UsageError::new(error)),
    }
}
