//! The facts about a certificate that a person needs: its subject, its names, its fingerprint, and
//! when it expires.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};

/// The facts about the certificate of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Certificate {
    /// The subject as RFC 4514 writes it, such as `CN=example.org`. It can be empty.
    pub subject: String,
    /// The names and addresses for which it is valid, in lower case, such as `*.example.org`.
    pub names: Vec<String>,
    /// The SHA-256 of its DER encoding, as OpenSSL displays it: `AB:CD:...`.
    pub fingerprint: String,
    /// The first moment at which it is valid.
    pub valid_from: SystemTime,
    /// The last moment at which it is valid.
    pub valid_until: SystemTime,
    /// True if its key is RSA: a handshake then takes the server several times as long.
    pub has_rsa_key: bool,
    /// The file of the key, if every user of this machine can read it.
    pub exposed_key: Option<PathBuf>,
}

impl Certificate {
    /// Returns its first name, or its subject if it has no name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.names.first().unwrap_or(&self.subject)
    }

    /// Returns the time from `now` until it expires; `None` if it has expired.
    #[must_use]
    pub fn time_left(&self, now: SystemTime) -> Option<Duration> {
        self.valid_until.duration_since(now).ok()
    }

    /// True if it is valid for `host`, which is in lower case. A wildcard stands for one label.
    #[must_use]
    pub fn is_for(&self, host: &str) -> bool {
        let domain = host.split_once('.').map(|(_, domain)| domain);
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(wildcard) => domain == Some(wildcard),
            None => name == host,
        })
    }
}

/// Displays the day of `time` in UTC: `2026-11-29`.
pub fn date(time: SystemTime) -> impl fmt::Display {
    DateTime::<Utc>::from(time).date_naive()
}
