//! Escaping: untrusted text made harmless for a terminal and for a log line.
//!
//! Bytes from a peer, a user or a file are shown only through [`quoted`] or [`shown`]. Printable
//! UTF-8 stays as it is. Control characters, line separators, characters that change the direction
//! of writing or have no width, and bytes that are not UTF-8 are escaped: they could break a line,
//! control a terminal, or make a text look like another one.

use std::fmt::{self, Write};

/// Formats `bytes` for a log or a report. The result is unambiguous: a backslash is escaped too.
#[must_use]
pub const fn quoted(bytes: &[u8]) -> impl fmt::Display + use<'_> {
    Escaped { bytes, kept: "" }
}

/// Formats `bytes` for a line on a terminal. Backslashes and tabs stay, so the result can be
/// ambiguous.
#[must_use]
pub const fn shown(bytes: &[u8]) -> impl fmt::Display + use<'_> {
    Escaped { bytes, kept: "\\\t" }
}

/// Returns the longest prefix of `bytes` that has at most `len_max` bytes and ends between two
/// characters of UTF-8. Other bytes are cut anywhere. The prefix has at least the first byte.
#[must_use]
pub fn front(bytes: &[u8], len_max: usize) -> &[u8] {
    let is_continuation = |byte: &u8| byte & 0b1100_0000 == 0b1000_0000;
    // No character has more than three continuation bytes: a longer run of them is not text.
    let inside = bytes
        .get(..=len_max)
        .unwrap_or_default()
        .iter()
        .rev()
        .take_while(|byte| is_continuation(byte))
        .count();
    let len = if inside <= 3 { len_max.saturating_sub(inside) } else { len_max };
    bytes.get(..len.max(1)).filter(|_| bytes.len() > len_max).unwrap_or(bytes)
}

struct Escaped<'a> {
    bytes: &'a [u8],
    /// The characters that stay although [`is_escaped`] is true for them.
    kept: &'static str,
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    _ if self.kept.contains(c) || !is_escaped(c) => f.write_char(c)?,
                    '\\' | '\t' | '\r' | '\n' => write!(f, "{}", c.escape_default())?,
                    _ if c.is_ascii() => write!(f, "\\x{:02x}", u32::from(c))?,
                    _ => write!(f, "{}", c.escape_unicode())?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// True for a backslash and for every character that is not printable text by itself.
fn is_escaped(c: char) -> bool {
    let is_mark = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}');
    let is_bidi = is_mark || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let has_no_width = matches!(c, '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}');
    c == '\\' || c.is_control() || is_bidi || has_no_width || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn printable_text_of_any_language_stays() {
        for text in ["it's \"so\"", "é ß 字 🙂", "e\u{301}", "שלום", "مرحبا", "हिन्दी"]
        {
            assert_eq!(quoted(text.as_bytes()).to_string(), text);
        }
    }

    #[test]
    fn every_control_bidi_and_invisible_character_is_escaped() {
        let controls = ('\0'..=' ').chain('\u{7f}'..='\u{9f}').filter(|c| c.is_control());
        let bidi = "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\
                    \u{2066}\u{2067}\u{2068}\u{2069}";
        for c in controls
            .chain(bidi.chars())
            .chain("\u{2028}\u{2029}\u{200b}\u{2060}\u{2064}\u{feff}".chars())
        {
            let text = quoted(c.to_string().as_bytes()).to_string();
            assert!(text.starts_with('\\') && text.is_ascii(), "{c:?}: {text}");
        }
        assert_eq!(
            quoted("\u{1b}[0m\r\n\t\u{9b}\u{61c}".as_bytes()).to_string(),
            r"\x1b[0m\r\n\t\u{9b}\u{61c}"
        );
    }

    #[test]
    fn a_backslash_is_escaped_in_quoted_text_and_stays_on_a_terminal() {
        assert_eq!(quoted(b"C:\\x\ty").to_string(), r"C:\\x\ty");
        assert_eq!(shown(b"C:\\x\ty\x1b").to_string(), "C:\\x\ty\\x1b");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_escaped_one_by_one() {
        assert_eq!(quoted(b"a\xff\xc3b\xe2\x80").to_string(), r"a\xff\xc3b\xe2\x80");
    }

    #[test]
    fn a_prefix_ends_between_two_characters() {
        assert_eq!(front("aé🙂".as_bytes(), 100), "aé🙂".as_bytes());
        for (len_max, text) in [(7, "aé🙂"), (6, "aé"), (4, "aé"), (3, "aé"), (2, "a"), (1, "a")]
        {
            assert_eq!(front("aé🙂".as_bytes(), len_max), text.as_bytes(), "{len_max}");
        }
        assert_eq!(front(&[0x80; 9], 8), [0x80; 8], "bytes that are not text are cut anywhere");
    }

    proptest! {
        #[test]
        fn no_bytes_break_a_line_or_control_a_terminal(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let text = quoted(&bytes).to_string();
            prop_assert!(text.chars().all(|c| c == '\\' || !is_escaped(c)), "{text:?}");
        }

        #[test]
        fn two_different_texts_are_quoted_differently(
            text in "[\\\\x1b\u{1b}\n]{0,6}",
            other in "[\\\\x1b\u{1b}\n]{0,6}",
        ) {
            let first = quoted(text.as_bytes()).to_string();
            let second = quoted(other.as_bytes()).to_string();
            prop_assert_eq!(first == second, text == other);
        }
    }
}
