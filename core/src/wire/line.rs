//! Lines: bytes up to `\n`. One `\r` before it belongs to the ending.
//!
//! ```text
//!   E C H O   h i \r \n T I M
//!   `---- bytes ---' `-'      `-- incomplete: passed again, followed by more bytes
//!                  ending
//! ```

use memchr::memchr;

/// True for the bytes that separate words: a space or a tab. A carriage return or a form feed
/// belongs to its word.
#[must_use]
#[inline]
pub const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Returns `line` without its leading blanks.
#[must_use]
#[inline]
pub fn skip_blanks(mut line: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = line
        && is_blank(*first)
    {
        line = rest;
    }
    line
}

/// The ending of a message. Its answer has the same ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// `\n`.
    Lf,
    /// `\r\n`.
    CrLf,
    /// No bytes: a quiet period or the end of input completed the message.
    Nothing,
}

impl Ending {
    /// Returns the bytes of this ending.
    #[must_use]
    pub const fn bytes(self) -> &'static [u8] {
        match self {
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
            Self::Nothing => b"",
        }
    }
}

/// An item at the front of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A complete line without its ending.
    Line(&'a [u8], Ending),
    /// The first line exceeds the limit. It is reported once per line, as soon as it is certain;
    /// the rest of the line is dropped.
    TooLong,
    /// The end of a line whose bytes were dropped.
    Dropped(Ending),
}

/// A decoder that finds lines in a stream that arrives in pieces, in time linear in the bytes
/// received.
///
/// The caller passes all bytes that are not consumed yet, followed by the bytes that have arrived
/// since. The search goes on where the last one stopped, so that a 64 KiB line that arrives byte by
/// byte is searched once and not 65,536 times.
// Eight bytes, because each idle connection has one.
#[derive(Clone, Copy, Debug)]
pub struct LineDecoder {
    /// The longest accepted line, without its ending.
    line_max: u32,
    /// How many bytes at the front of the input contain no `\n`; or [`DROPPING`] or [`ENDED`].
    scanned: u32,
}

/// The input begins within a line whose bytes are dropped.
const DROPPING: u32 = u32::MAX;
/// All further bytes are dropped.
const ENDED: u32 = u32::MAX - 1;

impl LineDecoder {
    /// Creates a decoder at the start of a line, for lines of at most `line_max` bytes without
    /// their ending. The caller must keep the input below 4 GiB.
    #[must_use]
    pub const fn new(line_max: u32) -> Self {
        Self { line_max, scanned: 0 }
    }

    /// Replaces the limit. A line in progress is judged by it too, unless it is dropped already.
    pub const fn set_line_max(&mut self, line_max: u32) {
        self.line_max = line_max;
    }

    /// Returns the rest of `input` after the consumed bytes, and the item that was found.
    ///
    /// Without an item the input is incomplete: call it again when more bytes have arrived. Even
    /// then bytes of a dropped line may be consumed.
    // Without the attribute the compiler does not inline it, and passes its result through memory.
    #[inline(always)]
    pub fn next<'a>(&mut self, input: &'a [u8]) -> (&'a [u8], Option<Item<'a>>) {
        let scanned = match self.scanned {
            ENDED => return (&[], None),
            DROPPING => 0,
            scanned => scanned as usize,
        };
        match memchr(b'\n', input.get(scanned..).unwrap_or_default()) {
            Some(offset) => self.complete(scanned + offset, input),
            None => {
                let (consumed, is_too_long) = self.incomplete(input);
                let rest = input.get(consumed..).unwrap_or_default();
                (rest, is_too_long.then_some(Item::TooLong))
            }
        }
    }

    /// True if `piece`, a line that ends without an ending, exceeds the limit. A carriage return at
    /// its end is not half of an ending and counts.
    #[must_use]
    pub const fn is_too_long(&self, piece: &[u8]) -> bool {
        piece.len() > self.line_max as usize
    }

    /// True while the bytes of the present line are dropped.
    #[must_use]
    pub const fn is_dropping(&self) -> bool {
        self.scanned == DROPPING
    }

    /// Drops the rest of the first line; the caller consumes the bytes that it has.
    pub const fn drop_line(&mut self) {
        self.scanned = DROPPING;
    }

    /// Drops all bytes from here on: no line follows.
    pub const fn end(&mut self) {
        self.scanned = ENDED;
    }

    /// True if no line follows.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.scanned == ENDED
    }

    /// Begins a new line at the next byte; the caller has consumed all bytes before it.
    pub const fn restart(&mut self) {
        self.scanned = 0;
    }

    /// Returns the rest of the input and the item that ends at the offset `newline`.
    #[inline]
    fn complete<'a>(&mut self, newline: usize, input: &'a [u8]) -> (&'a [u8], Option<Item<'a>>) {
        let (line, from_newline) = input.split_at(newline);
        let rest = from_newline.get(1..).unwrap_or_default();
        let (line, ending) = match line {
            [line @ .., b'\r'] => (line, Ending::CrLf),
            line => (line, Ending::Lf),
        };
        let was_dropping = self.is_dropping();
        self.scanned = 0;
        if was_dropping {
            (rest, Some(Item::Dropped(ending)))
        } else if line.len() > self.line_max as usize {
            // The ending stays in the input, so that `Dropped` follows as for a line in pieces.
            self.scanned = DROPPING;
            (input.get(line.len()..).unwrap_or_default(), Some(Item::TooLong))
        } else {
            (rest, Some(Item::Line(line, ending)))
        }
    }

    /// Returns how many bytes of `input`, which holds no newline, are consumed, and whether they
    /// are a line that has just exceeded the limit.
    fn incomplete(&mut self, input: &[u8]) -> (usize, bool) {
        // A `\r` at the end may be half of the ending: it is neither counted nor dropped yet.
        let content_len = input.strip_suffix(b"\r").unwrap_or(input).len();
        if self.is_dropping() {
            (content_len, false)
        } else if content_len > self.line_max as usize {
            self.drop_line();
            (content_len, true)
        } else {
            self.scanned = u32::try_from(input.len()).map_or(ENDED - 1, |len| len.min(ENDED - 1));
            (0, false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns the items that the decoder finds in `pieces`.
    fn decode(line_max: u32, pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = LineDecoder::new(line_max);
        let (mut input, mut items) = (Vec::new(), Vec::new());
        for piece in pieces {
            input.extend_from_slice(piece);
            loop {
                let (rest, item) = lines.next(&input);
                let (item, rest_len) = (item.map(|item| format!("{item:?}")), rest.len());
                input.drain(..input.len() - rest_len);
                match item {
                    Some(item) => items.push(item),
                    None => break,
                }
            }
        }
        items
    }

    /// Returns the expected items, computed in a simple way from the whole input.
    fn oracle(line_max: u32, mut input: &[u8]) -> Vec<String> {
        let mut items = Vec::new();
        while let Some(newline) = input.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = (&input[..newline], &input[newline + 1..]);
            let (line, ending) =
                line.strip_suffix(b"\r").map_or((line, Ending::Lf), |line| (line, Ending::CrLf));
            if line.len() > line_max as usize {
                items.push(format!("{:?}", Item::TooLong));
                items.push(format!("{:?}", Item::Dropped(ending)));
            } else {
                items.push(format!("{:?}", Item::Line(line, ending)));
            }
            input = rest;
        }
        if input.strip_suffix(b"\r").unwrap_or(input).len() > line_max as usize {
            items.push(format!("{:?}", Item::TooLong));
        }
        items
    }

    #[test]
    fn one_carriage_return_belongs_to_the_ending() {
        let mut lines = LineDecoder::new(10);
        assert_eq!(lines.next(b"a\r\r\nb"), (&b"b"[..], Some(Item::Line(b"a\r", Ending::CrLf))));
        assert_eq!(lines.next(b"b"), (&b"b"[..], None));
        assert_eq!(lines.next(b"b\n"), (&b""[..], Some(Item::Line(b"b", Ending::Lf))));
    }

    #[test]
    fn the_limit_counts_the_line_without_its_ending() {
        for ending in ["\n", "\r\n"] {
            for (len, expected) in [(3, "Line"), (4, "Line"), (5, "TooLong")] {
                let input = format!("{}{ending}", "x".repeat(len));
                let items = decode(4, &[input.as_bytes()]);
                assert!(items[0].starts_with(expected), "{input:?}: {items:?}");
            }
        }
    }

    #[test]
    fn a_line_over_the_limit_is_reported_early_and_not_stored() {
        let mut lines = LineDecoder::new(4);
        assert_eq!(
            lines.next(b"xxxx\r"),
            (&b"xxxx\r"[..], None),
            "the carriage return may belong to the ending"
        );
        assert_eq!(lines.next(b"xxxx\rx"), (&b""[..], Some(Item::TooLong)));
        assert_eq!(lines.next(b"more of it"), (&b""[..], None));
        assert_eq!(lines.next(b"\nnext\n"), (&b"next\n"[..], Some(Item::Dropped(Ending::Lf))));
        assert_eq!(lines.next(b"next\n"), (&b""[..], Some(Item::Line(b"next", Ending::Lf))));
    }

    #[test]
    fn each_byte_is_searched_once_for_a_newline() {
        let mut lines = LineDecoder::new(100);
        for len in 1..=100 {
            let input = vec![b'x'; len];
            assert_eq!(lines.next(&input), (&*input, None));
            assert_eq!(lines.scanned as usize, len);
        }
    }

    #[test]
    fn no_line_follows_the_end() {
        let mut lines = LineDecoder::new(10);
        lines.end();
        assert!(lines.has_ended());
        assert_eq!(lines.next(b"a\nb"), (&b""[..], None));
    }

    proptest! {
        #[test]
        fn any_split_of_any_input_agrees_with_the_oracle(
            input in proptest::collection::vec(
                prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'x')],
                0..60,
            ),
            cuts in proptest::collection::vec(0usize..60, 0..6),
            line_max in 1u32..8,
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
            cuts.extend([0, input.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &input[cut[0]..cut[1]]).collect();
            prop_assert_eq!(decode(line_max, &pieces), oracle(line_max, &input));
        }
    }
}
