//! Signals that a thread blocks and waits for, or that a parent process has blocked.

use std::io;

pub use nix::libc::{SIGHUP, SIGINT, SIGTERM};
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
    set_of(signals).thread_unblock().map_err(io::Error::from)
}

fn set_of(signals: &[i32]) -> SigSet {
    signals.iter().filter_map(|signal| Signal::try_from(*signal).ok()).collect()
}

/// A signal for which a thread waits. It interrupts no thread, and needs no descriptor.
#[derive(Debug)]
pub struct Awaited(SigSet);

impl Awaited {
    /// Blocks `signal` in this thread. Each other thread must have blocked it too: see
    /// [`block_all`].
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn block(signal: i32) -> io::Result<Self> {
        let signals = set_of(&[signal]);
        signals.thread_block()?;
        Ok(Self(signals))
    }

    /// Waits until the signal comes. Several signals that come before a wait count as one.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn wait(&self) -> io::Result<()> {
        self.0.wait()?;
        Ok(())
    }
}
