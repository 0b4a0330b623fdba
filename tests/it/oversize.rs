//! Messages at the limit and over it: refused without being stored, and the session goes on.

use crate::support::frames::{ECHO, REVERSE, error, frame, header};
use crate::support::messages::NEVER_QUIET;
use crate::support::server::Server;
use crate::support::{KIB, MIB};

const LINE_MAX: usize = 64 * KIB;
const FRAME_MAX: usize = 16 * MIB;

/// Returns a line of `len` bytes, without its ending.
fn echo_line(len: usize) -> Vec<u8> {
    [b"ECHO ", "x".repeat(len - 5).as_bytes(), b"\n"].concat()
}

#[test]
fn a_line_of_the_limit_is_taken_and_one_more_byte_is_not() {
    let server = Server::start(&[]);
    let mut peer = server.text();
    for len in [LINE_MAX - 1, LINE_MAX] {
        peer.send(echo_line(len));
        peer.expect(echo_line(len));
    }
    peer.send(echo_line(LINE_MAX + 1));
    peer.expect("ERROR LINE_TOO_LONG\n");
    peer.send("ECHO next\n");
    peer.expect("ECHO next\n");
}

#[test]
fn a_line_of_the_limit_may_come_byte_by_byte() {
    let server = Server::start(&[]);
    let mut peer = server.text();
    echo_line(LINE_MAX).iter().for_each(|byte| peer.send([*byte]));
    peer.expect(echo_line(LINE_MAX));
}

#[test]
fn a_carriage_return_before_the_newline_does_not_count() {
    let server = Server::start(&[]);
    let mut peer = server.text();
    let line = |len| [echo_line(len).trim_ascii_end(), b"\r\n"].concat();
    peer.send(line(LINE_MAX));
    peer.expect(echo_line(LINE_MAX));
    peer.send(line(LINE_MAX + 1));
    peer.expect("ERROR LINE_TOO_LONG\n");
}

#[test]
fn a_line_is_refused_as_soon_as_it_is_certain() {
    let server = Server::start(&[]);
    let mut peer = server.text();
    // The last byte can still be half of the ending, so it takes one more byte.
    peer.send([vec![b'A'; LINE_MAX], b"\r".to_vec()].concat());
    peer.send("A");
    peer.expect("ERROR LINE_TOO_LONG\n");
    peer.send("the rest of it\nECHO next\n");
    peer.expect("ECHO next\n");
}

#[test]
fn messages_of_echo_and_chat_have_the_same_limit() {
    let server = Server::start(&NEVER_QUIET);
    for (protocol, before, after) in
        [("echo", "Server received: ", ""), ("chat", "ACK: Received '", "'")]
    {
        let mut peer = server.connect(protocol);
        let message = |len| "x".repeat(len);
        for len in [LINE_MAX - 1, LINE_MAX] {
            peer.send(message(len) + "\n");
            peer.expect(format!("{before}{}{after}\n", message(len)));
        }
        peer.send(message(LINE_MAX + 1) + "\r\nnext\n");
        peer.expect(format!("ERROR LINE_TOO_LONG\r\n{before}next{after}\n"));
    }
}

/// Sends a hundred megabytes of one line, which it does not hold either. Expects `refusal` and then
/// `answer` to `ending`, and hardly any growth of the server's memory.
fn check_endless_line(protocol: &str, refusal_at_end: bool, ending: &str, answer: &str) {
    const REFUSAL: &str = "ERROR LINE_TOO_LONG\n";
    let server = Server::start(&NEVER_QUIET);
    let mut peer = if protocol == "text" { server.text() } else { server.connect(protocol) };
    let before = server.process().resident_bytes();
    let block = vec![b'A'; MIB];
    let mut most = 0;
    for _ in 0..100 {
        peer.send(&block);
        most = most.max(server.process().resident_bytes());
    }
    if !refusal_at_end {
        peer.expect(REFUSAL);
    }
    peer.send(ending);
    if refusal_at_end {
        peer.expect(REFUSAL);
    }
    peer.expect(answer);
    let grown = most.saturating_sub(before);
    assert!(grown < MIB, "a line that is discarded cost {grown} bytes");
}

#[test]
fn a_half_close_in_a_discarded_line_is_refused_then_closed() {
    let server = Server::start(&NEVER_QUIET);
    for (protocol, refusal) in [
        ("text", [crate::support::BANNER, b"ERROR LINE_TOO_LONG\n"].concat()),
        ("echo", b"ERROR LINE_TOO_LONG".to_vec()),
    ] {
        for _ in 0..20 {
            let mut peer = server.connect(protocol);
            peer.send_with_end(&[b'A'; MIB]);
            assert_eq!(peer.read_to_end(), refusal, "{protocol}");
        }
    }
}

#[test]
fn a_hundred_megabytes_in_one_line_of_text_are_refused_once() {
    check_endless_line("text", false, "\nECHO next\n", "ECHO next\n");
}

#[test]
fn a_hundred_megabytes_in_one_message_of_echo_are_refused_once() {
    check_endless_line("echo", true, "\nnext\n", "Server received: next\n");
}

#[test]
fn a_hundred_megabytes_in_one_message_of_chat_are_refused_once() {
    check_endless_line("chat", true, "\nnext\n", "ACK: Received 'next'\n");
}

#[test]
fn a_frame_of_the_limit_is_taken() {
    let server = Server::start(&[]);
    let mut peer = server.connect("binary");
    for len in [FRAME_MAX - 1, FRAME_MAX] {
        let request = frame(ECHO, vec![b'x'; len]);
        let sender = peer.send_in_background(request.clone());
        peer.expect(request);
        sender.join().expect("everything is sent");
    }
}

#[test]
fn a_frame_over_the_limit_is_refused_at_its_header() {
    let server = Server::start(&[]);
    let mut peer = server.connect("binary");
    let before = server.process().resident_bytes();
    peer.send(header(ECHO, FRAME_MAX + 1));
    peer.expect(error("FRAME_TOO_LARGE"));
    peer.send(vec![b'x'; FRAME_MAX + 1]);
    peer.send(frame(REVERSE, "ok"));
    peer.expect(frame(ECHO, "ko"));
    let grown = server.process().resident_bytes().saturating_sub(before);
    assert!(grown < MIB, "a payload that is discarded cost {grown} bytes");
}

#[test]
fn a_frame_over_the_limit_that_is_sent_in_whole_is_refused_once() {
    let server = Server::start(&[]);
    let mut peer = server.connect("binary");
    peer.send([frame(ECHO, vec![b'x'; FRAME_MAX + 1]), frame(ECHO, "next")].concat());
    peer.expect([error("FRAME_TOO_LARGE"), frame(ECHO, "next")].concat());
}

#[test]
fn the_largest_claim_is_refused_at_once() {
    let server = Server::start(&[]);
    let mut peer = server.connect("binary");
    peer.send(header(ECHO, u32::MAX as usize));
    peer.expect(error("FRAME_TOO_LARGE"));
    peer.half_close();
    peer.expect_eof();
}

#[test]
fn a_payload_of_an_unknown_command_is_not_stored() {
    let server = Server::start(&[]);
    let mut peer = server.connect("binary");
    let before = server.process().resident_bytes();
    peer.send(header(9, FRAME_MAX));
    peer.send(vec![b'x'; FRAME_MAX]);
    peer.send(frame(ECHO, "next"));
    peer.expect([error("UNKNOWN_COMMAND"), frame(ECHO, "next")].concat());
    let grown = server.process().resident_bytes().saturating_sub(before);
    assert!(grown < MIB, "a payload that is skipped cost {grown} bytes");
}
