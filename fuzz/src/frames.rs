//! The decoder of frames against one that reads byte by byte.

use tinytcp_core::wire::frame::{Front, HEADER_LEN, Header, front, payload};

use crate::plan::Plan;

/// The frames and the number of missing bytes are the same for every cut of the stream.
pub fn check(data: &[u8]) {
    let plan = Plan::new(data);
    let (mut input, mut found) = (Vec::new(), Vec::new());
    for piece in plan.pieces() {
        input.extend_from_slice(piece.bytes);
        while let Front::Frame { code, payload } = look(&input) {
            let frame = (code, payload.to_vec());
            let frame_len = HEADER_LEN + payload.len();
            assert_eq!(
                [&Header { code, payload_len: payload.len() as u32 }.encode(), payload].concat(),
                input[..frame_len]
            );
            input.drain(..frame_len);
            found.push(frame);
        }
    }
    assert_eq!((found, input.as_slice()), oracle(plan.stream));
}

/// Decodes the front of `input`, and checks the result against what follows from the header.
fn look(input: &[u8]) -> Front<'_> {
    let found = front(input);
    match found {
        Front::Incomplete { header: None, missing } => {
            assert_eq!(input.len() + missing, HEADER_LEN)
        }
        Front::Incomplete { header: Some(header), missing } => {
            assert_eq!(input.len() + missing, HEADER_LEN + header.payload_len as usize);
            assert_eq!(payload(input, header), Err(missing));
            assert!(missing > 0);
        }
        Front::Frame { .. } => {}
    }
    found
}

/// Returns all whole frames of `input`, and the rest.
fn oracle(mut input: &[u8]) -> (Vec<(u8, Vec<u8>)>, &[u8]) {
    let mut frames = Vec::new();
    loop {
        let mut bytes = input.iter().copied();
        let Some(code) = bytes.next() else { return (frames, input) };
        let mut claimed = 0;
        for _ in 0..4 {
            let Some(byte) = bytes.next() else { return (frames, input) };
            claimed = claimed * 256 + u64::from(byte);
        }
        if (bytes.len() as u64) < claimed {
            return (frames, input);
        }
        let payload: Vec<u8> = bytes.by_ref().take(claimed as usize).collect();
        input = &input[input.len() - bytes.len()..];
        frames.push((code, payload));
    }
}
