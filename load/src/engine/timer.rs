//! A timer of microsecond precision: the poller's own timeout counts whole milliseconds.

use std::io;
use std::time::Duration;

use mio::{Interest, Registry, Token};

/// A timer that wakes the poller once.
#[derive(Debug)]
pub struct Timer {
    #[cfg(target_os = "linux")]
    descriptor: std::os::fd::OwnedFd,
}

#[cfg(target_os = "linux")]
impl Timer {
    /// Creates a timer whose event carries `token`.
    ///
    /// # Errors
    /// Fails if no descriptor is left.
    pub fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        use std::os::fd::AsRawFd;

        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};

        let descriptor = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        // Edge-triggered, so it need not be read: each expiry is an event (timerfd_create(2)).
        registry.register(
            &mut mio::unix::SourceFd(&descriptor.as_raw_fd()),
            token,
            Interest::READABLE,
        )?;
        Ok(Self { descriptor })
    }

    /// Wakes the poller after `delay`, and cancels any earlier setting.
    ///
    /// # Errors
    /// The system documents no error for such a call.
    pub fn set(&self, delay: Duration) -> io::Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};

        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        // Zero would disarm the timer.
        let delay = delay.max(Duration::from_nanos(1));
        let seconds = i64::try_from(delay.as_secs()).unwrap_or(i64::MAX);
        let value = Timespec { tv_sec: seconds, tv_nsec: delay.subsec_nanos().into() };
        timerfd_settime(
            &self.descriptor,
            TimerfdTimerFlags::empty(),
            &Itimerspec { it_interval: never, it_value: value },
        )?;
        Ok(())
    }

    /// Returns the poller timeout needed for a wake-up after `delay`; `None` if the timer itself
    /// wakes the poller.
    #[must_use]
    pub const fn poll_timeout(_delay: Duration) -> Option<Duration> {
        None
    }
}

#[cfg(not(target_os = "linux"))]
impl Timer {
    /// On other systems, the poller's own timeout is used.
    ///
    /// # Errors
    /// Never fails.
    pub fn new(_registry: &Registry, _token: Token) -> io::Result<Self> {
        Ok(Self {})
    }

    /// Does nothing: see [`poll_timeout`](Self::poll_timeout).
    ///
    /// # Errors
    /// Never fails.
    pub fn set(&self, _delay: Duration) -> io::Result<()> {
        Ok(())
    }

    /// The poller rounds up, so it waits for the whole milliseconds and is then polled repeatedly.
    #[must_use]
    pub fn poll_timeout(delay: Duration) -> Option<Duration> {
        Some(Duration::from_millis(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)))
    }
}
