//! Numbers with their nouns, as sentences have them.

use std::fmt;

/// `1 message`, `2 messages`. The noun is regular: its plural ends in `s`.
#[must_use]
pub fn plural(number: u64, noun: &str) -> impl fmt::Display {
    fmt::from_fn(move |f| write!(f, "{number} {noun}{}", if number == 1 { "" } else { "s" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_is_singular() {
        let texts = [0, 1, 2, 21].map(|number| plural(number, "message").to_string());
        assert_eq!(texts, ["0 messages", "1 message", "2 messages", "21 messages"]);
    }
}
