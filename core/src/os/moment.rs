//! Points in time on the clock of the event loop.

use std::time::Duration;

/// A point in time: nanoseconds since the start of the loop's clock. The range is 584 years.
///
/// It has half the size of a [`std::time::Instant`], of which each connection would hold four, and
/// a simulated clock can create one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// The start of the clock.
    pub const START: Self = Self(0);
    /// A deadline that never passes.
    pub const NEVER: Self = Self(u64::MAX);

    /// Returns the moment `duration` later, [`Moment::NEVER`] if it is out of range.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanoseconds))
    }

    /// Returns the deadline of a timeout that starts at this moment, [`Moment::NEVER`] without a
    /// timeout.
    #[must_use]
    pub fn deadline(self, timeout: Option<Duration>) -> Self {
        timeout.map_or(Self::NEVER, |timeout| self.after(timeout))
    }

    /// Returns the time from `earlier` to this moment, zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}
