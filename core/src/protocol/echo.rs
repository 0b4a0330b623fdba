//! The protocol `echo`: each answer is a prefix and the message.

use std::fmt::Debug;

use super::line_or_pause::LineOrPause;
use super::{Context, Next, Protocol};

/// The prefix of each answer.
pub const PREFIX: &str = "Server received: ";

/// Creates the protocol.
#[must_use]
pub const fn protocol() -> impl Protocol + Copy + Debug {
    LineOrPause::new("echo", answer)
}

fn answer(message: &[u8], context: &mut Context<'_>) -> Next {
    context.output.append(PREFIX.as_bytes());
    context.output.append(message);
    Next::Continue
}

#[cfg(test)]
mod tests {
    use super::super::conversations::{
        SessionHarness, assert_answers, small_limits, talk_bursts, talk_oracle, transcripts,
    };
    use super::*;
    use proptest::prelude::*;

    fn answers(input: &[u8], answers: &[u8]) {
        assert_answers(&protocol(), &small_limits(), input, answers);
    }

    #[test]
    fn the_answer_is_the_prefix_and_the_message_with_its_ending() {
        answers(b"hello\n", b"Server received: hello\n");
        answers(b"hello\r\n", b"Server received: hello\r\n");
        let mut harness = SessionHarness::new(&protocol(), &small_limits());
        assert_eq!(harness.feed(b"hello").fall_quiet().answers(), b"Server received: hello");
    }

    #[test]
    fn any_bytes_are_returned_unchanged() {
        answers(b" \0\xff\xf4 \xc3\x28 \r.\n", b"Server received:  \0\xff\xf4 \xc3\x28 \r.\n");
    }

    #[test]
    fn an_empty_line_is_answered_with_the_prefix_alone() {
        answers(b"\n", b"Server received: \n");
    }

    #[test]
    fn the_answer_to_a_line_over_the_limit_is_only_an_error() {
        answers(
            &[&[b'x'; 41][..], b"\nhello\n"].concat(),
            b"ERROR LINE_TOO_LONG\nServer received: hello\n",
        );
    }

    #[test]
    fn no_word_ends_the_conversation() {
        answers(b"exit\nQUIT\n", b"Server received: exit\nServer received: QUIT\n");
    }

    proptest! {
        #[test]
        fn any_split_of_any_conversation_agrees_with_the_oracle(
            bursts in talk_bursts(&["hello", "exit", "\u{20ac}"]),
            cuts in proptest::collection::vec(any::<usize>(), 0..4),
        ) {
            let answer = |message: &[u8]| Some([b"Server received: ", message].concat());
            let expected = talk_oracle(&small_limits(), &bursts, answer, &false.into(), false);
            for transcript in transcripts(&protocol(), &small_limits(), &bursts, &cuts) {
                prop_assert_eq!(&transcript, &expected);
            }
        }
    }
}
