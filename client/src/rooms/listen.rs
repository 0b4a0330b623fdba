//! `listen`: prints the news of a room until enough has come, the time is over, or the connection
//! ends.

use std::mem;
use std::thread;
use std::time::{Duration, Instant};

use tinytcp_cli::target::Target;
use tinytcp_cli::terminal::note;

use super::Membership;
use super::patience::{Patience, Silence};
use super::report::{self, Form};
use crate::connect::ConnectOptions;
use crate::dialogue::{self, DueAnswer, News, Request, RoomWords};
use crate::entry::EntryCommand;
use crate::error::{ClientError, Completion};
use crate::greeting::connect_greeted;
use crate::stdout::{StdoutWriter, printable};
use crate::stepwise::{Arrival, StepwiseConnection};

/// The silence after which the client asks for an answer. The request keeps a server from closing
/// the connection as an idle one. If neither the answer nor news come in time, the server is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// The pause before a new connection; it doubles up to the maximum while none opens.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The length and the output of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// The room, and the name of this member.
    pub membership: Membership,
    /// The number of messages after which the run ends.
    pub count: Option<u64>,
    /// The time after which the run ends.
    pub duration: Option<Duration>,
    /// The form of each message.
    pub form: Form,
    /// A lost connection is opened again.
    pub reconnects: bool,
}

/// The state of a run, which a lost connection does not change.
struct Listener<'a> {
    target: &'a Target,
    options: &'a ListenOptions,
    words: RoomWords,
    output: StdoutWriter,
    /// The number of messages so far.
    heard: u64,
    /// The time at which the run is over.
    end: Option<Instant>,
    /// The room was joined on the last connection.
    has_joined: bool,
}

/// Joins a room of the server at `target`, and prints its news.
///
/// Returns [`Completion::Refused`] if the time was over before the number of messages had come.
///
/// # Errors
/// [`ClientError::Usage`] for a protocol without rooms, [`ClientError::Refused`] if the server
/// refuses the room or the name; otherwise see [`ClientError`]. With `reconnects`, only the first
/// connection must succeed.
pub fn listen(
    target: &Target,
    connecting: ConnectOptions,
    options: &ListenOptions,
) -> Result<Completion, ClientError> {
    let mut listener = Listener {
        target,
        options,
        words: RoomWords::of(target.protocol)?,
        output: StdoutWriter::new(),
        heard: 0,
        end: options.duration.map(|duration| Instant::now() + duration),
        has_joined: false,
    };
    let mut pause = PAUSE_MIN;
    let mut may_reconnect = false;
    loop {
        let session = listener.session(connecting);
        let is_news = mem::take(&mut listener.has_joined);
        may_reconnect |= is_news && options.reconnects;
        let lost = match session {
            Err(
                ClientError::Broken(text)
                | ClientError::Unreachable(text)
                | ClientError::Refused(text),
            ) if may_reconnect => text,
            ended => return ended,
        };
        if is_news {
            note("tinytcp-client", format_args!("{lost}; connecting again"));
            pause = PAUSE_MIN;
        }
        let left = listener.end.map(|end| end.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left <= pause) {
            thread::sleep(left.unwrap_or_default());
            return Ok(listener.completion());
        }
        thread::sleep(pause);
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

impl Listener<'_> {
    /// Listens on one connection. Returns when the run is over.
    fn session(&mut self, connecting: ConnectOptions) -> Result<Completion, ClientError> {
        let stream = connect_greeted(self.target, connecting)?;
        let mut connection = StepwiseConnection::new(self.target, stream, connecting.timeout);
        self.join(&mut connection)?;
        let answer_max = connecting.timeout.unwrap_or(KEEP_ALIVE);
        let mut patience = Patience::new(Instant::now(), KEEP_ALIVE, answer_max, self.end);
        let mut due: Option<DueAnswer> = None;
        let mut last_words = None;
        loop {
            match connection.next(due.as_mut(), Some(patience.until())) {
                Ok(Some(Arrival::News(news))) => {
                    self.heard += u64::from(matches!(news, News::Message { .. }));
                    let room = &self.options.membership.room;
                    report::print(&mut self.output, self.options.form, room, &news)?;
                    if self.options.count.is_some_and(|count| self.heard >= count) {
                        return Ok(Completion::Success);
                    }
                    if patience.note_news(Instant::now()) {
                        return Ok(self.completion());
                    }
                }
                Ok(Some(Arrival::Answer(answer))) => {
                    if due.take().is_none() || answer.is_error {
                        last_words = Some(String::from_utf8_lossy(answer.text).into_owned());
                    }
                    patience.note_answer(Instant::now());
                }
                Ok(None) => match patience.judge_silence(Instant::now()) {
                    Silence::Over => return Ok(self.completion()),
                    Silence::Gone => return Err(connection.late()),
                    Silence::Idle => {
                        due = self.send(&mut connection, self.words.keep_alive)?;
                        patience.note_request(Instant::now());
                    }
                },
                Err(ClientError::Broken(text)) => return Err(closed(text, last_words)),
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes the name and enters the room.
    fn join(&mut self, connection: &mut StepwiseConnection<'_>) -> Result<(), ClientError> {
        connection.take_banner()?;
        let Membership { room, nick } = &self.options.membership;
        for command in EntryCommand::all(self.words, nick.as_deref(), room) {
            if let Some(mut due) = self.send(connection, &command.line())? {
                command.check(self.target, &connection.answer(&mut due)?)?;
            }
        }
        self.has_joined = true;
        Ok(())
    }

    /// Sends a line, and returns its due answer.
    fn send(
        &self,
        connection: &mut StepwiseConnection<'_>,
        line: &str,
    ) -> Result<Option<DueAnswer>, ClientError> {
        let mut bytes = Vec::new();
        let request = dialogue::encode(self.target.protocol, line.as_bytes(), &mut bytes)?;
        connection.send(&bytes)?;
        Ok(match request {
            Request::Answered(due) => Some(due),
            Request::Unanswered | Request::Last(_) => None,
        })
    }

    fn completion(&self) -> Completion {
        match self.options.count {
            Some(count) if self.heard < count => Completion::Refused,
            _ => Completion::Success,
        }
    }
}

/// Returns the error of a connection that the server has closed after its last text.
fn closed(text: String, last_words: Option<String>) -> ClientError {
    ClientError::Broken(match last_words {
        Some(words) => format!("{text} (it sent '{}')", printable(words.as_bytes())),
        None => text,
    })
}
