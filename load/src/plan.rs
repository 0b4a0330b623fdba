//! What a run is to do, ready to be done.

use std::net::IpAddr;
use std::time::Duration;

use tinytcp_core::os::endpoint::Endpoint;
use tinytcp_core::os::moment::Moment;

use super::outcome::{Asked, Pace};
pub use super::outcome::{Lifetime, Opening};
use super::script::Script;

/// The shortest and the longest usual slice; there are at most [`SLICES_MAX`] of them, however long
/// the run is.
const SLICE_MIN: Duration = Duration::from_millis(100);
const SLICE_MAX: Duration = Duration::from_secs(1);
const SLICES_MAX: u32 = 600;
/// As many points as a chart of a short run has.
const SLICES_WANTED: u32 = 100;

/// Everything that the threads of a run need to know.
#[derive(Debug)]
pub struct Plan {
    /// What was asked for: numbers of connections, depth, threads, times and pace.
    pub asked: Asked,
    /// The server; where it has several addresses, each connection is tried at all of them,
    /// beginning with the one that worked last.
    pub endpoints: Vec<Endpoint>,
    /// What is sent and what has to come back.
    pub script: Script,
    /// How connections are opened.
    pub opening: Opening,
    /// When they are opened anew; `None` keeps them.
    pub lifetime: Option<Lifetime>,
    /// Where connections come from; empty leaves it to the system.
    pub sources: Vec<IpAddr>,
    /// True exactly when connections are closed with a reset, which leaves no port behind in
    /// TIME_WAIT.
    pub reset: bool,
}

impl Plan {
    /// How long opening a connection may take at one of the server's addresses: one that swallows
    /// everything must not keep the others from being tried.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        self.asked.timeout / u32::try_from(self.endpoints.len()).unwrap_or(u32::MAX).max(1)
    }

    /// The bounds of the counted part of a load that begins at `start`: the end of warming up, and
    /// the end of the load.
    #[must_use]
    pub fn counted(&self, start: Moment) -> (Moment, Moment) {
        (start.after(self.asked.warmup), start.after(self.asked.duration))
    }

    /// How long the slices are into which the counted part of the run is cut.
    #[must_use]
    pub fn slice(&self) -> Duration {
        let counted = self.asked.duration.saturating_sub(self.asked.warmup);
        (counted / SLICES_WANTED)
            .clamp(SLICE_MIN, SLICE_MAX)
            .max((counted + self.asked.timeout) / SLICES_MAX)
    }

    /// True exactly when requests are due on a schedule.
    #[must_use]
    pub fn is_open_loop(&self) -> bool {
        matches!(self.asked.pace, Pace::Open { .. })
    }
}
