//! The promises that only servers of chat make.

use super::Check;
use super::connection::{CheckResult, TestConnection};
use super::messages::{answer, exchange};
use super::probe::Probe;

/// The answer to a greeting.
const GREETING: &[u8] = b"Hello from the server! Connection established.";

/// The original answers by what a message contains, in any case, and names its own language in the
/// answer to `status`. It may serve one client at a time, so these checks use one connection.
pub const PROTOCOL_CHECKS: &[Check] = &[
    Check::new("a message with `time` is answered with the local time", |probe| {
        let mut connection = probe.open()?;
        for message in ["time", "What TIME is it?", "sometimes"] {
            connection.send(message.as_bytes())?;
            expect_time(&mut connection)?;
        }
        connection.expect_no_more()
    }),
    Check::new("a message with `hello` is answered with a greeting", |probe| {
        each_answered(probe, &["hello", "HELLO", "Oh, hello there", "Othello"], "", GREETING)
    }),
    Check::new("a message with `status` is answered with the state of the server", |probe| {
        let mut connection = probe.open()?;
        for message in ["status", "Status?", "your STATUS please"] {
            connection.send(message.as_bytes())?;
            expect_status(&mut connection)?;
        }
        connection.expect_no_more()
    }),
    Check::new("of several words, time comes before hello, hello before status", |probe| {
        let mut connection = probe.open()?;
        connection.send(b"status hello time")?;
        expect_time(&mut connection)?;
        connection.send(b"status hello")?;
        connection.expect(GREETING)
    }),
    Check::new("exit closes without an answer, in any case", |probe| {
        probe.last_exchange(b"exit", b"")?;
        probe.last_exchange(b"EXIT", b"")
    }),
    Check::new("exit is the whole message, not a part of it", |probe| {
        exchange(probe, &[(b"exit now", b""), (b"exits", b""), (b"please exit", b"")])
    }),
];

/// The original clients send no lines.
pub const SERVER_CHECKS: &[Check] = &[
    // An original answers without a newline.
    Check::new("a line with `time` is answered with a line", |probe| {
        let mut connection = probe.open()?;
        connection.send(b"time\n")?;
        connection.expect_line("\"Server Time: HH:MM:SS\\n\"", is_time)
    }),
    Check::new("a line with `hello` is answered with a line", |probe| {
        each_answered(probe, &["hello", "HELLO"], "\n", GREETING)
    }),
    // An original names its own language.
    Check::new("the answer to `status` names Rust", |probe| {
        let status = b"Server is running smoothly on Rust.";
        each_answered(probe, &["status", "Status?", "your STATUS please"], "\n", status)
    }),
    // An original compares the whole message, with its newline.
    Check::new("exit closes with any line ending", |probe| {
        for message in ["exit\n", "EXIT\r\n", "Exit"] {
            probe.last_exchange(message.as_bytes(), b"")?;
        }
        Ok(())
    }),
    Check::new("nothing after exit is run", |probe| {
        probe.last_exchange(b"one\nexit\nhello\n", &answer(probe, b"one", b"\n"))
    }),
];

/// Sends `messages` with `ending` on one connection; each must be answered with `answer` and the
/// same ending.
fn each_answered(probe: &Probe<'_>, messages: &[&str], ending: &str, answer: &[u8]) -> CheckResult {
    let mut connection = probe.open()?;
    for message in messages {
        connection.send(format!("{message}{ending}").as_bytes())?;
        connection.expect(&[answer, ending.as_bytes()].concat())?;
    }
    connection.expect_no_more()
}

fn expect_time(connection: &mut TestConnection) -> CheckResult {
    connection.expect_fitting("\"Server Time: HH:MM:SS\"", b"Server Time: HH:MM:SS".len(), is_time)
}

fn expect_status(connection: &mut TestConnection) -> CheckResult {
    const LEN_MAX: usize = 64;
    let expected = "\"Server is running smoothly on ...\", with a language and a full stop";
    connection.expect_fitting(expected, LEN_MAX, |bytes| {
        let language = bytes.strip_prefix(b"Server is running smoothly on ");
        language.and_then(|rest| rest.strip_suffix(b".")).is_some_and(|rest| !rest.is_empty())
    })
}

/// Returns true for a line such as `Server Time: 17:24:13`, with any time of a day.
fn is_time(line: &[u8]) -> bool {
    let number = |digits: &[u8]| match digits {
        [tens @ b'0'..=b'9', units @ b'0'..=b'9'] => Some((tens - b'0') * 10 + units - b'0'),
        _ => None,
    };
    match line.strip_prefix(b"Server Time: ") {
        Some([hours @ .., b':', m1, m2, b':', s1, s2]) => {
            number(hours).is_some_and(|hours| hours < 24)
                && number(&[*m1, *m2]).is_some_and(|minutes| minutes < 60)
                && number(&[*s1, *s2]).is_some_and(|seconds| seconds < 61)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_has_exactly_one_form() {
        assert!(is_time(b"Server Time: 17:24:13"));
        for wrong in
            ["Server Time: 24:00:00", "Server Time: 7:24:13", "Server Time: 17:24", "17:24:13"]
        {
            assert!(!is_time(wrong.as_bytes()), "{wrong}");
        }
    }
}
