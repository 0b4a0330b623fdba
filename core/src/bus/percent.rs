//! Percent-encoding (RFC 3986), for subjects and URLs.

use std::fmt::{self, Display};

/// Displays bytes: letters and digits of ASCII, `-` and `_` as themselves, others as `%41`.
#[derive(Clone, Copy, Debug)]
pub struct Encoded<'a>(pub &'a [u8]);

impl Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => {
                write!(f, "{}", char::from(*byte))
            }
            _ => write!(f, "%{byte:02X}"),
        })
    }
}

/// Returns the bytes that `text` encodes; `None` if a `%` has no two hexadecimal digits after it.
pub fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        (rest, _) = match first {
            b'%' => {
                let (digits, after) = after.split_at_checked(2)?;
                let is_number = digits.iter().all(u8::is_ascii_hexdigit);
                let digits = str::from_utf8(digits).ok().filter(|_| is_number)?;
                (after, bytes.push(u8::from_str_radix(digits, 16).ok()?))
            }
            byte => (after, bytes.push(*byte)),
        };
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_percent_sign_without_two_digits_is_no_text() {
        for text in ["%", "a%4", "%4x", "%+1", "%%41"] {
            assert_eq!(decoded(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_back_from_letters_digits_and_percent_signs(bytes: Vec<u8>) {
            let text = Encoded(&bytes).to_string();
            let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"%-_".contains(&byte);
            prop_assert!(text.bytes().all(is_safe));
            prop_assert_eq!(decoded(text.as_bytes()), Some(bytes));
        }
    }
}
