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
        if path != "/unknown" {
            assert_eq!((claimed_len(&head), body(&head)), (claimed_len(&answer), ""), "{path}");
        }
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
fn the_metrics_of_both_formats_have_the_same_samples() {
    let metrics = |format| {
        let mut bytes = Vec::new();
        metrics::write(&status(), format, &mut bytes).expect("a vector takes all bytes");
        String::from_utf8(bytes).expect("metrics are UTF-8")
    };
    let prometheus = metrics(metrics::Format::Prometheus);
    let openmetrics = metrics(metrics::Format::OpenMetrics);
    let samples = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    assert_eq!(samples(&prometheus), samples(&openmetrics));
    assert!(prometheus.contains("# TYPE tinytcp_messages_total counter\n"));
    assert!(openmetrics.contains("# TYPE tinytcp_messages counter\n"));
    assert!(openmetrics.ends_with("\n# EOF\n") && !prometheus.contains("EOF"));
}

/// Returns a state with counts, and with a listener whose path needs escapes.
fn status() -> Status {
    let started = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1000);
    let mut status = Status::new(&["text", "http"], Limits::default(), 100, started);
    status.listeners[0].url = "text+unix:///tmp/a\"b\\c\nd".to_owned();
    status.listeners[0].counters.accepted = 7;
    status.listeners[0].counters.closed[CloseReason::IdleTimeout as usize] = 3;
    status.listeners[0].counters.messages = 11;
    status.rounds.add(std::time::Duration::from_micros(100));
    status.rounds.add(std::time::Duration::from_millis(2));
    status.rounds.add(std::time::Duration::from_secs(2));
    status
}

#[test]
fn the_metrics_show_every_counter() {
    let mut bytes = Vec::new();
    metrics::write(&status(), metrics::Format::Prometheus, &mut bytes).expect("room");
    let text = String::from_utf8(bytes).expect("metrics are UTF-8");
    let url = r#"text+unix:///tmp/a\"b\\c\nd"#;
    for line in [
        &format!("tinytcp_connections_open{{listener=\"{url}\",protocol=\"text\"}} 4"),
        &format!("tinytcp_messages_total{{listener=\"{url}\",protocol=\"text\"}} 11"),
        "tinytcp_connections_closed_total{reason=\"idle_timeout\"} 3",
        "process_start_time_seconds 1000.0",
        "tinytcp_round_seconds_bucket{le=\"0.0001\"} 1",
        "tinytcp_round_seconds_bucket{le=\"0.003\"} 2",
        "tinytcp_round_seconds_bucket{le=\"+Inf\"} 3",
        "tinytcp_round_seconds_sum 2.0021",
        "tinytcp_round_seconds_count 3",
        "tinytcp_ready 1",
    ] {
        assert!(text.lines().any(|found| found == line), "no line `{line}` in\n{text}");
    }
}

#[test]
fn the_json_escapes_the_path_of_a_socket() {
    let mut bytes = Vec::new();
    json::write(&status(), &mut bytes).expect("a vector takes all bytes");
    let text = String::from_utf8(bytes).expect("JSON is UTF-8");
    assert!(
        text.contains(r#""url":"text+unix:///tmp/a\"b\\c\u000ad","protocol":"text","open":4,"#)
    );
    assert!(text.contains(r#""rounds":{"sum":2.0021,"buckets":[[0.0001,1],[0.0003,0],[0.001,0],"#));
}

#[test]
fn the_page_loads_nothing_from_another_server() {
    assert!(!PAGE.contains("://") && !PAGE.contains("src="), "an address in the page");
    assert!(PAGE.is_ascii() || PAGE.contains("<meta charset=\"utf-8\">"));
}
