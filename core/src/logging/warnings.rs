//! Warnings come at most once a second, however often their cause does: what fails once may fail a
//! thousand times a second.

use std::time::Duration;

use crate::os::moment::Moment;

const INTERVAL: Duration = Duration::from_secs(1);

/// Lets one warning pass in each second.
#[derive(Debug)]
pub struct Warnings {
    silent_until: Moment,
}

impl Default for Warnings {
    fn default() -> Self {
        Self { silent_until: Moment::START }
    }
}

impl Warnings {
    /// True exactly when there was none for a second: then this is one.
    pub fn may_pass(&mut self, now: Moment) -> bool {
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
    fn a_warning_comes_once_a_second_however_often_its_cause_does() {
        let mut warnings = Warnings::default();
        let passed = [0, 0, 999, 1000, 1001, 1999, 2000].map(|milliseconds| {
            warnings.may_pass(Moment::START.after(Duration::from_millis(milliseconds)))
        });
        assert_eq!(passed, [true, false, false, true, false, false, true]);
    }
}
