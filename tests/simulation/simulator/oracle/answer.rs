//! One answer that a server must send.

use std::ops::Range;

use super::asking::Question;
use super::rooms::Change;

/// One answer.
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    /// The place whose value the oracle does not know. It is checked once it is whole.
    pub(super) open: Range<usize>,
    pub(super) meaning: Meaning,
    /// The answer instead of it if there is no memory.
    pub(super) or_else: Option<Vec<u8>>,
    /// The command about rooms that it answers, until that is run. Before, it has no bytes.
    pub(super) question: Option<Question>,
    /// The change of the stay in a room that the answer makes.
    pub(super) change: Change,
}

/// The value at the open place of an answer.
pub(super) enum Meaning {
    Time,
    /// These names in any order, with a separator between them.
    Names(Vec<String>, &'static str),
}

impl Answer {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            open: 0..0,
            meaning: Meaning::Time,
            or_else: None,
            question: None,
            change: Change::Nothing,
        }
    }

    /// Checks the open place, which has the bytes of the server now.
    pub(super) fn check_open(&self, is_time: impl Fn(&str) -> bool) -> Result<(), String> {
        let seen = String::from_utf8_lossy(&self.bytes[self.open.clone()]);
        match &self.meaning {
            _ if self.open.is_empty() => Ok(()),
            Meaning::Time if is_time(&seen) => Ok(()),
            Meaning::Time => Err(format!("\"{seen}\" is not a time of the wall clock")),
            Meaning::Names(names, separator) => {
                let (mut seen, mut names) =
                    (seen.split(separator).collect::<Vec<_>>(), names.clone());
                seen.sort_unstable();
                names.sort_unstable();
                let are_equal = seen == names;
                are_equal.then_some(()).ok_or_else(|| format!("{seen:?} are not {names:?}"))
            }
        }
    }

    /// True if `bytes` are allowed at `place`. The open part is stored and checked later.
    pub(super) fn takes(&mut self, place: Range<usize>, bytes: &[u8]) -> bool {
        if self.open.is_empty() {
            return self.bytes[place] == *bytes;
        }
        place.zip(bytes).all(|(index, byte)| {
            if self.open.contains(&index) {
                self.bytes[index] = *byte;
            }
            self.bytes[index] == *byte
        })
    }
}
