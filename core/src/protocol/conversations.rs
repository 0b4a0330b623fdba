//! Assertions for the tests of protocols: a conversation must be the same however its input is
//! split.

use std::cell::Cell;

use proptest::prelude::*;

use super::Protocol;
pub(super) use super::harness::{SessionHarness, Transcript, clock};
use crate::close_reason::CloseReason;
use crate::limits::Limits;
use crate::wire::http;

/// A harness whose output is full after one answer.
fn crowded(protocol: &dyn Protocol, limits: &Limits) -> SessionHarness {
    let mut harness = SessionHarness::new(protocol, limits);
    harness.is_output_nearly_full = true;
    harness
}

/// Asserts that `input`, which consists of complete messages, is answered by exactly `answers`:
/// whole, byte by byte, cut at each position, with room for one answer at a time, followed by an
/// incomplete message, and sent twice.
pub(super) fn assert_answers(
    protocol: &dyn Protocol,
    limits: &Limits,
    input: &[u8],
    answers: &[u8],
) {
    assert_transcript(protocol, limits, input, answers, None);
    let twice = SessionHarness::new(protocol, limits).feed(&[input, input].concat()).transcript();
    assert_eq!(twice, Transcript { answers: [answers, answers].concat(), closed: None }, "twice");
    let trailed =
        SessionHarness::new(protocol, limits).feed(&[input, b"\x01"].concat()).transcript();
    assert_eq!(
        trailed,
        Transcript { answers: answers.into(), closed: None },
        "with a byte after it"
    );
}

/// Asserts the same as [`assert_answers`], and that `input` ends the conversation: further bytes
/// change nothing.
pub(super) fn assert_last_answers(
    protocol: &dyn Protocol,
    limits: &Limits,
    input: &[u8],
    answers: &[u8],
    reason: CloseReason,
) {
    assert_transcript(protocol, limits, input, answers, Some(reason));
    assert_transcript(protocol, limits, &[input, input].concat(), answers, Some(reason));
}

fn assert_transcript(
    protocol: &dyn Protocol,
    limits: &Limits,
    input: &[u8],
    answers: &[u8],
    closed: Option<CloseReason>,
) {
    let expected = Transcript { answers: answers.into(), closed };
    let shown = input.escape_ascii().to_string();
    for (how, mut harness) in
        [("roomy", SessionHarness::new(protocol, limits)), ("crowded", crowded(protocol, limits))]
    {
        assert_eq!(harness.feed(input).transcript(), expected, "{shown}: {how}");
    }
    let mut harness = SessionHarness::new(protocol, limits);
    for byte in input {
        harness.feed(&[*byte]);
    }
    assert_eq!(harness.transcript(), expected, "{shown}: byte by byte");
    for cut in 1..input.len() {
        let (front, back) = input.split_at(cut);
        let mut harness = SessionHarness::new(protocol, limits);
        assert_eq!(harness.feed(front).feed(back).transcript(), expected, "{shown}: cut at {cut}");
    }
}

/// Runs `bursts`, each split at `cuts` and followed by a quiet period. Returns two results: with an
/// output that has room for all answers, and with one that has room for a single answer.
pub(super) fn transcripts(
    protocol: &dyn Protocol,
    limits: &Limits,
    bursts: &[Vec<u8>],
    cuts: &[usize],
) -> [Transcript; 2] {
    [SessionHarness::new(protocol, limits), crowded(protocol, limits)].map(|mut harness| {
        for burst in bursts {
            for piece in pieces(burst, cuts) {
                harness.feed(piece);
            }
            harness.fall_quiet();
        }
        harness.transcript()
    })
}

fn pieces<'a>(input: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> =
        cuts.iter().map(|cut| cut % (input.len() + 1)).chain([0, input.len()]).collect();
    cuts.sort_unstable();
    cuts.windows(2).map(|cut| &input[cut[0]..cut[1]]).collect()
}

/// Limits that are small enough for short tests.
pub(super) fn small_limits() -> Limits {
    Limits { line_bytes_max: 40, frame_bytes_max: 40, ..Limits::default() }
}

/// The expected conversation of a protocol that ends messages by quiet, computed in a simple way.
/// `answer` returns the answer to a message, or `None` for a message that closes. The answers to a
/// member of a room have an ending in any case.
pub(super) fn talk_oracle(
    limits: &Limits,
    bursts: &[Vec<u8>],
    mut answer: impl FnMut(&[u8]) -> Option<Vec<u8>>,
    is_member: &Cell<bool>,
    refuses_http: bool,
) -> Transcript {
    let mut answers = Vec::new();
    let mut is_first = true;
    for burst in bursts {
        let mut messages: Vec<(&[u8], &[u8])> = burst
            .split_inclusive(|byte| *byte == b'\n')
            .map(|message| {
                let content = message
                    .strip_suffix(b"\n")
                    .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
                message.split_at(content.map_or(message.len(), <[u8]>::len))
            })
            .collect();
        messages.retain(|(message, ending)| !message.is_empty() || !ending.is_empty());
        for (message, ending) in messages {
            let is_first = std::mem::take(&mut is_first);
            if message.len() > limits.line_bytes_max as usize {
                // The version at the end of a request is not stored, so its front decides.
                if refuses_http && is_first && http::is_request_front(message) == Some(true) {
                    answers.extend([b"ERROR NOT_HTTP", ending].concat());
                    return Transcript { answers, closed: Some(CloseReason::WrongProtocol) };
                }
                answers.extend(b"ERROR LINE_TOO_LONG");
            } else if let Some(answer) = answer(message) {
                answers.extend(answer);
            } else {
                return Transcript { answers, closed: Some(CloseReason::Quit) };
            }
            let is_bare = ending.is_empty() && is_member.get();
            answers.extend(if is_bare { b"\n" } else { ending });
        }
    }
    Transcript { answers, closed: None }
}

/// Random bursts of `words` and of other bytes.
pub(super) fn talk_bursts(words: &'static [&'static str]) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let part = prop_oneof![
        4 => proptest::sample::select(words).prop_map(|word| word.as_bytes().to_vec()),
        4 => proptest::sample::select(vec!["\n", "\r\n", "\n\n", "\r", " "])
            .prop_map(|end| end.as_bytes().to_vec()),
        2 => (38usize..=42).prop_map(|len| vec![b'x'; len]),
        2 => proptest::collection::vec(any::<u8>(), 0..4),
    ];
    let burst = proptest::collection::vec(part, 0..10).prop_map(|parts| parts.concat());
    proptest::collection::vec(burst, 0..4)
}
