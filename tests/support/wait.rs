//! Waiting for something that will come, and giving up aloud when it does not.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take that the server owes at once. Long, because a busy machine is no
/// defect; a test that passes never waits for it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Between two looks at a condition that nothing announces.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Returns what `attempt` found. An attempt finds nothing where a busy machine has paused the test
/// for longer than its scenario allows; then it is made again.
#[track_caller]
pub fn undisturbed<T>(attempt: impl FnMut() -> Option<T>) -> T {
    const ATTEMPTS_MAX: usize = 20;
    let mut attempts = std::iter::repeat_with(attempt).take(ATTEMPTS_MAX);
    attempts.find_map(|found| found).expect("one attempt without a long pause of the machine")
}

/// Returns as soon as `holds`; panics with `what` after [`PATIENCE`].
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    wait_for(what, || holds().then_some(()));
}

/// Returns what `look` finds as soon as it finds it; panics with `what` after [`PATIENCE`].
#[track_caller]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        thread::sleep(LOOK_AGAIN);
    }
}
