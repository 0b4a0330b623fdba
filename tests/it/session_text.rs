//! A session of `text` without a network, compared with the model of its protocol.

use crate::support::text_model::{End, Given, conversation};
use proptest::prelude::*;
use tinytcp_core::close_reason::CloseReason;
use tinytcp_core::limits::Limits;
use tinytcp_core::protocol::text::Text;
use tinytcp_core::testing::{SessionHarness, Transcript, clock};

const LINE_BYTES_MAX: u32 = 40;

const TELNET: [&[u8]; 6] = [
    b"\xff\xfb\x20",
    b"\xff\xfd\x06",
    b"\xff\xf4",
    b"\xff\xfa\x1f\x00\x50\x00\x18\xff\xf0",
    b"\xff\xff",
    b"\xff",
];

/// Words, blanks, line ends, negotiation, lines at the limit, and any bytes.
fn part() -> impl Strategy<Value = Vec<u8>> {
    let one_of = |words: &'static [&'static str]| {
        proptest::sample::select(words).prop_map(|word| word.as_bytes().to_vec())
    };
    prop_oneof![
        6 => one_of(&[
            "TIME", "time", "Echo", "HELP", "status", "GET", "HTTP/1.1", "nope", "\u{20ac}",
            "ECHO ",
        ]),
        1 => one_of(&["QUIT\n", "qUit"]),
        1 => one_of(&["POST /", "put x", "/"]),
        4 => one_of(&[" ", " \t "]),
        5 => one_of(&["\n", "\r\n", "\n\n", "\r"]),
        2 => proptest::sample::select(&TELNET[..]).prop_map(<[u8]>::to_vec),
        1 => (34usize..=41).prop_map(|len| vec![b'x'; len]),
        2 => proptest::collection::vec(any::<u8>(), 0..4),
    ]
}

/// Returns the transcript of the model for `input`.
fn expected(input: &[u8]) -> Transcript {
    let status = SessionHarness::new(&Text::new(), &Limits::default()).feed(b"STATUS\n").answers();
    let status = status.strip_suffix(b"\n").expect("an answer is a line");
    let mut clock = clock();
    let given = Given { time: clock.date_and_time(), status };
    let (answers, end) = conversation(input, LINE_BYTES_MAX as usize, given);
    let closed = end.map(|end| match end {
        End::Quit => CloseReason::Quit,
        End::NotHttp => CloseReason::WrongProtocol,
    });
    Transcript { answers, closed }
}

/// Returns the transcript of `input` in pieces that end at `cuts`, with room for all answers or for
/// one.
fn transcript(input: &[u8], cuts: &[usize], is_output_nearly_full: bool) -> Transcript {
    let mut limits = Limits::default();
    limits.line_bytes_max = LINE_BYTES_MAX;
    let mut harness = SessionHarness::new(&Text::new(), &limits);
    harness.is_output_nearly_full = is_output_nearly_full;
    let places = cuts.iter().map(|cut| cut % (input.len() + 1)).chain([0, input.len()]);
    let mut places: Vec<usize> = places.collect();
    places.sort_unstable();
    places.windows(2).for_each(|ends| _ = harness.feed(&input[ends[0]..ends[1]]));
    harness.transcript()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_of_any_conversation_gets_the_answers_of_the_model(
        parts in proptest::collection::vec(part(), 0..30),
        cuts in proptest::collection::vec(any::<usize>(), 0..8),
    ) {
        let input = parts.concat();
        for is_output_nearly_full in [false, true] {
            prop_assert_eq!(&transcript(&input, &cuts, is_output_nearly_full), &expected(&input));
        }
    }
}
