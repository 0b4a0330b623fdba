//! The peer ends its input and still reads: all that had arrived is answered, then the server closes.

mod support;

use support::BANNER;
use support::frames::{ECHO, frame};
use support::server::Server;

/// Sends `requests` and the end of input, and expects `answers` and the server's end.
fn check(protocol: &str, requests: Vec<u8>, answers: Vec<u8>) {
    let server = Server::start(&[]);
    let mut peer = server.connect(protocol);
    let mut sending = peer.twin();
    let sender = std::thread::spawn(move || {
        sending.send(requests);
        sending.half_close();
    });
    peer.expect(answers);
    peer.expect_eof();
    sender.join().expect("everything is sent");
}

#[test]
fn ten_thousand_lines_before_the_end_are_all_answered() {
    let lines: Vec<u8> = (0..10_000).flat_map(|index| format!("ECHO {index}\n").into_bytes()).collect();
    check("text", lines.clone(), [BANNER, &lines].concat());
}

#[test]
fn ten_thousand_frames_before_the_end_are_all_answered() {
    let frames: Vec<u8> = (0..10_000).flat_map(|index| frame(ECHO, index.to_string())).collect();
    check("binary", frames.clone(), frames);
}

#[test]
fn ten_thousand_messages_and_a_waiting_piece_before_the_end_are_all_answered() {
    let messages = (0..10_000).flat_map(|index| format!("{index}\n").into_bytes()).chain(*b"piece").collect();
    let answers = (0..10_000).flat_map(|index| format!("Server received: {index}\n").into_bytes());
    check("echo", messages, answers.chain(*b"Server received: piece").collect());
}

#[test]
fn a_large_answer_is_not_cut_by_the_end_of_input() {
    let large = frame(ECHO, vec![b'x'; 4 << 20]);
    check("binary", large.clone(), large);
}

/// Two hundred times the same on new connections, and no descriptor stays behind.
fn check_one_segment(protocol: &str, request: &[u8], answer: &[u8]) {
    let server = Server::start(&[]);
    let descriptors = server.descriptor_count();
    for _ in 0..200 {
        let mut peer = server.connect(protocol);
        peer.send_with_end(request);
        peer.expect(answer);
        peer.expect_eof();
    }
    server.wait_for_descriptors(descriptors);
}

#[test]
fn a_line_and_the_end_in_one_segment_are_both_seen() {
    check_one_segment("text", b"ECHO abc\n", &[BANNER, b"ECHO abc\n"].concat());
}

#[test]
fn a_frame_and_the_end_in_one_segment_are_both_seen() {
    check_one_segment("binary", &frame(ECHO, "abc"), &frame(ECHO, "abc"));
}

#[test]
fn a_piece_and_the_end_in_one_segment_are_both_seen() {
    check_one_segment("echo", b"abc", b"Server received: abc");
}

#[test]
fn the_end_alone_closes_the_session() {
    let server = Server::start(&[]);
    let descriptors = server.descriptor_count();
    for protocol in support::PROTOCOLS {
        let mut peer = server.connect(protocol);
        peer.half_close();
        let expected = if protocol == "text" { BANNER } else { b"" };
        assert_eq!(peer.read_to_end(), expected, "{protocol}");
    }
    server.wait_for_descriptors(descriptors);
}
