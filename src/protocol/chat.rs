//! `chat`: answers to a few words, and an acknowledgement of everything else.

use super::talk::Talk;
use super::{Next, Output};
use crate::base::clock::Clock;

/// The answer to a greeting.
pub const GREETING: &str = "Hello from the server! Connection established.";
/// The answer to a question for the server's status.
pub const STATUS: &str = "Server is running smoothly on Rust.";

/// The protocol.
#[must_use]
pub const fn protocol() -> Talk {
    Talk::new("chat", answer)
}

/// The first rule that fits, in any case of letters.
fn answer(message: &[u8], output: &mut Output<'_>, clock: &mut Clock) -> Next {
    if message.eq_ignore_ascii_case(b"exit") {
        return Next::Close;
    }
    if contains(message, b"time") {
        output.append(b"Server Time: ");
        output.append(clock.time_of_day().as_bytes());
    } else if contains(message, b"hello") {
        output.append(GREETING.as_bytes());
    } else if contains(message, b"status") {
        output.append(STATUS.as_bytes());
    } else {
        output.append(b"ACK: Received '");
        output.append(message);
        output.append(b"'");
    }
    Next::Continue
}

/// True exactly when `message` contains `word`, which is in lower case.
fn contains(message: &[u8], word: &[u8]) -> bool {
    message.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}
