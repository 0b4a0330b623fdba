//! The pieces in which the fuzzer sends its bytes, and the pauses between them.
//!
//! ```text
//!   +-----------+-----------+---------------------------------+
//!   | knobs, n  | n choices | the stream                      |
//!   | 3 + 5 bit |           |  piece  |piece| piece |  ...    |
//!   +-----------+-----------+---------------------------------+
//!
//!   a choice:  | quiet | crowded | long | length - 1, 5 bits |
//! ```
//!
//! After the last choice, the choices start again.

/// The length of a long piece, as a multiple of that of a short one.
const LONG: usize = 64;

/// A stream of bytes and its cuts.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// Three bits for the target to use.
    knobs: u8,
    choices: &'a [u8],
    /// The bytes that are sent.
    pub stream: &'a [u8],
}

/// Bytes that arrive together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    pub bytes: &'a [u8],
    /// True exactly when there is room for only one answer at a time.
    pub is_output_nearly_full: bool,
    /// True exactly when the peer pauses after it.
    pub is_last_of_burst: bool,
}

impl<'a> Plan<'a> {
    /// Decodes a plan. Any bytes are a plan.
    pub fn new(data: &'a [u8]) -> Self {
        let (first, rest) = data.split_first().unwrap_or((&0, &[]));
        let (choices, stream) = rest.split_at(rest.len().min(usize::from(first & 0x1f)));
        Self { knobs: first >> 5, choices, stream }
    }

    /// Returns the same plan for another stream.
    pub const fn with_stream<'b>(&self, stream: &'b [u8]) -> Plan<'b>
    where
        'a: 'b,
    {
        Plan { knobs: self.knobs, choices: self.choices, stream }
    }

    /// Returns one of the knobs 0, 1 and 2.
    pub const fn knob(&self, index: u8) -> bool {
        self.knobs >> index & 1 == 1
    }

    /// Returns all knobs as a number from 0 to 7.
    pub const fn knobs(&self) -> usize {
        self.knobs as usize
    }

    /// Returns all pieces of the stream. The last one ends a burst. Without choices the whole
    /// stream is one piece.
    pub fn pieces(&self) -> Vec<Piece<'a>> {
        let mut rest = self.stream;
        let mut choices = self.choices.iter().cycle();
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let choice = choices.next().copied();
            let len = choice.map_or(rest.len(), |choice| {
                let len = usize::from(choice & 0x1f) + 1;
                if choice & 0x20 == 0 { len } else { len * LONG }
            });
            let (bytes, after) = rest.split_at(len.min(rest.len()));
            let bits = choice.unwrap_or_default();
            let is_last_of_burst = bits & 0x80 != 0 || after.is_empty();
            pieces.push(Piece { bytes, is_output_nearly_full: bits & 0x40 != 0, is_last_of_burst });
            rest = after;
        }
        pieces
    }
}

/// Returns the pieces between two pauses, joined.
pub fn bursts(pieces: &[Piece<'_>]) -> Vec<Vec<u8>> {
    pieces
        .split_inclusive(|piece| piece.is_last_of_burst)
        .map(|burst| burst.iter().flat_map(|piece| piece.bytes).copied().collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_are_a_plan_and_all_after_its_choices_are_sent() {
        assert!(Plan::new(b"").pieces().is_empty());
        assert!(Plan::new(b"\x1fabc").pieces().is_empty(), "all of it is choices");
        let plan = Plan::new(b"\x23\x81\x00\x40abcdef");
        assert!(plan.knob(0) && !plan.knob(1) && !plan.knob(2));
        let pieces: Vec<_> = plan
            .pieces()
            .iter()
            .map(|piece| (piece.bytes, piece.is_output_nearly_full, piece.is_last_of_burst))
            .collect();
        let expected: [(&[u8], _, _); 5] = [
            (b"ab", false, true),
            (b"c", false, false),
            (b"d", true, false),
            (b"ef", false, true),
            (b"", false, true),
        ];
        assert_eq!(pieces, expected[..4]);
        assert_eq!(bursts(&plan.pieces()), [b"ab".to_vec(), b"cdef".to_vec()]);
    }
}
