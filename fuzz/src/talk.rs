//! Checks of every protocol: the answers do not depend on the cuts, and are those of `protocol.md`.

use tinytcp_core::close_reason::CloseReason;
use tinytcp_core::limits::Limits;
use tinytcp_core::protocol::{Farewell, Protocol};
use tinytcp_core::testing::{SessionHarness, Transcript};

use crate::log_lines;
use crate::plan::{Piece, Plan, bursts};

/// Runs the plan with a session of `protocol`, and compares the transcript with that of the uncut
/// stream, and with that of `oracle`, burst by burst.
pub fn check(
    protocol: &dyn Protocol,
    data: &[u8],
    oracle: impl Fn(&Limits, &[Vec<u8>]) -> Transcript,
) {
    let plan = Plan::new(data);
    let limits = limits(&plan);
    let pieces = plan.pieces();
    let bursts = bursts(&pieces);
    let expected = oracle(&limits, &bursts);
    let mut whole = play_whole(protocol, &limits, &bursts);
    assert_eq!(whole.transcript(), expected, "in whole bursts");
    let mut cut = play(protocol, &limits, &pieces);
    assert_eq!(cut.transcript(), expected, "cut");
    assert_eq!(cut.messages, whole.messages, "messages counted when cut");
    play_without_memory(protocol, &limits, &pieces);
}

/// Returns limits that a few bytes or a few kilobytes reach.
fn limits(plan: &Plan<'_>) -> Limits {
    let message_max = if plan.knob(0) { 600 } else { 40 };
    Limits::default().with_line_bytes_max(message_max).with_frame_bytes_max(message_max)
}

fn play_whole(protocol: &dyn Protocol, limits: &Limits, bursts: &[Vec<u8>]) -> SessionHarness {
    let pieces: Vec<_> = bursts
        .iter()
        .map(|burst| Piece { bytes: burst, is_output_nearly_full: false, is_last_of_burst: true })
        .collect();
    play(protocol, limits, &pieces)
}

/// Creates a session that logs every message, and that may have sent without a request.
fn begin(protocol: &dyn Protocol, limits: &Limits) -> SessionHarness {
    log_lines::guard();
    let mut harness = SessionHarness::new(protocol, limits).with_activity_log();
    harness.advance(0);
    harness
}

/// Runs all pieces, with a pause after each burst.
fn play(protocol: &dyn Protocol, limits: &Limits, pieces: &[Piece<'_>]) -> SessionHarness {
    let mut harness = begin(protocol, limits);
    for piece in pieces {
        harness.is_output_nearly_full = piece.is_output_nearly_full;
        harness.feed(piece.bytes);
        if piece.is_last_of_burst {
            harness.fall_quiet();
        }
    }
    harness
}

/// The same with no memory for every second piece: the contract of a session still holds, and it
/// can still end the conversation with its farewell.
fn play_without_memory(protocol: &dyn Protocol, limits: &Limits, pieces: &[Piece<'_>]) {
    let mut harness = begin(protocol, &limits.with_memory_bytes_max(0));
    for (index, piece) in pieces.iter().enumerate() {
        harness.is_output_nearly_full = piece.is_output_nearly_full;
        harness.feed(piece.bytes);
        if index % 2 == 1 && harness.is_open() && !harness.input.is_empty() {
            harness.refuse();
        }
        if piece.is_last_of_burst {
            harness.fall_quiet();
        }
    }
    for farewell in [Farewell::ServerBusy, Farewell::IdleTimeout, Farewell::MessageTimeout] {
        let token = farewell.token().expect("an error has a token");
        harness.answers();
        let said = harness.append_farewell(farewell).answers();
        assert!(
            said.windows(token.len()).any(|window| window == token.as_bytes()),
            "{}",
            said.escape_ascii()
        );
    }
}

/// Computes the transcript of `bursts` for a protocol whose messages end after a quiet period, in a
/// simple and slow way. `answer` returns the answer to one message, and `None` to the one that
/// closes.
pub fn oracle(
    limits: &Limits,
    bursts: &[Vec<u8>],
    answer: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> Transcript {
    let mut answers = Vec::new();
    for message in bursts.iter().flat_map(|burst| burst.split_inclusive(|byte| *byte == b'\n')) {
        let content =
            message.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let (content, ending) = message.split_at(content.map_or(message.len(), <[u8]>::len));
        if content.len() > limits.line_bytes_max as usize {
            answers.extend(b"ERROR LINE_TOO_LONG");
        } else {
            let Some(answer) = answer(content) else {
                return Transcript { answers, closed: Some(CloseReason::Quit) };
            };
            answers.extend(answer);
        }
        answers.extend(ending);
    }
    Transcript { answers, closed: None }
}
