//! Scripts: send every line, print every answer, stop when the last one is in.
//!
//! ```text
//!   script --> [asker] ----- requests -----> server ----- answers -----> [listener]
//!                 |                                                          |
//!                 `--- Asked, AllAsked ---> [ one channel ] <------- Heard ----------'
//!                                     |
//!                              the caller: pairs answers with requests, prints, keeps the time
//! ```
//!
//! Asking and listening are threads of their own because each may have to wait for the other side
//! of the connection: with 100 MB of commands on the way the server stops reading until somebody
//! takes its answers, and a single thread that is stuck in a write takes none. The listener always
//! comes round to reading, since the caller never waits for anything but the channel and stdout; so
//! no circle of waiting can close.

mod asker;
mod conversation;

use std::io::Read;
use std::sync::mpsc;

use asker::Asker;
use conversation::Conversation;
use tinytcp_cli::target::{Protocol, Target};

use super::connect::{Patience, connect};
use super::dialogue::{Dialogue, Due};
use super::failure::{Failure, Verdict, reason};
use super::listener::{EVENTS_MAX, Heard, listen};
use super::worker;

/// What the two threads tell the caller.
enum Event {
    /// So many requests are about to be sent, each due such an answer. Always before the answer
    /// itself.
    Asked(Due, usize),
    /// The script has come to its end.
    AllAsked,
    /// The session ends before the script does; a sentence that names the first line that is not
    /// sent.
    Unsent(String),
    /// The script goes wrong here; what was asked before still counts.
    Spoiled(String),
    /// The server has taken nothing for the length of the timeout; what is to be sent still waits.
    Stalled,
    /// From the server.
    Heard(Heard),
}

impl From<Heard> for Event {
    fn from(heard: Heard) -> Self {
        Self::Heard(heard)
    }
}

/// Sends the lines of `script` to `target` and prints each answer on stdout.
///
/// Lines end with `\n` or `\r\n`, the last one needs no ending. Only answers are printed: the
/// banner of a text server is waited for and left out. A line that ends the session (`QUIT`,
/// `exit`) ends the script, whatever follows it. A thread that still waits for more of the script
/// is left behind when the server ends first.
///
/// # Errors
/// As [`Failure`] says.
pub fn run(
    target: &Target,
    patience: Patience,
    script: impl Read + Send + 'static,
) -> Result<Verdict, Failure> {
    let server = connect(target, patience)?;
    let prepared = server.set_write_timeout(patience.timeout).and_then(|()| server.try_clone());
    let to_server = prepared.map_err(|error| Failure::broken(target, &reason(&error)))?;
    let (events, received) = mpsc::sync_channel(EVENTS_MAX);
    let (turns, next_turn) = mpsc::sync_channel(1);
    let asker = Asker::new(target.protocol, script, to_server, events.clone(), next_turn);
    worker::start("asker", move || asker.run())
        .and_then(|()| worker::start("listener", move || listen(server, &events)))
        .map_err(|error| Failure::broken(target, &error))?;
    let mut conversation = Conversation::new(target, patience.timeout, turns);
    let result = conversation.run(&received);
    conversation.tell_unsent();
    result
}

/// Says whether every one of `commands` means something to the client of `protocol`; nothing is
/// sent.
///
/// # Errors
/// [`Failure::Usage`] for the first that does not.
pub fn check(protocol: Protocol, commands: &[String]) -> Result<(), Failure> {
    for command in commands {
        protocol.encode(command.as_bytes(), &mut Vec::new()).map_err(Failure::Usage)?;
    }
    Ok(())
}
