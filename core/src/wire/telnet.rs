//! Telnet negotiation (RFC 854), as far as a server without options needs it: to look past it.
//!
//! ```text
//!   FF FB..FE option          WILL, WONT, DO, DONT
//!   FF FA ... FF F0           a subnegotiation
//!   FF F0..F9, FF FF          a command, an escaped FF
//! ```

use super::line::{is_blank, skip_blanks};

/// Interpret as command: what every piece of negotiation starts with.
pub const IAC: u8 = 0xFF;
const SUBNEGOTIATION_END: u8 = 0xF0;
const SUBNEGOTIATION: u8 = 0xFA;

/// The front of `input` behind the negotiation that it starts with; `None` when it starts with
/// something else.
///
/// What is cut off by the end of `input` is passed over too: a newline among the options ends a
/// line like any other, and the part behind it starts anew.
#[must_use]
pub fn skip_negotiation(input: &[u8]) -> Option<&[u8]> {
    let rest = input.strip_prefix(&[IAC])?;
    let behind = match rest {
        [0xFB..=0xFE, _, behind @ ..] | [0xF0..=0xF9 | IAC, behind @ ..] => behind,
        [SUBNEGOTIATION, parameters @ ..] => {
            let end = parameters.windows(2).position(|pair| pair == [IAC, SUBNEGOTIATION_END]);
            end.and_then(|end| parameters.get(end + 2..)).unwrap_or_default()
        }
        [0xFB..=0xFE] => &[],
        // `telnet` sends the second half of some commands out of band, where it may be lost: the
        // first half is alone.
        behind => behind,
    };
    Some(behind)
}

/// Splits a line into its first word, freed from negotiation before and inside it, and what follows
/// the blanks behind that word. The word is written to `word`, and cut where that is full.
pub fn split_word<'a, 'w>(mut line: &'a [u8], word: &'w mut [u8]) -> (&'w [u8], &'a [u8]) {
    let mut len = 0;
    while let Some((first, rest)) = line.split_first() {
        if let Some(behind) = skip_negotiation(line) {
            line = behind;
            continue;
        }
        match (first, word.get_mut(len)) {
            (byte, _) if is_blank(*byte) && len == 0 => {}
            (byte, Some(place)) if !is_blank(*byte) => {
                *place = *byte;
                len += 1;
            }
            _ => break,
        }
        line = rest;
    }
    (word.get(..len).unwrap_or_default(), skip_blanks(line))
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
    fn negotiation_before_and_inside_the_first_word_is_passed_over() {
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
    fn negotiation_that_the_line_cuts_off_leaves_nothing() {
        for line in [&b"\xff"[..], b"\xff\xfb", b"\xff\xfa\x1f\x00\x50\x00"] {
            assert_eq!(split(line), (vec![], vec![]), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn a_word_longer_than_its_place_is_cut() {
        assert_eq!(split(b"\xff\xf1ABCDEFGHIJ k").0, b"ABCDEFGH");
    }
}
