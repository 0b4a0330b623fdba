//! The echo protocol: each message and its answer, with a newline, without one, and however the
//! network cuts them.

use crate::support::dialogue::Dialogue;
use crate::support::messages::{NEVER_QUIET, check_quiet, messages, streams};
use crate::support::server::Server;

/// Checks that `input` and its end have `answers`, for every cut.
#[track_caller]
fn check(input: &[u8], answers: &[u8]) {
    let server = Server::start(&NEVER_QUIET);
    assert_eq!(oracle(input, 65_536), answers, "the oracle itself");
    Dialogue::new(&server, "echo").check_every_way(input, answers);
}

#[test]
fn the_server_sends_nothing_on_accept() {
    check(b"", b"");
}

#[test]
fn a_message_comes_back_after_a_prefix() {
    check(b"Hello, server!\n", b"Server received: Hello, server!\n");
}

#[test]
fn an_answer_ends_as_its_message_ended() {
    check(b"a\nb\r\nc", b"Server received: a\nServer received: b\r\nServer received: c");
}

#[test]
fn an_empty_line_gets_the_prefix_alone() {
    check(b"\n\r\n", b"Server received: \nServer received: \r\n");
}

#[test]
fn any_bytes_are_a_message() {
    check(b"\x00\xFF\xFB\x18 a\rb \t\n", b"Server received: \x00\xFF\xFB\x18 a\rb \t\n");
}

#[test]
fn only_one_carriage_return_belongs_to_the_ending() {
    check(b"a\r\r\n", b"Server received: a\r\r\n");
}

#[test]
fn a_carriage_return_without_a_newline_belongs_to_the_message() {
    check(b"a\r", b"Server received: a\r");
}

#[test]
fn a_waiting_piece_is_answered_at_the_end_of_input() {
    let server = Server::start(&NEVER_QUIET);
    let mut peer = server.connect("echo");
    peer.send("no newline");
    peer.half_close();
    peer.expect("Server received: no newline");
    peer.expect_eof();
}

#[test]
fn without_a_newline_the_answer_comes_when_the_peer_falls_quiet() {
    let server = Server::start(&[]);
    let mut peer = server.connect("echo");
    for message in ["Hello, server!", "How are you?"] {
        peer.send(message);
        peer.expect(format!("Server received: {message}"));
    }
}

#[test]
fn without_a_newline_no_answer_comes_before_the_quiet_period() {
    check_quiet("echo", "wait for it", "Server received: wait for it");
}

#[test]
fn a_line_is_answered_at_once_and_the_piece_after_it_in_quiet() {
    check_quiet("echo", "a\nb", "Server received: a\nServer received: b");
}

#[test]
fn a_message_over_the_limit_is_refused_where_it_ends() {
    let server = Server::start(&[&NEVER_QUIET[..], &["--max-line", "8"]].concat());
    let input = b"12345678\n123456789\n12345678\r\n12345678 and more\r\nok\n123456789";
    let answers = b"Server received: 12345678\nERROR LINE_TOO_LONG\nServer received: 12345678\r\n\
        ERROR LINE_TOO_LONG\r\nServer received: ok\nERROR LINE_TOO_LONG";
    assert_eq!(oracle(input, 8), answers, "the oracle itself");
    Dialogue::new(&server, "echo").check_every_way(input, answers);
}

#[test]
fn a_message_over_the_limit_may_end_in_quiet() {
    let server = Server::start(&["--max-line", "8"]);
    let mut peer = server.connect("echo");
    peer.send("123456789");
    peer.expect("ERROR LINE_TOO_LONG");
    peer.send("ok");
    peer.expect("Server received: ok");
}

#[test]
fn mixed_streams_get_the_answers_of_the_oracle() {
    let server = Server::start(&[&NEVER_QUIET[..], &["--max-line", "30"]].concat());
    let inputs = streams(&["hello", "quit", "Server received: "]);
    Dialogue::new(&server, "echo").check_at_random(400, inputs, |input| oracle(input, 30));
}

/// Returns the complete reply to `input` and the end of input.
fn oracle(input: &[u8], line_max: usize) -> Vec<u8> {
    let answers = messages(input).into_iter().map(|message| match message.bytes.len() > line_max {
        true => [b"ERROR LINE_TOO_LONG", message.ending].concat(),
        false => [b"Server received: ", message.bytes, message.ending].concat(),
    });
    answers.collect::<Vec<_>>().concat()
}
