//! The framing of `echo` and `chat`, in a simple form.

use super::dialogue::Stream;
use super::server::Server;
use super::wait::PATIENCE;
use proptest::prelude::*;
use std::time::{Duration, Instant};

/// A quiet period that no test waits for, so that messages end only at newlines and at the end of
/// input.
pub const NEVER_QUIET: [&str; 2] = ["--quiet-period", "1h"];

/// A message and its place in the input.
pub struct Message<'a> {
    /// Its bytes, without the ending.
    pub bytes: &'a [u8],
    /// `\n`, `\r\n`, or nothing where the input ended.
    pub ending: &'a [u8],
}

/// Returns all messages of `input`, including the piece at its end without a newline.
pub fn messages(input: &[u8]) -> Vec<Message<'_>> {
    let lines = input.split_inclusive(|byte| *byte == b'\n');
    lines
        .map(|line| {
            let ending_len = match line {
                [.., b'\r', b'\n'] => 2,
                [.., b'\n'] => 1,
                _ => 0,
            };
            let (bytes, ending) = line.split_at(line.len() - ending_len);
            Message { bytes, ending }
        })
        .collect()
}

/// Draws messages made of `words`, one after the other, and their cuts.
pub fn streams(words: &'static [&'static str]) -> impl Strategy<Value = Stream> {
    let bytes = prop_oneof![
        4 => proptest::sample::select(words).prop_map(|word| word.as_bytes().to_vec()),
        3 => "[ -~]{0,12}".prop_map(String::into_bytes),
        2 => proptest::collection::vec(any::<u8>(), 0..8),
        1 => (28..34usize).prop_map(|len| vec![b'z'; len]),
    ];
    let ending = proptest::sample::select(&["\n", "\n", "\r\n", "\r\r\n", "\n\n", ""][..]);
    let message = (bytes, ending).prop_map(|(bytes, ending)| [&bytes, ending.as_bytes()].concat());
    let input = proptest::collection::vec(message, 0..10).prop_map(|messages| messages.concat());
    Stream::cut_at_random(input)
}

/// Sends `message` without a newline, and expects `answer` after the quiet period, and not before.
#[track_caller]
pub fn check_quiet(protocol: &str, message: &str, answer: &str) {
    const QUIET: Duration = Duration::from_millis(300);
    let server = Server::start(&["--quiet-period", "300ms"]);
    let mut peer = server.connect(protocol);
    peer.set_patience(PATIENCE);
    let sent_at = Instant::now();
    peer.send(message);
    peer.expect(answer);
    assert!(
        sent_at.elapsed() >= QUIET,
        "answered after {:?}: that is no quiet period",
        sent_at.elapsed()
    );
}
