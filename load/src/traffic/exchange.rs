//! The contents of an exchange: the request, the expected reply and the received bytes.

use tinytcp_core::display::escape;

use super::messages::message::{Framing, LineShape};
use super::script::dialogue::{Dialogue, Expected};
use crate::measurement::exchange::Exchange;
use crate::measurement::format::plural;

/// Number of bytes shown of a request or a reply.
const SHOWN_BYTES_MAX: usize = 64;

/// The start of an alert of TLS (RFC 8446, section 5.1), with which a server answers a request that
/// is not encrypted.
const TLS_ALERT: &[u8] = b"\x15\x03";

/// The end of a hint about bytes that are not a reply of the protocol.
const QUESTION: &str = "is it another protocol?";

impl Exchange {
    /// Returns an exchange with `got` in place of the reply to the request at `place`.
    #[must_use]
    pub fn at(script: &dyn Dialogue, place: usize, got: &[u8]) -> Self {
        let sent = shown(script.requests(place, 1));
        Self::new(sent, expected(script.expected(place)), shown(got), None)
    }

    /// Returns an exchange with `got` in place of the greeting.
    #[must_use]
    pub fn at_greeting(script: &dyn Dialogue, got: &[u8]) -> Self {
        let expected = shown(script.greeting());
        let hint = Some(
            foreign(script.framing(), got)
                .unwrap_or_else(|| format!("no greeting arrived: {QUESTION}")),
        );
        Self::new(String::new(), expected, shown(got), hint)
    }

    /// Returns an exchange with `got` although no request was waiting.
    #[must_use]
    pub fn unrequested(got: &[u8]) -> Self {
        let expected = "nothing: no request was waiting for a reply".into();
        Self::new(String::new(), expected, shown(got), None)
    }

    /// Adds the hint that `got` is a reply of the script.
    #[must_use]
    pub fn of_another_request(self) -> Self {
        Self { hint: Some("this is the reply to another request".into()), ..self }
    }

    /// Adds the hint that a later request was answered first.
    #[must_use]
    pub fn overtaken(self) -> Self {
        Self { hint: Some("this is the reply to a later request".into()), ..self }
    }

    /// Adds a hint about `got`, which is not a complete reply in `framing`.
    #[must_use]
    pub fn with_hint(self, framing: Framing, got: &[u8]) -> Self {
        Self { hint: foreign(framing, got), ..self }
    }
}

/// Returns a hint that the bytes are not a reply of the protocol, judged by its framing; `None` if
/// they could be one.
fn foreign(framing: Framing, got: &[u8]) -> Option<String> {
    if got.starts_with(TLS_ALERT) {
        return Some(
            "an alert of TLS arrived: write the target with +tls, as text+tls://HOST".into(),
        );
    }
    let bytes = plural(got.len() as u64, "byte");
    let arrived = |what| format!("{bytes} arrived that are not a {what}: {QUESTION}");
    match framing {
        Framing::Lines if !got.is_empty() && !got.contains(&b'\n') => Some(arrived("line")),
        Framing::Frames if !got.is_empty() => Some(arrived("frame")),
        _ => None,
    }
}

fn expected(reply: Expected<'_>) -> String {
    match reply {
        Expected::Exact(bytes) => shown(bytes),
        Expected::Line(LineShape::DateAndTime) => {
            "a date and time, such as TIME 2025-09-12T17:24:13-05:00".into()
        }
        Expected::Line(LineShape::TimeOfDay) => "a time, such as Server Time: 17:24:13".into(),
        Expected::Line(LineShape::Help) => "a line that starts with HELP COMMANDS:".into(),
        Expected::Line(LineShape::NoError) => "a line that does not start with ERROR".into(),
        Expected::Until(end) => format!("bytes that end with {}", shown(end)),
        Expected::Nothing => "nothing".into(),
    }
}

/// Returns the start of `bytes`, escaped.
fn shown(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "nothing".into();
    }
    let front = escape::front(bytes, SHOWN_BYTES_MAX);
    let text = escape::quoted(front).to_string();
    if front.len() == bytes.len() {
        text
    } else {
        format!("{text}... ({})", plural(bytes.len() as u64, "byte"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_escaped_and_truncated() {
        assert_eq!(shown(b"\xffPING\r\n"), r"\xffPING\r\n");
        let long = shown(&[b'x'; 2_000]);
        assert_eq!(long, format!("{}... (2,000 bytes)", "x".repeat(64)));
    }

    #[test]
    fn bytes_that_do_not_fit_the_framing_suggest_another_protocol() {
        let hint = |framing, got: &[u8]| foreign(framing, got);
        assert_eq!(
            hint(Framing::Lines, b"\x03\0\0\x13").as_deref(),
            Some("4 bytes arrived that are not a line: is it another protocol?")
        );
        assert_eq!(
            hint(Framing::Frames, b"HTTP/").as_deref(),
            Some("5 bytes arrived that are not a frame: is it another protocol?")
        );
        assert_eq!(
            (hint(Framing::Lines, b"ERROR x\n"), hint(Framing::Unknown, b"x")),
            (None, None)
        );
    }
}
