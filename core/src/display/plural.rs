//! Numbers with their nouns.

use std::fmt;

/// Formats a number and its noun: `1 message`, `2 messages`. The plural must end in `s`.
#[must_use]
pub fn plural(number: u64, noun: &str) -> impl fmt::Display {
    fmt::from_fn(move |f| write!(f, "{number} {noun}{}", if number == 1 { "" } else { "s" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_number_1_is_singular() {
        let texts = [0, 1, 2, 21].map(|number| plural(number, "message").to_string());
        assert_eq!(texts, ["0 messages", "1 message", "2 messages", "21 messages"]);
    }
}
