//! Hangups of a run: SIGHUP asks for the report so far, or follows from a closed terminal.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::flag;
use tinytcp_core::os::hangup;

/// The request that a hangup makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// The report so far; the run goes on.
    Report,
    /// The end of the run: its terminal is closed.
    End,
}

/// Catches SIGHUP, unless the parent process ignores it, as `nohup` does.
#[derive(Clone, Debug)]
pub struct Hangups {
    arrived: Arc<AtomicBool>,
    had_terminal: bool,
}

impl Hangups {
    /// Catches the signal from now on.
    ///
    /// # Errors
    /// Fails if it cannot be caught.
    pub fn catch() -> io::Result<Self> {
        let arrived = Arc::new(AtomicBool::new(false));
        if !hangup::is_ignored() {
            flag::register(libc::SIGHUP, Arc::clone(&arrived))?;
        }
        Ok(Self { arrived, had_terminal: hangup::has_terminal() })
    }

    /// Returns the request of a hangup since the last call.
    pub fn take(&self) -> Option<Request> {
        let has_arrived = self.arrived.swap(false, Ordering::AcqRel);
        has_arrived.then(|| match self.had_terminal && !hangup::has_terminal() {
            true => Request::End,
            false => Request::Report,
        })
    }
}
