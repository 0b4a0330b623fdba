//! How much is done before the loop looks at events, listeners and the clock again.
//!
//! | in a round | while nobody asks for little | while somebody does |
//! |---|---|---|
//! | turns | 128, until 64 KiB are moved | 128, until 16 KiB are moved |
//! | a turn | 96 KiB | 16 KiB |
//! | a read | as much as there is room for | 16 KiB |
//! | deadlines that have passed | 16 | 16 |
//! | connections accepted | 8 of each listener | 8 of each listener |
//!
//! A bound of bytes is looked at when what was read is answered: that read and its answers may pass it. Large portions cost
//! fewer system calls; small ones let whoever asks for little in between. Beside an attack that takes all of a processor, half
//! of the honest requests are answered within 75 us, and within 95 with large portions (`cargo bench --bench attack`). In
//! small ones, messages of 64 KiB would cost half as much again (`--bench versus -- large`): hence two paces.

use crate::base::pool::BLOCK_LEN;
use crate::base::run_queue::SWIFT_TURNS_MAX;

/// How many connections get a turn in a round. So many small requests take about half a millisecond.
pub(super) const TURNS_MAX: usize = 128;

/// How many connections are looked at in a round because their deadline has passed: who came in one flood falls silent in one
/// too. To send 16 away takes about a tenth of a millisecond. Public for the simulation, which counts rounds by it.
pub const EXPIRED_MAX: usize = 16;

/// How many bytes all turns move together. It is what one read gives: beside a flood, who asks for little waits for the end of
/// one turn. At ten times, for that of ten.
const BYTES_MAX: usize = BLOCK_LEN;

/// The same while somebody asks for little.
const SMALL_BYTES_MAX: usize = BLOCK_LEN / 4;

/// A turn that moves no more needs little, and a request and its answer are mostly less.
const LITTLE_BYTES_MAX: u64 = SMALL_BYTES_MAX as u64 / SWIFT_TURNS_MAX as u64;

/// After so many large turns in a row nobody asks for little any more. They take 2 or 3 ms.
const LARGE_TURNS_IN_A_ROW: u32 = 128;

/// True exactly when a turn that moved so many bytes needed much.
pub(super) const fn needs_much(bytes: u64) -> bool {
    bytes > LITTLE_BYTES_MAX
}

/// What the last turns were like.
#[derive(Debug)]
pub(super) struct Pace {
    /// How many turns needed much since the last one that gave somebody the little that was asked for.
    large_turns: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { large_turns: LARGE_TURNS_IN_A_ROW }
    }
}

impl Pace {
    /// A turn has moved so many bytes; `is_all` when that was all that its connection had asked for lately: the end of much
    /// is little too.
    pub(super) const fn note(&mut self, bytes: u64, is_all: bool) {
        if needs_much(bytes) {
            self.large_turns = self.large_turns.saturating_add(1);
        } else if bytes > 0 && is_all {
            self.large_turns = 0;
        }
    }

    /// The most that one read may give.
    pub(super) const fn read_bytes_max(&self) -> usize {
        if self.large_turns < LARGE_TURNS_IN_A_ROW { SMALL_BYTES_MAX } else { usize::MAX }
    }

    /// How many bytes a round moves.
    pub(super) fn round_bytes_max(&self) -> u64 {
        self.read_bytes_max().min(BYTES_MAX) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Much, and not the end of it.
    const LARGE: (u64, bool) = (BLOCK_LEN as u64, false);
    /// A small request and its answer.
    const SMALL: (u64, bool) = (46, true);

    fn after(turns: impl IntoIterator<Item = (u64, bool)>) -> usize {
        let mut pace = Pace::default();
        turns.into_iter().for_each(|(bytes, is_all)| pace.note(bytes, is_all));
        pace.read_bytes_max()
    }

    #[test]
    fn those_who_ask_for_much_have_large_portions_while_they_are_alone() {
        assert_eq!(after([]), usize::MAX);
        assert_eq!(after([LARGE; 3]), usize::MAX);
    }

    #[test]
    fn portions_are_small_while_somebody_asks_for_little() {
        assert_eq!(after([LARGE, SMALL, LARGE]), SMALL_BYTES_MAX);
        let mixed = (0..10_000).map(|turn| if turn % LARGE_TURNS_IN_A_ROW == 0 { SMALL } else { LARGE });
        assert_eq!(after(mixed), SMALL_BYTES_MAX);
    }

    #[test]
    fn portions_are_large_again_when_nobody_asks_for_little_any_more() {
        let turns = [LARGE; LARGE_TURNS_IN_A_ROW as usize];
        assert_eq!(after([SMALL].into_iter().chain(turns)), usize::MAX);
    }

    #[test]
    fn the_end_of_a_long_message_and_a_turn_in_which_nothing_moves_ask_for_nothing() {
        assert_eq!(after([LARGE, (5, false), LARGE, (0, true)]), usize::MAX);
    }
}
