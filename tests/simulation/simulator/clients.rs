//! The clients of a run: their kinds, and the acts of each kind.

use std::time::Duration;

use tinytcp_core::os::moment::Moment;

use super::channel::Sizes;
use super::choices::Choices;
use super::client::{Act, Client, Manner, ReadPattern, sizes};
use super::members;
use super::oracle::{Bounds, Language};
use super::plan::Plan;
use super::proxy::{Fate, Header};
use super::tls::Engine;
use super::traffic;

/// All kinds of clients, by their names in a report.
pub const KINDS: [&str; 17] = [
    "polite",
    "pipelining",
    "flooding",
    "dripping",
    "never reading",
    "slowly reading",
    "reading late",
    "half-closing",
    "resetting",
    "closing early",
    "lying about lengths",
    "of another protocol",
    "silent",
    "probing",
    "quitting with bytes after it",
    "pausing instead of ending lines",
    members::KIND,
];

/// The kinds that make a server hold memory.
const GREEDY_KINDS: [&str; 5] =
    ["never reading", "never reading", "reading late", "lying about lengths", "polite"];

/// Chooses the clients of a run.
pub fn choose(plan: &Plan, choices: &mut Choices) -> Vec<Client> {
    // Memory runs out only with many greedy clients.
    let (count, kinds): (_, &[_]) = match plan.is_memory_short() {
        true => (24 + choices.below(17), &GREEDY_KINDS),
        // Members of rooms take the places of other clients.
        false => (1 + choices.len(24), &KINDS[..KINDS.len() - 1]),
    };
    let count = if plan.has_crowd { members::CROWD } else { count };
    (0..count).map(|_| client(choices.pick(kinds), plan, choices)).collect()
}

fn client(kind: &'static str, plan: &Plan, choices: &mut Choices) -> Client {
    let listener = choices.below(plan.languages.len());
    let language = plan.languages[listener];
    let kind = match plan.has_rooms && members::speak(language) && choices.chance(800) {
        true => members::KIND,
        false => kind,
    };
    let mut manner = Manner {
        listener,
        reading: ReadPattern::Eager,
        piece_len: choices.pick(&[usize::MAX, 1 << 16, 1000, 7]),
        thinking: choices.pick(&[
            Duration::ZERO,
            Duration::from_micros(50),
            Duration::from_millis(5),
        ]),
        sizes: sizes(choices),
        is_stubborn: false,
    };
    let acts = acts(kind, &mut manner, language, plan.bounds(), choices);
    // A long transfer in small pieces takes many rounds, which find no more bugs than a few do.
    let said_len = acts
        .iter()
        .map(|act| if let Act::Send(bytes) = act { bytes.len() } else { 0 })
        .max()
        .unwrap_or(0);
    manner.piece_len = manner.piece_len.max(said_len / 40);
    manner.sizes.receive_max = manner.sizes.receive_max.max(said_len / 40);
    manner.sizes.send_max = manner.sizes.send_max.max(said_len / 40);
    let soon = choices.duration(SOON);
    let mut connects_at = Moment::START.after(choices.pick(&[Duration::ZERO, soon, LATER]));
    if plan.is_memory_short() {
        manner.sizes = Sizes { receive_max: 200_000, send_max: choices.pick(&[64, 3000]) };
        (manner.thinking, connects_at) = (Duration::ZERO, Moment::START.after(soon));
    }
    let header = plan.for_proxies[listener]
        .then(|| Header::choose(matches!(kind, "silent" | "probing"), choices));
    let mut engine = plan.security(listener).map(|security| {
        let has_old_version = choices.chance(300);
        Box::new(Engine::new(security.client(has_old_version)))
    });
    let is_unfinished = header.as_ref().is_some_and(|it| it.fate == Fate::IsUnfinished);
    let acts = match &mut engine {
        Some(engine) if !is_unfinished => engine.disguise(acts, choices),
        _ => acts,
    };
    let acts = match &header {
        Some(header) => after_header(header, acts, choices),
        None => acts,
    };
    let mut client = Client::new(kind, manner, acts, connects_at);
    (client.header, client.tls) = (header, engine);
    client
}

/// The acts of a client whose connection begins with `header`, which may come in two parts.
fn after_header(header: &Header, acts: Vec<Act>, choices: &mut Choices) -> Vec<Act> {
    let (first, rest) = header.bytes.split_at(choices.below(header.bytes.len() + 1));
    let mut begun = Vec::new();
    for part in [first, rest] {
        if !part.is_empty() {
            begun.push(Act::SendRaw(part.to_vec()));
        }
        if choices.chance(300) {
            begun.push(pause(choices));
        }
    }
    match header.fate {
        Fate::IsUnfinished if !header.bytes.is_empty() => {
            let end = if choices.chance(300) { Act::HalfClose } else { pause(choices) };
            with(begun, vec![end, Act::AwaitEnd])
        }
        _ => with(begun, acts),
    }
}

const SOON: Duration = Duration::from_millis(20);
const LATER: Duration = Duration::from_secs(3);

/// Returns the acts of a client of this kind, and adapts its `manner`.
fn acts(
    kind: &str,
    manner: &mut Manner,
    language: Language,
    bounds: Bounds,
    choices: &mut Choices,
) -> Vec<Act> {
    let messages = |len: usize, choices: &mut Choices| {
        Act::Send(traffic::messages(language, bounds, len, choices))
    };
    let some = |len_max: usize, choices: &mut Choices| {
        let len = if bounds.is_memory_short { len_max } else { choices.len(len_max) };
        messages(len, choices)
    };
    match kind {
        "polite" => {
            let mut acts = Vec::new();
            for _ in 0..1 + choices.below(6) {
                acts.extend([messages(1, choices), Act::AwaitAnswers, pause(choices)]);
            }
            acts.extend(goodbye(language, choices));
            acts
        }
        "pipelining" => with(vec![some(8000, choices)], goodbye(language, choices)),
        "flooding" => {
            manner.piece_len = usize::MAX;
            manner.sizes.receive_max = 1 << 20;
            let flood = Act::Send(traffic::flood(language, bounds, choices));
            with(vec![flood], goodbye(language, choices))
        }
        "dripping" => {
            (manner.piece_len, manner.thinking) = (1 + choices.below(3), Duration::from_millis(40));
            with(vec![messages(20, choices)], goodbye(language, choices))
        }
        "never reading" => {
            manner.reading = ReadPattern::Never;
            vec![some(70_000, choices), Act::AwaitEnd]
        }
        "slowly reading" => {
            let interval = choices.duration(Duration::from_millis(100));
            manner.reading = ReadPattern::Slow(500 + choices.len(5000), interval);
            with(vec![some(20_000, choices)], goodbye(language, choices))
        }
        "reading late" => {
            manner.reading = ReadPattern::NotBefore(Moment::START.after(choices.duration(LATER)));
            with(vec![messages(60_000, choices)], goodbye(language, choices))
        }
        "half-closing" => vec![some(3000, choices), Act::HalfClose, Act::AwaitEnd],
        "resetting" => vec![some(3000, choices), pause(choices), Act::Reset],
        "closing early" => vec![some(3000, choices), pause(choices), Act::Close],
        "lying about lengths" => {
            let end = if choices.chance(300) { Act::HalfClose } else { pause(choices) };
            vec![
                messages(1, choices),
                Act::Send(traffic::fragment(language, bounds, choices)),
                end,
                Act::AwaitEnd,
            ]
        }
        "of another protocol" => {
            vec![Act::Send(traffic::foreign(choices)), pause(choices), Act::AwaitEnd]
        }
        "silent" => vec![Act::AwaitEnd],
        "probing" => vec![pause(choices), Act::Close],
        "quitting with bytes after it" => {
            manner.is_stubborn = choices.chance(500);
            let mut bytes = traffic::messages(language, bounds, 1, choices);
            bytes.extend(traffic::farewell(language, choices));
            // Sometimes more than a lingering connection discards.
            let rest_len = if choices.chance(40) { 1_500_000 } else { choices.len(20_000) };
            manner.sizes.receive_max = manner.sizes.receive_max.max(rest_len / 10);
            bytes.extend(traffic::messages(language, bounds, rest_len, choices));
            vec![Act::Send(bytes), Act::HalfClose, Act::AwaitEnd]
        }
        members::KIND => members::acts(manner, language, bounds, choices),
        _ => {
            let mut acts = Vec::new();
            for _ in 0..1 + choices.below(4) {
                let fragment = traffic::fragment(language, bounds, choices);
                acts.extend([Act::Send(fragment), Act::AwaitAnswers, pause(choices)]);
            }
            with(acts, goodbye(language, choices))
        }
    }
}

/// Chooses one of the ways to end a conversation.
pub fn goodbye(language: Language, choices: &mut Choices) -> Vec<Act> {
    match choices.below(4) {
        0 => vec![Act::HalfClose, Act::AwaitEnd],
        1 => vec![Act::AwaitAnswers, Act::Close],
        2 => vec![Act::AwaitEnd],
        _ => vec![Act::Send(traffic::farewell(language, choices)), Act::AwaitEnd],
    }
}

pub fn pause(choices: &mut Choices) -> Act {
    Act::Pause(choices.pick(&[
        Duration::ZERO,
        Duration::from_millis(1),
        Duration::from_millis(30),
        Duration::from_millis(700),
    ]))
}

fn with(mut acts: Vec<Act>, more: Vec<Act>) -> Vec<Act> {
    acts.extend(more);
    acts
}
