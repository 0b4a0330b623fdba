//! The binary protocol: each frame and its answer, however the network cuts them.

use crate::support::dialogue::{Dialogue, Stream};
use crate::support::frames::{ECHO, ERROR, QUIT, REVERSE, error, frame, header};
use crate::support::server::Server;
use proptest::prelude::*;
use tinytcp_core::protocol::binary::STATUS;

/// The frame limit of a server without flags.
const FRAME_MAX: usize = 16 << 20;

/// Checks that `input` has `answers`, for every cut: alone, before half a header and before half a
/// payload.
#[track_caller]
fn check(input: &[u8], answers: &[u8]) {
    check_with_limit(FRAME_MAX, input, answers);
}

#[track_caller]
fn check_with_limit(frame_max: usize, input: &[u8], answers: &[u8]) {
    let server = Server::start(&["--max-frame", &frame_max.to_string()]);
    let dialogue = Dialogue::new(&server, "binary");
    assert_eq!(oracle(input, frame_max), answers, "the oracle itself");
    dialogue.check_every_way(input, answers);
    dialogue.check_every_way(&[input, &[ECHO, 0, 0]].concat(), answers);
    dialogue.check_every_way(&[input, &header(ECHO, 3), b"ab"].concat(), answers);
}

#[test]
fn the_server_sends_nothing_on_accept() {
    check(b"", b"");
}

#[test]
fn echo_hands_back_the_same_bytes() {
    check(&[1, 0, 0, 0, 3, b'a', b'b', b'c'], &[1, 0, 0, 0, 3, b'a', b'b', b'c']);
}

#[test]
fn echo_hands_back_any_bytes() {
    let every_byte: Vec<u8> = (0..=255).collect();
    check(&frame(ECHO, &every_byte), &frame(ECHO, &every_byte));
}

#[test]
fn reverse_answers_with_the_code_of_echo() {
    check(&[2, 0, 0, 0, 3, b'a', b'b', b'c'], &[1, 0, 0, 0, 3, b'c', b'b', b'a']);
}

#[test]
fn reverse_goes_by_scalar_value() {
    // A combining accent is a scalar value and changes places, as it does in Python's s[::-1].
    check(&frame(REVERSE, "aé€😀e\u{301}"), &frame(ECHO, "\u{301}e😀€éa"));
}

#[test]
fn reverse_refuses_what_is_not_utf8_and_goes_on() {
    let invalid: [&[u8]; 5] =
        [b"\xFF", b"a\xC3", b"\xC0\x80", b"\xED\xA0\x80", b"\xF4\x90\x80\x80"];
    for payload in invalid {
        check(
            &[frame(REVERSE, payload), frame(ECHO, "x")].concat(),
            &[error("INVALID_UTF8"), frame(ECHO, "x")].concat(),
        );
    }
}

#[test]
fn an_error_is_code_255_and_a_token() {
    check(&frame(REVERSE, [0xFF]), b"\xFF\x00\x00\x00\x0CINVALID_UTF8");
}

#[test]
fn an_empty_echo_gets_an_empty_frame() {
    check(&[1, 0, 0, 0, 0], &[1, 0, 0, 0, 0]);
}

#[test]
fn an_empty_reverse_gets_an_empty_frame() {
    check(&[2, 0, 0, 0, 0], &[1, 0, 0, 0, 0]);
}

#[test]
fn quit_closes_without_an_answer() {
    let server = Server::start(&[]);
    let mut peer = server.connect("binary");
    peer.send(frame(QUIT, ""));
    peer.expect_eof();
}

#[test]
fn quit_ignores_its_payload_and_what_follows() {
    check(&[frame(ECHO, "a"), frame(QUIT, "bye"), frame(ECHO, "b")].concat(), &frame(ECHO, "a"));
}

#[test]
fn quit_closes_as_soon_as_its_header_is_there() {
    let server = Server::start(&[]);
    let mut peer = server.connect("binary");
    peer.send(header(QUIT, 1000));
    peer.expect_eof();
}

#[test]
fn quit_may_claim_any_length() {
    check(&header(QUIT, u32::MAX as usize), b"");
}

#[test]
fn an_unknown_command_is_refused_and_its_payload_skipped() {
    let input = [frame(0, "nothing"), frame(5, ""), frame(254, "x"), frame(ECHO, "on")].concat();
    check(&input, &[error("UNKNOWN_COMMAND").repeat(3), frame(ECHO, "on")].concat());
}

#[test]
fn an_unknown_command_is_refused_before_its_payload() {
    let server = Server::start(&[]);
    let mut peer = server.connect("binary");
    peer.send(header(9, 5));
    peer.expect(error("UNKNOWN_COMMAND"));
    peer.send("12345");
    peer.send(frame(ECHO, "on"));
    peer.expect(frame(ECHO, "on"));
}

#[test]
fn only_the_server_sends_errors() {
    check(&frame(ERROR, "MINE"), &error("UNKNOWN_COMMAND"));
}

#[test]
fn a_payload_may_look_like_frames() {
    let payload = [frame(QUIT, ""), frame(ECHO, "inner")].concat();
    check(&frame(ECHO, &payload), &frame(ECHO, &payload));
    check(&frame(9, &payload), &error("UNKNOWN_COMMAND"));
}

#[test]
fn a_frame_over_the_limit_is_refused_and_its_payload_discarded() {
    let input = [frame(ECHO, "12345678"), frame(ECHO, "123456789"), frame(REVERSE, "on")].concat();
    check_with_limit(
        8,
        &input,
        &[frame(ECHO, "12345678"), error("FRAME_TOO_LARGE"), frame(ECHO, "no")].concat(),
    );
}

#[test]
fn an_unknown_command_over_the_limit_is_too_large_first() {
    check_with_limit(8, &frame(9, "123456789"), &error("FRAME_TOO_LARGE"));
}

#[test]
fn a_length_is_big_endian_and_unsigned() {
    check_with_limit(0x0102, &header(ECHO, 0x8000_0000), &error("FRAME_TOO_LARGE"));
    check_with_limit(0x0102, &frame(ECHO, [b'x'; 0x0102]), &frame(ECHO, [b'x'; 0x0102]));
}

#[test]
fn half_a_frame_is_not_run() {
    let server = Server::start(&[]);
    let input = [&frame(ECHO, "a"), &header(REVERSE, 3), &b"ab"[..]].concat();
    Dialogue::new(&server, "binary").check_every_way(&input, &frame(ECHO, "a"));
}

#[test]
fn mixed_streams_get_the_answers_of_the_oracle() {
    let server = Server::start(&["--max-frame", "30"]);
    Dialogue::new(&server, "binary").check_at_random(400, streams(), |input| oracle(input, 30));
}

/// Draws valid and invalid frames, one after the other, half a frame, and the cuts.
fn streams() -> impl Strategy<Value = Stream> {
    let unknown = any::<u8>().prop_filter("no status and no command of rooms", |code| {
        !matches!(*code, STATUS | 16..=21)
    });
    let code = prop_oneof![6 => Just(ECHO), 6 => Just(REVERSE), 1 => Just(QUIT), 3 => unknown];
    let payload = prop_oneof![
        4 => "\\PC{0,9}".prop_map(String::into_bytes),
        2 => proptest::collection::vec(any::<u8>(), 0..36),
        1 => (28..34usize).prop_map(|len| vec![b'z'; len]),
    ];
    let frames = (code, payload).prop_map(|(code, payload)| frame(code, payload));
    let half = proptest::collection::vec(any::<u8>(), 0..4);
    let input = (proptest::collection::vec(frames, 0..12), half)
        .prop_map(|(frames, half)| [frames.concat(), half].concat());
    Stream::cut_at_random(input)
}

/// Returns the complete reply to `input` and the end of input, computed in a simple way with all
/// bytes in memory.
fn oracle(mut input: &[u8], frame_max: usize) -> Vec<u8> {
    let mut said = Vec::new();
    while let [code, a, b, c, d, rest @ ..] = input {
        let claimed = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let whole = rest.get(..claimed);
        match (*code, whole) {
            (QUIT, _) => return said,
            _ if claimed > frame_max => said.extend(error("FRAME_TOO_LARGE")),
            (ECHO, Some(payload)) => said.extend(frame(ECHO, payload)),
            (REVERSE, Some(payload)) => said.extend(reversed(payload)),
            (ECHO | REVERSE, None) => {}
            _ => said.extend(error("UNKNOWN_COMMAND")),
        }
        input = &rest[claimed.min(rest.len())..];
    }
    said
}

fn reversed(payload: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(payload) {
        Ok(text) => frame(ECHO, text.chars().rev().collect::<String>()),
        Err(_) => error("INVALID_UTF8"),
    }
}
