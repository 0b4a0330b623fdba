//! Tests of the decoder and of what the encoder appends.

use proptest::prelude::*;

use super::*;

/// Decodes `stream` in pieces of `lens` bytes, cyclically. Returns the operations as text.
fn decode_in_pieces(stream: &[u8], lens: &[usize]) -> Result<Vec<String>, Malformed> {
    let mut decoder = Decoder::default();
    let (mut start, mut end, mut found) = (0, 0, Vec::new());
    let mut lens = lens.iter().cycle();
    loop {
        let (consumed, operation) = decoder.decode(&stream[start..end])?;
        found.extend(operation.map(|operation| format!("{operation:?}")));
        start += consumed;
        if consumed > 0 {
            continue;
        }
        if end == stream.len() {
            return Ok(found);
        }
        end = (end + lens.next().expect("a cycle")).min(stream.len());
    }
}

fn decode_one(stream: &[u8]) -> Result<(usize, Option<Operation<'_>>), Malformed> {
    Decoder::default().decode(stream)
}

#[test]
fn each_operation_of_a_broker_is_decoded_whole() {
    let message = |subject, payload| Operation::Message { subject, payload };
    for (bytes, operation) in [
        (&b"INFO {\"port\":1} \r\n"[..], Operation::Info(b"{\"port\":1}")),
        (b"MSG a.b 9 5\r\nhello\r\n", message(b"a.b", b"hello")),
        (b"msg\ta.b  9 reply.to\t5\r\nhe\r\no\r\n", message(b"a.b", b"he\r\no")),
        (b"MSG a 9 0\r\n\r\n", message(b"a", b"")),
        (b"HMSG a 9 12 17\r\nNATS/1.0\r\n\r\nhello\r\n", message(b"a", b"hello")),
        (b"HMSG a 9 re 12 12\r\nNATS/1.0\r\n\r\n\r\n", message(b"a", b"")),
        (b"PING\r\n", Operation::Ping),
        (b"pong\n", Operation::Pong),
        (b"+OK\r\n", Operation::Ok),
        (b"-ERR 'Stale Connection'\r\n", Operation::Error(b"Stale Connection")),
        (b"-ERR\r\n", Operation::Error(b"")),
    ] {
        assert_eq!(decode_one(bytes), Ok((bytes.len(), Some(operation))));
        for len in 0..bytes.len() {
            assert_eq!(decode_one(&bytes[..len]), Ok((0, None)), "{}", bytes.escape_ascii());
        }
    }
}

#[test]
fn bytes_of_another_protocol_are_malformed_at_once() {
    for bytes in
        [&b"\x16\x03\x01"[..], b"HTTP", b"GET ", b"MSGS", b"+OKAY", b"\n", b" PING", b"PI G"]
    {
        assert_eq!(decode_one(bytes), Err(Malformed), "{}", bytes.escape_ascii());
    }
}

#[test]
fn wrong_fields_of_a_message_are_malformed() {
    for bytes in [
        &b"MSG\r\n"[..],
        b"MSG a 5\r\n",
        b"MSG a 9 x\r\n",
        b"MSG a 9 -1\r\n",
        b"MSG a 9 +1\r\n",
        b"MSG a 9 r r 5\r\n",
        b"MSG a 9 99999999999\r\n",
        b"MSG a 9 5\r\nhello!\n",
        b"MSG a 9 5\r\nhello\n\n",
        b"HMSG a 9 5\r\n",
        b"HMSG a 9 6 5\r\n",
    ] {
        assert_eq!(decode_one(bytes), Err(Malformed), "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_line_without_an_end_is_malformed_at_its_bound() {
    let mut line = b"INFO ".to_vec();
    line.resize(LINE_BYTES_MAX - 1, b'x');
    assert_eq!(decode_one(&line), Ok((0, None)));
    line.push(b'\n');
    assert!(matches!(decode_one(&line), Ok((LINE_BYTES_MAX, Some(_)))));
    line.pop();
    line.extend_from_slice(b"x\r\n");
    assert_eq!(decode_one(&line), Err(Malformed));
}

#[test]
fn after_a_payload_over_the_bound_the_next_operation_follows() {
    let stream = |len: usize| {
        [format!("MSG a 9 {len}\r\n").as_bytes(), &vec![b'x'; len], b"\r\nPING\r\n"].concat()
    };
    let over = decode_in_pieces(&stream(PAYLOAD_BYTES_MAX + 1), &[1000]);
    assert_eq!(over, Ok(vec!["Oversized".to_owned(), "Ping".to_owned()]));
    let longest = stream(PAYLOAD_BYTES_MAX);
    let (consumed, operation) = decode_one(&longest).expect("the longest payload");
    assert!(matches!(operation, Some(Operation::Message { payload, .. })
        if payload.len() == PAYLOAD_BYTES_MAX));
    assert!(consumed <= OPERATION_BYTES_MAX);
}

#[test]
fn the_operations_of_a_client_have_the_form_of_the_reference() {
    let mut output = Vec::new();
    append_connect(&mut output, "{}");
    append_sub(&mut output, "a.b", 7);
    append_unsub(&mut output, 7);
    append_pub(&mut output, "a.b", 5, |output| output.extend_from_slice(b"hello"));
    append_ping(&mut output);
    append_pong(&mut output);
    let expected = "CONNECT {}\r\nSUB a.b 7\r\nUNSUB 7\r\nPUB a.b 5\r\nhello\r\nPING\r\nPONG\r\n";
    assert_eq!(str::from_utf8(&output), Ok(expected));
}

/// Operations of a broker as bytes.
fn operations() -> impl Strategy<Value = Vec<u8>> {
    let message = (0..300usize, any::<bool>()).prop_map(|(len, has_reply)| {
        let reply = if has_reply { "reply " } else { "" };
        let payload = (0..len).map(|at| b"ab\r\n '5"[at % 7]).collect::<Vec<_>>();
        [format!("MSG room 3 {reply}{len}\r\n").as_bytes(), &payload, b"\r\n"].concat()
    });
    let line = prop_oneof![
        Just(b"PING\r\n".to_vec()),
        Just(b"+OK\r\n".to_vec()),
        Just(b"-ERR 'Slow Consumer'\r\n".to_vec()),
        Just(b"INFO {\"max_payload\":7}\r\n".to_vec()),
        Just(b"HMSG a 9 12 14\r\nNATS/1.0\r\n\r\nab\r\n".to_vec()),
    ];
    proptest::collection::vec(prop_oneof![message, line], 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn the_pieces_of_the_network_do_not_change_the_operations(
        stream in operations(),
        lens in proptest::collection::vec(1..40usize, 1..8),
    ) {
        let whole = decode_in_pieces(&stream, &[usize::MAX / 2]);
        prop_assert!(whole.is_ok());
        prop_assert_eq!(decode_in_pieces(&stream, &lens), whole);
    }

    #[test]
    fn any_bytes_are_decoded_or_malformed_in_any_pieces(
        stream in "(MSG|HMSG|PING|-ERR|INFO|[a-c0-9 \r\n'.]){0,20}",
        lens in proptest::collection::vec(1..9usize, 1..5),
    ) {
        let whole = decode_in_pieces(stream.as_bytes(), &[1000]);
        prop_assert_eq!(decode_in_pieces(stream.as_bytes(), &lens), whole);
    }
}
