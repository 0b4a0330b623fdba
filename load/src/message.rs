//! The messages of a run: each request with the reply that it must get.

use tinytcp_cli::target::Protocol;
use tinytcp_core::wire::frame::Header;
use tinytcp_core::wire::line;

/// The greeting of the text server.
const BANNER: &[u8] = b"WELCOME, I'm TinyServer not pressure\n";

const ECHO: u8 = 1;
const REVERSE: u8 = 2;

/// A request and the expected reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The bytes to send.
    pub request: Vec<u8>,
    /// The expected reply.
    pub reply: Reply,
}

/// The expected reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
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

/// How to find the end of a reply that is not the expected one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// At its `\n`.
    Lines,
    /// At the length in its header.
    Frames,
    /// Unknown: the connection ends at a wrong reply.
    Unknown,
}

/// Returns how the replies of `protocol` are framed.
#[must_use]
pub const fn framing(protocol: Protocol) -> Framing {
    match protocol {
        Protocol::Binary => Framing::Frames,
        Protocol::Text | Protocol::Echo | Protocol::Chat => Framing::Lines,
    }
}

/// Returns how replies of a raw run are framed: as lines if every expected reply is a line.
#[must_use]
pub fn raw_framing(messages: &[Message]) -> Framing {
    let is_line = |message: &Message| match &message.reply {
        Reply::Exact(bytes) => memchr::memchr(b'\n', bytes) == bytes.len().checked_sub(1),
        _ => false,
    };
    if messages.iter().all(is_line) { Framing::Lines } else { Framing::Unknown }
}

/// Returns the greeting of `protocol`; empty if it has none.
#[must_use]
pub const fn greeting(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::Text => BANNER,
        _ => b"",
    }
}

/// Parses a message: a text command, an echo or chat line, or `echo ...` or `rev ...` for binary.
///
/// # Errors
/// Fails with a sentence about a text that would break the protocol's framing or end the
/// connection.
pub fn message(protocol: Protocol, text: &str) -> Result<Message, String> {
    if protocol != Protocol::Binary && text.contains('\n') {
        return Err(
            "a message is one line: remove the line break, or use --raw to send any bytes".into()
        );
    }
    match protocol {
        Protocol::Text => command(text),
        Protocol::Binary => frame(text),
        Protocol::Echo => Ok(spoken(text, [b"Server received: ", without_return(text)].concat())),
        Protocol::Chat => chat(text),
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
pub fn numbered(protocol: Protocol, size: usize, number: usize) -> Result<Message, String> {
    const LETTERS: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";
    let size = if protocol == Protocol::Binary { size } else { size.max(1) };
    // The number comes first, in letters, so different messages differ in their first four bytes.
    let digit = |place: usize| LETTERS[number / 26usize.pow(place.min(3) as u32) % 26];
    let letter = |at: usize| if at < 4 { digit(at) } else { LETTERS[(at + number) % 26] };
    let word = match protocol {
        Protocol::Text => "ECHO ",
        Protocol::Binary => "echo ",
        Protocol::Echo | Protocol::Chat => "",
    };
    let text: String = word.chars().chain((0..size).map(|at| letter(at).into())).collect();
    message(protocol, &text)
}

/// Returns a line and its reply, which has the line ending of the request.
fn spoken(text: &str, mut reply: Vec<u8>) -> Message {
    let ending: &[u8] = if text.ends_with('\r') { b"\r\n" } else { b"\n" };
    reply.extend_from_slice(ending);
    Message { request: [text.as_bytes(), b"\n"].concat(), reply: Reply::Exact(reply) }
}

fn without_return(text: &str) -> &[u8] {
    text.strip_suffix('\r').unwrap_or(text).as_bytes()
}

fn command(text: &str) -> Result<Message, String> {
    let line = text.trim_matches([' ', '\t', '\r']);
    let end = line.find([' ', '\t']).unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    let rest = line::skip_blanks(rest.as_bytes());
    let reply = match word.to_ascii_uppercase().as_str() {
        "" => return Err("an empty line gets no reply: use a command, such as -m TIME".into()),
        "QUIT" => {
            return Err("QUIT ends the connection: --lifetime 1 closes after each request".into());
        }
        "TIME" => Reply::Line(LineShape::DateAndTime),
        "HELP" => Reply::Line(LineShape::Help),
        "ECHO" if !rest.is_empty() => Reply::Exact([b"ECHO ", rest, b"\n"].concat()),
        _ => Reply::Line(LineShape::NoError),
    };
    Ok(Message { request: [text.as_bytes(), b"\n"].concat(), reply })
}

fn frame(text: &str) -> Result<Message, String> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (code, answer) = match word.to_ascii_lowercase().as_str() {
        "echo" => (ECHO, rest.to_owned()),
        "rev" => (REVERSE, rest.chars().rev().collect()),
        _ => return Err("binary messages are `echo TEXT` and `rev TEXT`".into()),
    };
    Ok(Message {
        request: framed(code, rest.as_bytes()),
        reply: Reply::Exact(framed(ECHO, answer.as_bytes())),
    })
}

fn framed(code: u8, payload: &[u8]) -> Vec<u8> {
    // No message is that long: a command line and `--size` have far lower limits.
    let payload_len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    [&Header { code, payload_len }.encode(), payload].concat()
}

fn chat(text: &str) -> Result<Message, String> {
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
        return Ok(Message { request, reply: Reply::Line(LineShape::TimeOfDay) });
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

/// Parses bytes written with `\n`, `\r`, `\t`, `\0`, `\\` and `\x1b`.
///
/// # Errors
/// Fails with a sentence about an unknown escape.
pub fn unescape(text: &str) -> Result<Vec<u8>, String> {
    const HINT: &str =
        "after a backslash comes one of n r t 0 \\, or x and two hexadecimal digits, as in \\x1b";
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let escaped = after.chars().next().ok_or(HINT)?;
        let mut used = 1;
        bytes.push(match escaped {
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            '0' => 0,
            '\\' => b'\\',
            'x' => {
                used = 3;
                let digits = after
                    .get(1..3)
                    .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
                    .ok_or(HINT)?;
                u8::from_str_radix(digits, 16).map_err(|_| HINT)?
            }
            _ => return Err(HINT.into()),
        });
        rest = after.get(used..).unwrap_or_default();
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

/// Returns the messages of a mix, each as often as its weight and spread evenly: `TIME:1,ECHO
/// hello:3` is `ECHO TIME ECHO ECHO`.
///
/// A comma inside a message is written `\,`.
///
/// # Errors
/// Fails with a sentence about a part without a weight.
pub fn mix(
    text: &str,
    parse: impl Fn(&str) -> Result<Message, String>,
) -> Result<Vec<Message>, String> {
    const HINT: &str = "a mix looks like 'TIME:1,ECHO hello:3': messages with their weights";
    const WEIGHTS_MAX: u64 = 10_000;
    let mut parts = Vec::new();
    for part in split_unescaped(text) {
        let (message, weight) = part.rsplit_once(':').ok_or(HINT)?;
        let weight: u64 = weight.trim().parse().ok().filter(|weight| *weight > 0).ok_or(HINT)?;
        parts.push((parse(message.trim_start())?, weight));
    }
    let divisor = parts
        .iter()
        .fold(0, |divisor, (_, weight)| greatest_common_divisor(divisor, *weight))
        .max(1);
    let total = parts.iter().map(|(_, weight)| weight / divisor).fold(0, u64::saturating_add);
    if total > WEIGHTS_MAX {
        return Err(format!(
            "the weights of a mix add up to more than {WEIGHTS_MAX}: use smaller weights"
        ));
    }
    Ok(spread(&parts, divisor, total))
}

/// Repeatedly picks the part that is furthest below its share.
fn spread(parts: &[(Message, u64)], divisor: u64, total: u64) -> Vec<Message> {
    let mut used = vec![0u64; parts.len()];
    let mut messages = Vec::new();
    for turn in 1..=total {
        let behind = |index: &usize| {
            let (index, share) = (*index, parts[*index].1 / divisor);
            (share * turn) as i64 - (used[index] * total) as i64
        };
        let Some(next) = (0..parts.len()).max_by_key(behind) else { break };
        used[next] += 1;
        messages.push(parts[next].0.clone());
    }
    messages
}

fn split_unescaped(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, parts.last_mut()) {
            ('\\', Some(part)) if characters.next_if_eq(&',').is_some() => part.push(','),
            ('\\', Some(part)) => part.extend(['\\'].into_iter().chain(characters.next())),
            (',', _) => parts.push(String::new()),
            (other, Some(part)) => part.push(other),
            (_, None) => {}
        }
    }
    parts
}

const fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(protocol: Protocol, text: &str) -> (Vec<u8>, Vec<u8>) {
        let message = message(protocol, text).expect(text);
        match message.reply {
            Reply::Exact(reply) => (message.request, reply),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn each_protocol_knows_the_replies_to_its_messages() {
        let cases: [(Protocol, &str, &[u8], &[u8]); 8] = [
            (Protocol::Text, "echo  a  b ", b"echo  a  b \n", b"ECHO a  b\n"),
            (Protocol::Echo, "hi", b"hi\n", b"Server received: hi\n"),
            (Protocol::Echo, "", b"\n", b"Server received: \n"),
            (Protocol::Echo, "hi\r", b"hi\r\n", b"Server received: hi\r\n"),
            (
                Protocol::Chat,
                "Hello!",
                b"Hello!\n",
                b"Hello from the server! Connection established.\n",
            ),
            (Protocol::Chat, "what", b"what\n", b"ACK: Received 'what'\n"),
            (
                Protocol::Binary,
                "rev ab\u{e9}",
                b"\x02\0\0\0\x04ab\xc3\xa9",
                b"\x01\0\0\0\x04\xc3\xa9ba",
            ),
            (Protocol::Binary, "echo", b"\x01\0\0\0\0", b"\x01\0\0\0\0"),
        ];
        for (protocol, text, request, reply) in cases {
            assert_eq!(exact(protocol, text), (request.to_vec(), reply.to_vec()), "{text}");
        }
    }

    #[test]
    fn replies_not_known_in_advance_have_a_shape() {
        let time = message(Protocol::Text, "time").expect("a command");
        assert_eq!(time.reply, Reply::Line(LineShape::DateAndTime));
        assert!(LineShape::DateAndTime.fits(b"TIME 2025-09-12T17:24:13-05:00\n"));
        assert!(!LineShape::DateAndTime.fits(b"TIME 2025-09-12T17:24:13Z\n"));
        assert!(LineShape::TimeOfDay.fits(b"Server Time: 17:24:13\n"));
        assert!(!LineShape::TimeOfDay.fits(b"Server Time: 17:24:1x\n"));
        assert!(!LineShape::NoError.fits(b"ERROR UNKNOWN_COMMAND\n"));
    }

    #[test]
    fn messages_that_end_or_break_the_session_are_refused() {
        for (protocol, text) in [
            (Protocol::Text, "quit"),
            (Protocol::Text, "A\nB"),
            (Protocol::Chat, "EXIT"),
            (Protocol::Binary, "quit"),
        ] {
            message(protocol, text).expect_err(text);
        }
    }

    #[test]
    fn numbered_messages_have_the_requested_size_and_differ() {
        for protocol in Protocol::ALL {
            let all: std::collections::HashSet<_> = (0..1024)
                .map(|number| numbered(protocol, 17, number).expect("letters").request)
                .collect();
            assert_eq!(all.len(), 1024, "{protocol:?}");
        }
        assert_eq!(
            numbered(Protocol::Text, 17, 5).expect("letters").request.len(),
            "ECHO Hello from client\n".len()
        );
        assert_eq!(numbered(Protocol::Binary, 0, 5).expect("nothing").request, b"\x01\0\0\0\0");
    }

    #[test]
    fn no_numbered_chat_message_is_a_chat_keyword() {
        for number in 0..26 * 26 * 26 {
            let asked = numbered(Protocol::Chat, 17, number).expect("letters");
            let text = String::from_utf8(asked.request.clone()).expect("letters");
            let reply = format!("ACK: Received '{}'\n", text.trim_end());
            assert_eq!(asked.reply, Reply::Exact(reply.into_bytes()));
        }
    }

    #[test]
    fn escapes_can_write_any_byte() {
        assert_eq!(unescape(r"*1\r\n\x00\xfF\\\t").as_deref(), Ok(b"*1\r\n\0\xff\\\t".as_slice()));
        for wrong in [r"\", r"\q", r"\x1", r"\xg0", r"\x+1"] {
            unescape(wrong).expect_err(wrong);
        }
    }

    #[test]
    fn a_mix_spreads_its_messages_by_weight() {
        let messages =
            mix("TIME:2,ECHO a\\,b:6", |text| message(Protocol::Text, text)).expect("a mix");
        let sent: Vec<u8> = messages.into_iter().flat_map(|message| message.request).collect();
        assert_eq!(sent.iter().filter(|byte| **byte == b'\n').count(), 4);
        assert_eq!(String::from_utf8_lossy(&sent).matches("ECHO a,b\n").count(), 3);
        for wrong in ["TIME", "TIME:0", "TIME:x", "", "TIME:1,", "TIME:1,HELP:100000"] {
            mix(wrong, |text| message(Protocol::Text, text)).expect_err(wrong);
        }
    }
}
