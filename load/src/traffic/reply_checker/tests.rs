//! Tests of the reply checker.

use std::time::Duration;

use proptest::collection;
use proptest::prelude::*;
use tinytcp_cli::target::ProtocolName;

use super::boundaries::ITEM_BYTES_MAX;
use super::*;
use crate::measurement::exchange::Exchanges;
use crate::traffic::messages::message::{ExpectedReply, Framing, ScriptMessage};
use crate::traffic::messages::protocols::{framing, greeting, message, numbered};
use crate::traffic::script::constant::Script;

const TEXT: ProtocolName = ProtocolName::Text;

fn script_of(protocol: ProtocolName, texts: &[&str]) -> Script {
    let messages: Vec<_> =
        texts.iter().map(|text| message(protocol, text).expect("a message")).collect();
    Script::new(&messages, 1, greeting(protocol), framing(protocol)).expect("messages")
}

/// Returns all findings in `pieces`, with `in_flight` requests and after the greeting.
/// Consecutive correct replies are added up.
fn findings(script: &Script, pieces: &[&[u8]], mut in_flight: usize) -> Vec<Finding> {
    let mut checker = ReplyChecker::new(script, 0);
    let mut found = Vec::new();
    for piece in [script.greeting()].iter().chain(pieces) {
        let mut bytes = *piece;
        while !bytes.is_empty() {
            let finding = checker.next(
                script,
                &mut bytes,
                in_flight,
                &mut Exchanges::default().log(Duration::ZERO, 0),
            );
            match (finding, found.last_mut()) {
                (Finding::Incomplete | Finding::Correct(0), _) => {}
                (Finding::Correct(more), Some(Finding::Correct(count))) => *count += more,
                _ => found.push(finding),
            }
            in_flight -= match finding {
                Finding::Correct(count) => count,
                Finding::Wrong | Finding::Foreign => 1,
                Finding::Overtaking(passed) => passed + 1,
                _ => 0,
            };
            if matches!(
                finding,
                Finding::Surplus | Finding::Unreadable | Finding::Rejected(_) | Finding::Closing(_)
            ) {
                return found;
            }
        }
    }
    found
}

#[test]
fn correct_replies_are_recognised_at_every_split() {
    let cases = [
        (
            script_of(TEXT, &["ECHO a", "TIME", "ECHO bcd"]),
            "ECHO a\nTIME 2025-09-12T17:24:13-05:00\nECHO bcd\n",
        ),
        (
            script_of(ProtocolName::Binary, &["echo hi", "rev ab", "echo"]),
            "\x01\0\0\0\x02hi\x01\0\0\0\x02ba\x01\0\0\0\0",
        ),
        (
            script_of(ProtocolName::Chat, &["time", "hello"]),
            "Server Time: 01:02:03\nHello from the server! Connection established.\n",
        ),
    ];
    for (script, bytes) in &cases {
        let bytes = bytes.as_bytes();
        let right = findings(script, &[bytes], 5);
        assert_eq!(right.len(), 1, "{right:?} {}", bytes.escape_ascii());
        assert_eq!(findings(script, &bytes.chunks(1).collect::<Vec<_>>(), 5), right);
        for at in 0..bytes.len() {
            assert_eq!(findings(script, &[&bytes[..at], &bytes[at..]], 5), right, "split at {at}");
        }
    }
}

#[test]
fn each_wrong_reply_has_its_kind_and_the_next_is_correct() {
    use Finding::*;
    let far: Vec<String> = (0..200).map(|number| format!("ECHO far{number}")).collect();
    let near = ["ECHO a", "ECHO b", "ECHO c", "ECHO d"];
    let script = script_of(
        TEXT,
        &near.into_iter().chain(far.iter().map(String::as_str)).collect::<Vec<_>>(),
    );
    let cases: [(&str, usize, &[Finding]); 6] = [
        ("ECHO a\nERROR OOPS\nECHO c\n", 3, &[Correct(1), Wrong, Correct(1)]),
        ("ECHO aX\nECHO b\n", 2, &[Wrong, Correct(1)]),
        ("ECHO a\nECHO a\nECHO b\n", 3, &[Correct(1), Repeated, Correct(1)]),
        ("ECHO a\nECHO c\nECHO b\nECHO d\n", 4, &[Correct(1), Overtaking(1), Repeated, Correct(1)]),
        ("ECHO far100\nECHO b\n", 2, &[Foreign, Correct(1)]),
        ("ECHO a\nECHO b\n", 1, &[Correct(1), Surplus]),
    ];
    for (replies, in_flight, expected) in cases {
        assert_eq!(findings(&script, &[replies.as_bytes()], in_flight), expected, "{replies:?}");
        let bytewise: Vec<&[u8]> = replies.as_bytes().chunks(1).collect();
        assert_eq!(findings(&script, &bytewise, in_flight), expected, "{replies:?}, byte by byte");
    }
}

#[test]
fn a_full_server_sends_busy_in_place_of_the_greeting() {
    let script = script_of(TEXT, &["TIME"]);
    let mut checker = ReplyChecker::new(&script, 0);
    assert_eq!(
        checker.next(
            &script,
            &mut b"ERROR SERVER_BUSY\n".as_slice(),
            1,
            &mut Exchanges::default().log(Duration::ZERO, 0)
        ),
        Finding::Rejected(ConnectError::Busy)
    );
    let binary = script_of(ProtocolName::Binary, &["echo x"]);
    let mut checker = ReplyChecker::new(&binary, 0);
    assert_eq!(
        checker.next(
            &binary,
            &mut b"\xff\0\0\0\x0bSERVER_BUSY".as_slice(),
            1,
            &mut Exchanges::default().log(Duration::ZERO, 0)
        ),
        Finding::Rejected(ConnectError::Busy)
    );
}

#[test]
fn closing_messages_are_not_replies_in_any_protocol() {
    for protocol in [TEXT, ProtocolName::Echo, ProtocolName::Chat] {
        let script = script_of(protocol, &["hello"]);
        for in_flight in [0, 1] {
            let found = |bytes: &[u8]| findings(&script, &[bytes], in_flight);
            assert_eq!(
                found(b"ERROR IDLE_TIMEOUT\n"),
                [Finding::Closing(ConnectionEnd::IdleTimeout)],
                "{protocol:?}"
            );
            assert_eq!(
                found(b"ERROR MESSAGE_TIMEOUT\n"),
                [Finding::Closing(ConnectionEnd::MessageTimeout)]
            );
        }
    }
    assert_eq!(
        findings(&script_of(TEXT, &["NOOP"]), &[b"BYE\n"], 1),
        [Finding::Closing(ConnectionEnd::Shutdown)]
    );
    let frame = b"\xff\0\0\0\x0cIDLE_TIMEOUT";
    let binary = script_of(ProtocolName::Binary, &["echo x"]);
    assert_eq!(findings(&binary, &[frame], 0), [Finding::Closing(ConnectionEnd::IdleTimeout)]);
}

#[test]
fn an_expected_closing_message_is_a_correct_reply() {
    let raw = ScriptMessage {
        request: b"QUIT\n".to_vec(),
        reply: ExpectedReply::Exact(b"BYE\n".to_vec()),
    };
    let script = Script::new(&[raw], 1, b"", Framing::Lines).expect("a message");
    assert_eq!(findings(&script, &[b"B", b"YE\n"], 1), [Finding::Correct(1)]);
}

/// Returns the kept exchanges after `bytes`, with one request in flight.
fn kept(script: &Script, bytes: &[u8]) -> Vec<Exchange> {
    let (mut checker, mut exchanges, mut bytes) =
        (ReplyChecker::new(script, 0), Exchanges::default(), bytes);
    while !bytes.is_empty()
        && !matches!(
            checker.next(script, &mut bytes, 1, &mut exchanges.log(Duration::ZERO, 0)),
            Finding::Unreadable | Finding::Wrong
        )
    {}
    checker.keep_unfinished(ReplyError::Late, script, &mut exchanges.log(Duration::ZERO, 0));
    exchanges.iter().cloned().collect()
}

#[test]
fn a_wrong_reply_is_kept_with_its_request_and_expected_reply() {
    let exchanges =
        kept(&script_of(TEXT, &["ECHO a"]), &[greeting(TEXT), b"ECHO b\x07\n"].concat());
    let shown = (&exchanges[0].sent[..], &exchanges[0].expected[..], &exchanges[0].got[..]);
    assert_eq!(shown, (r"ECHO a\n", r"ECHO a\n", r"ECHO b\x07\n"));
    assert_eq!((&exchanges[0].cause[..], &exchanges[0].hint), ("wrong", &None));
}

#[test]
fn bytes_of_another_protocol_are_kept_with_a_hint() {
    for (protocol, bytes, part) in [
        (ProtocolName::Echo, &b"$11 and no line ever"[..], "20 bytes arrived that are not a line"),
        (
            ProtocolName::Binary,
            b"HTTP/1.1 400 Bad Request",
            "24 bytes arrived that are not a frame",
        ),
        (TEXT, b"-ERR unknown command\r\n", "no greeting arrived"),
    ] {
        let exchanges = kept(&script_of(protocol, &["echo a"]), bytes);
        let hint = exchanges[0].hint.clone().unwrap_or_default();
        assert_eq!(hint, format!("{}: is it another protocol?", part), "{exchanges:?}");
    }
}

#[test]
fn a_wrong_greeting_makes_the_connection_unreadable() {
    let script = script_of(TEXT, &["TIME"]);
    let mut checker = ReplyChecker::new(&script, 0);
    let mut bytes: &[u8] = b"WELCOME";
    assert_eq!(
        checker.next(&script, &mut bytes, 1, &mut Exchanges::default().log(Duration::ZERO, 0)),
        Finding::Incomplete
    );
    let mut bytes: &[u8] = b" to another place\n";
    assert_eq!(
        checker.next(&script, &mut bytes, 1, &mut Exchanges::default().log(Duration::ZERO, 0)),
        Finding::Unreadable
    );
}

#[test]
fn a_wrong_reply_of_unknown_framing_is_unreadable() {
    let raw =
        ScriptMessage { request: b"PING".to_vec(), reply: ExpectedReply::Exact(b"PONG".to_vec()) };
    let script = Script::new(&[raw], 1, b"", Framing::Unknown).expect("a message");
    assert_eq!(
        findings(&script, &[b"PO", b"NGPONK"], 2),
        [Finding::Correct(1), Finding::Unreadable]
    );
    assert_eq!(findings(&script, &[b"PONGPONG"], 1), [Finding::Correct(1), Finding::Surplus]);
}

#[test]
fn a_delimiter_may_arrive_in_pieces() {
    let raw = ScriptMessage {
        request: b"INCR x\r\n".to_vec(),
        reply: ExpectedReply::Until(b"\r\n".to_vec()),
    };
    let script = Script::new(&[raw], 1, b"", Framing::Unknown).expect("a message");
    assert_eq!(findings(&script, &[b":1\r", b"\n:", b"2\r\n"], 2), [Finding::Correct(2)]);
}

#[test]
fn an_endless_reply_is_not_kept_forever() {
    let script = script_of(TEXT, &["ECHO a"]);
    let endless = vec![b'x'; ITEM_BYTES_MAX + 100];
    assert_eq!(findings(&script, &[&endless], 1), [Finding::Unreadable]);
}

proptest! {
    #[test]
    fn any_split_of_correct_replies_counts_all_of_them(
        sizes in collection::vec(0usize..40, 1..20),
        cuts in collection::vec(1usize..50, 1..40),
    ) {
        let message = |(n, size): (usize, &usize)| numbered(TEXT, *size, n).expect("letters");
        let messages: Vec<_> = sizes.iter().enumerate().map(message).collect();
        let script = Script::new(&messages, 1, b"", Framing::Lines).expect("messages");
        let stream: Vec<u8> =
            messages.iter().flat_map(|message| message.request.clone()).collect();
        let (mut pieces, mut rest) = (Vec::new(), stream.as_slice());
        for cut in cuts {
            let (piece, others) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = others;
        }
        pieces.push(rest);
        let expected = [Finding::Correct(messages.len())];
        prop_assert_eq!(findings(&script, &pieces, messages.len()), expected);
    }

    #[test]
    fn random_bytes_never_break_the_checker(
        pieces in collection::vec(collection::vec(any::<u8>(), 0..60), 0..12),
        protocol in 0usize..4,
        in_flight in 0usize..2000,
    ) {
        let protocol = ProtocolName::ALL[protocol];
        let message = numbered(protocol, 3, 0).expect("letters");
        let script = Script::new(&[message], 1, b"", framing(protocol)).expect("a message");
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        findings(&script, &pieces, in_flight);
    }
}
