//! The budget of a round: the work that the loop does before it looks for new events.
//!
//! | per round | no interactive client | an interactive client within the last 3 ms |
//! |---|---|---|
//! | turns | 128, or until 1 MiB is moved | 128, or until 16 KiB are moved |
//! | bytes of a turn | 96 KiB | 16 KiB |
//! | bytes of a read | the free room of the buffer | 16 KiB |
//! | turns of members with news of a room | 32, or until 1 MiB is moved | 32, or until 16 KiB |
//! | expired deadlines | 16 | 16 |
//! | accepted connections | 8 per listener | 8 per listener |
//!
//! Byte limits are checked after a read has been answered, so one read and its answers may exceed
//! them. Large portions need fewer system calls. Small portions let small requests run in between.

use std::time::Duration;

use crate::os::moment::Moment;

/// How many connections get a turn in a round. 128 small requests take about half a millisecond.
pub(super) const TURNS_MAX: usize = 128;

/// How many connections expire in a round. Connections that arrived in one flood have the same
/// deadline, and without a bound they would expire in one long round. Public because the simulation
/// counts rounds by it.
pub const EXPIRED_MAX: usize = 16;

/// How many members of rooms get a turn in a round because of a new message. In a room of 10,000, a
/// delivery takes 13.3-14.0 us of CPU with 8, 12.5-13.3 us with 32, 12.0-12.5 us with 128 and
/// 10.3-12.0 us with 1024; a bystander waits at most 8-10 ms, 8 ms, 9-16 ms and 9-24 ms: two runs
/// of `cargo bench --bench broadcast -- --quick 10000 ours` on a shared machine.
pub(super) const TOLD_MAX: usize = 32;

/// How many bytes all turns of a round move together while no client is interactive. Eight messages
/// of 64 KiB and their answers then share one call that waits for events.
const ROUND_BYTES_MAX: u64 = 1 << 20;

/// How many bytes a turn, and a round, may move while a client is interactive.
const PORTION_BYTES: usize = 16 << 10;

/// How long an interactive turn keeps the portions small. A client on the same machine sends its
/// next request within a fraction of this time.
const INTERACTIVE_FOR: Duration = Duration::from_millis(3);

/// The byte limits of turns and rounds. They depend on when a client was last interactive.
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
    /// Notes that an interactive connection has moved bytes in its turn.
    pub(super) fn note_interactive(&mut self, now: Moment) {
        self.interactive_until = now.after(INTERACTIVE_FOR);
    }

    /// How many bytes one read, and so one turn, may move.
    pub(super) fn read_bytes_max(&self, now: Moment) -> usize {
        if now < self.interactive_until { PORTION_BYTES } else { usize::MAX }
    }

    /// How many bytes all turns of a round may move together.
    pub(super) fn round_bytes_max(&self, now: Moment) -> u64 {
        if now < self.interactive_until { PORTION_BYTES as u64 } else { ROUND_BYTES_MAX }
    }
}
