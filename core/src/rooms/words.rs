//! The names and texts that the rooms accept.
//!
//! Both reach the terminals and scripts of other members, so they contain no line ends and no
//! control characters. A word with one is refused, and nothing is escaped or removed.

use super::Refusal;

/// The longest name of a member or a room, in bytes.
pub const NAME_BYTES_MAX: usize = 32;

/// The beginning of the name of a member that has chosen none. A number follows.
pub(super) const GUEST: &str = "guest-";

/// The sender of a message that no member has said: an operator has published it on the bus. No
/// member can choose this name.
pub const OPERATOR: &str = "operator";

/// No member has this name: in `chat`, its messages would look like acknowledgements.
const ACKNOWLEDGEMENT: &str = "ACK";

/// Returns `name` if it is a name: letters, digits, `-` and `_`, at most [`NAME_BYTES_MAX`] bytes
/// of UTF-8.
///
/// # Errors
/// [`Refusal::BadName`].
pub fn name(name: &[u8]) -> Result<&str, Refusal> {
    let is_of_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    std::str::from_utf8(name)
        .ok()
        .filter(|name| (1..=NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(is_of_name))
        .ok_or(Refusal::BadName)
}

/// Returns `name` if the sender of a message may have it: a name that no answer of `chat` begins
/// with.
///
/// # Errors
/// [`Refusal::BadName`].
pub fn speaker(bytes: &[u8]) -> Result<&str, Refusal> {
    name(bytes)
        .and_then(|name| if name == ACKNOWLEDGEMENT { Err(Refusal::BadName) } else { Ok(name) })
}

/// Returns `name` if a member may choose it: a name of a sender that is not the default name of a
/// member, and not [`OPERATOR`].
///
/// # Errors
/// [`Refusal::BadName`].
pub(super) fn chosen_name(bytes: &[u8]) -> Result<&str, Refusal> {
    let is_default = |name: &str| {
        name.strip_prefix(GUEST).is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let is_reserved = |name: &str| is_default(name) || name.eq_ignore_ascii_case(OPERATOR);
    speaker(bytes).and_then(|name| if is_reserved(name) { Err(Refusal::BadName) } else { Ok(name) })
}

/// Returns `text` if it is the text of a message: UTF-8 of at most `bytes_max` bytes, without
/// control characters and line separators.
///
/// # Errors
/// [`Refusal::BadText`] or [`Refusal::TextTooLong`].
pub fn text(text: &[u8], bytes_max: usize) -> Result<&[u8], Refusal> {
    if text.len() > bytes_max {
        return Err(Refusal::TextTooLong);
    }
    let may_stand = |c: char| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}');
    match std::str::from_utf8(text) {
        Ok(valid) if !valid.is_empty() && valid.chars().all(may_stand) => Ok(text),
        _ => Err(Refusal::BadText),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_letters_digits_and_dashes() {
        for good in ["a", "Ann", "ann-2", "b_b", "7", "\u{e9}t\u{e9}", "\u{5f20}", &"x".repeat(32)]
        {
            assert_eq!(name(good.as_bytes()), Ok(good));
        }
        for bad in ["", "a b", "a\tb", "a\n", "a.b", "a:", "*", "\u{7f}", "e\u{301}", "\u{202e}a"] {
            assert_eq!(name(bad.as_bytes()), Err(Refusal::BadName), "{bad:?}");
        }
        assert_eq!(name(&[b'x'; NAME_BYTES_MAX + 1]), Err(Refusal::BadName));
        assert_eq!(name(b"\xff"), Err(Refusal::BadName));
    }

    #[test]
    fn a_default_name_and_that_of_the_operator_cannot_be_chosen() {
        assert_eq!(chosen_name(b"Operator"), Err(Refusal::BadName));
        assert_eq!(chosen_name(b"guest-7"), Err(Refusal::BadName));
        assert_eq!(chosen_name(b"guest-"), Err(Refusal::BadName));
        assert_eq!(chosen_name(b"guest-seven"), Ok("guest-seven"));
        assert_eq!(chosen_name(b"guest"), Ok("guest"));
    }

    #[test]
    fn no_sender_has_the_name_of_an_acknowledgement() {
        assert_eq!(speaker(b"ACK"), Err(Refusal::BadName));
        assert_eq!(chosen_name(b"ACK"), Err(Refusal::BadName));
        assert_eq!(chosen_name(b"ack"), Ok("ack"));
        assert_eq!(speaker(b"operator"), Ok("operator"));
    }

    #[test]
    fn a_text_has_no_control_character_and_no_line_end() {
        assert_eq!(
            text("gr\u{fc}\u{df} dich!  ".as_bytes(), 16),
            Ok("gr\u{fc}\u{df} dich!  ".as_bytes())
        );
        for bad in
            ["", "a\nb", "a\r", "\t", "\0", "\u{1b}[2J", "\u{7f}", "\u{85}", "\u{9b}", "\u{2028}"]
        {
            assert_eq!(text(bad.as_bytes(), 99), Err(Refusal::BadText), "{bad:?}");
        }
        assert_eq!(text(b"\xc3\x28", 99), Err(Refusal::BadText));
    }

    #[test]
    fn the_limit_of_a_text_is_exact() {
        assert_eq!(text(b"four", 4), Ok(&b"four"[..]));
        assert_eq!(text(b"fives", 4), Err(Refusal::TextTooLong));
    }
}
