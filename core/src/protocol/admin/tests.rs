use super::super::harness::SessionHarness;
use super::*;
use crate::limits::Limits;

fn harness() -> SessionHarness {
    SessionHarness::new(&Admin::new(), &Limits::default())
}

/// Returns the answer to a request with this first line, and the close reason.
fn answer_to(request_line: &str) -> (String, Option<CloseReason>) {
    let mut harness = harness();
    harness.feed(format!("{request_line}\r\nHost: localhost\r\n\r\n").as_bytes());
    let transcript = harness.transcript();
    (String::from_utf8(transcript.answers).expect("an answer is UTF-8"), transcript.closed)
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").expect("a head ends with an empty line").1
}

fn claimed_len(answer: &str) -> usize {
    let line = answer.lines().find_map(|line| line.strip_prefix("Content-Length:"));
    line.expect("every answer has a length").trim().parse().expect("a length is a number")
}

#[test]
fn health_and_readiness_are_one_word() {
    for (path, word) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
        let (answer, closed) = answer_to(&format!("GET {path} HTTP/1.1"));
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\nDate: "), "{answer}");
        assert_eq!((body(&answer), closed), (word, Some(CloseReason::Quit)));
    }
}

#[test]
fn every_answer_has_the_length_that_it_claims() {
    for path in ["/healthz", "/readyz", "/metrics", "/status", "/", "/unknown"] {
        let (answer, _) = answer_to(&format!("GET {path} HTTP/1.1"));
        assert_eq!(claimed_len(&answer), body(&answer).len(), "{path}");
        let (head, _) = answer_to(&format!("HEAD {path} HTTP/1.1"));
        assert_eq!((claimed_len(&head), body(&head)), (claimed_len(&answer), ""), "{path}");
    }
}

#[test]
fn an_answer_fits_the_room_that_is_reserved_for_it() {
    for path in ["/metrics", "/status", "/"] {
        let (answer, _) = answer_to(&format!("GET {path} HTTP/1.1"));
        assert!(answer.len() < ANSWER_BYTES_MAX, "{path}: {}", answer.len());
    }
}

#[test]
fn a_refused_request_closes_as_the_wrong_protocol() {
    let refusals = [
        ("POST /status HTTP/1.1", "405 Method Not Allowed"),
        ("GET /unknown HTTP/1.1", "404 Not Found"),
        ("ECHO hello", "400 Bad Request"),
    ];
    for (line, result) in refusals {
        let (answer, closed) = answer_to(line);
        assert!(answer.starts_with(&format!("HTTP/1.1 {result}\r\n")), "{answer}");
        assert_eq!(closed, Some(CloseReason::WrongProtocol));
    }
    let (answer, _) = answer_to("POST / HTTP/1.1");
    assert!(answer.contains("\r\nAllow: GET, HEAD\r\n"), "{answer}");
}

#[test]
fn an_incomplete_head_is_refused_when_it_reaches_the_limit() {
    let mut harness = harness();
    harness.feed(b"GET / HTTP/1.1\r\nA: ");
    harness.feed(&vec![b'x'; HEAD_BYTES_MAX - harness.input.len() - 1]);
    assert_eq!(
        (harness.step, harness.transcript().answers.len()),
        (Step::Incomplete { missing: None }, 0)
    );
    assert!(harness.feed(b"x").answers().starts_with(b"HTTP/1.1 431 "));
}

#[test]
fn a_head_over_the_limit_is_refused_even_if_it_arrives_complete() {
    let head = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(HEAD_BYTES_MAX));
    assert!(harness().feed(head.as_bytes()).answers().starts_with(b"HTTP/1.1 431 "));
}

#[test]
fn a_request_may_arrive_byte_by_byte() {
    let mut harness = harness();
    for byte in b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" {
        harness.feed(&[*byte]);
    }
    assert!(harness.transcript().answers.ends_with(b"\r\n\r\nok\n"));
}

#[test]
fn only_a_client_that_waits_for_an_answer_gets_a_notice() {
    for (farewell, start) in [
        (Farewell::ServerBusy, "HTTP/1.1 503 "),
        (Farewell::MessageTimeout, "HTTP/1.1 408 "),
        (Farewell::NotTls, "HTTP/1.1 400 "),
        (Farewell::IdleTimeout, ""),
        (Farewell::Shutdown, ""),
    ] {
        let mut harness = harness();
        let answer = String::from_utf8(harness.append_farewell(farewell).answers()).expect("UTF-8");
        assert!(answer.starts_with(start) && answer.is_empty() == start.is_empty(), "{answer}");
    }
}

#[test]
fn the_page_loads_nothing_from_another_server() {
    assert!(!PAGE.contains("://") && !PAGE.contains("src="), "an address in the page");
    assert!(PAGE.is_ascii() || PAGE.contains("<meta charset=\"utf-8\">"));
}
