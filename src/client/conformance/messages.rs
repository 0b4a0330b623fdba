//! What servers of echo and chat promise: first what they share, then what each answers.

use std::time::Duration;

use super::probe::{Outcome, Probe};
use super::{Check, Limit};
use crate::cli::target::Protocol;

/// How often a check is repeated that a busy machine can spoil: between two of its bytes the quiet
/// period may pass, which makes two messages of one and is nobody's fault.
const ATTEMPTS: usize = 3;

/// A message with its ending, or without one.
type Message = (&'static [u8], &'static [u8]);

/// The promises of both protocols.
pub const CHECKS: &[Check] = &[
    Check::new("a message is answered", |probe| exchange(probe, &[(b"How are you?", b"\n")])),
    Check::new("the server says nothing before it is asked", |probe| {
        let mut wire = probe.open()?;
        wire.expect_silence(Duration::from_millis(100))?;
        wire.send(b"first\n")?;
        wire.expect(&answer(probe, b"first", b"\n"))
    }),
    Check::new("a message without a newline is answered when its sender falls quiet", |probe| {
        exchange(probe, &[(b"How are you?", b"")])
    }),
    Check::new("an answer ends as its message ended", |probe| {
        exchange(probe, &[(b"one", b"\n"), (b"two", b"\r\n"), (b"three", b""), (b"four", b"\n")])
    }),
    Check::new("the end of input answers the waiting piece, then closes", |probe| {
        let expected = [answer(probe, b"one", b"\n"), answer(probe, b"piece", b"")].concat();
        probe.half_closed_dialogue(b"one\npiece", &expected)
    }),
    Check::new("a half-closed connection is answered, then closed", |probe| {
        let expected = [answer(probe, b"one", b"\n"), answer(probe, b"two", b"\n")].concat();
        probe.half_closed_dialogue(b"one\ntwo\n", &expected)
    }),
    Check::new("an empty line is a message", |probe| {
        exchange(probe, &[(b"", b"\n"), (b"", b"\r\n"), (b"x", b"\n")])
    }),
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
    Check::new("pipelined messages are answered in order", |probe| {
        let (request, expected) = numbered(probe, 1_000);
        probe.dialogue(&request, &expected)
    }),
    Check::new("answers that nobody reads for a while all arrive", |probe| {
        let (request, expected) = numbered(probe, 60_000);
        probe.unread_dialogue(&request, &expected)
    }),
    Check::new("a message may come byte by byte", |probe| {
        retried(|| probe.dripped_dialogue(b"drip\r\n", &answer(probe, b"drip", b"\r\n")))
    }),
    Check::new("messages may be cut anywhere", |probe| {
        let expected = [answer(probe, b"one", b"\r\n"), answer(probe, b"two", b"\n")].concat();
        retried(|| probe.cut_dialogue(b"one\r\ntwo\n", &expected))
    }),
    Check::new("half a message holds nobody else up", |probe| {
        let mut slow = probe.open()?;
        slow.send(b"slow")?;
        exchange(probe, &[(b"quick", b"\n")])?;
        slow.expect(&answer(probe, b"slow", b""))
    }),
    Check::at(Limit::Line, "a message of exactly the limit is taken", |probe| {
        let message = vec![b'x'; probe.assumed.line_len_max()];
        probe.dialogue(&[&message[..], b"\n"].concat(), &answer(probe, &message, b"\n"))?;
        probe.dialogue(&[&message[..], b"\r\n"].concat(), &answer(probe, &message, b"\r\n"))
    }),
    Check::at(Limit::Line, "a longer message is refused once and the session goes on", |probe| {
        for excess in [1, 2, probe.assumed.line_len_max()] {
            let message = vec![b'x'; probe.assumed.line_len_max() + excess];
            let request = [&message[..], b"\nafter\n"].concat();
            let expected =
                [&b"ERROR LINE_TOO_LONG\n"[..], &answer(probe, b"after", b"\n")].concat();
            probe.dialogue(&request, &expected)?;
        }
        Ok(())
    }),
];

/// What echo promises beyond that.
pub const ECHO_CHECKS: &[Check] = &[Check::new("no word is a command", |probe| {
    exchange(probe, &[(b"exit", b"\n"), (b"quit", b"\n"), (b"QUIT", b"\n"), (b"time", b"\n")])
})];

/// What chat promises beyond that.
pub const CHAT_CHECKS: &[Check] = &[
    Check::new("a message with `time` is answered with the local time", |probe| {
        for message in ["time", "What TIME is it?", "sometimes"] {
            let mut wire = probe.open()?;
            wire.send(format!("{message}\n").as_bytes())?;
            wire.expect_line("\"Server Time: HH:MM:SS\\n\"", is_time)?;
        }
        Ok(())
    }),
    Check::new("a message with `hello` is greeted", |probe| {
        let hello = b"Hello from the server! Connection established.";
        all_answered(probe, &["hello", "HELLO", "Oh, hello there", "Othello"], hello)
    }),
    Check::new("a message with `status` is told how the server is", |probe| {
        all_answered(
            probe,
            &["status", "Status?", "your STATUS please"],
            b"Server is running smoothly on Rust.",
        )
    }),
    Check::new("the first word of time, hello, status decides", |probe| {
        let mut wire = probe.open()?;
        wire.send(b"status hello time\n")?;
        wire.expect_line("\"Server Time: HH:MM:SS\\n\"", is_time)?;
        wire.send(b"status hello\n")?;
        wire.expect(b"Hello from the server! Connection established.\n")
    }),
    Check::new("exit closes without an answer, in any case and however it ends", |probe| {
        for message in ["exit\n", "EXIT\r\n", "Exit"] {
            probe.last_dialogue(message.as_bytes(), b"")?;
        }
        Ok(())
    }),
    Check::new("nothing after exit is run", |probe| {
        probe.last_dialogue(b"one\nexit\nhello\n", &answer(probe, b"one", b"\n"))
    }),
    Check::new("only the whole message is an exit", |probe| {
        exchange(probe, &[(b"exit now", b"\n"), (b"exits", b"\n"), (b"please exit", b"\n")])
    }),
];

/// The answer to a message in which chat finds none of its words.
fn answer(probe: &Probe<'_>, message: &[u8], ending: &[u8]) -> Vec<u8> {
    match probe.protocol() {
        Protocol::Chat => [b"ACK: Received '", message, b"'", ending].concat(),
        _ => [b"Server received: ", message, ending].concat(),
    }
}

/// Each of `messages` on one connection, when the one before it has been answered.
fn exchange(probe: &Probe<'_>, messages: &[Message]) -> Outcome {
    let mut wire = probe.open()?;
    for (text, ending) in messages {
        wire.send(&[*text, *ending].concat())?;
        wire.expect(&answer(probe, text, ending))?;
    }
    wire.expect_no_more()
}

fn all_answered(probe: &Probe<'_>, messages: &[&str], answer: &[u8]) -> Outcome {
    let mut wire = probe.open()?;
    for message in messages {
        wire.send(format!("{message}\n").as_bytes())?;
        wire.expect(&[answer, b"\n"].concat())?;
    }
    Ok(())
}

fn numbered(probe: &Probe<'_>, count: usize) -> (Vec<u8>, Vec<u8>) {
    let (mut request, mut expected) = (Vec::new(), Vec::new());
    for number in 0..count {
        let message = format!("message number {number} of many");
        request.extend_from_slice(format!("{message}\n").as_bytes());
        expected.extend_from_slice(&answer(probe, message.as_bytes(), b"\n"));
    }
    (request, expected)
}

fn retried(check: impl Fn() -> Outcome) -> Outcome {
    let mut outcome = check();
    for _ in 1..ATTEMPTS {
        if outcome.is_ok() {
            break;
        }
        outcome = check();
    }
    outcome
}

/// `Server Time: 17:24:13`, any time of a day.
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
    fn only_a_time_of_day_will_do() {
        assert!(is_time(b"Server Time: 17:24:13"));
        for wrong in
            ["Server Time: 24:00:00", "Server Time: 7:24:13", "Server Time: 17:24", "17:24:13"]
        {
            assert!(!is_time(wrong.as_bytes()), "{wrong}");
        }
    }
}
