//! A server that does not start, and the one line that states the reason.

use std::process::{Command, Stdio};

use super::program::{Ended, finish_child};

/// Runs the server to its end, which must come within the deadline without a signal.
#[track_caller]
pub fn run(command: &mut Command) -> Ended {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish_child(command.spawn().expect("the server starts"))
}

/// Checks the exit code, that stdout is empty, and that stderr is one line that holds all of
/// `parts`.
#[track_caller]
pub fn check_failure(command: &mut Command, code: i32, parts: &[&str]) {
    let ended = run(command);
    let said = &ended.stderr;
    assert_eq!(ended.code, Some(code), "{said}");
    assert_eq!(ended.text(), "", "nothing is on stdout");
    assert_eq!(said.lines().count(), 1, "one line, not:\n{said}");
    assert!(said.ends_with('\n'), "the line has an end: {said:?}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}
