//! How much is done before the loop looks at events, listeners and the clock again.
//!
//! | in a round | while no client is interactive | while some are |
//! |---|---|---|
//! | turns | 128, until 1 MiB is moved | 128, until 16 KiB are moved |
//! | a turn | 96 KiB | 16 KiB |
//! | a read | as much as there is room for | 16 KiB |
//! | deadlines that have passed | 16 | 16 |
//! | connections accepted | 8 of each listener | 8 of each listener |
//!
//! Byte limits are checked after a read has been answered, so one read and its answers may exceed
//! them. Large portions cost fewer system calls; small ones let a small request in between.

use std::time::Duration;

use crate::buffers::pool::BLOCK_LEN;
use crate::os::moment::Moment;

/// How many connections get a turn in a round. So many small requests take about half a
/// millisecond.
pub(super) const TURNS_MAX: usize = 128;

/// How many connections are looked at in a round because their deadline has passed: what came in
/// one flood falls silent in one too. Public for the simulation, which counts rounds by it.
pub const EXPIRED_MAX: usize = 16;

/// How many bytes all turns of a round move together while no client is interactive: a message of
/// 64 KiB, and its answer, then shares the call that waits for events with seven others.
const ROUND_BYTES_MAX: u64 = 16 * BLOCK_LEN as u64;

/// How many bytes a turn, and a round, may move while some client is interactive.
const PORTION_BYTES: usize = BLOCK_LEN / 4;

/// For how long an interactive turn keeps portions small. Clients on one machine ask again within a
/// fraction of it.
const INTERACTIVE_FOR: Duration = Duration::from_millis(3);

/// How much a turn and a round may do, which follows from when a client was last interactive.
#[derive(Debug)]
pub(super) struct TurnBudget {
    interactive_until: Moment,
}

impl Default for TurnBudget {
    fn default() -> Self {
        Self { interactive_until: Moment::START }
    }
}

impl TurnBudget {
    /// A turn of an interactive connection has moved something.
    pub(super) fn note_interactive(&mut self, now: Moment) {
        self.interactive_until = now.after(INTERACTIVE_FOR);
    }

    /// How many bytes one read may give, and so one turn.
    pub(super) fn read_bytes_max(&self, now: Moment) -> usize {
        if now < self.interactive_until { PORTION_BYTES } else { usize::MAX }
    }

    /// How many bytes all turns of a round may move together.
    pub(super) fn round_bytes_max(&self, now: Moment) -> u64 {
        if now < self.interactive_until { PORTION_BYTES as u64 } else { ROUND_BYTES_MAX }
    }
}
