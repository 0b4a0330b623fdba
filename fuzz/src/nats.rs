//! The decoder of a broker's operations, cut in every way, against a naive one.

use tinytcp_core::wire::nats::{
    Decoder, Info, LINE_BYTES_MAX, Malformed, OPERATION_BYTES_MAX, Operation, PAYLOAD_BYTES_MAX,
};

use crate::plan::Plan;

/// The operations are the same for every cut of the stream, and so is the place where it is
/// malformed. Incomplete operations need bounded memory. A message has the subject and the payload
/// that its line claims.
pub fn check(data: &[u8]) {
    let plan = Plan::new(data);
    let (mut decoder, mut input, mut found) = (Decoder::default(), Vec::new(), Vec::new());
    let mut is_malformed = false;
    for piece in plan.pieces() {
        input.extend_from_slice(piece.bytes);
        is_malformed = is_malformed || decode_all(&mut decoder, &mut input, &mut found).is_err();
        assert!(is_malformed || input.len() < OPERATION_BYTES_MAX, "a wait without a bound");
    }
    let (mut whole, mut expected) = (plan.stream.to_vec(), Vec::new());
    let result = decode_all(&mut Decoder::default(), &mut whole, &mut expected);
    assert_eq!(is_malformed, result.is_err());
    assert_eq!(found, expected);
    compare(&expected, plan.stream);
}

/// Decodes and removes the operations at the front of `input`.
fn decode_all(
    decoder: &mut Decoder,
    input: &mut Vec<u8>,
    found: &mut Vec<String>,
) -> Result<(), Malformed> {
    loop {
        let (consumed, operation) = decoder.decode(input)?;
        if let Some(Operation::Info(json)) = operation {
            let _ = Info::parse(json);
        }
        found.extend(operation.map(|operation| format!("{operation:?}")));
        input.drain(..consumed);
        if consumed == 0 {
            return Ok(());
        }
    }
}

/// Compares the operations with those of a decoder that only splits lines. It stops at a line that
/// it cannot decode.
fn compare(found: &[String], mut stream: &[u8]) {
    for operation in found {
        let end = stream.iter().position(|byte| *byte == b'\n').expect("an operation has a line");
        assert!(end < LINE_BYTES_MAX);
        let line = String::from_utf8_lossy(&stream[..end]).to_ascii_uppercase();
        let words: Vec<&str> = line.split([' ', '\t', '\r']).filter(|it| !it.is_empty()).collect();
        stream = &stream[end + 1..];
        if let ["MSG" | "HMSG", .., total] = words[..] {
            let total: usize = total.parse().expect("a length");
            let is_oversized = operation == "Oversized";
            assert_eq!(is_oversized, total > PAYLOAD_BYTES_MAX, "{operation}");
            if !is_oversized {
                let body = format!("{:?}", &stream[..total]);
                assert!(words[0] == "HMSG" || operation.contains(&body), "{operation}");
            }
            stream = stream.get(total + 2..).unwrap_or_default();
        }
    }
}
