//! Telnet negotiation (RFC 854). A server without options only has to skip it.
//!
//! ```text
//!   FF FB..FE option          WILL, WONT, DO, DONT
//!   FF FA ... FF F0           a subnegotiation
//!   FF F0..F9, FF FF          a command, an escaped FF
//! ```

use super::line::{is_blank, skip_blanks};

/// "Interpret as command": the first byte of each negotiation.
pub const IAC: u8 = 0xFF;
const SUBNEGOTIATION_END: u8 = 0xF0;
const SUBNEGOTIATION: u8 = 0xFA;

/// Returns `input` after the negotiation at its front; `None` if it begins with another byte.
///
/// Negotiation that the end of `input` truncates is skipped too. A newline among the options ends a
/// line like any other newline, and the rest of the options begins the next line.
#[must_use]
pub fn skip_negotiation(input: &[u8]) -> Option<&[u8]> {
    let rest = input.strip_prefix(&[IAC])?;
    let after = match rest {
        [0xFB..=0xFE, _, after @ ..] | [0xF0..=0xF9 | IAC, after @ ..] => after,
        [SUBNEGOTIATION, parameters @ ..] => {
            let end = parameters.windows(2).position(|pair| pair == [IAC, SUBNEGOTIATION_END]);
            end.and_then(|end| parameters.get(end + 2..)).unwrap_or_default()
        }
        [0xFB..=0xFE] => &[],
        // `telnet` sends the second half of some commands out of band, where it may be lost: then
        // only the first half arrives.
        after => after,
    };
    Some(after)
}

/// Splits a line into its first word, without negotiation before or inside it, and the rest after
/// the blanks that follow the word. The word is written to `place`; a word that is longer than
/// `place` is truncated.
pub fn split_word<'a, 'w>(mut line: &'a [u8], place: &'w mut [u8]) -> (&'w [u8], &'a [u8]) {
    let mut len = 0;
    while let Some((first, rest)) = line.split_first() {
        if let Some(after) = skip_negotiation(line) {
            line = after;
            continue;
        }
        match (first, place.get_mut(len)) {
            (byte, _) if is_blank(*byte) && len == 0 => {}
            (byte, Some(next)) if !is_blank(*byte) => {
                *next = *byte;
                len += 1;
            }
            _ => break,
        }
        line = rest;
    }
    (place.get(..len).unwrap_or_default(), skip_blanks(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let mut word = [0; 8];
        let (word, argument) = split_word(line, &mut word);
        (word.to_vec(), argument.to_vec())
    }

    #[test]
    fn negotiation_before_and_inside_the_first_word_is_skipped() {
        let negotiations: [&[u8]; 6] = [
            b"\xff\xfb\x20",                         // WILL TERMINAL-SPEED, whose code is a blank
            b"\xff\xfd\x06",                         // DO TIMING-MARK
            b"\xff\xf4",                             // INTERRUPT PROCESS
            b"\xff\xfa\x1f\x00\x50\x00\x18\xff\xf0", // a window size
            b"\xff\xff",
            b"\xff", // half of a DATA MARK
        ];
        for negotiation in negotiations {
            for at in 0..=4 {
                let line = [&b"ECHO"[..at], negotiation, &b"ECHO"[at..], b" \t\ra \xff b"].concat();
                assert_eq!(
                    split(&line),
                    (b"ECHO".to_vec(), b"\ra \xff b".to_vec()),
                    "{}",
                    line.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn truncated_negotiation_is_skipped_to_the_end_of_the_line() {
        for line in [&b"\xff"[..], b"\xff\xfb", b"\xff\xfa\x1f\x00\x50\x00"] {
            assert_eq!(split(line), (vec![], vec![]), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn a_word_longer_than_its_buffer_is_truncated() {
        assert_eq!(split(b"\xff\xf1ABCDEFGHIJ k").0, b"ABCDEFGH");
    }
}
