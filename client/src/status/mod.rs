//! The state of the server, as it answers `STATUS`: once, or each second.

mod values;

use std::io::{self, IsTerminal};
use std::thread;
use std::time::{Duration, Instant};

use tinytcp_cli::target::{ProtocolName, Target};
use tinytcp_core::display::escape::{front, shown};

use super::connect::{ConnectOptions, connect};
use super::dialogue::{self, DueAnswer, Request};
use super::error::{ClientError, Completion};
use super::stdout::StdoutWriter;
use super::stepwise::StepwiseConnection;
use values::Values;

/// The time between two requests of a watch.
const INTERVAL: Duration = Duration::from_secs(1);

/// Moves to the first column of the first line, and erases everything after it.
const TOP_OF_SCREEN: &str = "\x1b[H\x1b[J";

/// The form in which a status is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// A line for each value.
    Table,
    /// An object in one line.
    Json,
}

/// Shows the status of the server at `target` once, or each second until the connection ends or
/// stdout is closed. A terminal shows only the newest table.
///
/// # Errors
/// [`ClientError::Usage`] for a protocol without `STATUS`, [`ClientError::Refused`] if the server
/// answers with an error; otherwise see [`ClientError`].
pub fn run(
    target: &Target,
    options: ConnectOptions<'_>,
    report: Report,
    is_watch: bool,
) -> Result<Completion, ClientError> {
    if !matches!(target.protocol, ProtocolName::Text | ProtocolName::Binary) {
        let protocol = target.protocol.name();
        return Err(ClientError::Usage(format!(
            "{target}: {protocol} has no STATUS; ask a listener of text or binary"
        )));
    }
    let mut connection =
        StepwiseConnection::new(target, connect(target, options)?, options.timeout);
    let mut output = StdoutWriter::new();
    let is_screen = is_watch && report == Report::Table && io::stdout().is_terminal();
    let mut last = None;
    loop {
        let asked_at = Instant::now();
        let due = ask(target, &mut connection)?;
        // A server that requires TLS says so when it is asked, and sends no banner before.
        if last.is_none() {
            connection.take_banner()?;
        }
        let values = take_answer(target, &mut connection, due)?;
        if is_screen {
            output.write(TOP_OF_SCREEN)?;
        } else if last.is_some() && report == Report::Table {
            output.write("\n")?;
        }
        output.write(&match report {
            Report::Json => values.json(),
            Report::Table => values.table(last.as_ref()),
        })?;
        output.flush()?;
        if !is_watch {
            return Ok(Completion::Success);
        }
        last = Some((values, asked_at));
        thread::sleep(INTERVAL.saturating_sub(asked_at.elapsed()));
    }
}

/// Sends `STATUS` and returns the answer that is due.
fn ask(target: &Target, connection: &mut StepwiseConnection<'_>) -> Result<DueAnswer, ClientError> {
    let mut bytes = Vec::new();
    let request = dialogue::encode(target.protocol, b"STATUS", &mut bytes);
    let Request::Answered(due) = request? else {
        return Err(ClientError::Usage("STATUS has no answer in this protocol".into()));
    };
    connection.send(&bytes)?;
    Ok(due)
}

/// Returns the values in the answer.
fn take_answer(
    target: &Target,
    connection: &mut StepwiseConnection<'_>,
    mut due: DueAnswer,
) -> Result<Values, ClientError> {
    let answer = connection.answer(&mut due).map_err(|error| match (target.protocol, error) {
        (ProtocolName::Binary, ClientError::Broken(text)) => {
            ClientError::Broken(format!("{text}; the original server of binary has no STATUS"))
        }
        (_, error) => error,
    })?;
    if answer.is_error {
        return Err(refused(target, answer.text));
    }
    Values::parse(answer.text).ok_or_else(|| {
        let shown = shown(front(answer.text, SHOWN_MAX));
        ClientError::broken(target, format!("'{shown}' is no status; is this a tinytcp server?"))
    })
}

const SHOWN_MAX: usize = 48;

fn refused(target: &Target, error: &[u8]) -> ClientError {
    let token = error.strip_prefix(b"ERROR ").unwrap_or(error);
    let remedy = match token {
        b"UNKNOWN_COMMAND" => "the server has no STATUS; a newer tinytcp-server has it",
        _ => "try again later, or ask /status of its --admin listener",
    };
    let shown = shown(front(token, SHOWN_MAX));
    ClientError::Refused(format!("{target}: the server answered ERROR {shown}: {remedy}"))
}
