//! The processor time of a thread, as the operating system reports it.

use std::fs;
use std::time::Duration;

/// Processor time of a thread since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuUsage {
    /// Time on a core, user and system.
    pub busy: Duration,
    /// Time runnable without a free core.
    pub starved: Duration,
}

impl CpuUsage {
    /// Returns the usage of the calling thread; zero without `/proc/thread-self/schedstat`
    /// (proc_pid_schedstat(5)), as outside Linux.
    #[must_use]
    pub fn of_this_thread() -> Self {
        fs::read_to_string("/proc/thread-self/schedstat")
            .ok()
            .and_then(|text| Self::parse(&text))
            .unwrap_or_default()
    }

    /// Two numbers in nanoseconds, then the number of times that the thread got a core.
    fn parse(text: &str) -> Option<Self> {
        let mut numbers =
            text.split_ascii_whitespace().map(|number| number.parse().map(Duration::from_nanos));
        Some(Self { busy: numbers.next()?.ok()?, starved: numbers.next()?.ok()? })
    }

    /// Returns the usage since `earlier`.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            busy: self.busy.saturating_sub(earlier.busy),
            starved: self.starved.saturating_sub(earlier.starved),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_times_of_a_thread_are_read() {
        let usage = CpuUsage::parse("1500 20 7\n").expect("well made");
        assert_eq!(
            (usage.busy, usage.starved),
            (Duration::from_nanos(1500), Duration::from_nanos(20))
        );
        assert_eq!(CpuUsage::parse("1500"), None);
    }
}
