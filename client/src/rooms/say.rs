//! `say`: sends messages to a room, as a script.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use tinytcp_cli::target::Target;
use tinytcp_cli::terminal::Blocking;

use super::Membership;
use crate::connect::ConnectOptions;
use crate::dialogue::RoomWords;
use crate::entry::EntryCommand;
use crate::error::{ClientError, Completion};
use crate::script;

/// Joins a room of the server at `target` and sends `text`, or each line of stdin. Prints the
/// answer to each. Empty lines are not sent.
///
/// Returns [`Completion::Refused`] if the server refused a message.
///
/// # Errors
/// [`ClientError::Usage`] for a protocol without rooms, [`ClientError::Refused`] if the server
/// refuses the room or the name; otherwise see [`ClientError`].
pub fn say(
    target: &Target,
    options: ConnectOptions,
    membership: &Membership,
    text: Option<&str>,
) -> Result<Completion, ClientError> {
    let words = RoomWords::of(target.protocol)?;
    let Membership { room, nick } = membership;
    let entry = EntryCommand::all(words, nick.as_deref(), room);
    let lines: String = entry.iter().map(|command| command.line() + "\n").collect();
    let texts: Box<dyn Read + Send> = match text {
        Some(text) => Box::new(Cursor::new(text.to_owned())),
        None => Box::new(Blocking(io::stdin())),
    };
    let script = Cursor::new(lines).chain(Said::new(words.say, texts));
    script::run_after(entry, target, options, script)
}

/// The lines of a text, each as a command that sends it to the room.
struct Said<Texts> {
    word: &'static str,
    texts: BufReader<Texts>,
    /// The command of the last line, and the part of it that is passed on.
    command: Cursor<Vec<u8>>,
}

impl<Texts: Read> Said<Texts> {
    fn new(word: &'static str, texts: Texts) -> Self {
        Self { word, texts: BufReader::new(texts), command: Cursor::default() }
    }
}

impl<Texts: Read> Read for Said<Texts> {
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        loop {
            let len = self.command.read(place)?;
            if len > 0 || place.is_empty() {
                return Ok(len);
            }
            let mut line = Vec::new();
            if self.texts.read_until(b'\n', &mut line)? == 0 {
                return Ok(0);
            }
            if !line.trim_ascii().is_empty() {
                self.command = Cursor::new([self.word.as_bytes(), b" ", &line].concat());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_that_is_not_empty_becomes_a_command() {
        let mut script = Vec::new();
        let texts: &[u8] = b"hi\n\n \t\r\n two \xff\r\nlast";
        Said::new("SAY", texts).read_to_end(&mut script).expect("bytes");
        assert_eq!(script, b"SAY hi\nSAY  two \xff\r\nSAY last");
    }
}
