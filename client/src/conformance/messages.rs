//! The promises that servers of echo and chat share.

use std::time::Duration;

use tinytcp_cli::target::ProtocolName;

use super::connection::CheckResult;
use super::probe::Probe;
use super::{Check, Limit};

/// The attempts at a check that a busy machine can spoil: if the quiet period passes between two of
/// its bytes, they become two messages, and the server is right.
const ATTEMPTS: usize = 3;

/// A message with its ending, which may be empty.
type EndedMessage = (&'static [u8], &'static [u8]);

/// The original clients send one text without a newline and wait for its answer. The original
/// servers take what one `recv` returns for a message, so two of them are never sent together.
pub const PROTOCOL_CHECKS: &[Check] = &[
    Check::new("the server sends nothing before the first message", |probe| {
        let mut connection = probe.open()?;
        connection.expect_silence(Duration::from_millis(100))?;
        connection.send(b"first")?;
        connection.expect(&answer(probe, b"first", b""))
    }),
    Check::new("a message without a newline is answered", |probe| {
        exchange(probe, &[(b"How are you?", b"")])
    }),
    Check::new("messages of one connection are answered one by one", |probe| {
        exchange(probe, &[(b"one", b""), (b"two words", b""), (b"three", b"")])
    }),
    Check::new("a message in UTF-8 is answered", |probe| {
        exchange(probe, &[("é字🙂".as_bytes(), b"")])
    }),
    Check::new("the server closes after the client's end of input", |probe| {
        let mut connection = probe.open()?;
        connection.send(b"last")?;
        connection.expect(&answer(probe, b"last", b""))?;
        connection.half_close();
        connection.expect_close()
    }),
];

/// The original README does not specify these cases, and its clients do not meet them: they send no
/// lines.
pub const SERVER_CHECKS: &[Check] = &[
    // An original may quote the newline, drop it, or answer without one.
    Check::new("a message may be a line", |probe| exchange(probe, &[(b"How are you?", b"\n")])),
    Check::new("an answer ends as its message ended", |probe| {
        exchange(probe, &[(b"one", b"\n"), (b"two", b"\r\n"), (b"three", b""), (b"four", b"\n")])
    }),
    // An original takes what one `recv` returns for one message, whatever it contains.
    Check::new("the end of input ends a message too, then the server closes", |probe| {
        let expected = [answer(probe, b"one", b"\n"), answer(probe, b"piece", b"")].concat();
        probe.half_closed_exchange(b"one\npiece", &expected)
    }),
    Check::new("a half-closed connection is answered, then closed", |probe| {
        let expected = [answer(probe, b"one", b"\n"), answer(probe, b"two", b"\n")].concat();
        probe.half_closed_exchange(b"one\ntwo\n", &expected)
    }),
    // An original that trims has no message here.
    Check::new("an empty line is a message", |probe| {
        exchange(probe, &[(b"", b"\n"), (b"", b"\r\n"), (b"x", b"\n")])
    }),
    // An original decodes UTF-8, and may trim.
    Check::new("blanks and bytes of any encoding are kept", |probe| {
        exchange(
            probe,
            &[
                (b"  a  b \t", b"\n"),
                ("é字🙂".as_bytes(), b"\n"),
                (b"\x00\x01\xff\xfe\x80 a\rb", b"\r\n"),
            ],
        )
    }),
    // An original takes several messages that arrive together for one.
    Check::new("pipelined messages are answered in order", |probe| {
        let (request, expected) = numbered(probe, 1_000);
        retried(|| probe.exchange(&request, &expected))
    }),
    Check::new("answers that the client reads late all arrive", |probe| {
        let (request, expected) = numbered(probe, 60_000);
        retried(|| probe.unread_exchange(&request, &expected))
    }),
    Check::new("a message may arrive byte by byte", |probe| {
        retried(|| probe.bytewise_exchange(b"drip\r\n", &answer(probe, b"drip", b"\r\n")))
    }),
    Check::new("messages may be cut anywhere", |probe| {
        let expected = [answer(probe, b"one", b"\r\n"), answer(probe, b"two", b"\n")].concat();
        retried(|| probe.cut_exchange(b"one\r\ntwo\n", &expected))
    }),
    // An original of chat may serve one client at a time.
    Check::new("an incomplete message does not delay another client", |probe| {
        let mut slow = probe.open()?;
        slow.send(b"slow")?;
        exchange(probe, &[(b"quick", b"\n")])?;
        slow.expect(&answer(probe, b"slow", b""))
    }),
    // An original knows no other protocols.
    Check::new(super::TLS_IS_REFUSED, |probe| probe.tls_exchange(b"ERROR NOT_TLS\n")),
    // An original has the limit of its `recv`, and cuts a longer message.
    Check::at(Limit::Line, "a message of exactly the limit is accepted", |probe| {
        let message = vec![b'x'; probe.limits.line_len_max()];
        probe.exchange(&[&message[..], b"\n"].concat(), &answer(probe, &message, b"\n"))?;
        probe.exchange(&[&message[..], b"\r\n"].concat(), &answer(probe, &message, b"\r\n"))
    }),
    Check::at(Limit::Line, "a longer message is refused once and the session continues", |probe| {
        for excess in [1, 2, probe.limits.line_len_max()] {
            let message = vec![b'x'; probe.limits.line_len_max() + excess];
            let request = [&message[..], b"\nafter\n"].concat();
            let expected =
                [&b"ERROR LINE_TOO_LONG\n"[..], &answer(probe, b"after", b"\n")].concat();
            probe.exchange(&request, &expected)?;
        }
        Ok(())
    }),
];

/// The answer to a message that contains no word of chat.
pub fn answer(probe: &Probe<'_>, message: &[u8], ending: &[u8]) -> Vec<u8> {
    match probe.protocol() {
        ProtocolName::Chat => [b"ACK: Received '", message, b"'", ending].concat(),
        _ => [b"Server received: ", message, ending].concat(),
    }
}

/// Sends `messages` on one connection, each after the answer to the one before it.
pub fn exchange(probe: &Probe<'_>, messages: &[EndedMessage]) -> CheckResult {
    let mut connection = probe.open()?;
    for (text, ending) in messages {
        connection.send(&[*text, *ending].concat())?;
        connection.expect(&answer(probe, text, ending))?;
    }
    connection.expect_no_more()
}

/// Many messages in lines, and their answers.
fn numbered(probe: &Probe<'_>, count: usize) -> (Vec<u8>, Vec<u8>) {
    let (mut request, mut expected) = (Vec::new(), Vec::new());
    for number in 0..count {
        let message = format!("message number {number} of many");
        request.extend_from_slice(format!("{message}\n").as_bytes());
        expected.extend_from_slice(&answer(probe, message.as_bytes(), b"\n"));
    }
    (request, expected)
}

/// The result of the first attempt that succeeds, or of the last.
fn retried(check: impl Fn() -> CheckResult) -> CheckResult {
    let mut result = check();
    for _ in 1..ATTEMPTS {
        if result.is_ok() {
            break;
        }
        result = check();
    }
    result
}
