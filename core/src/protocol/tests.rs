//! Tests of the rules that all protocols share.

use super::conversations::{SessionHarness, small_limits};
use super::*;

#[test]
fn every_built_in_protocol_has_its_name_as_scheme_and_a_port() {
    let named: Vec<_> = BUILT_IN.iter().map(|entry| (entry.scheme, entry.default_port)).collect();
    assert_eq!(named, [("text", 40_000), ("binary", 65_432), ("echo", 8_888), ("chat", 9_999)]);
    for entry in &BUILT_IN {
        assert_eq!((entry.build)().name(), entry.scheme);
    }
}

#[test]
fn only_echo_and_chat_end_messages_by_quiet() {
    let by_quiet: Vec<_> = BUILT_IN
        .iter()
        .filter(|entry| (entry.build)().ends_messages_by_quiet())
        .map(|entry| entry.scheme)
        .collect();
    assert_eq!(by_quiet, ["echo", "chat"]);
}

/// A protocol that implements only the required methods. It waits for a message that never
/// ends.
struct Plain;

impl Protocol for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn session(&self, _accepted: &Accepted) -> Box<dyn Session> {
        Box::new(Self)
    }

    fn own_places(&self) -> Option<usize> {
        Some(1)
    }

    fn ends_messages_by_quiet(&self) -> bool {
        true
    }
}

impl Session for Plain {
    fn advance(&mut self, _input: &[u8], _context: &mut Context<'_>) -> (usize, Step) {
        (0, Step::Incomplete { missing: None })
    }
}

#[test]
fn a_session_is_silent_and_drops_refused_messages_by_default() {
    // An `Arc` behaves as the protocol in it.
    let plain: Arc<dyn Protocol> = Arc::new(Plain);
    assert_eq!((plain.name(), plain.own_places()), ("plain", Some(1)));
    assert!(plain.ends_messages_by_quiet());
    let mut harness = SessionHarness::new(&plain, &small_limits());
    harness.greet().feed(b"half").fall_quiet();
    assert_eq!((harness.step, harness.messages), (Step::Incomplete { missing: None }, 0));
    harness.feed(b"another").refuse().append_farewell(Farewell::IdleTimeout);
    assert_eq!((harness.input.as_slice(), harness.messages), (&b""[..], 1));
    assert_eq!(harness.answers(), b"");
}

#[test]
fn the_end_of_input_does_not_run_half_a_line_or_frame() {
    let halves: [(&dyn Protocol, &[u8]); 2] =
        [(&text::Text::new(), b"TIME"), (&binary::Binary::new(), &[2, 0, 0])];
    for (protocol, half) in halves {
        let mut harness = SessionHarness::new(protocol, &small_limits());
        assert_eq!(harness.feed(half).fall_quiet().answers(), b"");
    }
}

#[test]
fn bytes_that_do_not_complete_a_message_do_not_end_it() {
    // Pieces of messages, and whether a message ends in each piece.
    type Pieces = &'static [(&'static [u8], bool)];
    let cases: [(&str, Pieces); 9] = [
        ("text", &[(b"TI", false), (b"M", false), (b"E", false), (b"\n", true)]),
        ("text", &[(b"TIME\nTI", true), (b"ME", false), (b"\r", false), (b"\n", true)]),
        ("text", &[(b" \nTI", true), (b"ME", false)]),
        ("text", &[(&[b'x'; 41], false), (b"more", false), (b"\nx", true), (b"x", false)]),
        ("binary", &[(&[1, 0], false), (&[0, 0, 2, 7], false), (&[7, 1], true), (&[0], false)]),
        ("binary", &[(&[9, 0, 0, 0, 3, 7], false), (&[7], false), (&[7, 1], true)]),
        ("binary", &[(&[9, 0, 0, 0, 0, 1], true), (&[0], false)]),
        ("echo", &[(b"he", false), (b"llo", false), (b"\nhe", true), (b"llo", false)]),
        ("chat", &[(&[b'x'; 41], false), (b"more", false), (b"\n", true)]),
    ];
    for (scheme, pieces) in cases {
        let entry = BUILT_IN.iter().find(|entry| entry.scheme == scheme).expect("built in");
        let mut harness = SessionHarness::new(&*(entry.build)(), &small_limits());
        for (piece, ends) in pieces {
            harness.feed(piece);
            assert_eq!(
                harness.has_ended_a_message,
                *ends,
                "{scheme} at \"{}\"",
                piece.escape_ascii()
            );
        }
    }
}

#[test]
fn a_cut_between_any_two_bytes_changes_no_answer() {
    // The critical places of each protocol: inside a word, before an ending, in a header.
    let places: [(&str, &[u8], &[u8]); 4] = [
        ("text", b"ECH", b"O x\nECHO y\n"),
        ("text", b"ECHO x", b"\nECHO y\n"),
        ("binary", b"\x01\0\0", b"aaaaaaaaaaaaa\x01\0\0\0\x01b"),
        ("echo", b"x", b"\ny\n"),
    ];
    // All pairs in CI, and elsewhere those in which a byte has a meaning of its own.
    let meaningful = b"\0\x01\x02\x03\x05\t\n\r \"':EO\xc3\xef\xf1\xfa\xfb\xfe\xff";
    let is_full = std::env::var_os("TINYTCP_TEST_FULL").is_some();
    let is_tried = |byte| is_full || meaningful.contains(&byte);
    for (scheme, before, after) in places {
        let entry = BUILT_IN.iter().find(|entry| entry.scheme == scheme).expect("built in");
        let protocol = (entry.build)();
        let heard = |pieces: [&[u8]; 2]| {
            let mut harness = SessionHarness::new(&*protocol, &small_limits());
            for piece in pieces {
                harness.feed(piece);
            }
            harness.fall_quiet().transcript()
        };
        for pair in 0..=u16::MAX {
            let [first, second] = pair.to_be_bytes();
            if !is_tried(first) && !is_tried(second) {
                continue;
            }
            let (front, back) = ([before, &[first]].concat(), [&[second], after].concat());
            let whole = heard([&[front.as_slice(), &back].concat(), b""]);
            assert_eq!(heard([&front, &back]), whole, "{scheme}: {first:#x} {second:#x}");
        }
    }
}

#[test]
fn every_protocol_pauses_while_the_output_is_full() {
    let frame: &[u8] = &[1, 0, 0, 0, 1, b'a'];
    let cases: [(&str, &[u8], &[u8]); 4] = [
        ("text", b"ECHO a\n", b"ECHO a\n"),
        ("binary", frame, frame),
        ("echo", b"a\n", b"Server received: a\n"),
        ("chat", b"a\n", b"ACK: Received 'a'\n"),
    ];
    for (scheme, message, answer) in cases {
        let entry = BUILT_IN.iter().find(|entry| entry.scheme == scheme).expect("built in");
        let mut harness = SessionHarness::new(&*(entry.build)(), &small_limits());
        harness.input = message.repeat(3);
        harness.advance(crate::limits::HIGH_WATER_BYTES);
        assert_eq!((harness.step, harness.answers()), (Step::Paused, vec![]), "{scheme}");
        harness.advance(crate::limits::HIGH_WATER_BYTES - 1);
        assert_eq!((harness.step, harness.answers()), (Step::Paused, answer.to_vec()), "{scheme}");
        harness.advance(0);
        assert_eq!((harness.step, harness.answers()), (Step::Done, answer.repeat(2)), "{scheme}");
    }
}
