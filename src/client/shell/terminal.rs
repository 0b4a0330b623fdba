//! The terminal, given back as it was found on every way out.

use std::io::{self, IsTerminal, Write};
use std::panic;
use std::sync::Mutex;

use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::client::worker;

/// Ends the marking of pasted text, which the line editor switches on.
const PASTE_MARKS_OFF: &[u8] = b"\x1b[?2004l";

/// The modes of the terminal at stdin; restored when dropped.
#[derive(Clone, Debug)]
pub struct SavedTerminal(Option<Termios>);

impl SavedTerminal {
    /// Saves the modes, and restores them too before a signal ends the process.
    ///
    /// # Errors
    /// A sentence, when signals cannot be caught.
    pub fn save() -> Result<Self, String> {
        let saved = Self(tcgetattr(io::stdin()).ok());
        if saved.0.is_some() {
            let mut signals = Signals::new([SIGHUP, SIGQUIT, SIGTERM]).map_err(|error| error.to_string())?;
            let (restored, previous) = (Mutex::new(saved.clone()), panic::take_hook());
            panic::set_hook(Box::new(move |info| {
                if let Ok(restored) = restored.lock() {
                    restored.restore();
                }
                previous(info);
            }));
            let restored = saved.clone();
            worker::start("signals", move || {
                for signal in signals.forever() {
                    restored.restore();
                    // The default of these signals ends the process: only a signal that does not exist would fail.
                    let _ = emulate_default_handler(signal);
                }
            })?;
        }
        Ok(saved)
    }

    /// Gives the terminal back as it was found. A terminal that has gone away needs nothing.
    fn restore(&self) {
        if let Some(modes) = &self.0 {
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, modes);
            if io::stdout().is_terminal() {
                let _ = io::stdout().write_all(PASTE_MARKS_OFF).and_then(|()| io::stdout().flush());
            }
        }
    }
}

impl Drop for SavedTerminal {
    fn drop(&mut self) {
        self.restore();
    }
}
