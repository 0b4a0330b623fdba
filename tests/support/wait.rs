//! Waits for a condition, with a deadline.

use std::io::{self, ErrorKind};
use std::thread;
use std::time::{Duration, Instant};

/// The time for anything that the server has to do at once. It is long, because a busy machine is
/// no defect. A test that passes never waits for it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The time between two looks at a condition without an event.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// A time limit for what is looked at repeatedly. Time between two looks counts for
/// [`PAUSE_COUNTED`] at most: in a longer one the machine was paused, and nothing could happen.
pub struct Countdown {
    limit: Duration,
    spent: Duration,
    looked_at: Instant,
}

/// The longest time between two looks that counts in full.
const PAUSE_COUNTED: Duration = Duration::from_millis(200);

impl Countdown {
    /// Starts a countdown of `limit`.
    pub fn start(limit: Duration) -> Self {
        Self { limit, spent: Duration::ZERO, looked_at: Instant::now() }
    }

    /// Counts the time since the last look, and returns true once the limit is over.
    pub fn is_over(&mut self) -> bool {
        let looked_before = std::mem::replace(&mut self.looked_at, Instant::now());
        self.spent += (self.looked_at - looked_before).min(PAUSE_COUNTED);
        self.spent >= self.limit
    }

    /// Returns the time that has been counted.
    pub fn spent(&self) -> Duration {
        self.spent
    }
}

/// Returns the result of `attempt`. An attempt returns `None` if a busy machine has paused the test
/// for longer than its scenario allows; then it is repeated.
#[track_caller]
pub fn undisturbed<T>(attempt: impl FnMut() -> Option<T>) -> T {
    const ATTEMPTS_MAX: usize = 20;
    let mut attempts = std::iter::repeat_with(attempt).take(ATTEMPTS_MAX);
    attempts.find_map(|found| found).expect("one attempt without a long pause of the machine")
}

/// Returns the result of `call`, a read or a write that is repeated while it is interrupted. One
/// with a timeout is interrupted, even without a handler of signals, when the process is stopped
/// and continued (signal(7)).
pub fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Returns as soon as `holds` is true; panics with `what` after [`PATIENCE`].
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    wait_for(what, || holds().then_some(()));
}

/// Returns the result of `look` as soon as there is one; panics with `what` after [`PATIENCE`].
#[track_caller]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let mut countdown = Countdown::start(PATIENCE);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(!countdown.is_over(), "not within {PATIENCE:?}: {what}");
        thread::sleep(LOOK_AGAIN);
    }
}
