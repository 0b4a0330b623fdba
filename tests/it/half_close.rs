//! The peer ends its input and continues to read: everything that has arrived is answered, then the
//! server closes.

use crate::support::BANNER;
use crate::support::frames::{ECHO, frame};
use crate::support::messages::NEVER_QUIET;
use crate::support::peer::difference;
use crate::support::server::Server;

/// Sends `requests` and the end of input, and expects `answers` and the server's end.
fn check(protocol: &str, requests: Vec<u8>, answers: Vec<u8>) {
    let server = Server::start(&NEVER_QUIET);
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
    let lines: Vec<u8> =
        (0..10_000).flat_map(|index| format!("ECHO {index}\n").into_bytes()).collect();
    check("text", lines.clone(), [BANNER, &lines].concat());
}

#[test]
fn ten_thousand_frames_before_the_end_are_all_answered() {
    let frames: Vec<u8> = (0..10_000).flat_map(|index| frame(ECHO, index.to_string())).collect();
    check("binary", frames.clone(), frames);
}

#[test]
fn ten_thousand_messages_and_a_piece_at_the_end_are_answered() {
    let messages =
        (0..10_000).flat_map(|index| format!("{index}\n").into_bytes()).chain(*b"piece").collect();
    let answers = (0..10_000).flat_map(|index| format!("Server received: {index}\n").into_bytes());
    check("echo", messages, answers.chain(*b"Server received: piece").collect());
}

#[test]
fn a_large_answer_is_not_cut_by_the_end_of_input() {
    let large = frame(ECHO, vec![b'x'; 4 << 20]);
    check("binary", large.clone(), large);
}

/// Runs this exchange two hundred times on new connections, and checks that no descriptor stays
/// open.
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
    for protocol in crate::support::PROTOCOLS {
        let mut peer = server.connect(protocol);
        peer.half_close();
        let expected = if protocol == "text" { BANNER } else { b"" };
        assert_eq!(peer.read_to_end(), expected, "{protocol}");
    }
    server.wait_for_descriptors(descriptors);
}

/// Sends each prefix of `whole` and then the end, and expects the reply of `answers`.
#[track_caller]
fn check_every_front(protocol: &str, whole: &[u8], answers: impl Fn(&[u8]) -> Vec<u8>) {
    let server = Server::start(&["--quiet-period", "1h"]);
    for len in 0..=whole.len() {
        let mut peer = server.connect(protocol);
        peer.send_with_end(&whole[..len]);
        let (got, expected) = (peer.read_to_end(), answers(&whole[..len]));
        assert!(got == expected, "{protocol}, {len} bytes: {}", difference(&got, &expected));
    }
}

#[test]
fn a_line_that_the_end_cuts_off_anywhere_is_not_run() {
    check_every_front("text", b"ECHO a\r\nECHO bc d\nQUIT\nECHO never\n", |front| {
        let lines = front
            .split_inclusive(|byte| *byte == b'\n')
            .filter(|line| line.ends_with(b"\n"))
            .take(3);
        let answers = lines.map(|line| match line {
            b"QUIT\n" => b"BYE\n".to_vec(),
            line => [line.trim_ascii_end(), b"\n"].concat(),
        });
        [BANNER.to_vec(), answers.collect::<Vec<_>>().concat()].concat()
    });
}

#[test]
fn a_frame_that_the_end_cuts_off_anywhere_is_not_run() {
    let frames = [frame(ECHO, "abc"), frame(ECHO, ""), frame(ECHO, [0xFF; 40])];
    check_every_front("binary", &frames.concat(), |front| {
        let mut whole = Vec::new();
        for frame in &frames {
            let longer = [whole.as_slice(), frame].concat();
            if longer.len() > front.len() {
                break;
            }
            whole = longer;
        }
        whole
    });
}

#[test]
fn a_piece_that_the_end_cuts_off_anywhere_is_a_message() {
    for (protocol, before, after) in
        [("echo", "Server received: ", ""), ("chat", "ACK: Received '", "'")]
    {
        check_every_front(protocol, b"one\r\n\ntwo three\nfour", |front| {
            let messages = front.split_inclusive(|byte| *byte == b'\n').map(|message| {
                let ending_len = match message {
                    [.., b'\r', b'\n'] => 2,
                    [.., b'\n'] => 1,
                    _ => 0,
                };
                let (words, ending) = message.split_at(message.len() - ending_len);
                [before.as_bytes(), words, after.as_bytes(), ending].concat()
            });
            messages.collect::<Vec<_>>().concat()
        });
    }
}
