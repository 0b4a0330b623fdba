//! The messages of each protocol, with the replies of a correct server.

use tinytcp_cli::target::ProtocolName;
use tinytcp_core::protocol::binary::{ECHO, REVERSE};
use tinytcp_core::wire::frame::Header;
use tinytcp_core::wire::line;

use super::message::{ExpectedReply, Framing, LineShape, ScriptMessage};
use crate::error::UsageError;

/// The greeting of the text server.
const BANNER: &[u8] = b"WELCOME, I'm TinyServer not pressure\n";

/// Returns how the replies of `protocol` are framed.
#[must_use]
pub const fn framing(protocol: ProtocolName) -> Framing {
    match protocol {
        ProtocolName::Binary => Framing::Frames,
        ProtocolName::Text | ProtocolName::Echo | ProtocolName::Chat => Framing::Lines,
    }
}

/// Returns the greeting of `protocol`; empty if it has none.
#[must_use]
pub const fn greeting(protocol: ProtocolName) -> &'static [u8] {
    match protocol {
        ProtocolName::Text => BANNER,
        _ => b"",
    }
}

/// Parses a message: a text command, an echo or chat line, or `echo ...` or `rev ...` for binary.
///
/// # Errors
/// Fails with a sentence about a text that would break the protocol's framing or end the
/// connection.
pub fn message(protocol: ProtocolName, text: &str) -> Result<ScriptMessage, UsageError> {
    if protocol != ProtocolName::Binary && text.contains('\n') {
        return Err(
            "a message is one line: remove the line break, or use --raw to send any bytes".into()
        );
    }
    match protocol {
        ProtocolName::Text => command(text),
        ProtocolName::Binary => frame(text),
        ProtocolName::Echo => {
            Ok(spoken(text, [b"Server received: ", without_return(text)].concat()))
        }
        ProtocolName::Chat => chat(text),
    }
}

/// Returns a message of `size` bytes that the server echoes. Messages of different `number` differ
/// as far as `size` allows.
///
/// `size` counts the bytes after `ECHO `, of the payload, or of the line without its end. A size of
/// zero becomes one byte in text, because an empty `ECHO` is an error.
///
/// # Errors
/// Fails like [`message`], for numbers whose letters end the connection.
pub fn numbered(
    protocol: ProtocolName,
    size: usize,
    number: usize,
) -> Result<ScriptMessage, UsageError> {
    const LETTERS: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";
    let size = if protocol == ProtocolName::Binary { size } else { size.max(1) };
    // The number comes first, in letters, so different messages differ in their first four bytes.
    let digit = |place: usize| LETTERS[number / 26usize.pow(place.min(3) as u32) % 26];
    let letter = |at: usize| if at < 4 { digit(at) } else { LETTERS[(at + number) % 26] };
    let word = match protocol {
        ProtocolName::Text => "ECHO ",
        ProtocolName::Binary => "echo ",
        ProtocolName::Echo | ProtocolName::Chat => "",
    };
    let text: String = word.chars().chain((0..size).map(|at| letter(at).into())).collect();
    message(protocol, &text)
}

/// Returns a line and its reply, which has the line ending of the request.
fn spoken(text: &str, mut reply: Vec<u8>) -> ScriptMessage {
    let ending: &[u8] = if text.ends_with('\r') { b"\r\n" } else { b"\n" };
    reply.extend_from_slice(ending);
    ScriptMessage { request: [text.as_bytes(), b"\n"].concat(), reply: ExpectedReply::Exact(reply) }
}

fn without_return(text: &str) -> &[u8] {
    text.strip_suffix('\r').unwrap_or(text).as_bytes()
}

fn command(text: &str) -> Result<ScriptMessage, UsageError> {
    let line = text.trim_matches([' ', '\t', '\r']);
    let end = line.find([' ', '\t']).unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    let rest = line::skip_blanks(rest.as_bytes());
    let reply = match word.to_ascii_uppercase().as_str() {
        "" => return Err("an empty line gets no reply: use a command, such as -m TIME".into()),
        "QUIT" => {
            return Err("QUIT ends the connection: --lifetime 1 closes after each request".into());
        }
        "TIME" => ExpectedReply::Line(LineShape::DateAndTime),
        "HELP" => ExpectedReply::Line(LineShape::Help),
        "ECHO" if !rest.is_empty() => ExpectedReply::Exact([b"ECHO ", rest, b"\n"].concat()),
        _ => ExpectedReply::Line(LineShape::NoError),
    };
    Ok(ScriptMessage { request: [text.as_bytes(), b"\n"].concat(), reply })
}

fn frame(text: &str) -> Result<ScriptMessage, UsageError> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (code, answer) = match word.to_ascii_lowercase().as_str() {
        "echo" => (ECHO, rest.to_owned()),
        "rev" => (REVERSE, rest.chars().rev().collect()),
        _ => return Err("binary messages are `echo TEXT` and `rev TEXT`".into()),
    };
    Ok(ScriptMessage {
        request: framed(code, rest.as_bytes()),
        reply: ExpectedReply::Exact(framed(ECHO, answer.as_bytes())),
    })
}

fn framed(code: u8, payload: &[u8]) -> Vec<u8> {
    // No message is that long: a command line and `--size` have far lower limits.
    let payload_len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    [&Header { code, payload_len }.encode(), payload].concat()
}

fn chat(text: &str) -> Result<ScriptMessage, UsageError> {
    let lower = text.to_ascii_lowercase();
    let message = without_return(text);
    if lower.trim_end_matches('\r') == "exit" {
        return Err("exit ends the connection: --lifetime 1 closes after each request".into());
    }
    if lower.contains("time") {
        if text.ends_with('\r') {
            return Err("remove the carriage return at the end".into());
        }
        let request = [text.as_bytes(), b"\n"].concat();
        return Ok(ScriptMessage { request, reply: ExpectedReply::Line(LineShape::TimeOfDay) });
    }
    let reply: Vec<u8> = if lower.contains("hello") {
        b"Hello from the server! Connection established.".to_vec()
    } else if lower.contains("status") {
        b"Server is running smoothly on Rust.".to_vec()
    } else {
        [b"ACK: Received '", message, b"'"].concat()
    };
    Ok(spoken(text, reply))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(protocol: ProtocolName, text: &str) -> (Vec<u8>, Vec<u8>) {
        let message = message(protocol, text).expect(text);
        match message.reply {
            ExpectedReply::Exact(reply) => (message.request, reply),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn each_protocol_knows_the_replies_to_its_messages() {
        let cases: [(ProtocolName, &str, &[u8], &[u8]); 8] = [
            (ProtocolName::Text, "echo  a  b ", b"echo  a  b \n", b"ECHO a  b\n"),
            (ProtocolName::Echo, "hi", b"hi\n", b"Server received: hi\n"),
            (ProtocolName::Echo, "", b"\n", b"Server received: \n"),
            (ProtocolName::Echo, "hi\r", b"hi\r\n", b"Server received: hi\r\n"),
            (
                ProtocolName::Chat,
                "Hello!",
                b"Hello!\n",
                b"Hello from the server! Connection established.\n",
            ),
            (ProtocolName::Chat, "what", b"what\n", b"ACK: Received 'what'\n"),
            (
                ProtocolName::Binary,
                "rev ab\u{e9}",
                b"\x02\0\0\0\x04ab\xc3\xa9",
                b"\x01\0\0\0\x04\xc3\xa9ba",
            ),
            (ProtocolName::Binary, "echo", b"\x01\0\0\0\0", b"\x01\0\0\0\0"),
        ];
        for (protocol, text, request, reply) in cases {
            assert_eq!(exact(protocol, text), (request.to_vec(), reply.to_vec()), "{text}");
        }
    }

    #[test]
    fn messages_that_end_or_break_the_session_are_refused() {
        for (protocol, text) in [
            (ProtocolName::Text, "quit"),
            (ProtocolName::Text, "A\nB"),
            (ProtocolName::Chat, "EXIT"),
            (ProtocolName::Binary, "quit"),
        ] {
            message(protocol, text).expect_err(text);
        }
    }

    #[test]
    fn numbered_messages_have_the_requested_size_and_differ() {
        for protocol in ProtocolName::ALL {
            let all: std::collections::HashSet<_> = (0..1024)
                .map(|number| numbered(protocol, 17, number).expect("letters").request)
                .collect();
            assert_eq!(all.len(), 1024, "{protocol:?}");
        }
        assert_eq!(
            numbered(ProtocolName::Text, 17, 5).expect("letters").request.len(),
            "ECHO Hello from client\n".len()
        );
        assert_eq!(numbered(ProtocolName::Binary, 0, 5).expect("nothing").request, b"\x01\0\0\0\0");
    }

    #[test]
    fn no_numbered_chat_message_is_a_chat_keyword() {
        for number in 0..26 * 26 * 26 {
            let message = numbered(ProtocolName::Chat, 17, number).expect("letters");
            let text = String::from_utf8(message.request.clone()).expect("letters");
            let reply = format!("ACK: Received '{}'\n", text.trim_end());
            assert_eq!(message.reply, ExpectedReply::Exact(reply.into_bytes()));
        }
    }

    #[test]
    fn replies_not_known_in_advance_have_a_shape() {
        let time = message(ProtocolName::Text, "time").expect("a command");
        assert_eq!(time.reply, ExpectedReply::Line(LineShape::DateAndTime));
        assert!(LineShape::DateAndTime.fits(b"TIME 2025-09-12T17:24:13-05:00\n"));
        assert!(!LineShape::DateAndTime.fits(b"TIME 2025-09-12T17:24:13Z\n"));
        assert!(LineShape::TimeOfDay.fits(b"Server Time: 17:24:13\n"));
        assert!(!LineShape::TimeOfDay.fits(b"Server Time: 17:24:1x\n"));
        assert!(!LineShape::NoError.fits(b"ERROR UNKNOWN_COMMAND\n"));
    }
}
