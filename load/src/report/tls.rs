//! The part of a report about TLS.

use serde::{Deserialize, Serialize};

use crate::measurement::averages::per_second;
use crate::measurement::outcome::RunOutcome;

/// The TLS of an encrypted run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReportTls {
    /// True if the certificate of the server was checked.
    pub is_verified: bool,
    /// True if connections resumed sessions of earlier ones.
    pub resumes: bool,
    /// Completed full handshakes, those of the warm-up included.
    pub full_count: u64,
    /// Completed handshakes that resumed a session.
    pub resumed_count: u64,
    /// Full handshakes per second of the measurement window.
    pub full_per_s: f64,
    /// Handshakes per second that resumed a session.
    pub resumed_per_s: f64,
    /// The versions and cipher suites of the handshakes.
    pub suites: Vec<ReportSuite>,
    /// The fact and the remedy of the first failure.
    pub first_failure: Option<String>,
}

/// A version and a cipher suite, and the number of handshakes that agreed on them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReportSuite {
    /// `TLSv1.3`.
    pub version: String,
    /// `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// Handshakes.
    pub count: u64,
}

impl ReportSuite {
    /// Returns true if both are the same, except for the number.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.version == other.version && self.cipher == other.cipher
    }
}

impl ReportTls {
    /// Returns the part of a run; `None` without TLS.
    pub(super) fn of(outcome: &RunOutcome) -> Option<Self> {
        let choices = outcome.settings.tls?;
        let counts = &outcome.total.tls;
        let per_s = |number| per_second(number, outcome.counted.as_secs_f64());
        let suites = counts.suites.iter().map(|(suite, count)| ReportSuite {
            version: suite.version.into(),
            cipher: suite.cipher.into(),
            count: *count,
        });
        Some(Self {
            is_verified: choices.is_verified,
            resumes: choices.resumes,
            full_count: counts.all.full,
            resumed_count: counts.all.resumed,
            full_per_s: per_s(counts.inside.full),
            resumed_per_s: per_s(counts.inside.resumed),
            suites: suites.collect(),
            first_failure: counts.failure.clone(),
        })
    }
}
