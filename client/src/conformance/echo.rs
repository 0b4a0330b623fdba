//! The promises that only servers of echo make.

use super::Check;
use super::messages::{answer, exchange};

/// The original returns every message: `quit` is a word of its client. It has a thread for each
/// client.
pub const PROTOCOL_CHECKS: &[Check] = &[
    Check::new("no word is a command", |probe| {
        exchange(probe, &[(b"exit", b""), (b"quit", b""), (b"QUIT", b""), (b"time", b"")])
    }),
    Check::new("a silent client does not delay another", |probe| {
        let mut silent = probe.open()?;
        exchange(probe, &[(b"quick", b"")])?;
        silent.send(b"slow")?;
        silent.expect(&answer(probe, b"slow", b""))
    }),
];

/// The original clients send no lines. An original server may quote the newline, drop it, or answer
/// without one.
pub const SERVER_CHECKS: &[Check] = &[Check::new("no line is a command", |probe| {
    exchange(probe, &[(b"exit", b"\n"), (b"quit", b"\r\n"), (b"time", b"\n")])
})];
