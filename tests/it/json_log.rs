//! The log in JSON, and the log for the journal of systemd.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Map, Value};

use crate::support::documents::{Document, root};
use crate::support::frames::{ECHO, frame};
use crate::support::process::Process;
use crate::support::program::{Ended, wait};
use crate::support::server::{Server, listen_flags, program};
use crate::support::unix::Folder;
use crate::support::wait::wait_until;
use crate::support::{BANNER, complaint};

type Event = Map<String, Value>;

/// Starts a server that logs JSON.
fn start(flags: &[&str]) -> Server {
    Server::start(&[&["--log-format", "json"], flags].concat())
}

/// The events of the log so far. Every line must be one object.
fn events(server: &Server) -> Vec<Event> {
    server.log.text().iter().map(|line| parse(line)).collect()
}

fn parse(line: &str) -> Event {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// Ends the server in order, and returns all events of its log.
fn stop(mut server: Server) -> Vec<Event> {
    server.process().signal("TERM");
    assert!(server.wait_for_exit().success());
    events(&server)
}

#[track_caller]
fn find<'a>(events: &'a [Event], name: &str) -> &'a Event {
    let found = events.iter().find(|event| event["event"] == name);
    found.unwrap_or_else(|| panic!("no event {name} in {events:#?}"))
}

/// A session of three messages, from its opening to its close, and the end of the server.
fn session() -> (Server, String) {
    let server = start(&[]);
    let mut peer = server.text();
    let address = peer.address().to_string();
    peer.send("ECHO héllo\nNONSENSE\nQUIT\n");
    peer.read_to_end();
    drop(peer);
    server.wait_for_log(&[r#""event":"closed""#]);
    (server, address)
}

#[test]
fn a_closed_connection_is_one_object_with_counters_and_reason() {
    let (server, address) = session();
    let url = format!("text://{}", server.address("text"));
    let bytes_in = "ECHO héllo\nNONSENSE\nQUIT\n".len();
    let bytes_out = BANNER.len() + "ECHO héllo\nERROR UNKNOWN_COMMAND\nBYE\n".len();
    let events = stop(server);
    let closed = find(&events, "closed");
    assert_eq!((&closed["peer"], &closed["listener"]), (&address.into(), &url.into()));
    assert_eq!((&closed["protocol"], &closed["reason"]), (&"text".into(), &"quit".into()));
    assert_eq!(
        (&closed["received_bytes"], &closed["sent_bytes"]),
        (&bytes_in.into(), &bytes_out.into())
    );
    assert_eq!((&closed["messages"], &closed["level"]), (&3.into(), &"INFO".into()));
    assert!(closed["duration_seconds"].is_f64(), "{closed:?}");
    let time = closed["time"].as_str().expect("a time is a string");
    chrono::DateTime::parse_from_rfc3339(time).unwrap_or_else(|error| panic!("{error}: {time}"));
    let message = find(&events, "message");
    assert_eq!(
        (&message["content"], &message["content_bytes"]),
        (&"ECHO héllo".into(), &11.into())
    );
}

/// Returns the keys of an event in their order, each with the type of its value.
fn shape(event: &Event) -> Vec<(String, &'static str)> {
    let kind = |value: &Value| match value {
        Value::Number(number) if number.is_f64() => "fraction",
        Value::Number(_) => "count",
        Value::String(_) => "text",
        _ => "other",
    };
    event.iter().map(|(key, value)| (key.clone(), kind(value))).collect()
}

#[test]
fn the_events_in_the_document_have_the_keys_of_those_in_the_log() {
    let events = stop(session().0);
    let page = Document::read("docs/operations.md").text;
    let sample = page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
    let sample = serde_json::Deserializer::from_str(sample.expect("a sample in JSON"));
    let sample: Vec<Event> =
        sample.into_iter().map(|event| event.expect("the sample is JSON")).collect();
    assert!(sample.len() >= 4, "{sample:#?}");
    for event in &sample {
        let name = event["event"].as_str().expect("a name");
        assert_eq!(shape(event), shape(find(&events, name)), "{name}");
    }
    // The table of the document names each of them.
    let named: BTreeMap<&str, bool> = sample
        .iter()
        .flat_map(|event| event.keys())
        .map(|key| (key.as_str(), page.contains(&format!("`{key}`"))))
        .collect();
    assert!(named.values().all(|is_named| *is_named), "{named:?}");
}

#[test]
fn hostile_bytes_stay_inside_their_object() {
    let server = start(&["--activity-log", "1000000"]);
    let every_byte: Vec<u8> = (0..=255).collect();
    let mut peer = server.connect("binary");
    for chunk in every_byte.chunks(24) {
        peer.send(frame(ECHO, chunk));
    }
    peer.send(frame(ECHO, "\"},{\n\"event\":\"closed\"\\ \u{202e}\u{2028}\u{9b}"));
    peer.half_close();
    peer.read_to_end();
    drop(peer);
    server.wait_for_log(&[r#""event":"closed""#, "12 messages"]);
    let lines = server.log.text();
    assert!(lines.iter().all(|line| !line.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\u{2028}'])));
    let events = stop(server);
    let contents: Vec<&str> =
        events.iter().filter_map(|event| event.get("content")?.as_str()).collect();
    assert_eq!(contents.len(), every_byte.chunks(24).count() + 1);
    let forged = r#""},{\n"event":"closed"\\ \u{202e}\u{2028}\u{9b}"#;
    assert!(contents.iter().any(|content| content.contains(forged)), "{contents:#?}");
    assert_eq!(events.iter().filter(|event| event["event"] == "closed").count(), 1);
}

#[test]
fn a_server_that_cannot_start_logs_an_object() {
    let server = start(&[]);
    let url = format!("text://{}", server.address("text"));
    let mut command = program();
    command.args(["--log-format", "json", "--listen", &url]);
    let Ended { code, stderr, .. } = complaint::run(&mut command);
    assert_eq!(code, Some(1));
    let event = parse(stderr.trim_end());
    assert_eq!((&event["event"], &event["level"]), (&"failed".into(), &"ERROR".into()));
}

/// Returns the log of a short run with a file as stderr. `stream` is the variable of systemd.
fn log_of_a_run(name: &str, format: &str, stream: impl FnOnce(&File) -> String) -> String {
    let folder = Folder::new(&format!("log-{name}"));
    let path = folder.0.join("log");
    let file = File::create(&path).expect("create a file");
    let mut command = program();
    command.args(listen_flags()).args(["--log-format", format]);
    command.env("JOURNAL_STREAM", stream(&file));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
    let mut child = command.spawn().expect("start the server");
    wait_until("the end of the start", || {
        fs::read_to_string(&path).expect("a log").contains("open files")
    });
    Process { id: child.id() }.signal("TERM");
    assert!(wait(&mut child).success());
    fs::read_to_string(&path).expect("a log")
}

fn stream_of(file: &File) -> String {
    let metadata = file.metadata().expect("a file has metadata");
    format!("{}:{}", metadata.dev(), metadata.ino())
}

#[test]
fn under_the_journal_each_line_begins_with_its_priority() {
    let log = log_of_a_run("journal", "text", stream_of);
    assert!(log.starts_with("<6>tinytcp-server "), "{log}");
    assert!(log.lines().all(|line| line.starts_with("<6>") && !line.contains("INFO")), "{log}");
    let log = log_of_a_run("json", "json", stream_of);
    assert!(log.lines().all(|line| parse(line.trim_start_matches("<6>"))["level"] == "INFO"));
}

#[test]
fn a_stderr_that_is_not_the_journal_has_no_priorities() {
    let log = log_of_a_run("other", "text", |_| "1:2".to_owned());
    assert!(log.lines().all(|line| line.contains("Z INFO  ")), "{log}");
}

/// Returns the places in the sources below `dir` where a record of the log has no event.
fn records_without_event(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder of sources").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(records_without_event(&path));
            continue;
        }
        let source = fs::read_to_string(&path).unwrap_or_default();
        let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
        let code = code.collect::<Vec<_>>().join("\n");
        for level in ["error", "warn", "info", "debug", "trace", "log"] {
            for record in code.split(&format!("log::{level}!(")).skip(1).map(str::trim_start) {
                if !record.starts_with("event") && !record.starts_with("level, event") {
                    let start: String = record.chars().take(40).collect();
                    found.push(format!("{}: {start}", path.display()));
                }
            }
        }
    }
    found
}

#[test]
fn every_record_of_the_server_has_an_event() {
    for dir in ["core/src", "src/bin/tinytcp-server"] {
        assert_eq!(records_without_event(&root().join(dir)), [""; 0]);
    }
}
