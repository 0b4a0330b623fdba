//! A wake-up at a moment, to the microsecond: the poller's own timeout counts whole milliseconds.

use std::io;
use std::time::Duration;

use mio::{Interest, Registry, Token};

/// Wakes the poller once.
#[derive(Debug)]
pub struct Timer {
    #[cfg(target_os = "linux")]
    descriptor: std::os::fd::OwnedFd,
}

#[cfg(target_os = "linux")]
impl Timer {
    /// A timer whose event carries `token`.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        use std::os::fd::AsRawFd;

        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};

        let descriptor = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        // Edge-triggered, so that nobody has to read it: each expiry is an event
        // (timerfd_create(2)).
        registry.register(
            &mut mio::unix::SourceFd(&descriptor.as_raw_fd()),
            token,
            Interest::READABLE,
        )?;
        Ok(Self { descriptor })
    }

    /// Wakes the poller after `delay`, in place of any wake-up that was set before.
    ///
    /// # Errors
    /// None that the system's documentation knows for such a call.
    pub fn set(&self, delay: Duration) -> io::Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};

        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        // Zero would switch it off.
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

    /// The timeout for the poller that leads to a wake-up after `delay` too.
    #[must_use]
    pub const fn poll_timeout(_delay: Duration) -> Option<Duration> {
        None
    }
}

#[cfg(not(target_os = "linux"))]
impl Timer {
    /// Elsewhere the poller's own timeout has to do.
    ///
    /// # Errors
    /// None.
    pub fn new(_registry: &Registry, _token: Token) -> io::Result<Self> {
        Ok(Self {})
    }

    /// Does nothing: see [`poll_timeout`](Self::poll_timeout).
    ///
    /// # Errors
    /// None.
    pub fn set(&self, _delay: Duration) -> io::Result<()> {
        Ok(())
    }

    /// The poller rounds up, so it waits for the whole milliseconds and is then asked again and
    /// again.
    #[must_use]
    pub fn poll_timeout(delay: Duration) -> Option<Duration> {
        Some(Duration::from_millis(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)))
    }
}
