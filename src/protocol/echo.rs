//! `echo`: every message comes back behind a prefix.

use super::talk::Talk;
use super::{Next, Output};
use crate::base::clock::Clock;

/// What stands before the message in its answer.
pub const PREFIX: &str = "Server received: ";

/// The protocol.
#[must_use]
pub const fn protocol() -> Talk {
    Talk::new("echo", answer)
}

fn answer(message: &[u8], output: &mut Output<'_>, _clock: &mut Clock) -> Next {
    output.append(PREFIX.as_bytes());
    output.append(message);
    Next::Continue
}
