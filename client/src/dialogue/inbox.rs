//! The bytes that have been received and are not yet read as answers.

use tinytcp_core::wire::frame::{self, Front, HEADER_LEN, Header};

use super::messages::Match;
use super::{ANSWER_MAX, Due, binary};

/// One answer, without its framing or ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// What the server said, byte for byte.
    pub text: &'a [u8],
    /// True exactly when it is an error in the protocol's own words; `text` then begins with
    /// `ERROR ` for all protocols but binary, where the frame's code says so and the text is
    /// the bare token.
    pub is_error: bool,
}

/// What stands at the front of the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The whole answer; [`Inbox::take`] it.
    Complete(Extent),
    /// Not all of it.
    Incomplete,
    /// Perhaps all of it: if the server falls quiet now, [`Inbox::rest`] is the answer.
    IfSilent,
}

/// Where in the unread bytes an answer lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first byte of its text.
    start: usize,
    /// The byte behind its text.
    end: usize,
    /// The first byte of what comes next.
    next: usize,
    /// What the frame's code says; where there is none, the text itself tells.
    is_error: Option<bool>,
}

impl Extent {
    /// A text at the front and the ending behind it.
    const fn text(text_len: usize, ending_len: usize) -> Self {
        Self { start: 0, end: text_len, next: text_len + ending_len, is_error: None }
    }
}

/// Received bytes, read from the front as answers.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    /// Bytes at the front that have been given out.
    consumed: usize,
    /// Bytes behind `consumed` that are known to hold no newline.
    scanned: usize,
    /// True exactly when the last answer was taken without its ending, which may still come.
    ending_may_follow: bool,
}

impl Inbox {
    /// Appends what was received.
    pub fn append(&mut self, received: &[u8]) {
        self.bytes.drain(..self.consumed);
        self.consumed = 0;
        self.bytes.extend_from_slice(received);
        if self.ending_may_follow {
            self.skip_ending();
        }
    }

    /// True exactly when there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.unread().is_empty()
    }

    /// Looks for the answer that is `due`; consumes nothing. What was compared for this `due`
    /// before is not compared again.
    ///
    /// # Errors
    /// A sentence about bytes that can never become such an answer.
    pub fn find(&mut self, due: &mut Due) -> Result<Found, String> {
        match due {
            // Silence is no answer, even where anything would do.
            _ if self.is_empty() => Ok(Found::Incomplete),
            Due::Line => self.find_line(),
            Due::Frame => self.find_frame(),
            Due::Message(expected) => match expected.compare(self.unread()) {
                Match::Complete { text_len, ending_len } => {
                    Ok(Found::Complete(Extent::text(text_len, ending_len)))
                }
                Match::Start => within_limit(self.unread().len(), Found::Incomplete),
                Match::Other => within_limit(self.unread().len(), Found::IfSilent),
            },
        }
    }

    /// Takes an answer that was found, and nothing appended since.
    pub fn take(&mut self, extent: Extent) -> Answer<'_> {
        let front = self.consumed;
        self.consumed += extent.next;
        self.scanned = 0;
        // A frame has no ending: behind it stands the next one.
        self.ending_may_follow = extent.end == extent.next && extent.is_error.is_none();
        let text = self.bytes.get(front + extent.start..front + extent.end).unwrap_or_default();
        Answer { text, is_error: extent.is_error.unwrap_or(text.starts_with(b"ERROR ")) }
    }

    /// All that is there, its ending left out: the answer of a server that has fallen quiet or has
    /// closed.
    #[must_use]
    pub fn rest(&self) -> Extent {
        let rest = self.unread();
        let text =
            rest.strip_suffix(b"\n").map_or(rest, |text| text.strip_suffix(b"\r").unwrap_or(text));
        Extent::text(text.len(), rest.len() - text.len())
    }

    fn find_line(&mut self) -> Result<Found, String> {
        let unread = self.bytes.get(self.consumed..).unwrap_or_default();
        match memchr::memchr(b'\n', unread.get(self.scanned..).unwrap_or_default()) {
            Some(offset) => Ok(Found::Complete(Extent::text(self.scanned + offset, 1))),
            None => {
                self.scanned = unread.len();
                within_limit(self.scanned, Found::Incomplete)
            }
        }
    }

    fn find_frame(&self) -> Result<Found, String> {
        match frame::front(self.unread()) {
            Front::Incomplete { header: Some(header), .. } => {
                check(header).map(|()| Found::Incomplete)
            }
            Front::Incomplete { header: None, .. } => Ok(Found::Incomplete),
            Front::Frame { code, payload } => {
                check(Header { code, payload_len: 0 })?;
                let end = HEADER_LEN + payload.len();
                let is_error = Some(code == binary::ERROR);
                Ok(Found::Complete(Extent { start: HEADER_LEN, end, next: end, is_error }))
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
        self.ending_may_follow = false;
    }
}

fn within_limit(len: usize, found: Found) -> Result<Found, String> {
    match len {
        0..=ANSWER_MAX => Ok(found),
        _ => Err(format!(
            "the answer is longer than {} MiB and still not complete",
            ANSWER_MAX >> 20
        )),
    }
}

/// Refuses an answer by its header, before its payload is stored.
fn check(header: Header) -> Result<(), String> {
    let Header { code, payload_len } = header;
    if code != binary::ECHO && code != binary::ERROR {
        return Err(format!(
            "the answer has the code {code}, where only 1 (answer) and 255 (error) exist"
        ));
    }
    match usize::try_from(payload_len) {
        Ok(len) if len <= ANSWER_MAX => Ok(()),
        _ => Err(format!(
            "the answer claims {payload_len} bytes, more than the {} MiB we take",
            ANSWER_MAX >> 20
        )),
    }
}

#[cfg(test)]
mod tests {
    use tinytcp_cli::target::Protocol;

    use super::super::{Dialogue, Expected, Request};
    use super::*;

    /// The answer with a mark for what it is, or why there is none.
    fn taken(inbox: &mut Inbox, due: &Due) -> String {
        match inbox.find(&mut due.clone()) {
            Ok(Found::Complete(extent)) => {
                let answer = inbox.take(extent);
                format!("{}{}", answer.text.escape_ascii(), if answer.is_error { "!" } else { "." })
            }
            Ok(other) => format!("{other:?}"),
            Err(error) => error,
        }
    }

    #[test]
    fn lines_come_out_one_by_one_however_they_came_in() {
        let mut inbox = Inbox::default();
        inbox.append(b"TIME");
        assert_eq!(taken(&mut inbox, &Due::Line), "Incomplete");
        inbox.append(b" x\nERROR Y\nB");
        assert_eq!(taken(&mut inbox, &Due::Line), "TIME x.");
        assert_eq!(taken(&mut inbox, &Due::Line), "ERROR Y!");
        assert_eq!(taken(&mut inbox, &Due::Line), "Incomplete");
        inbox.append(b"YE\n");
        assert_eq!(taken(&mut inbox, &Due::Line), "BYE.");
        assert!(inbox.is_empty());
    }

    #[test]
    fn frames_are_refused_by_their_header() {
        let mut inbox = Inbox::default();
        inbox.append(b"\x01\0\0\0\x02hi\xff\0\0\0\x01E\x02\0\0");
        assert_eq!(taken(&mut inbox, &Due::Frame), "hi.");
        assert_eq!(taken(&mut inbox, &Due::Frame), "E!");
        assert_eq!(taken(&mut inbox, &Due::Frame), "Incomplete");
        inbox.append(b"\0\0");
        assert!(taken(&mut inbox, &Due::Frame).contains("the code 2"));
        let mut inbox = Inbox::default();
        inbox.append(b"\x01\xff\xff\xff\xff");
        assert!(taken(&mut inbox, &Due::Frame).contains("4294967295 bytes"));
    }

    #[test]
    fn a_line_end_behind_a_frame_is_no_ending_but_a_frame_that_no_server_may_send() {
        for (ending, code) in [("\n", 10), ("\r\n", 13)] {
            let mut inbox = Inbox::default();
            inbox.append(b"\x01\0\0\0\x02hi");
            assert_eq!(taken(&mut inbox, &Due::Frame), "hi.");
            inbox.append(&[ending.as_bytes(), b"\x01\0\0\0\x02hi"].concat());
            assert!(
                taken(&mut inbox, &Due::Frame).contains(&format!("the code {code}")),
                "{ending:?}"
            );
        }
    }

    #[test]
    fn the_ending_of_a_message_may_come_late() {
        let Ok(Request::Answered(due)) = Protocol::Echo.encode(b"a", &mut Vec::new()) else {
            panic!("no message")
        };
        for ending in ["\n", "\r\n"] {
            let mut inbox = Inbox::default();
            inbox.append(b"Server received: a");
            assert_eq!(taken(&mut inbox, &due), "Server received: a.");
            for byte in ending.bytes() {
                inbox.append(&[byte]);
            }
            inbox.append(b"Server received: a\n");
            assert_eq!(taken(&mut inbox, &due), "Server received: a.", "{ending:?}");
        }
    }

    #[test]
    fn a_long_answer_in_pieces_is_compared_once() {
        let message = vec![b'x'; 4 << 20];
        let Ok(Request::Answered(mut due)) = Protocol::Chat.encode(&message, &mut Vec::new())
        else {
            panic!("no message")
        };
        let answer = [b"ACK: Received '", &message[..], b"'\n"].concat();
        let mut inbox = Inbox::default();
        // Compared from its start each time, this would take half an hour.
        let pieces = answer.len().div_ceil(64);
        for (number, piece) in answer.chunks(64).enumerate() {
            inbox.append(piece);
            let is_complete = matches!(inbox.find(&mut due), Ok(Found::Complete(_)));
            assert_eq!(is_complete, number + 1 == pieces, "piece {number}");
        }
    }

    #[test]
    fn the_rest_is_an_answer_when_the_server_says_no_more() {
        let mut inbox = Inbox::default();
        inbox.append(b"two\nlines\r\n");
        assert_eq!(taken(&mut inbox, &Due::Message(Expected::anything())), "IfSilent");
        let rest = inbox.rest();
        assert_eq!(inbox.take(rest).text, b"two\nlines");
        assert_eq!(taken(&mut inbox, &Due::Message(Expected::anything())), "Incomplete");
    }
}
