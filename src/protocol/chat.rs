//! `chat`: answers to a few words, and an acknowledgement of everything else.

use super::talk::Talk;
use super::{Next, Output};
use crate::os::clock::Clock;

/// The answer to a greeting.
pub const GREETING: &str = "Hello from the server! Connection established.";
/// The answer to a question for the server's status.
pub const STATUS: &str = "Server is running smoothly on Rust.";

/// The protocol.
#[must_use]
pub const fn protocol() -> Talk {
    Talk::new("chat", answer)
}

/// The first rule that fits, in any case of letters.
fn answer(message: &[u8], output: &mut Output<'_>, clock: &mut Clock) -> Next {
    if message.eq_ignore_ascii_case(b"exit") {
        return Next::Close;
    }
    if contains(message, b"time") {
        output.append(b"Server Time: ");
        output.append(clock.time_of_day().as_bytes());
    } else if contains(message, b"hello") {
        output.append(GREETING.as_bytes());
    } else if contains(message, b"status") {
        output.append(STATUS.as_bytes());
    } else {
        output.append(b"ACK: Received '");
        output.append(message);
        output.append(b"'");
    }
    Next::Continue
}

/// True exactly when `message` contains `word`, which is in lower case.
fn contains(message: &[u8], word: &[u8]) -> bool {
    let Some(first) = word.first() else { return true };
    // Compared only where the word may start: comparing at every byte would make a long message ten times as dear as an
    // `echo` of it.
    memchr::memchr2_iter(*first, first.to_ascii_uppercase(), message)
        .filter_map(|start| message.get(start..start + word.len()))
        .any(|place| place.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::super::rehearsal::{
        self, Rehearsal, assert_answers, assert_last_answers, outcomes, small_limits, talk_bursts, talk_oracle,
    };
    use super::*;
    use crate::close_reason::CloseReason;
    use proptest::prelude::*;

    fn answers(input: impl AsRef<[u8]>, answers: impl AsRef<[u8]>) {
        assert_answers(&protocol(), &small_limits(), input.as_ref(), answers.as_ref());
    }

    fn time_of_day() -> String {
        format!("Server Time: {}", rehearsal::clock().time_of_day())
    }

    #[test]
    fn exit_closes_without_an_answer_in_any_case() {
        for exit in ["exit\n", "EXIT\r\n", "Exit\n"] {
            assert_last_answers(&protocol(), &small_limits(), exit.as_bytes(), b"", CloseReason::Quit);
        }
        let mut rehearsal = Rehearsal::new(&protocol(), &small_limits());
        assert_eq!(rehearsal.feed(b"exit").fall_quiet().outcome().closed, Some(CloseReason::Quit));
    }

    #[test]
    fn only_exit_alone_is_exit() {
        answers("exit now\n", "ACK: Received 'exit now'\n");
        answers(" exit\n", "ACK: Received ' exit'\n");
    }

    #[test]
    fn a_message_that_contains_time_is_answered_with_the_local_time_of_day() {
        for message in ["time", "What TIME is it?", "sometimes"] {
            answers(format!("{message}\n"), format!("{}\n", time_of_day()));
        }
    }

    #[test]
    fn a_message_that_contains_hello_is_greeted() {
        answers("Well, HELLO!\n", "Hello from the server! Connection established.\n");
    }

    #[test]
    fn a_message_that_contains_status_is_answered_with_the_status() {
        answers("Status?\r\n", "Server is running smoothly on Rust.\r\n");
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        answers("status, hello, time\n", format!("{}\n", time_of_day()));
        answers("status, hello\n", "Hello from the server! Connection established.\n");
    }

    #[test]
    fn anything_else_is_acknowledged_byte_for_byte() {
        answers("good day\n", "ACK: Received 'good day'\n");
        answers("\n", "ACK: Received ''\n");
        answers(b"tim \xff\0 hell'o\n", b"ACK: Received 'tim \xff\0 hell'o'\n");
    }

    #[test]
    fn a_line_over_the_limit_is_an_error_whatever_it_contains() {
        answers(format!("{}\nhello\n", "time ".repeat(9)), format!("ERROR LINE_TOO_LONG\n{GREETING}\n"));
    }

    fn oracle(message: &[u8]) -> Option<Vec<u8>> {
        let text: String = message.iter().map(|byte| char::from(byte.to_ascii_lowercase())).collect();
        match text {
            text if text == "exit" => None,
            text if text.contains("time") => Some(time_of_day().into_bytes()),
            text if text.contains("hello") => Some(b"Hello from the server! Connection established.".to_vec()),
            text if text.contains("status") => Some(b"Server is running smoothly on Rust.".to_vec()),
            _ => Some([b"ACK: Received '", message, b"'"].concat()),
        }
    }

    proptest! {
        #[test]
        fn any_cut_of_any_conversation_gives_what_the_oracle_gives(
            bursts in talk_bursts(&["hello", "HeLLo", "time", "stat", "us", "exit", "\nEXIT\n", "\u{20ac}"]),
            cuts in proptest::collection::vec(any::<usize>(), 0..4),
        ) {
            let expected = talk_oracle(&small_limits(), &bursts, oracle);
            for outcome in outcomes(&protocol(), &small_limits(), &bursts, &cuts) {
                prop_assert_eq!(&outcome, &expected);
            }
        }
    }
}
