//! The conformance run against servers that keep only some promises, or none. That ours keeps all
//! of them is a test of its own.

use std::time::Duration;

use crate::originals;
use crate::runs::{Run, run};
use crate::support::behaviour::{hold, serve};
use crate::support::program::Ended;

fn test(protocol: &str, port: u16, timeout: &str) -> Run {
    run(&[&format!("{protocol}://127.0.0.1:{port}"), "test", "--timeout", timeout])
}

/// The names of the checks that ended so.
fn names<'a>(run: &'a Ended, prefix: &str) -> Vec<&'a str> {
    run.text()
        .lines()
        .filter_map(|line| line.strip_prefix(prefix))
        .map(|line| line.split(':').next().unwrap_or(line))
        .collect()
}

#[test]
fn an_original_text_server_passes_what_it_promises_and_fails_the_rest() {
    let run = test("text", originals::text(), "2s");
    let (passed, failed) = (names(run.ended_with(1), "ok   "), names(&run, "FAIL "));
    for name in [
        "the banner comes first",
        "QUIT is answered and closes",
        "pipelined commands are answered in order",
    ] {
        assert!(passed.contains(&name), "{name}: {run:?}");
    }
    for name in ["HTTP is refused and the connection closed", "half a command is never run"] {
        assert!(failed.contains(&name), "{name}: {run:?}");
    }
}

#[test]
fn the_other_originals_pass_their_own_promises() {
    for (protocol, port, names_of_passed) in [
        (
            "binary",
            originals::binary(),
            &["ECHO hands back its payload", "REVERSE turns characters around, not bytes"][..],
        ),
        ("echo", originals::echo(), &["a message is answered", "no word is a command"]),
        (
            "chat",
            originals::chat(),
            &["a message without a newline is answered when its sender falls quiet"],
        ),
    ] {
        let run = test(protocol, port, "1s");
        let passed = names(run.ended_with(1), "ok   ");
        for name in names_of_passed {
            assert!(passed.contains(name), "{name}: {run:?}");
        }
    }
}

#[test]
fn a_failed_check_shows_what_was_sent_expected_and_got() {
    let run = test("echo", originals::echo(), "1s");
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
fn a_check_that_hangs_on_a_limit_says_which_flag_sets_it() {
    let run = test("binary", originals::binary(), "300ms");
    let limit =
        run.text().lines().find(|line| line.starts_with("FAIL a longer frame")).expect("no limit");
    assert!(
        limit.contains("taking for granted that the longest payload is 16777216 bytes"),
        "{limit}"
    );
    assert!(limit.contains("--max-frame"), "{limit}");
}

#[test]
fn a_server_that_says_nothing_fails_every_check_in_time() {
    for protocol in ["text", "binary", "echo", "chat"] {
        let run = test(protocol, serve(hold), "50ms");
        // Silence is what some promise is about: it may pass, and with it what follows from it.
        let failed = names(run.ended_with(1), "FAIL ").len();
        let checks = run.text().lines().count() - 1;
        assert!(failed == checks, "{run:?}");
        assert!(run.elapsed < Duration::from_secs(15), "{run:?}");
    }
}

#[test]
fn a_server_that_closes_at_once_fails_without_a_crash() {
    for protocol in ["text", "binary", "echo", "chat"] {
        test(protocol, serve(drop), "300ms").ended_with(1);
    }
}

#[test]
fn a_server_that_floods_fails_without_a_crash() {
    for protocol in ["text", "binary", "echo"] {
        let port = serve(
            |mut stream| while std::io::Write::write_all(&mut stream, &[b'x'; 1 << 16]).is_ok() {},
        );
        test(protocol, port, "300ms").ended_with(1);
    }
}

#[test]
fn the_summary_counts_every_check() {
    let run = test("echo", originals::echo(), "300ms");
    let (passed, failed) = (names(&run, "ok   ").len(), names(&run, "FAIL ").len());
    let summary = format!("{} checks, {passed} passed, {failed} failed", passed + failed);
    assert!(run.text().lines().last().is_some_and(|line| line.ends_with(&summary)), "{run:?}");
}
