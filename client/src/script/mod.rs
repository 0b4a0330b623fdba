//! Scripts: send every line, print every answer, end after the last one.
//!
//! ```text
//!   script --> [sender] ------ requests ------> server ------ answers ------> [receiver]
//!                 |                                                               |
//!                 `--- Requests, EndOfScript ---> [ one channel ] <--- Received --'
//!                                                        |
//!                              the caller: pairs answers with requests, prints, keeps the time
//! ```
//!
//! The sender and the receiver are threads because each may have to wait for the other side of the
//! connection: with 100 MB of commands on the way, the server stops reading until the client reads
//! its answers, and a single thread that is blocked in a write reads none. The caller waits only
//! for the channel and for stdout, so the receiver always reads on, and no deadlock is possible.

mod answers;
mod sender;

use std::io::Read;
use std::sync::mpsc;

use answers::AnswerPrinter;
use sender::RequestSender;
use tinytcp_cli::target::{ProtocolName, Target};

use super::connect::{ConnectOptions, connect};
use super::dialogue::{self, DueAnswer};
use super::entry::EntryCommand;
use super::error::{ClientError, Completion, reason};
use super::receiver::{EVENTS_MAX, Received, receive_all};
use super::threads;

/// The reports of the two threads to the caller.
enum ScriptEvent {
    /// A number of requests is about to be sent, each with such an answer. Always before the
    /// answers themselves.
    Requests(DueAnswer, usize),
    /// The script has ended, and all of it is sent.
    EndOfScript {
        /// The last request ends the session, so the server closes.
        ends_session: bool,
    },
    /// The session ends before the script does; a sentence that names the first line that is not
    /// sent.
    Unsent(String),
    /// The script cannot be read or understood any further; earlier requests still count.
    Invalid(String),
    /// The server has read nothing for the length of the timeout; the rest still waits.
    Stalled,
    /// From the server.
    Received(Received),
}

impl From<Received> for ScriptEvent {
    fn from(received: Received) -> Self {
        Self::Received(received)
    }
}

/// Sends the lines of `script` to `target` and prints each answer on stdout.
///
/// Lines end with `\n` or `\r\n`; the last one needs no ending. Only answers are printed: the
/// banner of a text server is read and left out. A line that ends the session (`QUIT`, `exit`) ends
/// the script, whatever follows it. If the server ends first, a thread that still waits for more of
/// the script is abandoned.
///
/// # Errors
/// See [`ClientError`].
pub fn run(
    target: &Target,
    options: ConnectOptions<'_>,
    script: impl Read + Send + 'static,
) -> Result<Completion, ClientError> {
    run_after(Vec::new(), target, options, script)
}

/// As [`run`], for a script that begins with the lines of `entry`. Their answers are not printed,
/// nor is news of a room. If the server refuses one of them, nothing after it is sent.
///
/// # Errors
/// See [`ClientError`]; also when the server refuses one of them, or has no rooms.
pub fn run_after(
    entry: Vec<EntryCommand>,
    target: &Target,
    options: ConnectOptions,
    script: impl Read + Send + 'static,
) -> Result<Completion, ClientError> {
    let server = connect(target, options)?;
    server
        .set_write_timeout(options.timeout)
        .map_err(|error| ClientError::broken(target, reason(&error)))?;
    let (to_server, from_server) = (server.handle(), server.handle());
    let (events, received) = mpsc::sync_channel(EVENTS_MAX);
    let (turns, next_turn) = mpsc::sync_channel(1);
    let (protocol, entry_len) = (target.protocol, entry.len());
    let sender =
        RequestSender::new(protocol, script, to_server, events.clone(), next_turn, entry_len);
    threads::start("sender", move || sender.run())
        .and_then(|()| threads::start("receiver", move || receive_all(from_server, &events)))
        .map_err(|error| ClientError::broken(target, error))?;
    let mut answers = AnswerPrinter::new(target, options.timeout, turns, entry);
    let result = answers.run(&received);
    answers.report_unsent();
    result
}

/// Checks that each of `commands` is one of `protocol`; sends nothing.
///
/// # Errors
/// [`ClientError::Usage`] for the first that is none.
pub fn check(protocol: ProtocolName, commands: &[String]) -> Result<(), ClientError> {
    for command in commands {
        dialogue::encode(protocol, command.as_bytes(), &mut Vec::new())?;
    }
    Ok(())
}
