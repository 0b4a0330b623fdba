use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::limits::Limits;
use crate::status::State;
use crate::tls::certificate::Certificate;
use exposition::Format;

/// Returns a state with counts, and with a listener whose path needs escapes.
fn status() -> Status {
    let started = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
    let mut status = Status::new(&["text", "http"], Limits::default(), 100, started);
    status.listeners[0].url = "text+unix:///tmp/a\"b\\c\nd".to_owned();
    status.listeners[0].counters.accepted = 7;
    status.listeners[0].counters.closed[CloseReason::IdleTimeout as usize] = 3;
    status.listeners[0].counters.messages = 11;
    status.listeners[1].counters.messages = 2;
    status.rounds.add(Duration::from_micros(100));
    status.rounds.add(Duration::from_millis(2));
    status.rounds.add(Duration::from_secs(2));
    status.bus = Some(BusStatus { is_connected: true, published: 5, ..BusStatus::default() });
    status
}

fn rendered(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut bytes = Vec::new();
    write(&mut bytes).expect("a vector takes all bytes");
    String::from_utf8(bytes).expect("a rendering is UTF-8")
}

fn metrics(format: Format) -> String {
    rendered(|bytes| exposition::write(&status(), format, bytes))
}

fn pairs(line: &str) -> Vec<(&str, &str)> {
    let values = line.strip_prefix("STATUS ").expect("the word comes first");
    values.split(' ').map(|pair| pair.split_once('=').expect("a key and a value")).collect()
}

#[test]
fn names_differ_and_only_counters_end_in_total() {
    let names: HashSet<_> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), METRICS.len());
    for Metric { name, help, source } in &METRICS {
        let is_histogram = matches!(source, Source::Histogram(_));
        assert!(help.ends_with('.') && !help.contains('\n'), "{help}");
        assert!(!(is_histogram && name.ends_with("_total")), "{name}");
        let is_fit = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        assert!(name.bytes().all(is_fit), "{name}");
    }
}

#[test]
fn every_rendering_has_every_name() {
    let line = rendered(|bytes| line::write(&status(), bytes));
    let json = rendered(|bytes| json::write(&status(), bytes));
    let texts = [line, json, metrics(Format::Prometheus), metrics(Format::OpenMetrics)];
    for metric in &METRICS {
        assert!(texts.iter().all(|text| text.contains(metric.name)), "{}", metric.name);
    }
}

#[test]
fn the_earliest_expiry_is_that_of_the_server() {
    let mut status = status();
    let text = |status: &Status| rendered(|bytes| line::write(status, bytes));
    assert!(pairs(&text(&status)).contains(&("tls_certificate_expiry_seconds", "none")));
    let sample = "tinytcp_tls_certificate_expiry_seconds{";
    assert!(!metrics(Format::Prometheus).contains(sample), "no listener has a certificate");
    for (listener, seconds) in [(0, 3000), (1, 2000)] {
        status.listeners[listener].certificates = Arc::new([certificate(seconds)]);
    }
    assert!(pairs(&text(&status)).contains(&("tls_certificate_expiry_seconds", "2000.0")));
    let metrics = rendered(|bytes| exposition::write(&status, Format::Prometheus, bytes));
    assert_eq!(metrics.matches(sample).count(), 2);
    let json = rendered(|bytes| json::write(&status, bytes));
    for part in [
        r#""tls_certificate_expiry_seconds":2000.0"#,
        r#""certificates":[{"subject":"CN=\"a\"","names":["localhost"],"sha256":"00:00:"#,
        r#":00","expiry_time_seconds":3000.0}]"#,
    ] {
        assert!(json.contains(part), "no {part} in {json}");
    }
}

/// Returns a certificate that expires `seconds` after 1970.
fn certificate(seconds: u64) -> Certificate {
    Certificate {
        subject: "CN=\"a\"".into(),
        names: vec!["localhost".into()],
        fingerprint: ["00"; 32].join(":"),
        valid_from: SystemTime::UNIX_EPOCH,
        valid_until: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
        has_rsa_key: false,
        exposed_key: None,
    }
}

#[test]
fn a_server_without_a_bus_has_no_metrics_of_one() {
    let alone = Status { bus: None, ..status() };
    for text in [
        rendered(|bytes| line::write(&alone, bytes)),
        rendered(|bytes| json::write(&alone, bytes)),
        rendered(|bytes| exposition::write(&alone, Format::Prometheus, bytes)),
    ] {
        assert!(!text.contains("bus_"), "{text}");
    }
    assert!(rendered(|bytes| json::write(&status(), bytes)).contains(r#""bus_connected":true,"#));
}

#[test]
fn a_bus_that_is_away_is_an_obstacle_if_it_is_required() {
    let away = |is_required| {
        let bus = Some(BusStatus { is_required, ..BusStatus::default() });
        Status { bus, ..status() }.obstacle().map(|obstacle| obstacle.label())
    };
    assert_eq!([away(false), away(true)], [None, Some("bus_away")]);
}

#[test]
fn the_line_has_the_sums_of_all_listeners() {
    let line = rendered(|bytes| line::write(&status(), bytes));
    for pair in [
        ("version", VERSION),
        ("state", "serving"),
        ("obstacle", "none"),
        ("ready", "1"),
        ("connections_open", "4"),
        ("connections_closed_total.idle_timeout", "3"),
        ("connections_closed_total.quit", "0"),
        ("messages_total", "13"),
        ("round_seconds_count", "3"),
        ("round_seconds_sum", "2.0021"),
        ("uptime_seconds", "0.0"),
    ] {
        assert!(pairs(&line).contains(&pair), "no {pair:?} in {line}");
    }
}

#[test]
fn the_line_names_the_obstacle_in_one_word() {
    let mut status = status();
    status.is_accepting_paused = true;
    let line = rendered(|bytes| line::write(&status, bytes));
    assert!(pairs(&line).contains(&("obstacle", "accepting_paused")), "{line}");
    status.state = State::Draining;
    let line = rendered(|bytes| line::write(&status, bytes));
    let pairs = pairs(&line);
    assert!(pairs.contains(&("state", "draining")) && pairs.contains(&("obstacle", "draining")));
    assert!(pairs.contains(&("ready", "0")));
}

#[test]
fn the_longest_line_fits_the_room_that_is_reserved_for_it() {
    let mut status = Status::new(&["text"], Limits::default(), usize::MAX, SystemTime::now());
    status.listeners[0].counters.messages = u64::MAX;
    status.bus = Some(BusStatus::default());
    let line = rendered(|bytes| line::write(&status, bytes));
    let longer_numbers = pairs(&line).len() * u64::MAX.to_string().len();
    assert!(line.len() + longer_numbers < line::LEN_MAX, "{}", line.len() + longer_numbers);
}

#[test]
fn the_metrics_of_both_formats_have_the_same_samples() {
    let (prometheus, openmetrics) = (metrics(Format::Prometheus), metrics(Format::OpenMetrics));
    let samples = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    assert_eq!(samples(&prometheus), samples(&openmetrics));
    assert!(prometheus.contains("# TYPE tinytcp_messages_total counter\n"));
    assert!(openmetrics.contains("# TYPE tinytcp_messages counter\n"));
    assert!(openmetrics.ends_with("\n# EOF\n") && !prometheus.contains("EOF"));
}

#[test]
fn the_metrics_show_every_counter() {
    let text = metrics(Format::Prometheus);
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
fn the_json_has_each_listener_and_escapes_the_path_of_a_socket() {
    let text = rendered(|bytes| json::write(&status(), bytes));
    assert!(text.contains(
        r#"{"url":"text+unix:///tmp/a\"b\\c\u000ad","protocol":"text","connections_open":4,"#
    ));
    assert!(text.contains(r#""ready":true,"connections_open":4,"#), "{text}");
    assert!(text.contains(r#""idle_timeout":3,"#), "{text}");
    assert!(text.contains(
        r#""round_seconds":{"count":3,"sum":2.0021,"buckets":[[0.0001,1],[0.0003,0],[0.001,0],"#
    ));
}
