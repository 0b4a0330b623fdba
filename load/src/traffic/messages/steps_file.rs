//! The file of `--script`: the steps of a connection, one per line.
//!
//! ```text
//!   # a comment
//!   once send AUTH user{c}\r\n          once on each connection, before the others
//!   expect +OK\r\n
//!   send SET k{n} {hex:8}\r\n           repeated, in this order
//!   expect +OK\r\n
//!   sleep 10ms                          a pause before the next request
//!   send GET k{n}\r\n
//!   expect-end \r\n                     any bytes that end with these
//! ```

use std::time::Duration;

use tinytcp_cli::units;

use super::message::{ExpectedReply, ScriptMessage};
use super::raw;
use crate::error::UsageError;

const EXAMPLE: &str = "a line is `send BYTES`, `once send BYTES`, `expect BYTES`, \
 `expect-end BYTES`, `sleep D` or a comment after #";

/// A request of the file, with its reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStep {
    /// True if each connection sends it once.
    pub is_once: bool,
    /// The request and the reply, with values.
    pub message: ScriptMessage,
    /// The pause before the request.
    pub pause: Duration,
}

/// Parses the text of a file: successive `send` lines are one request, and successive `expect`
/// lines one reply. A pause after the last request is one before the first.
///
/// # Errors
/// Fails with the number of the first wrong line.
pub fn steps(text: &str) -> Result<Vec<FileStep>, UsageError> {
    let (mut steps, mut pause): (Vec<FileStep>, _) = (Vec::new(), Duration::ZERO);
    for (index, line) in text.lines().enumerate() {
        let at = |error: UsageError| UsageError::new(format_args!("line {}: {error}", index + 1));
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (is_once, line) = match line.strip_prefix("once ") {
            Some(rest) => (true, rest.trim_start()),
            None => (false, line),
        };
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "send" => send(&mut steps, is_once, rest, std::mem::take(&mut pause)).map_err(at)?,
            "expect" | "expect-end" if !is_once => {
                expect(steps.last_mut(), word, rest).map_err(at)?;
            }
            "sleep" if !is_once => {
                pause += units::duration(rest).map_err(UsageError::new).map_err(at)?;
            }
            _ => return Err(at(EXAMPLE.into())),
        }
    }
    // Each connection repeats the steps.
    if let Some(first) = steps.iter_mut().find(|step| !step.is_once) {
        first.pause += pause;
    }
    check(&steps)?;
    Ok(steps)
}

fn send(
    steps: &mut Vec<FileStep>,
    is_once: bool,
    text: &str,
    pause: Duration,
) -> Result<(), UsageError> {
    let bytes = raw::template(text)?;
    match steps.last_mut() {
        // Without a reply between them, two sends are one request.
        Some(last)
            if last.message.reply == ExpectedReply::Nothing
                && last.is_once == is_once
                && pause.is_zero() =>
        {
            last.message.request.extend(bytes);
        }
        _ => {
            let message = ScriptMessage { request: bytes, reply: ExpectedReply::Nothing };
            steps.push(FileStep { is_once, message, pause });
        }
    }
    Ok(())
}

fn expect(step: Option<&mut FileStep>, word: &str, text: &str) -> Result<(), UsageError> {
    let bytes = raw::template(text)?;
    let reply = &mut step.ok_or("a reply follows its request: put `send` before it")?.message.reply;
    if bytes.is_empty() {
        return Err(r"a reply has a byte, as in `expect +OK\r\n`".into());
    }
    *reply = match (std::mem::replace(reply, ExpectedReply::Nothing), word) {
        (ExpectedReply::Nothing, "expect") => ExpectedReply::Exact(bytes),
        (ExpectedReply::Nothing, _) => ExpectedReply::Until(bytes),
        (ExpectedReply::Exact(before), "expect") => ExpectedReply::Exact([before, bytes].concat()),
        _ => return Err("`expect-end` stands alone: join it with the other replies".into()),
    };
    Ok(())
}

/// Checks what a line alone does not show.
fn check(steps: &[FileStep]) -> Result<(), UsageError> {
    if steps.iter().all(|step| step.is_once) {
        return Err("the file has nothing to repeat: add a line `send BYTES`".into());
    }
    let repeated = steps.iter().position(|step| !step.is_once).unwrap_or(0);
    if steps[repeated..].iter().any(|step| step.is_once) {
        return Err("`once` steps come first: put them before the others".into());
    }
    let has_no_reply = |step: &FileStep| step.message.reply == ExpectedReply::Nothing;
    if steps[..repeated].iter().any(has_no_reply) {
        return Err("a `once` step needs a reply: add `expect BYTES` after it".into());
    }
    if steps[..repeated].iter().any(|step| !step.pause.is_zero()) {
        return Err("`sleep` comes after the `once` steps: no pause is needed before".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(request: &[u8], reply: &[u8]) -> ScriptMessage {
        ScriptMessage { request: request.into(), reply: ExpectedReply::Exact(reply.into()) }
    }

    #[test]
    fn a_file_has_a_login_requests_with_replies_and_pauses() {
        let text = "# login\n\nonce send AUTH\\r\\n\nexpect +OK\\r\\n\nsend A\nsend B \\x7b{n}\\n\n\
                    expect 1\nexpect 2\n  sleep 10ms\nsend C\nexpect-end \\n\nsleep 5ms\n";
        let milliseconds = Duration::from_millis;
        let step = |is_once, message, pause| FileStep { is_once, message, pause };
        let until = ExpectedReply::Until(b"\n".into());
        assert_eq!(
            steps(text),
            Ok(vec![
                step(true, exact(b"AUTH\r\n", b"+OK\r\n"), Duration::ZERO),
                step(false, exact(b"AB {{{n}\n", b"12"), milliseconds(5)),
                step(false, ScriptMessage { request: b"C".into(), reply: until }, milliseconds(10)),
            ])
        );
    }

    #[test]
    fn a_wrong_line_is_refused_with_its_number() {
        for (text, part) in [
            ("", "nothing to repeat"),
            ("once send A\nexpect B", "nothing to repeat"),
            ("expect A", "line 1: a reply follows"),
            ("\nsend A\nrecv B", "line 3: a line is"),
            ("once expect A", "line 1: a line is"),
            ("send \\q", "line 1: after a backslash"),
            ("send A\nexpect ", "line 2: a reply has a byte"),
            ("send A\nexpect B\nexpect-end C", "line 3: `expect-end` stands alone"),
            ("send A\nsleep 0", "line 2: zero"),
            ("send A\nexpect B\nonce send C\nexpect D", "come first"),
            ("once send A\nsend B", "needs a reply"),
        ] {
            let error = steps(text).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
