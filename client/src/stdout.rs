//! Stdout: answers are written byte for byte into a pipe, and escaped on a terminal.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Stdout, Write};

use tinytcp_cli::target::ProtocolName;
use tinytcp_cli::terminal::{self, Blocking};
use tinytcp_core::display::escape::shown;

use super::dialogue::{News, ServerAnswer};
use super::error::ClientError;

/// The stdout of this process, buffered.
#[derive(Debug)]
pub struct StdoutWriter {
    stdout: io::BufWriter<Blocking<Stdout>>,
    /// Stdout is a terminal: control bytes of the server are escaped.
    is_terminal: bool,
    /// Output may have colours.
    is_coloured: bool,
}

impl StdoutWriter {
    /// The stdout of this process. `NO_COLOR` and a dumb terminal switch colours off.
    #[must_use]
    pub fn new() -> Self {
        let is_terminal = io::stdout().is_terminal();
        let stdout = io::BufWriter::new(Blocking(io::stdout()));
        Self { stdout, is_terminal, is_coloured: terminal::is_coloured(is_terminal) }
    }

    /// Writes text of the client itself.
    ///
    /// # Errors
    /// When stdout is closed or full, as for every function here.
    pub fn write(&mut self, text: &str) -> Result<(), ClientError> {
        self.stdout.write_all(text.as_bytes()).map_err(|error| ClientError::of_output(&error))
    }

    /// Writes an answer as a line: on a terminal escaped, an error in red; else byte for byte.
    ///
    /// The error of a binary server is a bare token. It is written after `ERROR `, as the other
    /// protocols send it: without the code of its frame it would look like any answer.
    ///
    /// # Errors
    /// When stdout is closed or full.
    pub fn write_answer(
        &mut self,
        protocol: ProtocolName,
        answer: ServerAnswer<'_>,
    ) -> Result<(), ClientError> {
        let mark = if answer.is_error && protocol == ProtocolName::Binary { "ERROR " } else { "" };
        if self.is_terminal {
            let line = format!("{mark}{}", printable(answer.text));
            let line = if answer.is_error { self.red(&line) } else { line.into() };
            return self.write(&format!("{line}\n"));
        }
        let written = self
            .stdout
            .write_all(mark.as_bytes())
            .and_then(|()| self.stdout.write_all(answer.text));
        written
            .and_then(|()| self.stdout.write_all(b"\n"))
            .map_err(|error| ClientError::of_output(&error))
    }

    /// Writes news of a room as a line of `text`: on a terminal escaped, else byte for byte.
    ///
    /// # Errors
    /// When stdout is closed or full.
    pub fn write_news(&mut self, news: &News<'_>) -> Result<(), ClientError> {
        let line = ServerAnswer { text: &news.line(), is_error: false, has_joined: false };
        self.write_answer(ProtocolName::Text, line)
    }

    /// Passes everything written so far on to the reader of stdout.
    ///
    /// # Errors
    /// When stdout is closed or full.
    pub fn flush(&mut self) -> Result<(), ClientError> {
        self.stdout.flush().map_err(|error| ClientError::of_output(&error))
    }

    /// Returns the text in green, if output may have colours.
    #[must_use]
    pub fn green<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.coloured("\x1b[32m", text)
    }

    /// Returns the text in red, if output may have colours.
    #[must_use]
    pub fn red<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.coloured("\x1b[31m", text)
    }

    fn coloured<'a>(&self, start: &str, text: &'a str) -> Cow<'a, str> {
        if self.is_coloured { format!("{start}{text}\x1b[0m").into() } else { text.into() }
    }
}

impl Default for StdoutWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for StdoutWriter {
    /// Writes the buffered rest after a run that failed, before its error is reported.
    fn drop(&mut self) {
        let _ = self.stdout.flush();
    }
}

/// The bytes as text that is safe on a terminal: every control character, every character that
/// changes the direction of writing, and every byte that is not UTF-8 is escaped. Tabs and all
/// other text stay.
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    shown(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_text_is_kept() {
        let hostile = "\u{1b}[2J\r\n\u{7}\u{9b}31m\u{202e}\u{7f}".as_bytes();
        let shown = printable(hostile);
        assert_eq!(shown, r"\x1b[2J\r\n\x07\u{9b}31m\u{202e}\x7f");
        assert_eq!(printable("é\tß 字 🙂".as_bytes()), "é\tß 字 🙂");
        assert_eq!(printable(b"\xff\xfbab"), r"\xff\xfbab");
    }
}
