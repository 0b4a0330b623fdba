//! The plan of a run, with all that its threads need.

use std::net::IpAddr;
use std::time::Duration;

use tinytcp_cli::proxy_header::ProxyHeader;
use tinytcp_core::os::endpoint::Endpoint;
use tinytcp_core::os::moment::Moment;

use super::intervals::Intervals;
use super::schedule::Schedule;
use super::script::RunScript;
pub use super::tls::TlsPlan;
use crate::measurement::settings::{Lifetime, Opening, Pace, RunSettings};

/// Bounds of the length of a step, and of a slice unless a run is very long. A run has at most
/// [`SLICES_MAX`] slices, however long it is.
const SLICE_MIN: Duration = Duration::from_millis(100);
const STEP_MAX: Duration = Duration::from_secs(1);
const SLICES_MAX: u32 = 600;
/// Number of slices of a short run: as many points as its charts have.
const SLICES_WANTED: u32 = 100;

/// The plan of a run.
#[derive(Debug)]
pub struct Plan {
    /// The requested settings: connections, depth, threads, times and pace.
    pub settings: RunSettings,
    /// The addresses of the server. Each connection tries all of them, starting with the last one
    /// that worked.
    pub endpoints: Vec<Endpoint>,
    /// The requests and the expected replies.
    pub script: RunScript,
    /// How connections are opened.
    pub opening: Opening,
    /// When they are closed and reopened; `None` keeps them open.
    pub lifetime: Option<Lifetime>,
    /// Source addresses of connections; if empty, the system chooses.
    pub sources: Vec<IpAddr>,
    /// True if connections are closed with a reset, which leaves no port in TIME_WAIT.
    pub reset: bool,
    /// True if the connections are spread over all addresses, and stay at theirs.
    pub is_spread: bool,
    /// Maximum number of requests to log; `None` without a log.
    pub logged_requests: Option<u64>,
    /// The header with which each connection begins.
    pub proxy_header: Option<ProxyHeader>,
    /// The TLS of connections; it begins after the header of a proxy.
    pub tls: Option<TlsPlan>,
}

impl Plan {
    /// Returns the timeout of a connection attempt at one address: one unresponsive address must
    /// leave time for the others.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        if self.is_spread {
            return self.settings.timeout;
        }
        self.settings.timeout / u32::try_from(self.endpoints.len()).unwrap_or(u32::MAX).max(1)
    }

    /// Returns the measurement window of a load that begins at `start`: from the end of the warm-up
    /// to the end of the load.
    #[must_use]
    pub fn counted(&self, start: Moment) -> (Moment, Moment) {
        (start.after(self.settings.warmup), start.after(self.settings.duration))
    }

    /// Returns the length of the slices of the measurement window.
    #[must_use]
    pub fn slice(&self) -> Duration {
        let counted = self.settings.duration.saturating_sub(self.settings.warmup);
        let shortest = (counted + self.settings.timeout) / SLICES_MAX;
        if shortest > STEP_MAX {
            // Whole steps, so that each step lies in one slice.
            return Duration::from_secs(shortest.as_secs_f64().ceil() as u64);
        }
        (counted / SLICES_WANTED).clamp(SLICE_MIN, STEP_MAX).max(shortest)
    }

    /// Returns the length of the steps in which the threads report their counts: a slice, or 1 s of
    /// a longer one.
    #[must_use]
    pub fn step(&self) -> Duration {
        self.slice().min(STEP_MAX)
    }

    /// Returns the schedule of an open loop; `None` for the others.
    #[must_use]
    pub fn schedule(&self) -> Option<Schedule> {
        let settings = &self.settings;
        let arrivals = Intervals::new(settings.arrivals, settings.seed.unwrap_or(0));
        self.is_open_loop().then(|| {
            Schedule::new(&settings.schedule(), arrivals)
                .limited(settings.requests.unwrap_or(u64::MAX))
        })
    }

    /// Returns how many of the requests thread `index` sends in a closed loop.
    #[must_use]
    pub fn share_of_requests(&self, index: usize) -> u64 {
        match self.settings.requests {
            Some(all) if !self.is_open_loop() => {
                let (threads, index) = (self.settings.threads as u64, index as u64);
                all / threads + u64::from(index < all % threads)
            }
            _ => u64::MAX,
        }
    }

    /// Returns how many requests thread `index` logs, at most; `None` without a log.
    #[must_use]
    pub fn share_of_log(&self, index: usize) -> Option<u64> {
        let (threads, index) = (self.settings.threads as u64, index as u64);
        self.logged_requests.map(|all| all / threads + u64::from(index < all % threads))
    }

    /// Returns true if requests are sent on a schedule.
    #[must_use]
    pub fn is_open_loop(&self) -> bool {
        matches!(self.settings.pace, Pace::Open { .. })
    }
}
