//! Points in time as the event loop counts them.

use std::time::Duration;

/// A point in time: nanoseconds since the loop's clock was started.
///
/// Half the size of a [`std::time::Instant`], of which every connection would hold five; and a
/// simulated clock can make one out of nothing. The range is 584 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// The moment at which the clock was started.
    pub const START: Self = Self(0);
    /// A deadline that never falls due.
    pub const NEVER: Self = Self(u64::MAX);

    /// The moment `duration` later, [`Moment::NEVER`] if that is out of range.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanoseconds))
    }

    /// The deadline of a timeout that starts now; without a timeout it never falls due.
    #[must_use]
    pub fn deadline(self, timeout: Option<Duration>) -> Self {
        timeout.map_or(Self::NEVER, |timeout| self.after(timeout))
    }

    /// The time from `earlier` to here, zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}
