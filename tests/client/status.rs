//! The mode `status`: against tinytcp-server, the original servers and others.

use std::process::Stdio;

use crate::originals;
use crate::our_server::Server;
use crate::runs::{Run, client, run};
use crate::support::program::{PrintedLines, wait};

#[track_caller]
fn complains(run: &Run, code: i32, word: &str) {
    assert_eq!(run.code, Some(code), "{run:?}");
    run.complaining_in_one_line("tinytcp-client").saying(word);
}

#[test]
fn a_table_has_a_line_for_each_value() {
    for protocol in ["text", "binary"] {
        let run = Server::start(protocol, &[]).client(&["status"]);
        let text = run.ended_with(0).text();
        let value = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key))
                .map(|value| value.trim().to_owned())
        };
        assert_eq!(value("state "), Some("serving".to_owned()), "{text}");
        assert_eq!(value("connections_open "), Some("1".to_owned()), "{text}");
        assert!(!text.contains("STATUS") && !text.contains("idle_timeout"), "{text}");
    }
}

#[test]
fn json_is_one_object_with_numbers_and_words() {
    let run = Server::start("binary", &[]).client(&["status", "--json"]);
    let text = run.ended_with(0).text();
    let object: serde_json::Value = serde_json::from_str(text).expect("JSON");
    assert_eq!((&object["state"], &object["connections_open"]), (&"serving".into(), &1.into()));
    assert_eq!(object["connections_closed_total.idle_timeout"], 0);
    assert!(object["uptime_seconds"].is_f64() && object["version"].is_string(), "{text}");
}

#[test]
fn a_watch_goes_on_until_its_reader_closes_stdout() {
    let server = Server::start("text", &[]);
    let mut command = client(&[&server.url, "status", "--watch", "--json"]);
    let mut watch = command.stderr(Stdio::null()).spawn().expect("the client starts");
    let mut lines = PrintedLines::of(watch.stdout.take().expect("piped"));
    let mut count = || {
        let line = lines.next().expect("a further line");
        let object: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        object["messages_total"].as_u64().expect("a number")
    };
    assert_eq!((count(), count()), (0, 1));
    drop(lines);
    assert!(wait(&mut watch).success());
}

#[test]
fn a_server_without_status_is_reported_in_one_line() {
    let target = format!("text://127.0.0.1:{}", originals::text());
    complains(&run(&[&target, "status"]), 1, "has no STATUS");
    let target = format!("binary://127.0.0.1:{}", originals::binary());
    complains(&run(&[&target, "status", "--timeout", "3s"]), 4, "has no STATUS");
    complains(&run(&["echo://127.0.0.1:1", "status"]), 2, "has no STATUS");
}

#[test]
fn a_full_server_is_reported_in_one_line() {
    let server = Server::start("text", &["--max-connections", "1"]);
    let _served = std::net::TcpStream::connect(server.url.trim_start_matches("text://"));
    complains(&server.client(&["status"]), 1, "SERVER_BUSY");
}

#[test]
fn its_flags_need_the_mode() {
    for flag in ["--watch", "--json"] {
        complains(&run(&["-e", "TIME", flag]), 2, "status");
    }
}
