//! Templates: messages with values that differ from request to request.
//!
//! ```text
//!   {n}        number of the request, from 0; of the first request of the pass in a script
//!   {c}        number of the connection, from 0
//!   {rand:8}   8 random decimal digits
//!   {hex:4}    4 random hexadecimal digits
//!   {{         {
//! ```
//!
//! A value is a function of the seed, the number of the request and the name of the value. So the
//! reply has the values of its request, and nothing is stored or allocated per request.

use std::io::Write;

use tinytcp_core::wire::frame::HEADER_LEN;

use super::message::{ExpectedReply, LineShape, ScriptMessage};
use crate::error::UsageError;
use crate::traffic::random;

/// Maximum number of random digits of a value.
const DIGITS_MAX: u64 = 64;

/// Number of digits that one random number has.
const DIGITS_PER_NUMBER: u64 = 16;

/// Length of the code before the length of a frame.
const CODE_LEN: usize = 1;

/// What the values of a request follow from.
#[derive(Clone, Copy, Debug)]
pub struct Values {
    /// The seed of the run.
    pub seed: u32,
    /// The number of the request.
    pub number: u64,
    /// The number of the connection.
    pub connection: u64,
}

/// Bytes with values between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
    /// The code of the frame around the bytes, if they are a payload.
    frame: Option<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Bytes(Vec<u8>),
    Number,
    Connection,
    /// This number of random digits to this base.
    Digits {
        base: u64,
        count: u64,
    },
}

impl Template {
    /// Parses `text`, in which `{` starts a value.
    ///
    /// # Errors
    /// Fails with a sentence about an unknown value.
    pub fn parse(text: &[u8]) -> Result<Self, UsageError> {
        let (mut pieces, mut bytes) = (Vec::new(), Vec::new());
        let mut rest = text;
        while let Some(at) = memchr::memchr(b'{', rest) {
            bytes.extend_from_slice(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(b"{") {
                bytes.push(b'{');
                rest = after;
                continue;
            }
            let end = memchr::memchr(b'}', rest).ok_or_else(|| unknown(rest))?;
            let piece = Piece::parse(&rest[..end]).ok_or_else(|| unknown(&rest[..end]))?;
            if !bytes.is_empty() {
                pieces.push(Piece::Bytes(std::mem::take(&mut bytes)));
            }
            pieces.push(piece);
            rest = &rest[end + 1..];
        }
        bytes.extend_from_slice(rest);
        if !bytes.is_empty() {
            pieces.push(Piece::Bytes(bytes));
        }
        Ok(Self { pieces, frame: None })
    }

    /// Parses the payload of `frame`, whose length follows from the values.
    ///
    /// # Errors
    /// Fails like [`parse`](Self::parse).
    pub fn parse_frame(frame: &[u8]) -> Result<Self, UsageError> {
        let payload = frame.get(HEADER_LEN..).unwrap_or_default();
        Ok(Self { frame: frame.first().copied(), ..Self::parse(payload)? })
    }

    /// Returns true if it has no value.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        self.pieces.iter().all(|piece| matches!(piece, Piece::Bytes(_)))
    }

    /// Returns true if it has the number of the request.
    #[must_use]
    pub fn has_number(&self) -> bool {
        self.pieces.contains(&Piece::Number)
    }

    /// Returns true if it has a random value.
    #[must_use]
    pub fn is_random(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Digits { .. }))
    }

    /// Appends the bytes with these values to `out`.
    pub fn render(&self, values: Values, out: &mut Vec<u8>) {
        let start = out.len();
        if let Some(code) = self.frame {
            out.push(code);
            out.extend_from_slice(&[0; HEADER_LEN - CODE_LEN]);
        }
        for piece in &self.pieces {
            // Writing to a vector cannot fail.
            let _ = match piece {
                Piece::Bytes(bytes) => out.write_all(bytes),
                Piece::Number => write!(out, "{}", values.number),
                Piece::Connection => write!(out, "{}", values.connection),
                Piece::Digits { base, count } => {
                    digits(values, *base, *count, out);
                    Ok(())
                }
            };
        }
        if self.frame.is_some() {
            // No message is that long: a command line and `--size` have far lower limits.
            let len = u32::try_from(out.len() - start - HEADER_LEN).unwrap_or(u32::MAX);
            out[start + CODE_LEN..start + HEADER_LEN].copy_from_slice(&len.to_be_bytes());
        }
    }
}

impl Piece {
    fn parse(name: &[u8]) -> Option<Self> {
        let (name, count) = match std::str::from_utf8(name).ok()?.split_once(':') {
            None if name == b"n" => return Some(Self::Number),
            None if name == b"c" => return Some(Self::Connection),
            None => return None,
            Some((name, count)) => (name, count.parse().ok()?),
        };
        let base = match name {
            "rand" => 10,
            "hex" => 16,
            _ => return None,
        };
        (1..=DIGITS_MAX).contains(&count).then_some(Self::Digits { base, count })
    }
}

fn unknown(name: &[u8]) -> UsageError {
    let name = String::from_utf8_lossy(name);
    format!(
        "'{{{name}' is no value: values are {{n}}, {{c}}, {{rand:8}} and {{hex:4}}, with 1 to \
         {DIGITS_MAX} digits; write {{{{ for {{"
    )
    .into()
}

/// Appends random digits. Values of different bases and lengths are independent.
fn digits(values: Values, base: u64, count: u64, out: &mut Vec<u8>) {
    let request = random::number(values.seed.into(), values.number);
    let value = random::number(request, base * (DIGITS_MAX + 1) + count);
    let mut bits = 0;
    for index in 0..count {
        if index % DIGITS_PER_NUMBER == 0 {
            bits = random::number(value, index);
        }
        out.push(b"0123456789abcdef"[(bits % base) as usize]);
        bits /= base;
    }
}

/// A message with templates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateMessage {
    /// The request.
    pub request: Template,
    /// The expected reply.
    pub reply: TemplateReply,
}

/// The expected reply of a message with templates: see [`ExpectedReply`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateReply {
    /// Exactly these bytes.
    Exact(Template),
    /// One line of this shape.
    Line(LineShape),
    /// Any bytes that end with these, at least one.
    Until(Template),
    /// No reply.
    Nothing,
}

impl TemplateMessage {
    /// Parses the templates of a message; `is_framed` if it and its reply are frames.
    ///
    /// # Errors
    /// Fails with a sentence about an unknown value.
    pub fn parse(message: &ScriptMessage, is_framed: bool) -> Result<Self, UsageError> {
        let parse = if is_framed { Template::parse_frame } else { Template::parse };
        Ok(Self {
            request: parse(&message.request)?,
            reply: match &message.reply {
                ExpectedReply::Exact(bytes) => TemplateReply::Exact(parse(bytes)?),
                ExpectedReply::Line(shape) => TemplateReply::Line(*shape),
                ExpectedReply::Until(end) => TemplateReply::Until(parse(end)?),
                ExpectedReply::Nothing => TemplateReply::Nothing,
            },
        })
    }

    /// Returns the templates.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        let reply = match &self.reply {
            TemplateReply::Exact(reply) | TemplateReply::Until(reply) => Some(reply),
            TemplateReply::Line(_) | TemplateReply::Nothing => None,
        };
        std::iter::once(&self.request).chain(reply)
    }

    /// Returns the message with these values.
    #[must_use]
    pub fn message(&self, values: Values) -> ScriptMessage {
        let bytes = |template: &Template| {
            let mut bytes = Vec::new();
            template.render(values, &mut bytes);
            bytes
        };
        ScriptMessage {
            request: bytes(&self.request),
            reply: match &self.reply {
                TemplateReply::Exact(reply) => ExpectedReply::Exact(bytes(reply)),
                TemplateReply::Line(shape) => ExpectedReply::Line(*shape),
                TemplateReply::Until(end) => ExpectedReply::Until(bytes(end)),
                TemplateReply::Nothing => ExpectedReply::Nothing,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn rendered(text: &str, number: u64) -> String {
        let mut out = Vec::new();
        let template = Template::parse(text.as_bytes()).expect(text);
        template.render(Values { seed: 7, number, connection: 3 }, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn values_stand_for_numbers_and_digits() {
        assert_eq!(rendered("a{n}b{c}", 17), "a17b3");
        assert_eq!(rendered("{{n} }} {{{n}", 17), "{n} }} {17");
        let (decimal, hexadecimal) = (rendered("{rand:40}", 0), rendered("{hex:40}", 0));
        assert!(decimal.len() == 40 && decimal.bytes().all(|byte| byte.is_ascii_digit()));
        assert!(
            hexadecimal.len() == 40 && hexadecimal.bytes().any(|byte| byte.is_ascii_lowercase())
        );
    }

    #[test]
    fn a_value_is_constant_in_a_request_and_differs_between_them() {
        let pair = rendered("{rand:8}{rand:8}", 5);
        assert_eq!(pair[..8], pair[8..]);
        let all: HashSet<String> = (0..1_000).map(|number| rendered("{rand:12}", number)).collect();
        assert_eq!(all.len(), 1_000);
        assert_ne!(rendered("{rand:8}", 5), rendered("{rand:9}", 5)[..8]);
    }

    #[test]
    fn the_digits_are_evenly_distributed() {
        let text: String = (0..5_000).map(|number| rendered("{rand:20}", number)).collect();
        for digit in b'0'..=b'9' {
            // 10,000 on average; the deviation is 95.
            let count = text.bytes().filter(|byte| *byte == digit).count();
            assert!(count.abs_diff(10_000) < 500, "{digit}: {count}");
        }
    }

    #[test]
    fn a_frame_has_the_length_of_its_payload() {
        let template = Template::parse_frame(b"\x01\0\0\0\x05a{n}{{").expect("a frame");
        let mut out = b"before".to_vec();
        template.render(Values { seed: 0, number: 1_234, connection: 0 }, &mut out);
        assert_eq!(out, b"before\x01\0\0\0\x06a1234{");
    }

    #[test]
    fn an_unknown_value_is_refused_with_the_known_ones() {
        for text in
            ["{", "{}", "{x}", "{n", "{rand}", "{rand:}", "{rand:0}", "{hex:65}", "{n:3}", "{{{"]
        {
            let error = Template::parse(text.as_bytes()).expect_err(text).to_string();
            assert!(error.contains("{rand:8}") && error.contains("{{ for {"), "{text}: {error}");
        }
    }
}
