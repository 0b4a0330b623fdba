//! The bytes of a raw run: their notation on the command line, and the framing of the replies.

use super::message::{ExpectedReply, Framing, ScriptMessage};
use crate::error::UsageError;

/// Returns how replies of a raw run are framed: as lines if every expected reply is a line.
#[must_use]
pub fn raw_framing(messages: &[ScriptMessage]) -> Framing {
    let is_line = |message: &ScriptMessage| match &message.reply {
        ExpectedReply::Exact(bytes) => memchr::memchr(b'\n', bytes) == bytes.len().checked_sub(1),
        _ => false,
    };
    if messages.iter().all(is_line) { Framing::Lines } else { Framing::Unknown }
}

/// Parses bytes like [`unescape`], for a template: an escaped `{` starts no value.
///
/// # Errors
/// Fails with a sentence about an unknown escape.
pub fn template(text: &str) -> Result<Vec<u8>, UsageError> {
    parse(text, b"{{")
}

/// Parses bytes written with `\n`, `\r`, `\t`, `\0`, `\\` and `\x1b`.
///
/// # Errors
/// Fails with a sentence about an unknown escape.
pub fn unescape(text: &str) -> Result<Vec<u8>, UsageError> {
    parse(text, b"{")
}

/// Parses bytes with escapes; `brace` stands for an escaped `{`.
fn parse(text: &str, brace: &[u8]) -> Result<Vec<u8>, UsageError> {
    const HINT: &str =
        "after a backslash comes one of n r t 0 \\, or x and two hexadecimal digits, as in \\x1b";
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let escaped = after.chars().next().ok_or(HINT)?;
        let mut used = 1;
        let byte = match escaped {
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
        };
        bytes.extend_from_slice(if byte == b'{' { brace } else { std::slice::from_ref(&byte) });
        rest = after.get(used..).unwrap_or_default();
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_can_write_any_byte() {
        assert_eq!(unescape(r"*1\r\n\x00\xfF\\\t").as_deref(), Ok(b"*1\r\n\0\xff\\\t".as_slice()));
        for wrong in [r"\", r"\q", r"\x1", r"\xg0", r"\x+1"] {
            unescape(wrong).expect_err(wrong);
        }
    }
}
