//! Wrong replies: each kind has its own name, and none is throughput.

use std::sync::Mutex;

use crate::runs::{Run, measure};
use crate::servers::{Answer, Counter, right, session, text, text_but};
use crate::support::BANNER;
use crate::support::behaviour::{reset, serve, serve_once_asked};

/// Number of requests of a [`steady`] run.
const REQUESTS: u64 = 60;

/// The request with the fault: not the first, and not one of the last.
const FAULT: u64 = 10;

/// Makes a run of [`REQUESTS`] requests on two connections, one at a time on each.
fn steady(url: &str) -> Run {
    measure(&[url, "-c", "2", "-R", "200", "-n", "60"])
}

/// Makes a run of one connection with several requests in flight.
fn pipelined(url: &str, depth: &str) -> Run {
    measure(&[url, "-c", "1", "-P", depth, "-d", "200ms"])
}

#[test]
fn one_wrong_letter_is_one_wrong_reply() {
    let url = text_but(FAULT, |line| Answer::Bytes([&line[..line.len() - 2], b"#\n"].concat()));
    let run = steady(&url);
    run.exits_with(4)
        .is_judged(&["wrong_replies"])
        .only_error("wrong", 1)
        .all_zero("connections.ended", &[]);
    assert_eq!(run.count("replies.correct"), REQUESTS - 1);
}

#[test]
fn an_error_is_a_wrong_reply() {
    let run = steady(&text_but(FAULT, |_| Answer::Bytes(b"ERROR UNKNOWN_COMMAND\n".to_vec())));
    run.exits_with(4).is_judged(&["wrong_replies"]).only_error("wrong", 1);
    assert_eq!(run.count("replies.correct"), REQUESTS - 1);
}

#[test]
fn garbage_replies_complete_nothing() {
    let lines = Counter::default();
    let counted = lines.clone();
    let url = text(move |_| {
        counted.add();
        Answer::Bytes(b"\0\xff%%%\n".to_vec())
    });
    let run = measure(&[&url, "-c", "2", "-d", "200ms"]);
    run.exits_with(1)
        .is_judged(&["nothing_completed", "wrong_replies"])
        .only_error("wrong", lines.get());
    assert_eq!(run.count("replies.correct"), 0);
    assert_eq!(run.number("throughput.replies_per_s"), 0.0);
}

#[test]
fn a_frame_of_another_kind_is_a_wrong_reply() {
    let url = format!("binary://127.0.0.1:{}", serve_once_asked(b"\x07\0\0\0\x01x"));
    let run = measure(&[&url, "-c", "1", "-d", "200ms", "--timeout", "300ms"]);
    run.exits_with(1).all_zero("errors", &["wrong", "late", "missing"]);
    assert!(run.count("errors.wrong") >= 1, "{run:?}");
}

#[test]
fn another_protocol_is_recognised_by_its_first_bytes() {
    // `HTTP/` reads as a frame of 1.4 GB, which is not waited for.
    let url =
        format!("binary://127.0.0.1:{}", serve_once_asked(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    let run = measure(&[&url, "-c", "2", "-d", "200ms"]);
    run.exits_with(1)
        .is_judged(&["nothing_completed", "wrong_replies"])
        .all_zero("errors", &["wrong"]);
    run.all_zero("connections.ended", &["unreadable"]);
    assert!(run.count("connections.ended.unreadable") >= 2, "{run:?}");
}

#[test]
fn another_connections_reply_is_foreign() {
    let (connections, faults) = (Counter::default(), Counter::default());
    let first_line = Mutex::new(None);
    let port = serve(move |stream| {
        let connection = connections.add();
        let _ = session(stream, BANNER, |line| {
            let mut first_line = first_line.lock().expect("no thread panics");
            match first_line.as_ref() {
                None if connection == 0 => *first_line = Some(line.to_vec()),
                Some(other) if connection == 1 && faults.add() == 0 => {
                    return Answer::Bytes(other.clone());
                }
                _ => {}
            }
            right(line)
        });
    });
    let run = steady(&format!("text://127.0.0.1:{port}"));
    run.exits_with(4)
        .is_judged(&["wrong_replies"])
        .only_error("foreign", 1)
        .all_zero("connections.ended", &[]);
    assert_eq!(run.count("replies.correct"), REQUESTS - 1);
}

#[test]
fn replies_in_another_order_are_errors() {
    let kept = Mutex::new(Vec::new());
    let lines = Counter::default();
    let run = pipelined(
        &text(move |line| {
            let mut kept = kept.lock().expect("no thread panics");
            match lines.add() {
                FAULT => {
                    *kept = line.to_vec();
                    Answer::Nothing
                }
                number if number == FAULT + 2 => Answer::Bytes([&kept, line].concat()),
                _ => right(line),
            }
        }),
        "4",
    );
    // The early reply is correct. The one before it was skipped, and belongs to no request when it
    // arrives.
    run.exits_with(4).all_zero("errors", &["missing", "surplus"]);
    assert_eq!(
        ["missing", "surplus"].map(|cause| run.count(&format!("errors.{cause}"))),
        [1, 1],
        "{run:?}"
    );
    assert_eq!(run.count("replies.correct"), run.count("requests.sent") - 1);
    assert_eq!(run.flaws()[0], "wrong_replies", "{run:?}");
}

#[test]
fn a_repeated_reply_without_a_request_is_surplus() {
    let run = steady(&text_but(FAULT, |line| Answer::Bytes([line, line].concat())));
    run.exits_with(4).is_judged(&["wrong_replies"]).only_error("surplus", 1);
    run.all_zero("connections.ended", &["unreadable"]);
    assert_eq!(run.count("connections.ended.unreadable"), 1);
    assert_eq!(run.count("replies.correct"), REQUESTS);
}

#[test]
fn a_repeated_reply_before_another_is_only_surplus() {
    let before = Mutex::new(Vec::new());
    let lines = Counter::default();
    let url = text(move |line| {
        let before =
            std::mem::replace(&mut *before.lock().expect("no thread panics"), line.to_vec());
        if lines.add() == FAULT { Answer::Bytes([&before, line].concat()) } else { right(line) }
    });
    let run = pipelined(&url, "4");
    run.exits_with(4)
        .is_judged(&["wrong_replies"])
        .only_error("surplus", 1)
        .all_zero("connections.ended", &[]);
    assert_eq!(run.count("replies.correct"), run.count("requests.sent"));
}

#[test]
fn a_skipped_reply_is_missing_and_the_next_are_correct() {
    let run = pipelined(&text_but(FAULT, |_| Answer::Nothing), "4");
    run.only_error("missing", 1).all_zero("connections.ended", &[]);
    assert_eq!(run.count("replies.correct"), run.count("requests.sent") - 1);
}

#[test]
fn a_skipped_last_reply_is_late() {
    let run = measure(&[
        &text_but(FAULT, |_| Answer::Nothing),
        "-c",
        "1",
        "-d",
        "1s",
        "--timeout",
        "500ms",
    ]);
    run.exits_with(4).only_error("late", 1).all_zero("connections.ended", &["silent"]);
    assert_eq!(run.count("connections.ended.silent"), 1);
    assert_eq!(
        run.is_judged(&["unanswered"]).count("replies.correct"),
        run.count("requests.sent") - 1
    );
}

#[test]
fn a_close_inside_a_reply_truncates_it() {
    let run = steady(&text_but(FAULT, |line| Answer::Last(line[..line.len() / 2].to_vec())));
    run.exits_with(4).is_judged(&["unanswered"]).only_error("truncated", 1);
    run.all_zero("connections.ended", &["closed"]);
    assert_eq!(run.count("connections.ended.closed"), 1);
    assert_eq!(run.count("replies.correct"), REQUESTS - 1);
}

#[test]
fn a_reply_is_missing_after_a_close() {
    let run = steady(&text_but(FAULT, |_| Answer::Last(Vec::new())));
    run.exits_with(4).is_judged(&["unanswered"]).only_error("missing", 1);
    run.all_zero("connections.ended", &["closed"]);
    assert_eq!(run.count("connections.ended.closed"), 1);
    assert_eq!(run.count("connections.opened"), 3, "another one took its place: {run:?}");
    assert_eq!(run.count("replies.correct"), REQUESTS - 1);
}

#[test]
fn a_reset_differs_from_a_close() {
    let run = steady(&text_but(FAULT, |_| Answer::Own(reset)));
    run.exits_with(4)
        .is_judged(&["unanswered"])
        .only_error("missing", 1)
        .all_zero("connections.ended", &["reset"]);
    assert_eq!(run.count("connections.ended.reset"), 1);
    assert_eq!(run.count("replies.correct"), REQUESTS - 1);
}

#[test]
fn an_endless_line_ends_the_connection() {
    let run = steady(&text_but(FAULT, |_| Answer::Endless(vec![b'x'; 64 << 10])));
    run.exits_with(4).is_judged(&["wrong_replies"]).only_error("wrong", 1);
    run.all_zero("connections.ended", &["unreadable"]);
    assert_eq!(run.count("connections.ended.unreadable"), 1);
    assert_eq!(run.count("replies.correct"), REQUESTS - 1);
}

#[test]
fn an_unrequested_flood_is_surplus_once() {
    let run = steady(&text_but(FAULT, |line| {
        Answer::Bytes([line, &b"ECHO flood\n".repeat(10_000)].concat())
    }));
    run.exits_with(4).is_judged(&["wrong_replies"]).only_error("surplus", 1);
    run.all_zero("connections.ended", &["unreadable"]);
    assert_eq!(run.count("connections.ended.unreadable"), 1);
    assert_eq!(run.count("replies.correct"), REQUESTS);
}

#[test]
fn a_correct_reply_may_arrive_byte_by_byte() {
    let run = measure(&[&text(|line| Answer::Slowly(line.to_vec())), "-c", "4", "-d", "200ms"]);
    run.is_flawless();
}
