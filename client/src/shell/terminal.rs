//! The terminal, given back as it was found on every way out and at every stop.

use std::io::{self, IsTerminal, Write};
use std::panic;
use std::sync::Mutex;
use std::sync::mpsc::SyncSender;

use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::termios::{
    LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};
use nix::unistd::{getpgrp, tcgetpgrp};

use crate::worker;

/// Begins and ends the marking of pasted text, which the line editor switches on.
const PASTE_MARKS_ON: &[u8] = b"\x1b[?2004h";
const PASTE_MARKS_OFF: &[u8] = b"\x1b[?2004l";

/// Shown above the prompt, it changes nothing, one line up and down again; but the prompt and the
/// line are drawn anew.
const REDRAW: &str = "\x1b[A\n";

/// The signals that end or stop the process, before which the terminal is restored, and the one
/// that continues it.
const CAUGHT: [Signal; 5] =
    [Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGTSTP, Signal::SIGCONT];

/// The modes of the terminal at stdin; restored when dropped.
#[derive(Clone, Debug)]
pub struct SavedTerminal(Option<Termios>);

impl SavedTerminal {
    /// Saves the modes, which a panic restores too, and blocks the signals for
    /// [`SavedTerminal::obey_signals`] in this thread and in those that it starts.
    ///
    /// # Errors
    /// A sentence, when signals cannot be blocked.
    pub fn save() -> Result<Self, String> {
        let saved = Self(tcgetattr(io::stdin()).ok());
        if saved.0.is_some() {
            let (restored, previous) = (Mutex::new(saved.clone()), panic::take_hook());
            panic::set_hook(Box::new(move |info| {
                if let Ok(restored) = restored.lock() {
                    restored.restore();
                }
                previous(info);
            }));
            SigSet::from_iter(CAUGHT).thread_block().map_err(|error| error.to_string())?;
        }
        Ok(saved)
    }

    /// Restores the modes before a signal ends or stops the process. When it continues, the line
    /// editor gets back the modes that it had, and `printer` lets it draw the prompt and the
    /// line again.
    ///
    /// # Errors
    /// A sentence, when there is no thread for it.
    pub fn obey_signals(&self, printer: Option<SyncSender<String>>) -> Result<(), String> {
        if self.0.is_none() {
            return Ok(());
        }
        let restored = self.clone();
        worker::start("signals", move || {
            restored.obey(&SigSet::from_iter(CAUGHT), printer.as_ref())
        })
    }

    /// The key that stops the program in the modes that were found.
    pub fn stop_key(&self) -> Option<char> {
        let index = SpecialCharacterIndices::VSUSP as usize;
        Some(char::from(*self.0.as_ref()?.control_chars.get(index)?))
    }

    fn obey(&self, caught: &SigSet, printer: Option<&SyncSender<String>>) {
        let mut editing = None;
        while let Ok(signal) = caught.wait() {
            if signal != Signal::SIGCONT {
                editing = editing.or_else(editing_modes);
                self.restore();
                let only = SigSet::from(signal);
                // The default action comes with the unblocking: it ends the process, or it stops it
                // until SIGCONT. The system leaves out the stop where no shell
                // could ever end it.
                let _ = raise(signal)
                    .and_then(|()| only.thread_unblock())
                    .and_then(|()| only.thread_block());
            }
            if !is_ours() {
                continue;
            }
            if let Some(modes) = editing.take() {
                set(&modes, PASTE_MARKS_ON);
            }
            if signal == Signal::SIGCONT {
                // A stopped process is not told that the window has changed.
                let _ = raise(Signal::SIGWINCH);
                // A printer with a full queue is about to draw the prompt.
                let _ = printer.map(|printer| printer.try_send(REDRAW.into()));
            }
        }
    }

    /// Gives the terminal back as it was found, unless it serves another program now.
    fn restore(&self) {
        if let Some(modes) = self.0.as_ref().filter(|_| is_ours()) {
            set(modes, PASTE_MARKS_OFF);
        }
    }
}

impl Drop for SavedTerminal {
    fn drop(&mut self) {
        self.restore();
    }
}

/// True exactly when the terminal serves this program: in the background, a change of its modes
/// would stop the process and break the program that it serves.
fn is_ours() -> bool {
    tcgetpgrp(io::stdin()).is_ok_and(|group| group == getpgrp())
}

/// The modes of the terminal while the line editor holds it.
fn editing_modes() -> Option<Termios> {
    let modes = tcgetattr(io::stdin()).ok().filter(|_| is_ours())?;
    (!modes.local_flags.contains(LocalFlags::ICANON)).then_some(modes)
}

/// Sets the modes of the terminal and the marking of pasted text. A terminal that has gone away
/// needs nothing.
fn set(modes: &Termios, paste_marks: &[u8]) {
    let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, modes);
    if io::stdout().is_terminal() {
        let _ = io::stdout().write_all(paste_marks).and_then(|()| io::stdout().flush());
    }
}
