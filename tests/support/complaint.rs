//! A server that does not start, and the one line that says why.

use std::process::{Command, Output, Stdio};

/// Runs the server to its end, which is expected to come by itself.
pub fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().expect("run the server")
}

/// Exit code, nothing on stdout, and one line on stderr that holds every one of `parts`.
#[track_caller]
pub fn check_failure(command: &mut Command, code: i32, parts: &[&str]) {
    let output = run(command);
    let said = String::from_utf8(output.stderr).expect("messages are UTF-8");
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(output.stdout.is_empty(), "stdout: {}", output.stdout.escape_ascii());
    assert_eq!(said.lines().count(), 1, "one line, not:\n{said}");
    assert!(said.ends_with('\n'), "the line has an end: {said:?}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}
