//! Warns of certificates that expire while the server runs.

use std::time::{Duration, SystemTime};

use tinytcp_core::status::Status;

use super::concerns;
use super::encryption::Encryption;

const PERIOD: Duration = Duration::from_hours(24);

/// Looks at the certificates of a running server once a day. The first time is a day after the
/// start, because the start warns of them itself.
#[derive(Debug)]
pub struct DailyCheck {
    /// When the next check is due, in time since the start.
    due: Duration,
}

impl DailyCheck {
    /// Returns a check of the certificates of `encryption`; `None` if there are none.
    pub fn of(encryption: &Encryption) -> Option<Self> {
        encryption.is_used().then_some(Self { due: PERIOD })
    }

    /// Warns if a check is due. Returns the time until the next one.
    pub fn observe(&mut self, status: &Status) -> Duration {
        if self.is_due(status.uptime) {
            let now = SystemTime::now();
            for listener in &status.listeners {
                let concerns =
                    listener.certificates.iter().filter_map(|it| concerns::of_time(it, now));
                concerns.for_each(|concern| log::warn!(event = "certificate"; "{concern}"));
            }
        }
        self.due.saturating_sub(status.uptime)
    }

    /// True if a check is due. The next one is then due a day later.
    fn is_due(&mut self, uptime: Duration) -> bool {
        let is_due = uptime >= self.due;
        if is_due {
            self.due = uptime + PERIOD;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_due_once_a_day() {
        let mut check = DailyCheck { due: PERIOD };
        let hours = |check: &mut DailyCheck, hours| check.is_due(Duration::from_hours(hours));
        assert!(!hours(&mut check, 23));
        assert!(hours(&mut check, 30));
        assert!(!hours(&mut check, 53));
        assert!(hours(&mut check, 54));
    }
}
