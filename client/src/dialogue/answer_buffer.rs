//! The buffer of received bytes, from which answers are taken.

use std::error::Error;
use std::fmt;

use tinytcp_core::wire::frame::{self, Front, HEADER_LEN, Header};

use super::messages::{ExpectedAnswer, MatchState};
use super::{ANSWER_MAX, DueAnswer, News, binary};

/// An answer without its framing or ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerAnswer<'a> {
    /// Its bytes.
    pub text: &'a [u8],
    /// It is an error of the protocol. Then `text` begins with `ERROR `, except in binary, where
    /// the code of the frame marks an error and the text is the bare token.
    pub is_error: bool,
    /// It answers a command that has joined a room.
    pub has_joined: bool,
}

/// The state of the answer at the front of the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerState {
    /// It is complete; [`AnswerBuffer::take`] returns it.
    Complete(Extent),
    /// News of a room are at the front, and complete; [`AnswerBuffer::take_news`] returns them. The
    /// answer comes later.
    News(Extent),
    /// More bytes are needed.
    Incomplete,
    /// It may be complete: if the server is silent now, [`AnswerBuffer::rest`] is the answer.
    CompleteIfSilent,
}

/// The reason why received bytes can never become an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MalformedAnswer {
    /// The answer has [`ANSWER_MAX`] bytes and no end.
    Endless,
    /// The header of a frame has a code that no answer has.
    UnknownCode(u8),
    /// In place of a frame, the bytes begin with a character, as those of the other protocols do.
    Text(u8),
    /// The header of a frame announces more than [`ANSWER_MAX`] bytes.
    OverLimit {
        /// The announced number of bytes.
        payload_len: u32,
    },
    /// The bytes are an alert of TLS.
    TlsAlert,
}

impl fmt::Display for MalformedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LIMIT_MIB: usize = ANSWER_MAX >> 20;
        match self {
            Self::Endless => {
                write!(f, "the answer is longer than {LIMIT_MIB} MiB and still incomplete")
            }
            Self::UnknownCode(code) => write!(
                f,
                "the answer has the code {code}; only 1 (answer), 4 (status), 5 (whoami), 16 to 21 \
                 and 23 (rooms) and 255 (error) exist"
            ),
            Self::Text(first) => write!(
                f,
                "the answer is text that begins with '{}': the server does not speak binary there",
                char::from(*first)
            ),
            Self::OverLimit { payload_len } => write!(
                f,
                "the header announces {payload_len} bytes, over the limit of {LIMIT_MIB} MiB"
            ),
            Self::TlsAlert => f.write_str("the answer is an alert of TLS: the server needs +tls"),
        }
    }
}

impl Error for MalformedAnswer {}

/// The position of an answer in the unread bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first byte of its text.
    start: usize,
    /// The byte after its text.
    end: usize,
    /// The first byte of what comes next.
    next: usize,
    /// The code of the frame; `None` without a frame.
    code: Option<u8>,
}

impl Extent {
    /// A text at the front and the ending after it.
    const fn text(text_len: usize, ending_len: usize) -> Self {
        Self { start: 0, end: text_len, next: text_len + ending_len, code: None }
    }
}

/// Received bytes, which are taken from the front as answers.
#[derive(Debug, Default)]
pub struct AnswerBuffer {
    bytes: Vec<u8>,
    /// Bytes at the front that have been taken.
    consumed: usize,
    /// Bytes after `consumed` that contain no newline.
    scanned: usize,
    /// The last answer was taken without its ending, which may still arrive.
    ending_may_follow: bool,
    /// An answer has shown that a room was joined: news may come.
    has_joined: bool,
}

impl AnswerBuffer {
    /// Appends received bytes.
    pub fn append(&mut self, received: &[u8]) {
        self.bytes.drain(..self.consumed);
        self.consumed = 0;
        self.bytes.extend_from_slice(received);
        if self.ending_may_follow {
            self.skip_ending();
        }
    }

    /// Returns true if all bytes have been taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.unread().is_empty()
    }

    /// Returns the state of the answer that is `due`; takes nothing. Bytes that were compared for
    /// this `due` before are not compared again.
    ///
    /// # Errors
    /// When the bytes can never become such an answer.
    pub fn find(&mut self, due: &mut DueAnswer) -> Result<AnswerState, MalformedAnswer> {
        match due {
            // Silence is no answer, even if any answer is accepted.
            _ if self.is_empty() => Ok(AnswerState::Incomplete),
            _ if is_tls_alert(self.unread()) => Err(MalformedAnswer::TlsAlert),
            DueAnswer::Line => self.find_line(),
            DueAnswer::Frame => self.find_frame(),
            DueAnswer::Message(expected) => self.find_message(expected),
        }
    }

    /// Takes an answer that [`AnswerBuffer::find`] found, if nothing was appended since.
    pub fn take(&mut self, extent: Extent) -> ServerAnswer<'_> {
        let has_joined = News::may_follow(extent.code, self.text(extent));
        self.has_joined |= has_joined;
        let text = self.take_text(extent);
        let is_error =
            extent.code.map_or(text.starts_with(b"ERROR "), |code| code == binary::ERROR);
        ServerAnswer { text, is_error, has_joined }
    }

    /// Takes news that [`AnswerBuffer::find`] found, if nothing was appended since.
    pub fn take_news(&mut self, extent: Extent) -> Option<News<'_>> {
        let text = self.take_text(extent);
        match extent.code {
            Some(code) => News::of_frame(code, text),
            None => News::of_text(text).or_else(|| News::of_chat(text)),
        }
    }

    fn text(&self, extent: Extent) -> &[u8] {
        self.unread().get(extent.start..extent.end).unwrap_or_default()
    }

    fn take_text(&mut self, extent: Extent) -> &[u8] {
        let front = self.consumed;
        self.consumed += extent.next;
        self.scanned = 0;
        // A frame has no ending: the next one follows at once.
        self.ending_may_follow = extent.end == extent.next && extent.code.is_none();
        self.bytes.get(front + extent.start..front + extent.end).unwrap_or_default()
    }

    /// All unread bytes without their ending: the answer of a server that is silent or has closed.
    #[must_use]
    pub fn rest(&self) -> Extent {
        let rest = self.unread();
        let text =
            rest.strip_suffix(b"\n").map_or(rest, |text| text.strip_suffix(b"\r").unwrap_or(text));
        Extent::text(text.len(), rest.len() - text.len())
    }

    fn find_line(&mut self) -> Result<AnswerState, MalformedAnswer> {
        match self.front_line() {
            Some(line) => {
                let (extent, is_news) =
                    (Extent::text(line.len(), 1), News::of_text(line).is_some());
                Ok(self.news_or_answer(extent, is_news))
            }
            None => within_limit(self.unread().len(), AnswerState::Incomplete),
        }
    }

    fn find_message(
        &mut self,
        expected: &mut ExpectedAnswer,
    ) -> Result<AnswerState, MalformedAnswer> {
        if self.has_joined
            && let Some(line) = self.front_line().filter(|line| News::of_chat(line).is_some())
        {
            expected.restart();
            return Ok(AnswerState::News(Extent::text(line.len(), 1)));
        }
        match expected.compare(self.unread()) {
            MatchState::Complete { text_len, ending_len } => {
                Ok(AnswerState::Complete(Extent::text(text_len, ending_len)))
            }
            MatchState::Start => within_limit(self.unread().len(), AnswerState::Incomplete),
            MatchState::Other => within_limit(self.unread().len(), AnswerState::CompleteIfSilent),
        }
    }

    /// The line at the front, without its newline; `None` if it is incomplete.
    fn front_line(&mut self) -> Option<&[u8]> {
        let unread = self.bytes.get(self.consumed..).unwrap_or_default();
        let offset = memchr::memchr(b'\n', unread.get(self.scanned..).unwrap_or_default());
        self.scanned = offset.map_or(unread.len(), |offset| self.scanned + offset);
        offset.and_then(|_| unread.get(..self.scanned))
    }

    const fn news_or_answer(&self, extent: Extent, is_news: bool) -> AnswerState {
        match self.has_joined && is_news {
            true => AnswerState::News(extent),
            false => AnswerState::Complete(extent),
        }
    }

    fn find_frame(&self) -> Result<AnswerState, MalformedAnswer> {
        match frame::front(self.unread()) {
            Front::Incomplete { header: Some(header), .. } => {
                check(header).map(|()| AnswerState::Incomplete)
            }
            Front::Incomplete { header: None, .. } => Ok(AnswerState::Incomplete),
            Front::Frame { code, payload } => {
                check(Header { code, payload_len: 0 })?;
                let end = HEADER_LEN + payload.len();
                let extent = Extent { start: HEADER_LEN, end, next: end, code: Some(code) };
                let is_news = News::of_frame(code, payload).is_some();
                Ok(self.news_or_answer(extent, is_news))
            }
        }
    }

    fn unread(&self) -> &[u8] {
        self.bytes.get(self.consumed..).unwrap_or_default()
    }

    fn skip_ending(&mut self) {
        let ending_len = match self.unread() {
            [] | [b'\r'] => return,
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => 0,
        };
        self.consumed += ending_len;
        self.scanned = 0;
        self.ending_may_follow = false;
    }
}

fn within_limit(len: usize, found: AnswerState) -> Result<AnswerState, MalformedAnswer> {
    match len {
        0..=ANSWER_MAX => Ok(found),
        _ => Err(MalformedAnswer::Endless),
    }
}

/// Rejects an answer by its header, before its payload is stored.
fn check(header: Header) -> Result<(), MalformedAnswer> {
    let Header { code, payload_len } = header;
    let is_known = matches!(
        code,
        binary::ECHO | binary::STATUS | binary::WHOAMI | binary::JOIN
            ..=binary::WHO | binary::MISSED | binary::ERROR
    );
    if !is_known {
        return Err(match code.is_ascii_graphic() {
            true => MalformedAnswer::Text(code),
            false => MalformedAnswer::UnknownCode(code),
        });
    }
    match usize::try_from(payload_len) {
        Ok(len) if len <= ANSWER_MAX => Ok(()),
        _ => Err(MalformedAnswer::OverLimit { payload_len }),
    }
}

/// Returns true if `bytes` begin with a TLS alert in clear. No answer does: as a frame, it would
/// announce 50 MiB.
const fn is_tls_alert(bytes: &[u8]) -> bool {
    matches!(bytes, [0x15, 3, 0..=4, 0, 2, ..])
}

#[cfg(test)]
mod tests {
    use super::super::{ExpectedAnswer, Request, encode};
    use super::*;
    use tinytcp_cli::target::ProtocolName;

    /// The answer, with `!` after an error and `.` after any other; the news with `@` after them;
    /// or the reason for none.
    fn taken(buffer: &mut AnswerBuffer, due: &DueAnswer) -> String {
        match buffer.find(&mut due.clone()) {
            Ok(AnswerState::News(extent)) => {
                let news = buffer.take_news(extent).expect("found");
                format!("{}@", news.line().escape_ascii())
            }
            Ok(AnswerState::Complete(extent)) => {
                let answer = buffer.take(extent);
                format!("{}{}", answer.text.escape_ascii(), if answer.is_error { "!" } else { "." })
            }
            Ok(other) => format!("{other:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn an_alert_of_tls_is_named_in_every_protocol() {
        let message = DueAnswer::Message(ExpectedAnswer::anything());
        for due in [DueAnswer::Line, DueAnswer::Frame, message] {
            let mut buffer = AnswerBuffer::default();
            buffer.append(b"\x15\x03\x01\x00\x02\x02\x46");
            let taken = taken(&mut buffer, &due);
            assert_eq!(taken, "the answer is an alert of TLS: the server needs +tls", "{due:?}");
        }
    }

    #[test]
    fn lines_are_taken_one_by_one_however_they_arrived() {
        let mut buffer = AnswerBuffer::default();
        buffer.append(b"TIME");
        assert_eq!(taken(&mut buffer, &DueAnswer::Line), "Incomplete");
        buffer.append(b" x\nERROR Y\nB");
        assert_eq!(taken(&mut buffer, &DueAnswer::Line), "TIME x.");
        assert_eq!(taken(&mut buffer, &DueAnswer::Line), "ERROR Y!");
        assert_eq!(taken(&mut buffer, &DueAnswer::Line), "Incomplete");
        buffer.append(b"YE\n");
        assert_eq!(taken(&mut buffer, &DueAnswer::Line), "BYE.");
        assert!(buffer.is_empty());
    }

    #[test]
    fn a_malformed_frame_is_rejected_by_its_header() {
        let mut buffer = AnswerBuffer::default();
        buffer.append(b"\x01\0\0\0\x02hi\xff\0\0\0\x01E\x02\0\0");
        assert_eq!(taken(&mut buffer, &DueAnswer::Frame), "hi.");
        assert_eq!(taken(&mut buffer, &DueAnswer::Frame), "E!");
        assert_eq!(taken(&mut buffer, &DueAnswer::Frame), "Incomplete");
        buffer.append(b"\0\0");
        assert!(taken(&mut buffer, &DueAnswer::Frame).contains("the code 2"));
        let mut buffer = AnswerBuffer::default();
        buffer.append(b"\x01\xff\xff\xff\xff");
        assert!(taken(&mut buffer, &DueAnswer::Frame).contains("4294967295 bytes"));
    }

    #[test]
    fn text_in_place_of_a_frame_is_named_as_such() {
        for text in ["ERROR TLS_REQUIRED\n", "WELCOME\n", "HTTP/1.1 400 Bad Request\r\n"] {
            let mut buffer = AnswerBuffer::default();
            buffer.append(text.as_bytes());
            let complaint = taken(&mut buffer, &DueAnswer::Frame);
            let first = format!("text that begins with '{}': the server does not", &text[..1]);
            assert!(complaint.contains(&first), "{complaint}");
        }
    }

    #[test]
    fn a_newline_after_a_frame_is_the_start_of_a_wrong_frame() {
        for (ending, code) in [("\n", 10), ("\r\n", 13)] {
            let mut buffer = AnswerBuffer::default();
            buffer.append(b"\x01\0\0\0\x02hi");
            assert_eq!(taken(&mut buffer, &DueAnswer::Frame), "hi.");
            buffer.append(&[ending.as_bytes(), b"\x01\0\0\0\x02hi"].concat());
            assert!(
                taken(&mut buffer, &DueAnswer::Frame).contains(&format!("the code {code}")),
                "{ending:?}"
            );
        }
    }

    #[test]
    fn the_ending_of_a_message_may_arrive_later() {
        let Ok(Request::Answered(due)) = encode(ProtocolName::Echo, b"a", &mut Vec::new()) else {
            panic!("no message")
        };
        for ending in ["\n", "\r\n"] {
            let mut buffer = AnswerBuffer::default();
            buffer.append(b"Server received: a");
            assert_eq!(taken(&mut buffer, &due), "Server received: a.");
            for byte in ending.bytes() {
                buffer.append(&[byte]);
            }
            buffer.append(b"Server received: a\n");
            assert_eq!(taken(&mut buffer, &due), "Server received: a.", "{ending:?}");
        }
    }

    #[test]
    fn a_long_answer_in_pieces_is_compared_once() {
        let message = vec![b'x'; 4 << 20];
        let Ok(Request::Answered(mut due)) = encode(ProtocolName::Chat, &message, &mut Vec::new())
        else {
            panic!("no message")
        };
        let answer = [b"ACK: Received '", &message[..], b"'\n"].concat();
        let mut buffer = AnswerBuffer::default();
        // With a comparison from the start each time, this would take half an hour.
        let pieces = answer.len().div_ceil(64);
        for (number, piece) in answer.chunks(64).enumerate() {
            buffer.append(piece);
            let is_complete = matches!(buffer.find(&mut due), Ok(AnswerState::Complete(_)));
            assert_eq!(is_complete, number + 1 == pieces, "piece {number}");
        }
    }

    #[test]
    fn the_answer_to_whoami_has_a_code_of_its_own() {
        let mut binary = AnswerBuffer::default();
        binary.append(b"\x05\0\0\0\x08CN=alice");
        assert_eq!(taken(&mut binary, &DueAnswer::Frame), "CN=alice.");
    }

    #[test]
    fn news_come_between_answers_in_every_protocol() {
        let mut text = AnswerBuffer::default();
        text.append(b"JOINED tea\nFROM ana hi\nECHO a\nMISS");
        assert_eq!(taken(&mut text, &DueAnswer::Line), "JOINED tea.");
        assert_eq!(taken(&mut text, &DueAnswer::Line), "FROM ana hi@");
        assert_eq!(taken(&mut text, &DueAnswer::Line), "ECHO a.");
        assert_eq!(taken(&mut text, &DueAnswer::Line), "Incomplete");
        text.append(b"ED 3\n");
        assert_eq!(taken(&mut text, &DueAnswer::Line), "MISSED 3@");
        let mut binary = AnswerBuffer::default();
        binary.append(b"\x10\0\0\0\x03tea\x13\0\0\0\x06ana hi\x01\0\0\0\x01a\x17\0\0\0\x013");
        for expected in ["tea.", "FROM ana hi@", "a.", "MISSED 3@", "Incomplete"] {
            assert_eq!(taken(&mut binary, &DueAnswer::Frame), expected);
        }
        let due = |line: &[u8]| match encode(ProtocolName::Chat, line, &mut Vec::new()) {
            Ok(Request::Answered(due)) => due,
            other => panic!("{other:?}"),
        };
        let mut chat = AnswerBuffer::default();
        chat.append(b"Joined tea as bo.\nana: hi\r\nACK: Received 'a'\nMissed 3 messages.\n");
        assert_eq!(taken(&mut chat, &due(b"/join tea")), "Joined tea as bo..");
        let due = due(b"a");
        for expected in ["FROM ana hi@", "ACK: Received \\'a\\'.", "MISSED 3@"] {
            assert_eq!(taken(&mut chat, &due), expected);
        }
        assert!(chat.is_empty());
    }

    #[test]
    fn before_a_join_nothing_is_news() {
        let mut text = AnswerBuffer::default();
        text.append(b"FROM ana hi\nERROR NO_ROOM\nMISSED 3\n");
        for expected in ["FROM ana hi.", "ERROR NO_ROOM!", "MISSED 3."] {
            assert_eq!(taken(&mut text, &DueAnswer::Line), expected);
        }
        let mut binary = AnswerBuffer::default();
        binary.append(b"\x13\0\0\0\x06ana hi");
        assert_eq!(taken(&mut binary, &DueAnswer::Frame), "ana hi.");
        let mut chat = AnswerBuffer::default();
        chat.append(b"ana: hi\n");
        let anything = DueAnswer::Message(ExpectedAnswer::anything());
        assert_eq!(taken(&mut chat, &anything), "CompleteIfSilent");
    }

    #[test]
    fn the_rest_is_an_answer_when_the_server_is_silent() {
        let mut buffer = AnswerBuffer::default();
        buffer.append(b"two\nlines\r\n");
        assert_eq!(
            taken(&mut buffer, &DueAnswer::Message(ExpectedAnswer::anything())),
            "CompleteIfSilent"
        );
        let rest = buffer.rest();
        assert_eq!(buffer.take(rest).text, b"two\nlines");
        assert_eq!(
            taken(&mut buffer, &DueAnswer::Message(ExpectedAnswer::anything())),
            "Incomplete"
        );
    }
}
