//! The protocol of NATS core as a client speaks it: lines of text, some of which count the bytes of
//! a payload that follows them.
//!
//! ```text
//!   broker --> INFO {"max_payload":1048576,...}        client --> CONNECT {"echo":false,...}
//!   broker --> MSG tinytcp.room.tea 7 5\r\nhello       client --> SUB tinytcp.room.tea 7
//!   broker --> HMSG SUBJECT SID HEADERS TOTAL\r\n...   client --> UNSUB 7
//!   broker --> +OK, -ERR 'reason'                      client --> PUB tinytcp.room.tea 5\r\nhello
//!   both   --> PING, PONG
//! ```
//!
//! Each line and each payload ends in `\r\n`. The names of operations have any case, and blanks or
//! tabs separate the fields. The reference is the page "Client" of docs.nats.io.

mod info;
#[cfg(test)]
mod tests;

use std::fmt::{self, Display};
use std::io::Write;

use memchr::memchr;

use super::line::is_blank;

pub use info::Info;

/// The port of a broker if its URL has none.
pub const DEFAULT_PORT: u16 = 4222;

/// The longest line in bytes, its ending included. The `INFO` of a cluster lists the addresses of
/// its brokers and can take some KiB.
pub const LINE_BYTES_MAX: usize = 32 << 10;

/// The longest payload in bytes that is decoded. A longer one is skipped.
pub const PAYLOAD_BYTES_MAX: usize = 64 << 10;

/// An input of this length holds any operation that is decoded.
pub const OPERATION_BYTES_MAX: usize = LINE_BYTES_MAX + PAYLOAD_BYTES_MAX + ENDING.len();

const ENDING: &[u8] = b"\r\n";

/// An operation of the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    /// The broker describes itself, in JSON: see [`Info::parse`].
    Info(&'a [u8]),
    /// A message on a subject. The headers of an `HMSG` are left out.
    Message {
        /// The subject.
        subject: &'a [u8],
        /// The payload.
        payload: &'a [u8],
    },
    /// A message whose payload is longer than [`PAYLOAD_BYTES_MAX`] and is skipped.
    Oversized,
    /// The broker asks for a `PONG`.
    Ping,
    /// The answer to a `PING`: the broker has read what was sent before it.
    Pong,
    /// The broker has accepted an operation, in verbose mode.
    Ok,
    /// The broker reports an error, without its quotes. After most errors it closes the connection.
    Error(&'a [u8]),
}

/// The bytes are no operation of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Decodes operations. It stores only how many bytes of a long payload are to skip.
#[derive(Debug, Default)]
pub struct Decoder {
    skip: usize,
}

impl Decoder {
    /// Decodes the operation at the front of `input`. Returns how many bytes are consumed, and the
    /// operation, if one is complete. Without an operation, the bytes after the consumed ones are
    /// the beginning of one. The result does not depend on how the network splits the bytes.
    ///
    /// # Errors
    /// When a line is longer than [`LINE_BYTES_MAX`], is no operation, or has fields that are
    /// wrong, and when a payload does not end where its line claims.
    pub fn decode<'a>(
        &mut self,
        input: &'a [u8],
    ) -> Result<(usize, Option<Operation<'a>>), Malformed> {
        if self.skip > 0 {
            let skipped = self.skip.min(input.len());
            self.skip -= skipped;
            return Ok((skipped, None));
        }
        let Some((line, len)) = line(input)? else { return Ok((0, None)) };
        let (kind, fields) = split_name(line).ok_or(Malformed)?;
        let operation = match kind {
            Kind::Msg => return self.message(input, len, fields, false),
            Kind::Hmsg => return self.message(input, len, fields, true),
            Kind::Info => Operation::Info(fields),
            Kind::Ping => Operation::Ping,
            Kind::Pong => Operation::Pong,
            Kind::Ok => Operation::Ok,
            Kind::Err => Operation::Error(unquoted(fields)),
        };
        Ok((len, Some(operation)))
    }

    /// Decodes the fields `SUBJECT SID [REPLY-TO] [HEADERS] TOTAL` of a message and the payload
    /// after its line of `line_len` bytes.
    fn message<'a>(
        &mut self,
        input: &'a [u8],
        line_len: usize,
        fields: &'a [u8],
        has_headers: bool,
    ) -> Result<(usize, Option<Operation<'a>>), Malformed> {
        let mut words = fields.split(|byte| is_blank(*byte)).filter(|word| !word.is_empty());
        let total = words.next_back().and_then(number).ok_or(Malformed)?;
        let headers = match has_headers {
            true => words.next_back().and_then(number).ok_or(Malformed)?,
            false => 0,
        };
        let (Some(subject), Some(_sid), _reply_to, None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Malformed);
        };
        let body_len = total.checked_add(ENDING.len()).ok_or(Malformed)?;
        if headers > total {
            return Err(Malformed);
        }
        if total > PAYLOAD_BYTES_MAX {
            self.skip = body_len;
            return Ok((line_len, Some(Operation::Oversized)));
        }
        let len = line_len.checked_add(body_len).ok_or(Malformed)?;
        let Some(body) = input.get(line_len..len) else { return Ok((0, None)) };
        let body = body.strip_suffix(ENDING).ok_or(Malformed)?;
        let payload = body.get(headers..).ok_or(Malformed)?;
        Ok((len, Some(Operation::Message { subject, payload })))
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Info,
    Msg,
    Hmsg,
    Ping,
    Pong,
    Ok,
    Err,
}

const NAMES: [(&[u8], Kind); 7] = [
    (b"INFO", Kind::Info),
    (b"MSG", Kind::Msg),
    (b"HMSG", Kind::Hmsg),
    (b"PING", Kind::Ping),
    (b"PONG", Kind::Pong),
    (b"+OK", Kind::Ok),
    (b"-ERR", Kind::Err),
];

/// Returns the first line of `input` without its ending, and its length with it. Returns `None`
/// while the ending is missing.
fn line(input: &[u8]) -> Result<Option<(&[u8], usize)>, Malformed> {
    let front = input.get(..LINE_BYTES_MAX).unwrap_or(input);
    if let Some(end) = memchr(b'\n', front) {
        let line = front.get(..end).unwrap_or_default();
        return Ok(Some((line.strip_suffix(b"\r").unwrap_or(line), end + 1)));
    }
    // Another protocol, such as TLS, need not have lines: its first bytes decide.
    match front.len() < LINE_BYTES_MAX && can_become_name(front) {
        true => Ok(None),
        false => Err(Malformed),
    }
}

/// True if a line that begins with `front` can be that of an operation.
fn can_become_name(front: &[u8]) -> bool {
    let name = front.split(|byte| is_blank(*byte) || *byte == b'\r').next().unwrap_or_default();
    NAMES.iter().any(|(known, _)| {
        let expected =
            if name.len() < front.len() { Some(*known) } else { known.get(..name.len()) };
        expected.is_some_and(|expected| expected.eq_ignore_ascii_case(name))
    })
}

/// Splits a line into its operation and the fields after the name.
fn split_name(line: &[u8]) -> Option<(Kind, &[u8])> {
    let end = line.iter().position(|byte| is_blank(*byte)).unwrap_or(line.len());
    let (name, fields) = line.split_at_checked(end)?;
    let (_, kind) = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    Some((*kind, fields.trim_ascii()))
}

/// Returns the value of decimal digits.
fn number(digits: &[u8]) -> Option<usize> {
    let is_number = digits.iter().all(u8::is_ascii_digit);
    let number: u32 = str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()?;
    usize::try_from(number).ok()
}

fn unquoted(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"'").and_then(|text| text.strip_suffix(b"'")).unwrap_or(text)
}

/// Appends a subscription to `subject` with the number `sid`.
///
/// A subject must have no blanks and no line endings, here and in the other operations.
pub fn append_sub(output: &mut Vec<u8>, subject: impl Display, sid: u64) {
    append(output, format_args!("SUB {subject} {sid}\r\n"));
}

/// Appends the end of the subscription `sid`.
pub fn append_unsub(output: &mut Vec<u8>, sid: u64) {
    append(output, format_args!("UNSUB {sid}\r\n"));
}

/// Appends a message of `payload_len` bytes on `subject`, whose payload `append_payload` appends.
pub fn append_pub(
    output: &mut Vec<u8>,
    subject: impl Display,
    payload_len: usize,
    append_payload: impl FnOnce(&mut Vec<u8>),
) {
    append(output, format_args!("PUB {subject} {payload_len}\r\n"));
    let before = output.len();
    append_payload(output);
    debug_assert_eq!(output.len() - before, payload_len, "the length is part of the line");
    output.extend_from_slice(ENDING);
}

/// Appends the options of the connection, a JSON object in one line.
pub fn append_connect(output: &mut Vec<u8>, options: impl Display) {
    append(output, format_args!("CONNECT {options}\r\n"));
}

/// Appends a `PING`, which the broker answers with a `PONG`.
pub fn append_ping(output: &mut Vec<u8>) {
    output.extend_from_slice(b"PING\r\n");
}

/// Appends the answer to a `PING`.
pub fn append_pong(output: &mut Vec<u8>) {
    output.extend_from_slice(b"PONG\r\n");
}

fn append(output: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    // Writing to a vector never fails.
    let _ = output.write_fmt(text);
}
