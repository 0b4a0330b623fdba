//! The terminal, whose modes are restored whenever the program ends or is suspended.

use std::io::{self, IsTerminal, Write};
use std::panic;
use std::sync::Mutex;

use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::termios::{
    LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};
use nix::unistd::{getpgrp, tcgetpgrp};

use super::printer::Printer;
use crate::threads::{self, ThreadError};

/// Switches the marking of pasted text on and off; the line editor switches it on.
const PASTE_MARKS_ON: &[u8] = b"\x1b[?2004h";
const PASTE_MARKS_OFF: &[u8] = b"\x1b[?2004l";

/// Printed above the prompt, it moves up a line and down again, and makes the editor redraw prompt
/// and line.
const REDRAW: &str = "\x1b[A\n";

/// The signals that end or suspend the process, before which the terminal is restored, and the one
/// that resumes it.
const CAUGHT: [Signal; 5] =
    [Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGTSTP, Signal::SIGCONT];

/// The modes of the terminal at stdin; restored when dropped.
#[derive(Clone, Debug)]
pub struct SavedTerminal(Option<Termios>);

impl SavedTerminal {
    /// Saves the modes, which a panic restores too. Blocks the signals for
    /// [`SavedTerminal::obey_signals`] in this thread and in those that it starts.
    ///
    /// # Errors
    /// When signals cannot be blocked.
    pub fn save() -> nix::Result<Self> {
        let saved = Self(tcgetattr(io::stdin()).ok());
        if saved.0.is_some() {
            let (restored, previous) = (Mutex::new(saved.clone()), panic::take_hook());
            panic::set_hook(Box::new(move |info| {
                if let Ok(restored) = restored.lock() {
                    restored.restore();
                }
                previous(info);
            }));
            SigSet::from_iter(CAUGHT).thread_block()?;
        }
        Ok(saved)
    }

    /// Starts a thread that restores the modes before a signal ends or suspends the process. When
    /// it resumes, the line editor gets its own modes back and, through `printer`, redraws prompt
    /// and line.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn obey_signals(&self, printer: Option<Printer>) -> Result<(), ThreadError> {
        if self.0.is_none() {
            return Ok(());
        }
        let restored = self.clone();
        threads::start("signals", move || {
            restored.obey(&SigSet::from_iter(CAUGHT), printer.as_ref())
        })
    }

    /// The key that suspends the program in the saved modes.
    pub fn stop_key(&self) -> Option<char> {
        let index = SpecialCharacterIndices::VSUSP as usize;
        Some(char::from(*self.0.as_ref()?.control_chars.get(index)?))
    }

    fn obey(&self, caught: &SigSet, printer: Option<&Printer>) {
        let mut editing = None;
        while let Ok(signal) = caught.wait() {
            if signal != Signal::SIGCONT {
                editing = editing.or_else(editing_modes);
                self.restore();
                let only = SigSet::from(signal);
                // Unblocking runs the default action: it ends the process, or suspends it until
                // SIGCONT. The system does not suspend it if no shell could resume it.
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
                // A suspended process gets no signal when the size of the window changes.
                let _ = raise(Signal::SIGWINCH);
                if let Some(printer) = printer {
                    printer.print(REDRAW);
                }
            }
        }
    }

    /// Restores the modes, unless the terminal serves another program now.
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

/// Returns true if the terminal serves this program. In the background, a change of its modes would
/// suspend the process and disturb the program in the foreground.
fn is_ours() -> bool {
    tcgetpgrp(io::stdin()).is_ok_and(|group| group == getpgrp())
}

/// The modes of the terminal while the line editor uses it.
fn editing_modes() -> Option<Termios> {
    let modes = tcgetattr(io::stdin()).ok().filter(|_| is_ours())?;
    (!modes.local_flags.contains(LocalFlags::ICANON)).then_some(modes)
}

/// Sets the modes of the terminal and the marking of pasted text. If the terminal is gone, it does
/// nothing.
fn set(modes: &Termios, paste_marks: &[u8]) {
    let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, modes);
    if io::stdout().is_terminal() {
        let _ = io::stdout().write_all(paste_marks).and_then(|()| io::stdout().flush());
    }
}
