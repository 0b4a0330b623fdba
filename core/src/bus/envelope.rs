//! The payload of a message on the bus.
//!
//! ```text
//!   tinytcp1 3f9c2d7a1b0e4c55 ana hello, all
//!   mark     origin           name text
//! ```
//!
//! The origin is a random number of the server, which ignores its own messages: a broker can return
//! one that was sent over an earlier connection. A payload without the mark is a text, so that an
//! operator can speak to a room with `nats pub`. Its sender is [`OPERATOR`], and one line ending at
//! its end is left out. A payload with the mark whose rest is malformed is no message: its text
//! would be the inside of an envelope.

use std::fmt::{self, Display};
use std::io::{Read, Write};

use crate::rooms::words::OPERATOR;

/// The first word of a payload, with the version of the format.
const MARK: &[u8] = b"tinytcp1 ";

/// The digits of an origin.
const ORIGIN_LEN: usize = 16;

/// The random number by which a server knows its own messages on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin(pub u64);

impl Origin {
    /// Returns a random origin.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0; 8];
        let read = std::fs::File::open("/dev/urandom").and_then(|mut it| it.read_exact(&mut bytes));
        match read {
            Ok(()) => Self(u64::from_ne_bytes(bytes)),
            // Without the device, the time and the process number serve as the number.
            Err(_) => {
                let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
                Self(u64::from(now.subsec_nanos()) << 32 | u64::from(std::process::id()))
            }
        }
    }
}

impl Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0ORIGIN_LEN$x}", self.0)
    }
}

/// A message on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The server of its sender; `None` if it is from another program.
    pub origin: Option<Origin>,
    /// The name of its sender.
    pub name: &'a [u8],
    /// What it says.
    pub text: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Reads a payload. The room checks the name and the text. Returns `None` if the payload has
    /// the mark, and its rest is malformed.
    #[must_use]
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        if let Some(rest) = payload.strip_prefix(MARK) {
            return marked(rest);
        }
        let text = payload.strip_suffix(b"\n").unwrap_or(payload);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        Some(Self { origin: None, name: OPERATOR.as_bytes(), text })
    }
}

/// Reads what follows the mark of a payload.
fn marked(rest: &[u8]) -> Option<Envelope<'_>> {
    let (origin, rest) = rest.split_at_checked(ORIGIN_LEN)?;
    let is_number = origin.iter().all(u8::is_ascii_hexdigit);
    let digits = str::from_utf8(origin).ok().filter(|_| is_number)?;
    let origin = Origin(u64::from_str_radix(digits, 16).ok()?);
    let rest = rest.strip_prefix(b" ")?;
    let end = rest.iter().position(|byte| *byte == b' ')?;
    let (name, text) = (rest.get(..end)?, rest.get(end + 1..)?);
    Some(Envelope { origin: Some(origin), name, text })
}

/// The length of the payload that [`append`] appends.
#[must_use]
pub const fn len(name: &[u8], text: &[u8]) -> usize {
    MARK.len() + ORIGIN_LEN + 1 + name.len() + 1 + text.len()
}

/// Appends the payload of a message. The name must have no blank.
pub fn append(output: &mut Vec<u8>, origin: Origin, name: &[u8], text: &[u8]) {
    output.extend_from_slice(MARK);
    // Writing to a vector never fails.
    let _ = write!(output, "{origin} ");
    output.extend_from_slice(name);
    output.push(b' ');
    output.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_payload_without_the_mark_is_a_text_of_the_operator() {
        for (payload, text) in [
            ("hello, all", "hello, all"),
            ("hello\r\n", "hello"),
            ("hello\n\n", "hello\n"),
            ("", ""),
            ("tinytcp1", "tinytcp1"),
            ("tinytcp10 hello", "tinytcp10 hello"),
        ] {
            let expected = Envelope { origin: None, name: b"operator", text: text.as_bytes() };
            assert_eq!(Envelope::parse(payload.as_bytes()), Some(expected));
        }
    }

    #[test]
    fn a_payload_with_the_mark_that_is_malformed_is_no_message() {
        for payload in [
            "tinytcp1 ",
            "tinytcp1 3f9c ana hello",
            "tinytcp1 3f9c2d7a1b0e4c5x ana hello",
            "tinytcp1 +f9c2d7a1b0e4c55 ana hello",
            "tinytcp1 3f9c2d7a1b0e4c55ana hello",
            "tinytcp1 3f9c2d7a1b0e4c55 ana",
        ] {
            assert_eq!(Envelope::parse(payload.as_bytes()), None, "{payload}");
        }
    }

    #[test]
    fn two_origins_differ() {
        assert_ne!(Origin::random(), Origin::random());
    }

    proptest! {
        #[test]
        fn a_message_comes_back_from_its_payload(
            origin: u64,
            name in "[^ ]{0,20}",
            text in "\\PC{0,60}",
        ) {
            let (mut payload, origin) = (Vec::new(), Origin(origin));
            append(&mut payload, origin, name.as_bytes(), text.as_bytes());
            prop_assert_eq!(payload.len(), len(name.as_bytes(), text.as_bytes()));
            let origin = Some(origin);
            let expected = Envelope { origin, name: name.as_bytes(), text: text.as_bytes() };
            prop_assert_eq!(Envelope::parse(&payload), Some(expected));
        }
    }
}
