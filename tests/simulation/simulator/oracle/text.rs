//! Lines, and what `text` answers to them.

use super::{Language, Oracle};

const HELP: &[u8] = b"HELP COMMANDS: TIME | ECHO <TEXT> | HELP | QUIT\n";
const METHODS: [&[u8]; 10] = [
    b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH", b"PRI",
];

impl Oracle {
    /// Answers every whole line, and says so when the one behind them has outgrown the limit.
    pub(super) fn lines(&mut self) {
        let input = std::mem::take(&mut self.pending);
        let mut rest = &input[..];
        while let Some(newline) = rest.iter().position(|byte| *byte == b'\n')
            && !self.is_closed
        {
            let (line, behind) = (&rest[..newline], &rest[newline + 1..]);
            self.line(line);
            rest = behind;
            self.has_ended_one = true;
        }
        if self.is_closed {
            return;
        }
        self.pending = rest.to_vec();
        let content = rest.strip_suffix(b"\r").unwrap_or(rest);
        let carriage_return = &rest[content.len()..];
        if self.dropped_line.is_none()
            && content.len() > self.bounds.line_max
            && !self.may_become_a_request(content)
        {
            self.outgrow(content);
        }
        if self.dropped_line.is_some() {
            self.pending = carriage_return.to_vec();
        }
    }

    fn line(&mut self, line: &[u8]) {
        let (line, ending): (_, &[u8]) = match line.strip_suffix(b"\r") {
            Some(line) => (line, b"\r\n"),
            None => (line, b"\n"),
        };
        if self.dropped_line.is_none() && line.len() > self.bounds.line_max {
            self.outgrow(line);
        }
        if self.is_closed {
            return;
        }
        match (self.dropped_line.take(), self.language) {
            (Some(_), Language::Text) => {}
            (Some(token), _) => self.answer(&[b"ERROR ", token.as_bytes(), ending].concat()),
            (None, Language::Text) => self.command(line),
            (None, _) => self.talk(line, ending),
        }
    }

    /// Whether nothing but a word of letters has come, which may be a method: its path decides.
    fn may_become_a_request(&self, front: &[u8]) -> bool {
        let (word, argument) = first_word(front);
        let is_word = argument.is_empty() && word.iter().all(u8::is_ascii_alphabetic);
        self.language == Language::Text && front.len() < 32 && is_word
    }

    fn outgrow(&mut self, line: &[u8]) {
        let front = &line[..line.len().min(32)];
        let (word, argument) = first_word(front);
        let is_command = ["TIME", "ECHO", "HELP", "QUIT"]
            .iter()
            .any(|key| word.eq_ignore_ascii_case(key.as_bytes()));
        let has_path =
            argument.starts_with(b"/") && word.iter().all(u8::is_ascii_alphabetic) && !is_command;
        let is_http = METHODS.contains(&word.as_slice()) && !argument.is_empty() || has_path;
        if self.language == Language::Text && is_http {
            self.answer(b"ERROR NOT_HTTP\n");
            self.is_closed = true;
            return;
        }
        self.dropped_line = Some("LINE_TOO_LONG");
        if self.language == Language::Text {
            self.answer(b"ERROR LINE_TOO_LONG\n");
        }
    }

    fn command(&mut self, line: &[u8]) {
        let line = trim_end(trim_start(line));
        if line.is_empty() {
            return;
        }
        let (word, argument) = first_word(line);
        match word.to_ascii_uppercase().as_slice() {
            b"" => return,
            b"TIME" => self.answer_with_time(b"TIME 2025-09-12T17:24:13-05:00\n", 5..30),
            b"HELP" => self.answer(HELP),
            b"ECHO" if argument.is_empty() => self.answer(b"ERROR BAD_ARGUMENTS\n"),
            b"ECHO" => self.answer(&[b"ECHO ", argument, b"\n"].concat()),
            b"QUIT" => {
                self.answer(b"BYE\n");
                self.is_closed = true;
            }
            _ if is_http(line, &word, argument) => {
                self.answer(b"ERROR NOT_HTTP\n");
                self.is_closed = true;
            }
            _ => return self.answer(b"ERROR UNKNOWN_COMMAND\n"),
        }
        self.may_be_refused(line.len(), b"ERROR SERVER_BUSY\n");
    }
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn trim_start(line: &[u8]) -> &[u8] {
    &line[line.iter().take_while(|byte| is_blank(**byte)).count()..]
}

fn trim_end(line: &[u8]) -> &[u8] {
    &line[..line.len() - line.iter().rev().take_while(|byte| is_blank(**byte)).count()]
}

/// The first word without the negotiation in front of it and in it, and what follows the blanks
/// behind it.
fn first_word(line: &[u8]) -> (Vec<u8>, &[u8]) {
    let (mut word, mut at) = (Vec::new(), 0);
    while at < line.len() {
        let rest = &line[at..];
        at += match rest {
            [0xFF, 0xFB..=0xFE, ..] => 3,
            [0xFF, 0xFA, parameters @ ..] => {
                2 + parameters
                    .windows(2)
                    .position(|pair| pair == [0xFF, 0xF0])
                    .map_or(parameters.len(), |end| end + 2)
            }
            [0xFF, 0xF0..=0xF9 | 0xFF, ..] => 2,
            [0xFF, ..] => 1,
            [byte, ..] if is_blank(*byte) && word.is_empty() => 1,
            [byte, ..] if is_blank(*byte) => break,
            _ => {
                word.push(rest[0]);
                1
            }
        };
    }
    (word, trim_start(&line[at.min(line.len())..]))
}

fn is_http(line: &[u8], word: &[u8], argument: &[u8]) -> bool {
    let last_word = line.rsplit(|byte| is_blank(*byte)).next().unwrap_or_default();
    last_word.to_ascii_uppercase().starts_with(b"HTTP/")
        || METHODS.contains(&word) && !argument.is_empty()
}
