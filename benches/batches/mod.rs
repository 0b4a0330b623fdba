//! What `wire` and `instructions` measure: batches of equal messages, and the two ways to run them
//! without a network.

// Each bench is a program of its own and uses only its part of this module.
#![allow(dead_code)]

use std::hint::black_box;

use tinytcp_core::limits::Limits;
use tinytcp_core::protocol::binary::Binary;
use tinytcp_core::protocol::command::{Call, Command, Outcome};
use tinytcp_core::protocol::text::Text;
use tinytcp_core::protocol::{Next, Protocol, chat, echo};
use tinytcp_core::testing::SessionHarness;
use tinytcp_core::wire::frame::{Front, HEADER_LEN, Header, front};
use tinytcp_core::wire::line::{Item, LineDecoder};

/// The longest line, and the longest payload of a frame that is measured.
pub const LONG_LEN: usize = 64 << 10;

/// One kind of message.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `ECHO Hello from client` and `\n`: 23 bytes.
    ShortLine,
    /// The same and `\r\n`.
    ShortLineCrLf,
    /// A line of [`LONG_LEN`] bytes and `\n`.
    LongLine,
    /// The same and `\r\n`.
    LongLineCrLf,
    /// A frame of 23 bytes.
    ShortFrame,
    /// A frame with a payload of [`LONG_LEN`] bytes.
    LongFrame,
    /// `TIME` and `\n`.
    TimeLine,
    /// `HELP` and `\n`.
    HelpLine,
    /// `PING` and `\n`: a command that is added to the table.
    OwnLine,
    /// `NOPE` and `\n`: a word that is no command.
    UnknownLine,
    /// A frame of 23 bytes whose text is to be reversed.
    ReverseFrame,
    /// `Howdy from client` and `\n`, which echo and chat take as it is.
    PlainLine,
    /// 65,484 bytes of words and `\n`, which echo and chat take as they are.
    LongPlainLine,
}

impl Kind {
    /// One such message.
    #[must_use]
    pub fn message(self) -> Vec<u8> {
        match self {
            Self::ShortLine => b"ECHO Hello from client\n".to_vec(),
            Self::ShortLineCrLf => b"ECHO Hello from client\r\n".to_vec(),
            Self::LongLine => [&[b'x'; LONG_LEN][..], b"\n"].concat(),
            Self::LongLineCrLf => [&[b'x'; LONG_LEN][..], b"\r\n"].concat(),
            Self::ShortFrame => frame(1, b"Hello from client!"),
            Self::LongFrame => frame(1, &[b'x'; LONG_LEN]),
            Self::TimeLine => b"TIME\n".to_vec(),
            Self::HelpLine => b"HELP\n".to_vec(),
            Self::OwnLine => b"PING\n".to_vec(),
            Self::UnknownLine => b"NOPE\n".to_vec(),
            Self::ReverseFrame => frame(2, b"Hello from client!"),
            Self::PlainLine => b"Howdy from client\n".to_vec(),
            Self::LongPlainLine => [&b"Howdy from client ".repeat(3638)[..], b"\n"].concat(),
        }
    }
}

fn frame(code: u8, payload: &[u8]) -> Vec<u8> {
    let payload_len = u32::try_from(payload.len()).expect("a length that a header can claim");
    [&Header { code, payload_len }.encode()[..], payload].concat()
}

/// A number of equal messages, one after the other.
pub struct Batch {
    bytes: Vec<u8>,
    count: usize,
}

impl Batch {
    /// `count` messages of a kind.
    #[must_use]
    pub fn new(kind: Kind, count: usize) -> Self {
        Self { bytes: kind.message().repeat(count), count }
    }

    /// Cuts the batch into lines.
    pub fn parse_lines(&self) {
        let mut lines = LineDecoder::new(LONG_LEN as u32);
        let (mut input, mut count) = (black_box(&self.bytes[..]), 0);
        while let (rest, Some(Item::Line(line, _))) = lines.next(input) {
            black_box(line);
            input = rest;
            count += 1;
        }
        assert_eq!(count, self.count, "every line is found");
    }

    /// Cuts the batch into frames.
    pub fn parse_frames(&self) {
        let (mut input, mut count) = (black_box(&self.bytes[..]), 0);
        while let Front::Frame { payload, .. } = front(input) {
            black_box(payload);
            input = &input[HEADER_LEN + payload.len()..];
            count += 1;
        }
        assert_eq!(count, self.count, "every frame is found");
    }
}

/// The four protocols by their schemes, with a kind of message for each command that is measured.
pub const CONVERSATIONS: [(&str, &str, Kind); 9] = [
    ("text", "ECHO", Kind::ShortLine),
    ("text", "TIME", Kind::TimeLine),
    ("text", "HELP", Kind::HelpLine),
    ("text", "a command of its own", Kind::OwnLine),
    ("text", "an unknown word", Kind::UnknownLine),
    ("binary", "ECHO", Kind::ShortFrame),
    ("binary", "REVERSE", Kind::ReverseFrame),
    ("echo", "a line", Kind::PlainLine),
    ("chat", "a line", Kind::PlainLine),
];

/// The command that is added to the table of `text`.
fn pong(call: &mut Call<'_, '_>) -> Outcome {
    call.output().append(b"PONG");
    Ok(Next::Continue)
}

/// A session in which batches are run.
pub struct Conversation(SessionHarness);

impl Conversation {
    /// Creates a conversation in the protocol of this scheme.
    #[must_use]
    pub fn new(scheme: &'static str) -> Self {
        let protocol: Box<dyn Protocol> = match scheme {
            "text" => Box::new(Text::with_commands([Command::new("PING", "PING", pong)])),
            "binary" => Box::new(Binary::new()),
            "echo" => Box::new(echo::protocol()),
            "chat" => Box::new(chat::protocol()),
            other => panic!("no protocol `{other}`"),
        };
        Self(SessionHarness::new(&*protocol, &Limits::default()))
    }

    /// Runs every message of `batch`, and drops the answers.
    pub fn run(&mut self, batch: &Batch) {
        let messages = self.0.run(black_box(&batch.bytes));
        assert_eq!(messages, batch.count as u64, "every message is run");
    }
}
