//! Tests of the protocol `binary`.

use super::super::conversations::{
    SessionHarness, Transcript, assert_answers, assert_last_answers, small_limits, transcripts,
};
use super::*;
use crate::limits::{HIGH_WATER_BYTES, Limits};
use crate::rooms::model::{LoneMember, Request};
use proptest::prelude::*;

fn frame(code: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let payload_len = u32::try_from(payload.len()).expect("short");
    [&Header { code, payload_len }.encode()[..], payload].concat()
}

fn answers(input: impl AsRef<[u8]>, answers: impl AsRef<[u8]>) {
    assert_answers(&Binary::new(), &small_limits(), input.as_ref(), answers.as_ref());
}

#[test]
fn there_is_no_greeting() {
    assert_eq!(SessionHarness::new(&Binary::new(), &small_limits()).greet().answers(), b"");
}

#[test]
fn echo_returns_any_bytes() {
    answers([1, 0, 0, 0, 2, b'h', b'i'], [1, 0, 0, 0, 2, b'h', b'i']);
    answers([1, 0, 0, 0, 3, 0xc3, 0x28, b'\n'], [1, 0, 0, 0, 3, 0xc3, 0x28, b'\n']);
}

#[test]
fn reverse_reverses_characters_and_has_the_code_of_echo() {
    answers([2, 0, 0, 0, 3, b'a', b'b', b'c'], [1, 0, 0, 0, 3, b'c', b'b', b'a']);
    answers(frame(REVERSE, "a\u{e9}\u{20ac}\u{1f600}"), frame(ECHO, "\u{1f600}\u{20ac}\u{e9}a"));
}

#[test]
fn a_long_text_of_wide_characters_is_reversed() {
    let text: String = (0..3000).flat_map(|_| ['a', '\u{20ac}', '\u{1f600}']).collect();
    let mut harness = SessionHarness::new(&Binary::new(), &Limits::default());
    let reversed: String = text.chars().rev().collect();
    assert!(harness.feed(&frame(REVERSE, text)).answers() == frame(ECHO, reversed));
}

#[test]
fn an_empty_payload_is_answered_with_an_empty_frame() {
    answers([1, 0, 0, 0, 0], [1, 0, 0, 0, 0]);
    answers([2, 0, 0, 0, 0], [1, 0, 0, 0, 0]);
}

#[test]
fn reverse_of_invalid_utf8_is_an_error_and_the_session_goes_on() {
    let input = [frame(REVERSE, b"a\xc3\x28"), frame(ECHO, "x")].concat();
    answers(input, [frame(ERROR, "INVALID_UTF8"), frame(ECHO, "x")].concat());
    answers(frame(REVERSE, b"\xed\xa0\x80"), frame(ERROR, "INVALID_UTF8"));
}

#[test]
fn quit_closes_without_an_answer_and_ignores_its_payload() {
    for payload in [&b""[..], b"now", &[1, 0, 0, 0, 0], &[b'x'; 50]] {
        let input = [frame(ECHO, "x"), frame(QUIT, payload), frame(ECHO, "y")].concat();
        assert_last_answers(
            &Binary::new(),
            &small_limits(),
            &input,
            &frame(ECHO, "x"),
            CloseReason::Quit,
        );
    }
    let mut harness = SessionHarness::new(&Binary::new(), &small_limits());
    harness.feed(&[3, 255, 255, 255, 255]);
    assert_eq!(harness.step, Step::Close(CloseReason::Quit), "the claimed length does not matter");
    assert_eq!(harness.messages, 1);
}

#[test]
fn an_unknown_code_is_an_error_and_its_payload_is_skipped() {
    for code in [0, 5, 9, 254, ERROR] {
        let input = [frame(code, frame(ECHO, "inside")), frame(ECHO, "x")].concat();
        answers(input, [frame(ERROR, "UNKNOWN_COMMAND"), frame(ECHO, "x")].concat());
        answers([code, 0, 0, 0, 0], frame(ERROR, "UNKNOWN_COMMAND"));
    }
}

#[test]
fn a_command_may_have_the_code_of_a_tls_handshake() {
    let nothing = |_: &mut Call<'_, '_>| Ok(Next::Continue);
    let own = Binary::with_commands([Command::new(0x16, "OWN", nothing)]);
    assert!(SessionHarness::new(&own, &small_limits()).may_begin_as_tls());
    assert!(!SessionHarness::new(&Binary::new(), &small_limits()).may_begin_as_tls());
}

#[test]
fn the_frame_that_fills_the_output_is_the_last_one_run() {
    for code in [ECHO, REVERSE] {
        let count = HIGH_WATER_BYTES.div_ceil(frame(code, "a").len());
        let mut harness = SessionHarness::new(&Binary::new(), &small_limits());
        harness.input = frame(code, "a").repeat(count + 1);
        harness.advance(0);
        assert_eq!((harness.step, harness.messages), (Step::Paused, count as u64));
        assert!(
            harness.answers() == frame(ECHO, "a").repeat(count),
            "{count} answers to code {code}"
        );
    }
}

#[test]
fn a_payload_at_the_limit_is_accepted_and_a_longer_one_refused() {
    for len in [39, 40] {
        answers(frame(ECHO, vec![b'x'; len]), frame(ECHO, vec![b'x'; len]));
    }
    answers(frame(ECHO, [b'x'; 41]), frame(ERROR, "FRAME_TOO_LARGE"));
    answers(
        [frame(REVERSE, [b'x'; 99]), frame(ECHO, "x")].concat(),
        [frame(ERROR, "FRAME_TOO_LARGE"), frame(ECHO, "x")].concat(),
    );
}

#[test]
fn the_largest_length_is_refused_at_once_and_no_byte_is_kept() {
    let mut harness = SessionHarness::new(&Binary::new(), &small_limits());
    harness.feed(&[1, 255, 255, 255, 255]);
    assert_eq!(harness.answers(), frame(ERROR, "FRAME_TOO_LARGE"));
    harness.feed(&[b'x'; 1000]);
    assert_eq!(harness.transcript(), Transcript { answers: vec![], closed: None });
    assert_eq!((harness.input.len(), harness.messages), (0, 1));
}

#[test]
fn half_a_frame_is_not_run() {
    let whole = frame(ECHO, "hello");
    for len in 1..whole.len() {
        let mut harness = SessionHarness::new(&Binary::new(), &small_limits());
        assert_eq!(harness.feed(&whole[..len]).fall_quiet().answers(), b"");
    }
}

#[test]
fn an_incomplete_frame_reports_missing_bytes_at_a_full_output() {
    let whole = frame(ECHO, "hello");
    for (len, missing) in [(1, 4), (4, 1), (5, 5), (6, 4), (9, 1)] {
        for waiting_len in [0, HIGH_WATER_BYTES, 2 * HIGH_WATER_BYTES] {
            let mut harness = SessionHarness::new(&Binary::new(), &small_limits());
            harness.input = whole[..len].to_vec();
            harness.advance(waiting_len);
            assert_eq!(harness.step, Step::Incomplete { missing: Some(missing) }, "{len} bytes");
        }
    }
}

#[test]
fn a_text_longer_than_the_block_of_reverse_is_reversed() {
    let limits = Limits { frame_bytes_max: 1 << 16, ..small_limits() };
    for scalar in ["a", "\u{e9}", "\u{20ac}", "\u{1f600}"] {
        for count in (1024 / scalar.len() - 2..=1024 / scalar.len() + 2).chain([3000]) {
            let text = format!("{}{}z", "b".repeat(count % 3), scalar.repeat(count));
            let turned: String = text.chars().rev().collect();
            let answer = SessionHarness::new(&Binary::default(), &limits)
                .feed(&frame(REVERSE, &text))
                .answers();
            assert!(answer == frame(ECHO, turned), "{count} of {scalar}");
        }
    }
}

#[test]
fn a_refused_frame_is_incomplete_until_its_last_byte() {
    let mut harness = SessionHarness::new(&Binary::new(), &small_limits());
    for (piece, step) in [
        (&[9, 0, 0, 0, 3, 7][..], Step::Incomplete { missing: None }),
        (&[7], Step::Incomplete { missing: None }),
        (&[7], Step::Done),
    ] {
        assert_eq!(harness.feed(piece).step, step, "{piece:?}");
    }
}

#[test]
fn a_small_answer_is_sent_with_the_smallest_memory_limit() {
    let limits = Limits { memory_bytes_max: 0, ..Limits::default() };
    let text = "x".repeat(30_000);
    let mut harness = SessionHarness::new(&Binary::new(), &limits);
    assert!(harness.feed(&frame(REVERSE, &text)).answers() == frame(ECHO, &text));
}

#[test]
fn quit_needs_no_room_in_the_output() {
    let mut harness = SessionHarness::new(&Binary::new(), &small_limits());
    harness.input = frame(QUIT, "");
    harness.advance(HIGH_WATER_BYTES);
    assert_eq!(harness.step, Step::Close(CloseReason::Quit));
}

#[test]
fn a_frame_without_memory_is_refused_and_its_rest_dropped() {
    let mut harness = SessionHarness::new(&Binary::new(), &small_limits());
    let refused = frame(ECHO, "hello");
    assert_eq!(harness.feed(&refused[..7]).refuse().answers(), frame(ERROR, "SERVER_BUSY"));
    assert!(harness.input.is_empty());
    let rest = [&refused[7..], &frame(ECHO, "x")].concat();
    assert_eq!(harness.feed(&rest).answers(), frame(ECHO, "x"));
}

#[test]
fn half_a_header_is_kept_when_its_message_would_be_refused() {
    let mut harness = SessionHarness::new(&Binary::new(), &small_limits());
    assert_eq!(harness.feed(&[1, 0, 0]).refuse().answers(), b"");
    assert_eq!(harness.feed(&[0, 1, b'x']).answers(), frame(ECHO, "x"));
}

#[test]
fn an_answer_without_memory_becomes_an_error_in_its_place() {
    let limits = Limits { memory_bytes_max: 0, ..Limits::default() };
    let mut harness = SessionHarness::new(&Binary::new(), &limits);
    let input = [frame(ECHO, vec![b'x'; 1 << 17]), frame(ECHO, "x")].concat();
    assert_eq!(
        harness.feed(&input).answers(),
        [frame(ERROR, "SERVER_BUSY"), frame(ECHO, "x")].concat()
    );
}

#[test]
fn a_farewell_is_an_error_frame_and_a_shutdown_has_none() {
    let mut harness = SessionHarness::new(&Binary::new(), &small_limits());
    for (farewell, answer) in [
        (Farewell::ServerBusy, frame(ERROR, "SERVER_BUSY")),
        (Farewell::IdleTimeout, frame(ERROR, "IDLE_TIMEOUT")),
        (Farewell::MessageTimeout, frame(ERROR, "MESSAGE_TIMEOUT")),
        (Farewell::Shutdown, vec![]),
    ] {
        assert_eq!(harness.append_farewell(farewell).answers(), answer, "{farewell:?}");
    }
}

#[test]
fn an_added_command_is_run_by_its_code() {
    let binary = Binary::with_commands([Command::new(7, "COUNT", |call: &mut Call<'_, '_>| {
        call.output().append(b"half an answer");
        if call.argument().is_empty() {
            return Err("NOTHING_TO_COUNT");
        }
        Ok(Next::Continue)
    })]);
    let input = [frame(7, "x"), frame(7, "")].concat();
    let expected = [frame(ECHO, "half an answer"), frame(ERROR, "NOTHING_TO_COUNT")].concat();
    assert_answers(&binary, &small_limits(), &input, &expected);
}

#[test]
fn a_removed_command_is_an_unknown_code() {
    let binary = Binary::new().without_command(REVERSE).without_command(77);
    let input = [frame(REVERSE, "ab"), frame(ECHO, "ab")].concat();
    let expected = [frame(ERROR, "UNKNOWN_COMMAND"), frame(ECHO, "ab")].concat();
    assert_answers(&binary, &small_limits(), &input, &expected);
}

#[test]
fn an_added_command_can_end_the_conversation_after_its_answer() {
    let binary = Binary::with_commands([Command::new(7, "LEAVE", |call: &mut Call<'_, '_>| {
        call.output().append(b"goodbye");
        Ok(Next::Close)
    })]);
    let input = [frame(7, "x"), frame(ECHO, "never")].concat();
    assert_last_answers(
        &binary,
        &small_limits(),
        &input,
        &frame(ECHO, "goodbye"),
        CloseReason::Quit,
    );
}

#[test]
#[should_panic(expected = "the code of a command is reserved")]
fn an_added_command_with_the_code_of_quit_panics() {
    let _ =
        Binary::with_commands([Command::new(QUIT, "", |_: &mut Call<'_, '_>| Ok(Next::Continue))]);
}

/// The expected conversation, computed in a simple way.
fn oracle(limits: &Limits, input: &[u8]) -> Transcript {
    let (mut answers, mut input) = (Vec::new(), input.to_vec());
    let mut member = LoneMember::new(1, limits);
    while input.len() >= HEADER_LEN {
        let (code, payload_len) =
            (input[0], u32::from_be_bytes([input[1], input[2], input[3], input[4]]) as usize);
        if code == QUIT {
            return Transcript { answers, closed: Some(CloseReason::Quit) };
        }
        let refusal = match code {
            _ if payload_len > limits.frame_bytes_max as usize => Some("FRAME_TOO_LARGE"),
            ECHO | REVERSE | STATUS => None,
            _ if Request::of_code(code).is_some() => None,
            _ => Some("UNKNOWN_COMMAND"),
        };
        if refusal.is_none() && input.len() < HEADER_LEN + payload_len {
            break;
        }
        let rest = input.split_off((HEADER_LEN + payload_len).min(input.len()));
        let payload = std::mem::replace(&mut input, rest).split_off(HEADER_LEN);
        answers.extend(match (refusal, code, String::from_utf8(payload.clone())) {
            (Some(token), ..) => frame(ERROR, token),
            (_, ECHO, _) => frame(ECHO, payload),
            (_, STATUS, _) => status_answer(),
            (_, code, _) if Request::of_code(code).is_some() => {
                let request = Request::of_code(code).expect("a command about rooms");
                match member.answer(request, &payload) {
                    Ok(answer) => frame(code, answer),
                    Err(token) => frame(ERROR, token),
                }
            }
            (_, _, Ok(text)) => frame(ECHO, text.chars().rev().collect::<String>()),
            (_, _, Err(_)) => frame(ERROR, "INVALID_UTF8"),
        });
    }
    Transcript { answers, closed: None }
}

/// The answer to `STATUS` in a harness, whose clock stands still.
fn status_answer() -> Vec<u8> {
    SessionHarness::new(&Binary::new(), &small_limits()).feed(&frame(STATUS, "")).answers()
}

fn part() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..8),
        "\\PC{0,8}".prop_map(String::into_bytes),
        (38usize..=42).prop_map(|len| vec![b'x'; len]),
    ];
    let known = proptest::sample::select(&[ECHO, REVERSE, STATUS, JOIN, LEAVE, SAY, NICK, WHO][..]);
    prop_oneof![
        8 => (known, payload.clone()).prop_map(|(code, payload)| frame(code, payload)),
        2 => (any::<u8>(), payload).prop_map(|(code, payload)| frame(code, payload)),
        1 => Just(frame(QUIT, "")),
        1 => proptest::collection::vec(any::<u8>(), 0..8),
    ]
}

proptest! {
    #[test]
    fn any_split_of_any_conversation_agrees_with_the_oracle(
        parts in proptest::collection::vec(part(), 0..12),
        cuts in proptest::collection::vec(any::<usize>(), 0..8),
    ) {
        let input = parts.concat();
        let expected = oracle(&small_limits(), &input);
        for transcript in transcripts(&Binary::new(), &small_limits(), &[input], &cuts) {
            prop_assert_eq!(&transcript, &expected);
        }
    }
}

#[test]
fn status_has_a_code_of_its_own_and_ignores_its_payload() {
    let mut harness = SessionHarness::new(&Binary::new(), &small_limits());
    let answer = harness.feed(&frame(STATUS, "please")).answers();
    let (header, line) = answer.split_at(HEADER_LEN);
    assert_eq!(header, &frame(STATUS, line)[..HEADER_LEN]);
    assert!(line.starts_with(b"STATUS version=") && !line.contains(&b'\n'));
}

#[test]
fn status_can_be_removed() {
    let mut harness = SessionHarness::new(&Binary::new().without_command(STATUS), &small_limits());
    assert_eq!(harness.feed(&frame(STATUS, "")).answers(), frame(ERROR, "UNKNOWN_COMMAND"));
}

#[test]
fn a_member_is_told_a_message_in_a_frame_between_its_answers() {
    let mut harness = SessionHarness::new(&Binary::new(), &small_limits());
    assert_eq!(harness.feed(&frame(JOIN, "tea")).answers(), frame(JOIN, "tea"));
    harness.deliver("tea", "ann", "hi").feed(&frame(ECHO, "x"));
    assert_eq!(harness.answers(), [frame(MESSAGE, "ann hi"), frame(ECHO, "x")].concat());
    harness.feed(&frame(LEAVE, "ignored")).deliver("tea", "ann", "hi");
    assert_eq!(harness.answers(), frame(LEAVE, "tea"));
}

#[test]
fn a_text_with_a_line_end_is_refused() {
    let mut harness = SessionHarness::new(&Binary::new(), &small_limits());
    harness.feed(&[frame(JOIN, "tea"), frame(SAY, "a\nFROM ann b")].concat());
    assert_eq!(harness.answers(), [frame(JOIN, "tea"), frame(ERROR, "BAD_TEXT")].concat());
}
