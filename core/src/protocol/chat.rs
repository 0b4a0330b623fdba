//! The protocol `chat`: answers to a few words, commands about rooms that begin with a slash, and
//! an acknowledgement of all other messages.

use std::fmt::Debug;
use std::io::Write;

use super::line_or_pause::LineOrPause;
use super::room_context::News;
use super::{Context, Next, Output, Protocol, errors};
use crate::display::plural::plural;
use crate::wire::line::{is_blank, skip_blanks};

/// The answer to a message with `hello`.
pub const GREETING: &str = "Hello from the server! Connection established.";
/// The answer to a message with `status`.
pub const STATUS: &str = "Server is running smoothly on Rust.";

/// Creates the protocol.
#[must_use]
pub const fn protocol() -> impl Protocol + Copy + Debug {
    LineOrPause::new("chat", answer).with_rooms(append_news)
}

/// Answers a message by the first rule that matches. Case does not matter.
fn answer(message: &[u8], context: &mut Context<'_>) -> Next {
    if message.eq_ignore_ascii_case(b"exit") {
        return Next::Close;
    }
    if message.first() == Some(&b'/')
        && let Some((run, argument)) = command(message)
    {
        let mark = context.output.len();
        if let Err(token) = run(argument, context) {
            context.output.truncate(mark);
            context.output.append(b"ERROR ");
            context.output.append(token.as_bytes());
        }
        return Next::Continue;
    }
    let output = &mut context.output;
    match topic(message) {
        Some(Topic::Time) => {
            output.append(b"Server Time: ");
            output.append(context.clock.time_of_day().as_bytes());
        }
        Some(Topic::Hello) => output.append(GREETING.as_bytes()),
        Some(Topic::Status) => output.append(STATUS.as_bytes()),
        None => {
            output.append(b"ACK: Received '");
            output.append(message);
            output.append(b"'");
        }
    }
    Next::Continue
}

/// Runs a command with its argument. Returns the token of an error, which replaces the answer.
type Run = fn(&[u8], &mut Context<'_>) -> Result<(), &'static str>;

/// The commands about rooms.
const COMMANDS: [(&[u8], Run); 5] =
    [(b"/join", join), (b"/leave", leave), (b"/say", say), (b"/nick", nick), (b"/who", who)];

/// Returns the command that begins `message`, and its argument without the blanks around it.
#[cold]
fn command(message: &[u8]) -> Option<(Run, &[u8])> {
    let end = message.iter().position(|byte| is_blank(*byte)).unwrap_or(message.len());
    let (word, rest) = message.split_at(end);
    let (_, run) = COMMANDS.iter().find(|(key, _)| word.eq_ignore_ascii_case(key))?;
    let mut argument = skip_blanks(rest);
    while let [front @ .., last] = argument
        && is_blank(*last)
    {
        argument = front;
    }
    Some((*run, argument))
}

fn join(room: &[u8], context: &mut Context<'_>) -> Result<(), &'static str> {
    context.join(required(room)?)?;
    context.output.append(b"Joined ");
    context.output.append(room);
    context.output.append(b" as ");
    context.append_own_name();
    context.output.append(b".");
    Ok(())
}

fn leave(_: &[u8], context: &mut Context<'_>) -> Result<(), &'static str> {
    let room = context.leave()?;
    // Writing to an output never fails.
    let _ = write!(context.output, "Left {room}.");
    Ok(())
}

fn say(text: &[u8], context: &mut Context<'_>) -> Result<(), &'static str> {
    let count = context.say(required(text)?)?;
    // Writing to an output never fails.
    let _ = write!(context.output, "Said to {}.", plural(count as u64, "member"));
    Ok(())
}

fn nick(name: &[u8], context: &mut Context<'_>) -> Result<(), &'static str> {
    if !name.is_empty() {
        context.rename(name)?;
    }
    context.output.append(b"You are ");
    context.append_own_name();
    context.output.append(b".");
    Ok(())
}

fn who(_: &[u8], context: &mut Context<'_>) -> Result<(), &'static str> {
    let count = context.member_count()?;
    context.reserve_for_names()?;
    // Writing to an output never fails.
    let _ = write!(context.output, "{}: ", plural(count as u64, "member"));
    context.append_member_names(", ");
    Ok(())
}

fn required(argument: &[u8]) -> Result<&[u8], &'static str> {
    if argument.is_empty() { Err(errors::BAD_ARGUMENTS) } else { Ok(argument) }
}

/// Appends news for a member of a room, without an ending.
fn append_news(output: &mut Output<'_>, news: News<'_>) {
    match news {
        News::Message { name, text } => {
            output.append_all([name, b": ", text]);
        }
        News::Missed(count) => {
            // Writing to an output never fails.
            let _ = write!(output, "Missed {}.", plural(count.into(), "message"));
        }
    }
}

/// The topic of a message, in the order of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Topic {
    Time,
    Hello,
    Status,
}

/// The words that decide the topic, in lower case.
const WORDS: [(&[u8], Topic); 3] =
    [(b"time", Topic::Time), (b"hello", Topic::Hello), (b"status", Topic::Status)];

/// How many positions are searched at once.
const STRIDE: usize = 32;

/// Returns the first topic whose word is in `message`.
fn topic(message: &[u8]) -> Option<Topic> {
    let mut first = None;
    for start in (0..message.len()).step_by(STRIDE) {
        let rest = message.get(start..).unwrap_or_default();
        if may_start_word(rest) {
            let found =
                WORDS.iter().find(|(word, _)| starts_word(rest, word)).map(|(_, topic)| *topic);
            first = first.into_iter().chain(found).min();
        }
        if first == Some(Topic::Time) {
            break;
        }
    }
    first
}

/// True if the first three letters of one of [`WORDS`] start within the first [`STRIDE`] bytes.
#[inline]
fn may_start_word(bytes: &[u8]) -> bool {
    if let Some(block) = bytes.first_chunk() {
        return holds_front(block);
    }
    let mut padded = [0; STRIDE + 2];
    if let Some(place) = padded.get_mut(..bytes.len()) {
        place.copy_from_slice(bytes);
    }
    holds_front(&padded)
}

/// True if `block` contains the first three letters of one of [`WORDS`].
///
/// It has no branch per byte, so the compiler compares 16 positions with one instruction, as long
/// as this function is not inlined.
#[inline(never)]
fn holds_front(block: &[u8; STRIDE + 2]) -> bool {
    let [_, seconds @ ..] = block;
    let [_, thirds @ ..] = seconds;
    let mut holds = false;
    for ((first, second), third) in block.iter().zip(seconds).zip(thirds) {
        let differs = |front: &[u8; 3]| {
            (first | 0x20) ^ front[0] | (second | 0x20) ^ front[1] | (third | 0x20) ^ front[2]
        };
        holds |= (differs(b"tim") == 0) | (differs(b"hel") == 0) | (differs(b"sta") == 0);
    }
    holds
}

/// True if `word` starts within the first [`STRIDE`] bytes.
fn starts_word(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).take(STRIDE).any(|place| place.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::super::conversations::{
        self, SessionHarness, assert_answers, assert_last_answers, small_limits, talk_bursts,
        talk_oracle, transcripts,
    };
    use super::*;
    use crate::close_reason::CloseReason;
    use crate::limits::Limits;
    use crate::rooms::model::LoneMember;
    use proptest::prelude::*;
    use std::cell::Cell;

    fn answers(input: impl AsRef<[u8]>, answers: impl AsRef<[u8]>) {
        assert_answers(&protocol(), &small_limits(), input.as_ref(), answers.as_ref());
    }

    fn time_of_day() -> String {
        format!("Server Time: {}", conversations::clock().time_of_day())
    }

    #[test]
    fn exit_closes_without_an_answer_in_any_case() {
        for exit in ["exit\n", "EXIT\r\n", "Exit\n"] {
            assert_last_answers(
                &protocol(),
                &small_limits(),
                exit.as_bytes(),
                b"",
                CloseReason::Quit,
            );
        }
        let mut harness = SessionHarness::new(&protocol(), &small_limits());
        assert_eq!(harness.feed(b"exit").fall_quiet().transcript().closed, Some(CloseReason::Quit));
    }

    #[test]
    fn only_exit_alone_is_exit() {
        answers("exit now\n", "ACK: Received 'exit now'\n");
        answers(" exit\n", "ACK: Received ' exit'\n");
    }

    #[test]
    fn a_message_with_time_is_answered_with_the_local_time_of_day() {
        for message in ["time", "What TIME is it?", "sometimes"] {
            answers(format!("{message}\n"), format!("{}\n", time_of_day()));
        }
    }

    #[test]
    fn a_message_with_hello_is_greeted() {
        answers("Well, HELLO!\n", "Hello from the server! Connection established.\n");
    }

    #[test]
    fn a_message_with_status_is_answered_with_the_status() {
        answers("Status?\r\n", "Server is running smoothly on Rust.\r\n");
    }

    #[test]
    fn the_first_rule_that_matches_counts() {
        answers("status, hello, time\n", format!("{}\n", time_of_day()));
        answers("status, hello\n", "Hello from the server! Connection established.\n");
    }

    #[test]
    fn a_word_is_found_at_any_position() {
        let limits = Limits { line_bytes_max: 400, ..small_limits() };
        let answer = |message: &str| {
            let mut harness = SessionHarness::new(&protocol(), &limits);
            String::from_utf8(harness.feed(format!("{message}\n").as_bytes()).answers())
                .expect("ASCII")
        };
        for start in 0..3 * STRIDE {
            for after in [0, 1, STRIDE] {
                let around = |word: &str| {
                    format!(
                        "{}{word}{}",
                        "hello statu tim ".repeat(6).split_at(start).0,
                        "x".repeat(after)
                    )
                };
                assert_eq!(
                    answer(&around("tIME")),
                    format!("{}\n", time_of_day()),
                    "{start} {after}"
                );
                let around = |word: &str| {
                    format!(
                        "{}{word}{}",
                        "stat ".repeat(20).split_at(start).0,
                        "status".repeat(after)
                    )
                };
                assert_eq!(answer(&around("HELLo")), format!("{GREETING}\n"), "{start} {after}");
                let around =
                    |word: &str| format!("{}{word}{}", "s".repeat(start), "hell tim".repeat(after));
                assert_eq!(answer(&around("StatuS")), format!("{STATUS}\n"), "{start} {after}");
            }
        }
    }

    #[test]
    fn any_other_message_is_acknowledged_byte_for_byte() {
        answers("good day\n", "ACK: Received 'good day'\n");
        answers("\n", "ACK: Received ''\n");
        answers(b"tim \xff\0 hell'o\n", b"ACK: Received 'tim \xff\0 hell'o'\n");
    }

    #[test]
    fn a_line_over_the_limit_is_an_error_whatever_its_words() {
        answers(
            format!("{}\nhello\n", "time ".repeat(9)),
            format!("ERROR LINE_TOO_LONG\n{GREETING}\n"),
        );
    }

    #[test]
    fn messages_to_a_member_have_the_line_end_of_its_last_message() {
        let mut harness = SessionHarness::new(&protocol(), &small_limits());
        harness.feed(b"/join tea\r\n").deliver("tea", "ann", "hi");
        assert_eq!(harness.answers(), b"Joined tea as guest-1.\r\nann: hi\r\n");
        harness.feed(b"ok\n").deliver("tea", "ann", "hi");
        assert_eq!(harness.answers(), b"ACK: Received 'ok'\nann: hi\n");
    }

    #[test]
    fn a_member_that_sends_no_line_end_gets_lines() {
        let mut harness = SessionHarness::new(&protocol(), &small_limits());
        harness.feed(b"hello").fall_quiet().feed(b"/join tea").fall_quiet();
        harness.deliver("tea", "ann", "hi").feed(b"/leave").fall_quiet().feed(b"x").fall_quiet();
        let answers = String::from_utf8(harness.answers()).expect("ASCII");
        let expected = [GREETING, "Joined tea as guest-1.\nann: hi\nLeft tea.ACK: Received 'x'"];
        assert_eq!(answers, expected.concat());
    }

    #[test]
    fn a_request_of_http_ends_the_conversation_before_any_command() {
        for request in [
            "GET / HTTP/1.1\r\n/join tea\r\n",
            "POST /x HTTP/1.1\r\n\r\n/join tea\n/say x\n",
            "BREW /pot HTTP/1.1\r\n/join tea\r\n",
            "POST http://a/ HTTP/1.1\r\n/join tea\r\n",
        ] {
            last_answers(request.as_bytes(), b"ERROR NOT_HTTP\r\n", CloseReason::WrongProtocol);
        }
        for (first, rest) in [("GET /x HT", "TP/1.1\n"), ("PO", "ST / HTTP/1.1\n")] {
            let mut harness = SessionHarness::new(&protocol(), &small_limits());
            harness.feed(first.as_bytes()).fall_quiet();
            harness.feed(rest.as_bytes()).feed(b"/join tea\n");
            assert_eq!(harness.closed(), Some(CloseReason::WrongProtocol), "{first}");
            let answers = String::from_utf8(harness.answers()).expect("ASCII");
            assert!(!answers.contains("Joined"), "{answers}");
        }
    }

    #[test]
    fn a_request_of_http_over_a_limit_ends_the_conversation() {
        for line_bytes_max in [1, 3, 5, 40] {
            let limits = Limits { line_bytes_max, ..small_limits() };
            let request = format!("POST /{} HTTP/1.1\r\n/join tea\n", "x".repeat(100));
            let mut harness = SessionHarness::new(&protocol(), &limits);
            request.bytes().for_each(|byte| {
                harness.feed(&[byte]);
            });
            assert_eq!(harness.closed(), Some(CloseReason::WrongProtocol), "{line_bytes_max}");
            assert_eq!(harness.answers(), b"ERROR NOT_HTTP\r\n");
        }
        let mut harness = SessionHarness::new(&protocol(), &small_limits());
        harness.feed(b"POST /xxx").refuse().feed(b"xx\n/join tea\n");
        assert_eq!(harness.answers(), b"ERROR NOT_HTTP\n");
    }

    fn last_answers(input: &[u8], answers: &[u8], reason: CloseReason) {
        assert_last_answers(&protocol(), &small_limits(), input, answers, reason);
    }

    fn oracle(message: &[u8], member: &mut LoneMember) -> Option<Vec<u8>> {
        let text: String =
            message.iter().map(|byte| char::from(byte.to_ascii_lowercase())).collect();
        match text {
            text if text == "exit" => None,
            _ if let Some(answer) = member.answer_message(message) => Some(answer.into_bytes()),
            text if text.contains("time") => Some(time_of_day().into_bytes()),
            text if text.contains("hello") => {
                Some(b"Hello from the server! Connection established.".to_vec())
            }
            text if text.contains("status") => {
                Some(b"Server is running smoothly on Rust.".to_vec())
            }
            _ => Some([b"ACK: Received '", message, b"'"].concat()),
        }
    }

    proptest! {
        #[test]
        fn any_split_of_any_conversation_agrees_with_the_oracle(
            bursts in talk_bursts(
                &["hello", "HeLLo", "time", "stat", "us", "exit", "\nEXIT\n", "\u{20ac}",
                    "/join tea", "/Leave", "/say ", "/nick ann", "/who"]
            ),
            cuts in proptest::collection::vec(any::<usize>(), 0..4),
        ) {
            let mut member = LoneMember::new(1, &small_limits());
            let is_member = Cell::new(false);
            let answer = |message: &[u8]| {
                let answer = oracle(message, &mut member);
                is_member.set(member.is_in_a_room());
                answer
            };
            let expected = talk_oracle(&small_limits(), &bursts, answer, &is_member, true);
            for transcript in transcripts(&protocol(), &small_limits(), &bursts, &cuts) {
                prop_assert_eq!(&transcript, &expected);
            }
        }
    }
}
