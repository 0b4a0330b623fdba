//! A throttle for warnings: at most one per second, because the cause of a warning may occur a
//! thousand times per second.

use std::time::Duration;

use crate::os::moment::Moment;

const INTERVAL: Duration = Duration::from_secs(1);

/// Allows one warning per second.
#[derive(Debug)]
pub struct Throttle {
    silent_until: Moment,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { silent_until: Moment::START }
    }
}

impl Throttle {
    /// Returns true if no warning was allowed within the last second. The caller then logs one.
    pub fn allows(&mut self, now: Moment) -> bool {
        let may = now >= self.silent_until;
        if may {
            self.silent_until = now.after(INTERVAL);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_one_warning_per_second_is_allowed() {
        let mut throttle = Throttle::default();
        let passed = [0, 0, 999, 1000, 1001, 1999, 2000].map(|milliseconds| {
            throttle.allows(Moment::START.after(Duration::from_millis(milliseconds)))
        });
        assert_eq!(passed, [true, false, false, true, false, false, true]);
    }
}
