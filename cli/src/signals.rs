//! Signals that a thread blocks and waits for, or that a parent process has blocked.

use std::io;
use std::thread::{self, JoinHandle};

pub use nix::libc::{SIGHUP, SIGINT, SIGTERM};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};

/// Starts a thread in which all signals are blocked, so that they interrupt another one.
///
/// The thread inherits the mask. If it blocked the signals itself, one could arrive before.
///
/// # Errors
/// When no thread can be started.
pub fn start_without_signals(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let previous = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let thread = thread::Builder::new().name(name.into()).spawn(body);
    previous.thread_set_mask()?;
    thread
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
    /// [`start_without_signals`].
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
