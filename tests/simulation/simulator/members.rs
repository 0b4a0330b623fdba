//! Clients that join rooms and talk there.

use std::time::Duration;

use tinytcp_core::os::moment::Moment;
use tinytcp_core::testing::Request;

use super::choices::Choices;
use super::client::{Act, Manner, ReadPattern};
use super::clients::{goodbye, pause};
use super::oracle::binary::frame;
use super::oracle::{Bounds, Language};
use super::traffic;

/// The name of their kind in a report.
pub const KIND: &str = "talking in rooms";

/// The number of clients in a crowd: more than one portion of a wave.
pub const CROWD: usize = 60;

/// Most of them are in the first one.
const ROOMS: [&str; 4] = ["tea", "tea", "tea", "pot"];

/// Few names, so that some are taken. In lower case, as the oracle demands of them.
const NAMES: [&str; 5] = ["ann", "bob", "cy", "guest-", "not-a-guest"];

/// True if a protocol has rooms.
pub fn speak(language: Language) -> bool {
    matches!(language, Language::Text | Language::Binary | Language::Chat)
}

/// Returns the acts of a member, and adapts its `manner`.
pub fn acts(
    manner: &mut Manner,
    language: Language,
    bounds: Bounds,
    choices: &mut Choices,
) -> Vec<Act> {
    manner.reading = reading(choices);
    let mut acts = Vec::new();
    if choices.chance(100) {
        acts.push(some_command(language, bounds, choices));
    }
    acts.push(join(language, choices));
    for _ in 0..1 + choices.below(8) {
        acts.push(match choices.below(10) {
            0 => some_command(language, bounds, choices),
            1 => Act::Send(traffic::messages(language, bounds, 1, choices)),
            2 => Act::AwaitAnswers,
            3 | 4 => pause(choices),
            _ => say(language, bounds, choices),
        });
        // Without an ending, a pause ends the message.
        if language == Language::Chat && choices.chance(300) {
            let unended = command(language, Request::Say, "without an ending", b"");
            let wait = Act::Pause(Duration::from_millis(choices.pick(&[700, 1])));
            acts.extend([Act::Send(unended), wait, Act::Send(b"\n".to_vec())]);
        }
    }
    acts.extend(end(language, choices));
    acts
}

fn reading(choices: &mut Choices) -> ReadPattern {
    match choices.below(7) {
        0 => ReadPattern::Never,
        1 => {
            let interval = choices.duration(Duration::from_millis(100));
            ReadPattern::Slow(500 + choices.len(5000), interval)
        }
        2 => {
            let late = choices.duration(Duration::from_secs(3));
            ReadPattern::NotBefore(Moment::START.after(late))
        }
        _ => ReadPattern::Eager,
    }
}

fn end(language: Language, choices: &mut Choices) -> Vec<Act> {
    match choices.below(5) {
        0 => vec![Act::Reset],
        1 => vec![Act::Close],
        2 => {
            let mut bytes = command(language, Request::Say, "bye", b"\n");
            bytes.extend(traffic::farewell(language, choices));
            bytes.extend(command(language, Request::Say, "never", b"\n"));
            vec![Act::Send(bytes), Act::AwaitEnd]
        }
        _ => goodbye(language, choices),
    }
}

fn join(language: Language, choices: &mut Choices) -> Act {
    let room = choices.pick(&ROOMS);
    Act::Send(command(language, Request::Join, room, ending(choices)))
}

/// Returns a command that sends no message; some are refused.
fn some_command(language: Language, bounds: Bounds, choices: &mut Choices) -> Act {
    let long = "x".repeat(bounds.line_max.min(5000));
    let (request, argument) = match choices.below(9) {
        0 => return join(language, choices),
        1 => (Request::Leave, ""),
        2 | 3 => (Request::Nick, choices.pick(&NAMES)),
        4 => (Request::Nick, ""),
        5 => (Request::Say, "\u{1b}[2J"),
        6 => (Request::Say, long.as_str()),
        7 => (Request::Join, "no room"),
        _ => (Request::Who, ""),
    };
    Act::Send(command(language, request, argument, ending(choices)))
}

/// Returns a burst of SAY commands.
fn say(language: Language, bounds: Bounds, choices: &mut Choices) -> Act {
    let count = choices.pick(&[1usize, 3, 60]);
    let line_max = if language == Language::Binary { bounds.frame_max } else { bounds.line_max };
    let len_max = line_max.saturating_sub(10).min(6000 / count);
    let rest = "x".repeat(choices.len(len_max));
    let mut bytes = Vec::new();
    for _ in 0..count {
        let text = format!("{}{rest}", choices.below(10_000));
        bytes.extend(command(language, Request::Say, &text, b"\n"));
    }
    Act::Send(bytes)
}

fn ending(choices: &mut Choices) -> &'static [u8] {
    choices.pick(&[&b"\n"[..], b"\n", b"\r\n"])
}

/// Returns a command as a protocol sends it.
fn command(language: Language, request: Request, argument: &str, ending: &[u8]) -> Vec<u8> {
    if language == Language::Binary {
        return frame(request.code(), argument.as_bytes());
    }
    let slash = if language == Language::Chat { "/" } else { "" };
    [format!("{slash}{} {argument}", request.word()).as_bytes(), ending].concat()
}
