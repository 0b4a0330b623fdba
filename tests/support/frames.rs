//! Frames of the binary protocol, put together by hand.

pub use tinytcp_core::protocol::binary::{ECHO, ERROR, QUIT, REVERSE, STATUS};

/// A header that claims `payload_len` bytes, without a payload.
pub fn header(code: u8, payload_len: usize) -> Vec<u8> {
    let payload_len = u32::try_from(payload_len).expect("a length that a header can claim");
    let mut header = vec![code];
    header.extend(payload_len.to_be_bytes());
    header
}

/// A whole frame.
pub fn frame(code: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut frame = header(code, payload.len());
    frame.extend_from_slice(payload);
    frame
}

/// The frame of an error.
pub fn error(token: &str) -> Vec<u8> {
    frame(ERROR, token)
}
