//! Stdout: answers byte for byte into a pipe, and harmless on a terminal.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Stdout, Write};

use tinytcp_cli::target::Protocol;
use tinytcp_cli::terminal::{self, Blocking};
use tinytcp_core::display::escape::shown;

use super::dialogue::Answer;
use super::failure::Failure;

/// Our stdout.
#[derive(Debug)]
pub struct Output {
    stdout: io::BufWriter<Blocking<Stdout>>,
    /// True exactly when a person looks at it: control bytes of the server are then escaped.
    is_terminal: bool,
    /// True exactly when colours are welcome there.
    is_coloured: bool,
}

impl Output {
    /// Stdout as this process found it. `NO_COLOR`, or a terminal that calls itself dumb, gets no
    /// colours.
    #[must_use]
    pub fn new() -> Self {
        let is_terminal = io::stdout().is_terminal();
        let stdout = io::BufWriter::new(Blocking(io::stdout()));
        Self { stdout, is_terminal, is_coloured: terminal::is_coloured(is_terminal) }
    }

    /// Writes text of our own.
    ///
    /// # Errors
    /// When stdout takes no more, as for every function here.
    pub fn say(&mut self, text: &str) -> Result<(), Failure> {
        self.stdout.write_all(text.as_bytes()).map_err(|error| Failure::of_output(&error))
    }

    /// Writes an answer as a line: on a terminal escaped, an error in red; else byte for byte.
    ///
    /// The error of a binary server is a bare token and gets the `ERROR ` in front of it that the
    /// other protocols send, because without its code it could not be told from an answer.
    ///
    /// # Errors
    /// When stdout takes no more.
    pub fn answer(&mut self, protocol: Protocol, answer: Answer<'_>) -> Result<(), Failure> {
        let mark = if answer.is_error && protocol == Protocol::Binary { "ERROR " } else { "" };
        if self.is_terminal {
            let line = format!("{mark}{}", printable(answer.text));
            let line = if answer.is_error { self.red(&line) } else { line.into() };
            return self.say(&format!("{line}\n"));
        }
        let written = self
            .stdout
            .write_all(mark.as_bytes())
            .and_then(|()| self.stdout.write_all(answer.text));
        written
            .and_then(|()| self.stdout.write_all(b"\n"))
            .map_err(|error| Failure::of_output(&error))
    }

    /// Hands everything written so far to whoever reads it.
    ///
    /// # Errors
    /// When stdout takes no more.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.stdout.flush().map_err(|error| Failure::of_output(&error))
    }

    /// The text in green where colours are welcome.
    #[must_use]
    pub fn green<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.coloured("\x1b[32m", text)
    }

    /// The text in red where colours are welcome.
    #[must_use]
    pub fn red<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.coloured("\x1b[31m", text)
    }

    fn coloured<'a>(&self, start: &str, text: &'a str) -> Cow<'a, str> {
        if self.is_coloured { format!("{start}{text}\x1b[0m").into() } else { text.into() }
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Output {
    /// What is still buffered when a run fails is written as far as it goes, before the error is
    /// reported.
    fn drop(&mut self) {
        let _ = self.stdout.flush();
    }
}

/// The bytes as text that cannot drive a terminal: every control character, every character that
/// turns the direction of writing, and every byte that is not UTF-8 is escaped. Tabs and all other
/// text stay.
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    shown(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_drives_a_terminal_gets_through() {
        let hostile = "\u{1b}[2J\r\n\u{7}\u{9b}31m\u{202e}\u{7f}".as_bytes();
        let shown = printable(hostile);
        assert_eq!(shown, r"\x1b[2J\r\n\x07\u{9b}31m\u{202e}\x7f");
        assert_eq!(printable("é\tß 字 🙂".as_bytes()), "é\tß 字 🙂");
        assert_eq!(printable(b"\xff\xfbab"), r"\xff\xfbab");
    }
}
