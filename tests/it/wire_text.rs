//! The text protocol: each request and its answer, however the network cuts them.

use crate::support::clock::COVER;
use crate::support::dialogue::{Dialogue, Stream};
use crate::support::server::{Server, listen_flags, program};
use crate::support::text_model::{BANNER, Given, conversation};
use proptest::prelude::*;
use tinytcp_core::wire::http;

const HELP: &[u8] = b"HELP COMMANDS: TIME | ECHO <TEXT> | HELP | QUIT | \
    JOIN <ROOM> | LEAVE | SAY <TEXT> | NICK <NAME> | WHO\n";

/// The negotiation that a Linux telnet sends first; option 0x20 is also a blank.
const TELNET_PREAMBLE: &[u8] = b"\xFF\xFD\x03\xFF\xFB\x18\xFF\xFB\x1F\xFF\xFB\x20\
    \xFF\xFB\x21\xFF\xFB\x22\xFF\xFB\x27\xFF\xFD\x05";

/// Checks that `input` has the banner and `answers`, for every cut, alone and before half a
/// command.
#[track_caller]
fn check(input: &[u8], answers: impl AsRef<[u8]>) {
    let server = Server::start(&[]);
    let dialogue = Dialogue::new(&server, "text");
    let expected = [BANNER, answers.as_ref()].concat();
    assert_eq!(model(input, 65_536), expected, "the model itself");
    dialogue.check_every_way(input, &expected);
    dialogue.check_every_way(&[input, b"ECHO half a comm"].concat(), &expected);
}

#[test]
fn the_server_greets_first() {
    let server = Server::start(&[]);
    server.connect("text").expect(BANNER);
}

#[test]
fn time_is_local_in_whole_seconds_with_a_numeric_offset() {
    check(b"TIME\n", format!("TIME {COVER}\n"));
}

#[test]
fn utc_is_written_as_a_numeric_offset_too() {
    check_offset("UTC", "+00:00");
}

#[test]
fn an_offset_may_be_negative() {
    check_offset("<-05>5", "-05:00");
}

#[test]
fn an_offset_may_have_minutes() {
    check_offset("<+0545>-5:45", "+05:45");
}

#[track_caller]
fn check_offset(zone: &str, offset: &str) {
    let mut command = program();
    command.args(listen_flags()).env("TZ", zone);
    let server = Server::launch(command);
    let mut peer = server.text();
    peer.send("TIME\n");
    let answer = peer.read_line();
    assert!(answer.strip_suffix('\n').is_some_and(|answer| answer.ends_with(offset)), "{answer:?}");
    assert_eq!(answer.len(), "TIME 2025-09-12T17:24:13-05:00\n".len(), "{answer:?}");
}

#[test]
fn the_time_goes_on() {
    let server = Server::start(&[]);
    let mut peer = server.text();
    let mut ask = || {
        peer.send("TIME\n");
        peer.read_line()
    };
    let first = ask();
    crate::support::wait::wait_until("another second on the server's clock", || ask() != first);
}

#[test]
fn echo_repeats_its_argument() {
    check(b"ECHO Hello from client\n", b"ECHO Hello from client\n");
}

#[test]
fn an_argument_is_kept_byte_for_byte() {
    check(
        b"ECHO a  b\t\"c\"\\ \x00\x01\x7F \xE4\xFF\xFD\x18 \xF0\x9F\x98\x80 d\re\n",
        b"ECHO a  b\t\"c\"\\ \x00\x01\x7F \xE4\xFF\xFD\x18 \xF0\x9F\x98\x80 d\re\n",
    );
}

#[test]
fn echo_without_a_text_is_refused() {
    check(b"ECHO\n", b"ERROR BAD_ARGUMENTS\n");
}

#[test]
fn blanks_are_no_text() {
    check(b"ECHO \t \n", b"ERROR BAD_ARGUMENTS\n");
}

#[test]
fn help_lists_the_commands_in_one_line() {
    check(b"HELP\n", HELP);
}

#[test]
fn quit_is_answered_with_bye_and_closes() {
    let server = Server::start(&[]);
    let mut peer = server.text();
    peer.send("QUIT\n");
    peer.expect("BYE\n");
    peer.expect_eof();
}

#[test]
fn nothing_after_quit_is_run() {
    check(b"QUIT\nECHO x\nTIME\n", b"BYE\n");
}

#[test]
fn anything_else_is_unknown() {
    check(b"HELLO\nECHOX y\n\xC3\x84\n\x00\n.\n", b"ERROR UNKNOWN_COMMAND\n".repeat(5));
}

#[test]
fn commands_are_taken_in_any_case() {
    check(b"echo a\nEcHo B\nhElP\nquit\n", [b"ECHO a\nECHO B\n", HELP, b"BYE\n"].concat());
}

#[test]
fn blanks_around_a_command_do_not_matter() {
    check(b" \tECHO \t x y\t \n  HELP  \n", [b"ECHO x y\n", HELP].concat());
}

#[test]
fn a_tab_separates_as_a_space_does() {
    check(b"ECHO\tx\n", b"ECHO x\n");
}

#[test]
fn extra_arguments_of_time_help_and_quit_are_ignored() {
    check(
        b"TIME now\nHELP me\nQUIT please\n",
        [format!("TIME {COVER}\n").as_bytes(), HELP, b"BYE\n"].concat(),
    );
}

#[test]
fn one_carriage_return_belongs_to_the_line_end() {
    check(b"ECHO a\r\nHELP\r\n", [b"ECHO a\n", HELP].concat());
}

#[test]
fn only_one_carriage_return_is_dropped() {
    check(b"ECHO a\r\r\n", b"ECHO a\r\n");
}

#[test]
fn an_empty_line_gets_no_answer() {
    check(b"\n\r\n \t \r\nECHO a\n\n", b"ECHO a\n");
}

#[test]
fn half_a_command_is_not_run() {
    check(b"ECHO a\nQUIT", b"ECHO a\n");
}

#[test]
fn a_line_over_the_limit_is_refused_once_and_the_next_is_run() {
    let server = Server::start(&["--max-line", "16"]);
    let dialogue = Dialogue::new(&server, "text");
    let input = b"ECHO 3456789 123456789 123456789\nECHO 34567890123\r\nECHO 345678901234\r\n";
    let answers = b"ERROR LINE_TOO_LONG\nECHO 34567890123\nERROR LINE_TOO_LONG\n";
    let expected = [BANNER, answers].concat();
    assert_eq!(model(input, 16), expected, "the model itself");
    dialogue.check_every_way(input, &expected);
}

#[test]
fn a_request_line_of_http_ends_the_session() {
    check(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nECHO x\n", b"ERROR NOT_HTTP\n");
}

#[test]
fn an_http_request_over_the_limit_is_refused_before_its_body() {
    let server = Server::start(&["--max-line", "16"]);
    for method in http::METHODS {
        let request =
            [method, b" /", &[b'a'; 100_000], b" HTTP/1.1\r\nHost: x\r\n\r\nECHO x\n"].concat();
        for piece_len in [3, request.len()] {
            let mut peer = server.text();
            let (start, rest) = request.split_at(piece_len);
            peer.send(start);
            peer.try_send(rest);
            peer.expect("ERROR NOT_HTTP\n");
            peer.expect_eof();
        }
    }
}

#[test]
fn every_method_of_http_is_known() {
    for method in http::METHODS {
        check_quickly(&[method, b" /\n"].concat(), b"ERROR NOT_HTTP\n");
    }
}

#[test]
fn an_unknown_method_is_known_by_the_version() {
    check(b"BREW /pot HTTP/1.1\nECHO x\n", b"ERROR NOT_HTTP\n");
}

#[test]
fn a_known_command_is_never_taken_for_http() {
    check(b"ECHO x HTTP/1.1\n", b"ECHO x HTTP/1.1\n");
}

#[test]
fn a_method_alone_or_in_lower_case_is_only_unknown() {
    check(b"GET\nget /\nGETS /\n", b"ERROR UNKNOWN_COMMAND\n".repeat(3));
}

#[test]
fn telnet_negotiation_before_a_command_is_ignored() {
    check(&[TELNET_PREAMBLE, b"ECHO hi\r\n"].concat(), b"ECHO hi\n");
}

#[test]
fn telnet_negotiation_inside_a_command_is_ignored() {
    check(b"EC\xFF\xFB\x18HO hi\nHE\xFF\xF4\xFF\xFD\x06LP\r\n", [b"ECHO hi\n", HELP].concat());
}

#[test]
fn an_argument_after_negotiation_is_kept_byte_for_byte() {
    check(b"\xFF\xFB\x18ECHO \x0C\x0B\r\xFF\xFB\n", b"ECHO \x0C\x0B\r\xFF\xFB\n");
}

#[test]
fn a_telnet_subnegotiation_is_ignored() {
    check(b"\xFF\xFA\x18\x00xterm QUIT\xFF\xF0ECHO hi\n", b"ECHO hi\n");
}

#[test]
fn telnet_negotiation_alone_is_an_empty_line() {
    check(&[TELNET_PREAMBLE, b"\r\nECHO hi\n"].concat(), b"ECHO hi\n");
}

#[test]
fn mixed_streams_get_the_answers_of_the_model() {
    let server = Server::start(&["--max-line", "40"]);
    Dialogue::new(&server, "text").check_at_random(400, streams(), |input| model(input, 40));
}

/// As [`check`], with fewer cuts.
fn check_quickly(input: &[u8], answers: &[u8]) {
    let server = Server::start(&[]);
    let got = Dialogue::new(&server, "text").answer_to(&[input]);
    assert_eq!(
        got.escape_ascii().to_string(),
        [BANNER, answers].concat().escape_ascii().to_string()
    );
}

/// Draws valid and invalid requests, one after the other, and the cuts.
fn streams() -> impl Strategy<Value = Stream> {
    let word = prop_oneof![
        8 => words(&[
            "ECHO", "echo", "Echo", "TIME", "time", "HELP", "help", "hElP", "ECHOO", "X",
        ]),
        1 => words(&["GET", "post", "QUIT", "quit"]),
        1 => Just([TELNET_PREAMBLE, b"ECHO"].concat()),
    ];
    let blanks = || proptest::sample::select(vec!["", " ", "\t", "  ", " \t "]);
    let argument = prop_oneof![
        4 => "[ -~]{0,12}".prop_map(String::into_bytes),
        2 => proptest::collection::vec(no_line_end(), 0..8),
        1 => Just(vec![b'z'; 40]),
        1 => Just(b"/ HTTP/1.1".to_vec()),
    ];
    let ending = proptest::sample::select(vec!["\n", "\n", "\r\n", "\r\n", "\r\r\n", "\n\n"]);
    let line = (blanks(), word, blanks(), argument, ending).prop_map(
        |(before, word, between, argument, ending)| {
            [before.as_bytes(), &word, between.as_bytes(), &argument, ending.as_bytes()].concat()
        },
    );
    let half = "[A-Z \r]{0,6}".prop_map(String::into_bytes);
    let input = (proptest::collection::vec(line, 0..12), half)
        .prop_map(|(lines, half)| [lines.concat(), half].concat());
    Stream::cut_at_random(input)
}

fn words(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    proptest::sample::select(words).prop_map(|word| word.as_bytes().to_vec())
}

fn no_line_end() -> impl Strategy<Value = u8> {
    any::<u8>().prop_filter("no line end", |byte| *byte != b'\n')
}

/// No stream requests the status.
const GIVEN: Given<'_> = Given { time: COVER, status: b"" };

/// Returns the reply of the model to `input`: the banner and all answers.
fn model(input: &[u8], line_max: usize) -> Vec<u8> {
    [BANNER, &conversation(input, line_max, GIVEN).0].concat()
}
