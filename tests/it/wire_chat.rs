//! The chat protocol: each message and its answer, with a newline, without one, and however the
//! network cuts them.

use crate::support::clock::COVER;
use crate::support::dialogue::Dialogue;
use crate::support::messages::{NEVER_QUIET, check_quiet, messages, streams};
use crate::support::server::Server;

/// Checks that `input` and its end have `answers`, for every cut.
#[track_caller]
fn check(input: &[u8], answers: impl AsRef<[u8]>) {
    let server = Server::start(&NEVER_QUIET);
    assert_eq!(oracle(input, 65_536), answers.as_ref(), "the oracle itself");
    Dialogue::new(&server, "chat").check_every_way(input, answers.as_ref());
}

#[test]
fn the_server_sends_nothing_on_accept() {
    check(b"", b"");
}

#[test]
fn exit_closes_without_an_answer() {
    let server = Server::start(&[]);
    let mut peer = server.connect("chat");
    peer.send("exit\n");
    peer.expect_eof();
}

#[test]
fn exit_needs_no_newline() {
    let server = Server::start(&[]);
    let mut peer = server.connect("chat");
    peer.send("exit");
    peer.expect_eof();
}

#[test]
fn nothing_after_exit_is_answered() {
    check(b"a\nEXIT\r\nhello\nb", b"ACK: Received 'a'\n");
}

#[test]
fn exit_is_the_whole_message_or_none() {
    check(
        b"exit now\n exit\nexits\n",
        b"ACK: Received 'exit now'\nACK: Received ' exit'\nACK: Received 'exits'\n",
    );
}

#[test]
fn time_is_the_local_time_of_day() {
    check(b"what time is it?\n", format!("Server Time: {COVER}\n"));
}

#[test]
fn hello_is_greeted() {
    check(b"well hello there\n", b"Hello from the server! Connection established.\n");
}

#[test]
fn status_is_reported() {
    check(b"status?\n", b"Server is running smoothly on Rust.\n");
}

#[test]
fn anything_else_is_acknowledged() {
    check(b"How are you?\n", b"ACK: Received 'How are you?'\n");
}

#[test]
fn words_are_found_in_any_case_and_inside_others() {
    let answers = format!("Server Time: {COVER}\nHello from the server! Connection established.\n");
    check(b"SomeTimes\nOTHELLO\nsTaTuSes\n", answers + "Server is running smoothly on Rust.\n");
}

#[test]
fn time_comes_before_hello_and_hello_before_status() {
    let answers = format!("Server Time: {COVER}\nHello from the server! Connection established.\n");
    check(b"status hello time\nstatus hello\n", answers);
}

#[test]
fn an_answer_ends_as_its_message_ended() {
    check(
        b"a\nstatus\r\nb",
        b"ACK: Received 'a'\nServer is running smoothly on Rust.\r\nACK: Received 'b'",
    );
}

#[test]
fn an_empty_line_is_acknowledged() {
    check(b"\n\r\n", b"ACK: Received ''\nACK: Received ''\r\n");
}

#[test]
fn any_bytes_are_acknowledged() {
    check(b"\x00'\xFF\xFB\x18 a\rb \t\n", b"ACK: Received '\x00'\xFF\xFB\x18 a\rb \t'\n");
}

#[test]
fn without_a_newline_the_answer_comes_when_the_peer_falls_quiet() {
    let server = Server::start(&[]);
    let mut peer = server.connect("chat");
    peer.send("hello");
    peer.expect("Hello from the server! Connection established.");
    peer.send("bye");
    peer.expect("ACK: Received 'bye'");
}

#[test]
fn without_a_newline_no_answer_comes_before_the_quiet_period() {
    check_quiet("chat", "wait", "ACK: Received 'wait'");
}

#[test]
fn a_message_over_the_limit_is_refused_where_it_ends() {
    let server = Server::start(&[&NEVER_QUIET[..], &["--max-line", "8"]].concat());
    let input = b"12345678\nhello hello\ntime and status\r\nhello\n123456789";
    let answers = b"ACK: Received '12345678'\nERROR LINE_TOO_LONG\nERROR LINE_TOO_LONG\r\n\
        Hello from the server! Connection established.\nERROR LINE_TOO_LONG";
    assert_eq!(oracle(input, 8), answers, "the oracle itself");
    Dialogue::new(&server, "chat").check_every_way(input, answers);
}

#[test]
fn mixed_streams_get_the_answers_of_the_oracle() {
    let server = Server::start(&[&NEVER_QUIET[..], &["--max-line", "30"]].concat());
    let inputs = streams(&[
        "hello", "HELLO!", "the time", "status", "exit", "Exit ", "ACK", "tim", "stat us",
    ]);
    Dialogue::new(&server, "chat").check_at_random(400, inputs, |input| oracle(input, 30));
}

/// Returns the complete reply to `input` and the end of input.
fn oracle(input: &[u8], line_max: usize) -> Vec<u8> {
    let mut said = Vec::new();
    for message in messages(input) {
        let text = message.bytes.to_ascii_lowercase();
        let contains = |word: &[u8]| text.windows(word.len()).any(|window| window == word);
        let answer = match text.as_slice() {
            _ if text.len() > line_max => "ERROR LINE_TOO_LONG".into(),
            b"exit" => break,
            _ if contains(b"time") => format!("Server Time: {COVER}").into(),
            _ if contains(b"hello") => "Hello from the server! Connection established.".into(),
            _ if contains(b"status") => "Server is running smoothly on Rust.".into(),
            _ => [b"ACK: Received '", message.bytes, b"'"].concat(),
        };
        said.extend(answer);
        said.extend(message.ending);
    }
    said
}
