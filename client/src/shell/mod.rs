//! The shell: a person types, the server answers, and either may come first.
//!
//! ```text
//!   person --> [editor] -- Typed --> [ one channel ] <-- Received -- [receiver] <-- server
//!                 ^                         |
//!                 |                    the caller --> [printer] --> the terminal, above the prompt
//!                 `------- its turn --------'
//! ```
//!
//! While the editor reads a line, text must go through it, or it would appear in the middle of that
//! line. The editor takes such text only while it waits for a key. So passing text may block, and
//! the printer is a thread for that reason alone. The caller waits for the printer only while the
//! editor reads: then it stops receiving from a server that is faster than the terminal. While the
//! editor does not read, the caller writes to stdout itself. It lets the editor read the next line
//! when the answer has arrived. So the answers of a quick server are between one prompt and the
//! next, as in the original clients.

mod connection;
mod editor;
mod history;
mod printer;
mod session;
mod terminal;

use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;

use connection::ShellConnection;
use editor::Typed;
use session::ShellSession;
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;
use terminal::SavedTerminal;
use tinytcp_cli::target::Target;

use super::connect::ConnectOptions;
use super::dialogue::Wording;
use super::error::{ClientError, Completion};
use super::greeting::connect_greeted;
use super::receiver::Received;
use super::stdout::StdoutWriter;
use super::threads::{self, ThreadError};

/// The capacity of the channel to the caller: small, because a typed line and Ctrl-C wait behind
/// the pieces of a server that is faster than the terminal.
const EVENTS_MAX: usize = 2;

/// The reports of all threads to the caller.
enum ShellEvent {
    Typed(Typed),
    /// Ctrl-C while the editor did not read, or a SIGINT from another process.
    Interrupted,
    Received(Received),
}

impl From<Typed> for ShellEvent {
    fn from(typed: Typed) -> Self {
        Self::Typed(typed)
    }
}

impl From<Received> for ShellEvent {
    fn from(received: Received) -> Self {
        Self::Received(received)
    }
}

/// Connects to `target` and runs a session between stdin and the server until one of them ends it.
///
/// # Errors
/// See [`ClientError`]; also when the server closes with an answer missing.
pub fn run(target: &Target, options: ConnectOptions<'_>) -> Result<Completion, ClientError> {
    let wording = Wording::of(target.protocol);
    let mut output = StdoutWriter::new();
    output.write(&wording.connecting(target))?;
    output.flush()?;
    let server = connect_greeted(target, options)?;
    output.write(wording.greeting)?;

    let no_terminal = |error: &dyn Display| {
        ClientError::Usage(format!("cannot use the terminal: {error}; send commands with -e"))
    };
    // Outside the editor Ctrl-C is a signal. Unless it is caught, it ends the process before the
    // last command is sent.
    let mut interrupts = Signals::new([SIGINT]).map_err(|error| no_terminal(&error))?;
    let may_end = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register_conditional_default(SIGINT, Arc::clone(&may_end))
        .map_err(|error| no_terminal(&error))?;
    let terminal = SavedTerminal::save().map_err(|error| no_terminal(&error))?;
    let mut editor =
        editor::new(wording, terminal.stop_key()).map_err(|error| no_terminal(&error))?;
    let no_thread = |error: ThreadError| ClientError::broken(target, error);
    let printer = editor::start_printer(&mut editor).map_err(no_thread)?;
    terminal.obey_signals(printer.clone()).map_err(no_thread)?;
    let (events, received) = mpsc::sync_channel(EVENTS_MAX);
    let from_signals = events.clone();
    threads::start("interrupts", move || {
        let _ = interrupts.forever().try_for_each(|_| from_signals.send(ShellEvent::Interrupted));
    })
    .map_err(no_thread)?;
    let (turns, its_turn) = mpsc::sync_channel(1);
    let (from_editor, above_prompt) = (events.clone(), printer.clone());
    threads::start("editor", move || {
        editor::run(editor, wording.prompt, above_prompt.as_ref(), &its_turn, &from_editor)
    })
    .map_err(no_thread)?;
    let connection = ShellConnection::new(target, options, server, events, may_end)?;
    let is_interactive = printer.is_some() && io::stdin().is_terminal();
    ShellSession::new(connection, output, printer, turns, is_interactive).run(&received)
}
