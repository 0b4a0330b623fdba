//! Signals that a thread blocks, or that a parent process has blocked.

use std::io;

use nix::sys::signal::{SigSet, Signal};

/// Blocks all signals in this thread, so that they interrupt another one.
pub fn block_all() {
    // Fails only for an invalid set.
    let _ = SigSet::all().thread_block();
}

/// Unblocks `signals` in this thread: the parent process may have blocked them.
///
/// # Errors
/// When the kernel refuses.
pub fn unblock(signals: &[i32]) -> io::Result<()> {
    let signals: SigSet =
        signals.iter().filter_map(|signal| Signal::try_from(*signal).ok()).collect();
    signals.thread_unblock().map_err(io::Error::from)
}
