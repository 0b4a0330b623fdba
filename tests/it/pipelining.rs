//! Many requests before the first answer is read: the answers are whole and in order, and none is
//! lost.

use crate::support::frames::{ECHO, QUIT, frame};
use crate::support::messages::NEVER_QUIET;
use crate::support::server::Server;
use crate::support::{BANNER, PROTOCOLS};
use std::thread;
use std::time::Duration;

const COMMANDS: usize = 60_000;

/// Sends `count` requests, reads nothing for a second, and then expects every answer in order.
fn read_late(protocol: &str, request: fn(usize) -> Vec<u8>, answer: fn(usize) -> Vec<u8>) {
    let server = Server::start(&NEVER_QUIET);
    let mut peer = server.connect_with_small_window(protocol);
    let sender = peer.send_in_background((0..COMMANDS).flat_map(request).collect());
    // This second is the scenario: the answers fill both kernels and the server's buffers, so that
    // the server stops reading.
    thread::sleep(Duration::from_secs(1));
    if protocol == "text" {
        peer.expect(BANNER);
    }
    for index in 0..COMMANDS {
        peer.expect(answer(index));
    }
    sender.join().expect("everything is sent");
    peer.half_close();
    peer.expect_eof();
}

/// Text so long that sixty thousand of them are more than the kernel holds between two sockets.
fn long_words(index: usize) -> Vec<u8> {
    format!("{index:>128}|").into_bytes()
}

fn line(index: usize) -> Vec<u8> {
    [b"ECHO |", long_words(index).as_slice(), b"\n"].concat()
}

fn message(index: usize) -> Vec<u8> {
    [long_words(index).as_slice(), b"\n"].concat()
}

#[test]
fn a_second_without_reading_costs_no_answer_to_60_000_lines() {
    read_late("text", line, line);
}

#[test]
fn a_second_without_reading_costs_no_answer_to_60_000_frames() {
    let request = |index| frame(ECHO, long_words(index));
    read_late("binary", request, request);
}

#[test]
fn a_second_without_reading_costs_no_answer_to_60_000_echoes() {
    read_late("echo", message, |index| [b"Server received: ", message(index).as_slice()].concat());
}

#[test]
fn a_second_without_reading_costs_no_answer_to_60_000_chats() {
    read_late("chat", message, |index| {
        [b"ACK: Received '", long_words(index).as_slice(), b"'\n"].concat()
    });
}

#[test]
fn a_million_lines_are_answered_after_two_seconds_unread() {
    let server = Server::start(&["--activity-log", "1"]);
    let mut peer = server.connect_with_small_window("text");
    // More than both kernels hold.
    let lines: Vec<u8> =
        (0..1_000_000).flat_map(|index| format!("ECHO |{index:>32}\n").into_bytes()).collect();
    let sender = peer.send_in_background(lines.clone());
    // These seconds are the scenario, as above.
    thread::sleep(Duration::from_secs(2));
    assert!(!sender.is_finished(), "the server has taken it all, and must hold it");
    peer.expect(BANNER);
    lines.chunks(1 << 20).for_each(|answers| peer.expect(answers));
    sender.join().expect("everything is sent");
}

#[test]
fn answers_come_in_the_order_of_different_requests() {
    let server = Server::start(&[]);
    let mut peer = server.text();
    peer.send("ECHO 1\nNONSENSE\nECHO\nHELP\nECHO 2\n".repeat(200));
    for _ in 0..200 {
        peer.expect("ECHO 1\nERROR UNKNOWN_COMMAND\nERROR BAD_ARGUMENTS\n");
        assert!(peer.read_line().starts_with("HELP COMMANDS: "));
        peer.expect("ECHO 2\n");
    }
}

/// Returns the last request of a protocol, its answer, and a request that would be answered.
fn farewell(protocol: &str) -> (Vec<u8>, &'static str, Vec<u8>) {
    match protocol {
        "text" => (b"QUIT\n".to_vec(), "BYE\n", b"ECHO x\n".to_vec()),
        "binary" => (frame(QUIT, ""), "", frame(ECHO, "x")),
        "chat" => (b"exit\n".to_vec(), "", b"hello\n".to_vec()),
        other => panic!("{other} has no last request"),
    }
}

#[test]
fn what_follows_the_last_request_in_one_segment_is_not_run() {
    let server = Server::start(&[]);
    for protocol in PROTOCOLS.into_iter().filter(|protocol| *protocol != "echo") {
        let (last, answer, more) = farewell(protocol);
        let mut peer = if protocol == "text" { server.text() } else { server.connect(protocol) };
        peer.send([last, more.repeat(1000)].concat());
        peer.expect(answer);
        peer.expect_eof();
    }
}

#[test]
fn what_follows_the_last_request_in_another_segment_is_not_run() {
    let server = Server::start(&[]);
    for protocol in PROTOCOLS.into_iter().filter(|protocol| *protocol != "echo") {
        let (last, answer, more) = farewell(protocol);
        let mut peer = if protocol == "text" { server.text() } else { server.connect(protocol) };
        peer.send(last);
        peer.expect(answer);
        peer.send(more);
        peer.expect_eof();
    }
}
