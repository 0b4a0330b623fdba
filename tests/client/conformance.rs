//! The conformance run against servers that keep only some promises, or none. `our_server.rs` tests
//! that our server keeps all of them.

use std::path::Path;

use crate::originals;
use crate::runs::{Run, run};
use crate::support::behaviour::{hold, serve};
use crate::support::program::Ended;
use crate::support::tool::Tool;

/// Long enough for a busy machine: an original server answers every check of the protocol.
const PATIENCE: &str = "20s";

fn test(protocol: &str, port: u16, flags: &[&str]) -> Run {
    run(&[&[&format!("{protocol}://127.0.0.1:{port}"), "test"], flags].concat())
}

/// The names of the checks whose line begins with `prefix`.
fn names<'a>(run: &'a Ended, prefix: &str) -> Vec<&'a str> {
    run.text()
        .lines()
        .filter_map(|line| line.strip_prefix(prefix))
        .map(|line| line.split(':').next().unwrap_or(line))
        .collect()
}

/// An original server passes all of the protocol, and nothing else is checked.
#[track_caller]
fn passes_the_protocol(protocol: &str, port: u16) {
    let run = test(protocol, port, &["--only", "protocol", "--timeout", PATIENCE]);
    let passed = names(run.ended_with(0), "ok   ").len();
    assert!(passed >= 7, "{run:?}");
    let summary = format!(
        "{protocol}://127.0.0.1:{port} protocol: {passed} checks, {passed} passed, 0 failed\n"
    );
    assert!(run.text().ends_with(&summary) && !run.text().contains("server:"), "{run:?}");
}

#[test]
fn an_original_text_server_passes_the_protocol() {
    passes_the_protocol("text", originals::text());
}

#[test]
fn an_original_binary_server_passes_the_protocol() {
    passes_the_protocol("binary", originals::binary());
}

#[test]
fn an_original_echo_server_passes_the_protocol() {
    passes_the_protocol("echo", originals::echo());
}

#[test]
fn an_original_chat_server_passes_the_protocol() {
    passes_the_protocol("chat", originals::chat());
}

#[test]
#[ignore = "needs python3: .ci/run installs it"]
fn original_servers_in_python_pass_the_protocol() {
    for protocol in ["text", "binary", "echo", "chat"] {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/original_servers/{protocol}_server.py"));
        let server = Tool::start("python3", &["-u", script.to_str().expect("UTF-8"), "0"]);
        server.wait_for("\n");
        let first = String::from_utf8(server.printed()).expect("UTF-8");
        let port = first.trim_end().rsplit(' ').next().expect("a port").parse();
        passes_the_protocol(protocol, port.expect("a number"));
    }
}

#[test]
fn an_original_server_fails_some_of_the_other_part() {
    let run = test("text", originals::text(), &["--only", "server", "--timeout", "2s"]);
    let (passed, failed) = (names(run.ended_with(1), "ok   "), names(&run, "FAIL "));
    assert!(passed.contains(&"HELP has the one form that programs can read"), "{run:?}");
    for name in ["HTTP is refused, then the server closes", "an incomplete command is never run"] {
        assert!(failed.contains(&name), "{name}: {run:?}");
    }
    assert!(!run.text().contains("protocol:"), "{run:?}");
}

#[test]
fn a_failed_check_shows_what_was_sent_expected_and_received() {
    let run = test("echo", originals::echo(), &["--timeout", "1s"]);
    let line = run
        .text()
        .lines()
        .find(|line| line.starts_with("FAIL a half-closed connection"))
        .expect("no half-close");
    assert!(
        line.contains(
            r#"sent "one\ntwo\n", expected "Server received: one\nServer received: two\n", got "#
        ),
        "{line}"
    );
}

#[test]
fn a_check_that_assumes_a_limit_names_its_flag() {
    let flags = ["--only", "server", "--timeout", "300ms", "--max-frame", "1"];
    let run = test("binary", originals::binary(), &flags);
    let line =
        run.text().lines().find(|line| line.starts_with("FAIL a longer frame")).expect("no limit");
    let hint = "(assumes that the longest payload is 1 byte; set another limit with --max-frame)";
    assert!(line.ends_with(hint), "{line}");
}

#[test]
fn a_silent_server_fails_every_check_in_time() {
    for protocol in ["text", "binary", "echo", "chat"] {
        let run = test(protocol, serve(hold), &["--timeout", "50ms"]);
        assert!(names(run.ended_with(1), "ok   ").is_empty(), "{run:?}");
        assert!(names(&run, "FAIL ").len() >= 20, "{run:?}");
    }
}

#[test]
fn a_server_that_closes_at_once_fails_without_a_crash() {
    for protocol in ["text", "binary", "echo", "chat"] {
        test(protocol, serve(drop), &["--timeout", "300ms"]).ended_with(1);
    }
}

#[test]
fn a_server_that_floods_fails_without_a_crash() {
    for protocol in ["text", "binary", "echo", "chat"] {
        let port = serve(
            |mut stream| while std::io::Write::write_all(&mut stream, &[b'x'; 1 << 16]).is_ok() {},
        );
        test(protocol, port, &["--timeout", "300ms"]).ended_with(1);
    }
}

#[test]
fn each_part_ends_with_a_summary_of_its_checks() {
    let port = originals::echo();
    let run = test("echo", port, &["--timeout", PATIENCE]);
    let text = run.ended_with(1).text();
    let (protocol, server) =
        text.split_once(&format!("echo://127.0.0.1:{port} server: further")).expect("two parts");
    for (name, part) in [("protocol", protocol), ("server", server)] {
        let count = |prefix: &str| part.lines().filter(|line| line.starts_with(prefix)).count();
        let (passed, failed) = (count("ok   "), count("FAIL "));
        let summary = format!(
            "echo://127.0.0.1:{port} {name}: {} checks, {passed} passed, {failed} failed",
            passed + failed
        );
        assert_eq!(part.lines().last(), Some(&summary[..]), "{run:?}");
    }
}
