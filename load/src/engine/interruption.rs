//! The interruption of a run by a signal.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::flag;

/// Records the signal that ends the run.
#[derive(Debug, Default)]
pub struct Interruption {
    /// The number of the signal; zero before one arrives.
    signal: Arc<AtomicUsize>,
}

impl Interruption {
    /// Catches these signals. The first one ends the run with a report, the second one the process.
    ///
    /// # Errors
    /// Fails if a signal cannot be caught.
    pub fn by(signals: &[i32]) -> io::Result<Self> {
        let interruption = Self::default();
        let is_second = Arc::new(AtomicBool::new(false));
        for signal in signals {
            flag::register_conditional_shutdown(*signal, 128 + signal, Arc::clone(&is_second))?;
            flag::register(*signal, Arc::clone(&is_second))?;
            flag::register_usize(
                *signal,
                Arc::clone(&interruption.signal),
                usize::try_from(*signal).unwrap_or(0),
            )?;
        }
        Ok(interruption)
    }

    /// Ends the run as if `signal` had arrived.
    pub fn interrupt(&self, signal: i32) {
        self.signal.store(usize::try_from(signal).unwrap_or(0), Ordering::Release);
    }

    /// Returns the number of the signal that arrived.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        i32::try_from(self.signal.load(Ordering::Acquire)).ok().filter(|signal| *signal != 0)
    }
}
