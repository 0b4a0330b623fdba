//! A message of a run: a request and the expected reply.

/// A request and the expected reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptMessage {
    /// The bytes to send.
    pub request: Vec<u8>,
    /// The expected reply.
    pub reply: ExpectedReply,
}

/// The expected reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpectedReply {
    /// Exactly these bytes.
    Exact(Vec<u8>),
    /// One line of this shape.
    Line(LineShape),
    /// Any bytes that end with these, at least one.
    Until(Vec<u8>),
    /// No reply: the request is complete when the kernel has accepted it.
    Nothing,
}

/// Shapes of lines whose bytes are not known in advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineShape {
    /// `TIME 2025-09-12T17:24:13-05:00`.
    DateAndTime,
    /// `Server Time: 17:24:13`.
    TimeOfDay,
    /// `HELP COMMANDS: ...`.
    Help,
    /// A line that does not start with `ERROR `: the reply to a command that the server does not
    /// have.
    NoError,
}

impl LineShape {
    /// Returns true if `line`, including its `\n`, has this shape.
    #[must_use]
    pub fn fits(self, line: &[u8]) -> bool {
        match self {
            Self::DateAndTime => has_digits(line, b"TIME 0000-00-00T00:00:00+00:00\n"),
            Self::TimeOfDay => has_digits(line, b"Server Time: 00:00:00\n"),
            Self::Help => line.starts_with(b"HELP COMMANDS: "),
            Self::NoError => !line.starts_with(b"ERROR "),
        }
    }
}

/// Returns true if `line` matches `pattern`, in which `0` stands for any digit and `+` for `+` or
/// `-`.
fn has_digits(line: &[u8], pattern: &[u8]) -> bool {
    line.len() == pattern.len()
        && line.iter().zip(pattern).all(|(byte, expected)| match expected {
            b'0' => byte.is_ascii_digit(),
            b'+' => matches!(byte, b'+' | b'-'),
            _ => byte == expected,
        })
}

/// The way to find the end of a reply that is not the expected one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// At its `\n`.
    Lines,
    /// At the length in its header.
    Frames,
    /// Unknown: the connection ends at a wrong reply.
    Unknown,
}
