//! Frames: a command byte, a length, and that many bytes of payload.
//!
//! ```text
//!   +------+----+----+----+----+------------------+
//!   | code |    payload_len    |     payload      |
//!   |  u8  |   u32 big-endian  |  payload_len B   |
//!   +------+----+----+----+----+------------------+
//!   0      1                   5                  5 + payload_len
//! ```

/// The length of a header in bytes.
pub const HEADER_LEN: usize = 5;

/// The first five bytes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The code of the command or of the answer.
    pub code: u8,
    /// The claimed length of the payload. A claim allocates nothing.
    pub payload_len: u32,
}

impl Header {
    /// Decodes the header at the front of `input`. Returns `None` if it is incomplete.
    #[must_use]
    pub fn decode(input: &[u8]) -> Option<Self> {
        let &[code, a, b, c, d] = input.first_chunk::<HEADER_LEN>()?;
        Some(Self { code, payload_len: u32::from_be_bytes([a, b, c, d]) })
    }

    /// Returns the five bytes of this header.
    #[must_use]
    pub const fn encode(self) -> [u8; HEADER_LEN] {
        let [a, b, c, d] = self.payload_len.to_be_bytes();
        [self.code, a, b, c, d]
    }
}

/// The frame at the front of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front<'a> {
    /// The header or the payload is incomplete.
    Incomplete {
        /// The header, if it is complete: the receiver can refuse the frame before it stores the
        /// payload.
        header: Option<Header>,
        /// How many bytes complete the header, or else the payload; never zero.
        missing: usize,
    },
    /// A complete frame of `HEADER_LEN + payload.len()` bytes.
    Frame {
        /// The code of the command or of the answer.
        code: u8,
        /// The payload.
        payload: &'a [u8],
    },
}

/// Decodes the frame at the front of `input`. It consumes nothing.
#[must_use]
#[inline]
pub fn front(input: &[u8]) -> Front<'_> {
    let Some(header) = Header::decode(input) else {
        return Front::Incomplete { header: None, missing: HEADER_LEN.saturating_sub(input.len()) };
    };
    match payload(input, header) {
        Ok(payload) => Front::Frame { code: header.code, payload },
        Err(missing) => Front::Incomplete { header: Some(header), missing },
    }
}

/// Returns the payload after `header`, which was decoded from the front of `input`.
///
/// # Errors
/// The number of missing bytes, if the payload is incomplete.
#[inline]
pub fn payload(input: &[u8], header: Header) -> Result<&[u8], usize> {
    // A `u32` fits a `usize` on all platforms of mio. Elsewhere the payload would never be
    // complete.
    let payload_len = usize::try_from(header.payload_len).unwrap_or(usize::MAX);
    let received = input.get(HEADER_LEN..).unwrap_or_default();
    received.get(..payload_len).ok_or(payload_len.saturating_sub(received.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_header_is_one_code_and_a_big_endian_length() {
        let header = Header { code: 2, payload_len: 0x0102_0304 };
        assert_eq!(header.encode(), [2, 1, 2, 3, 4]);
        assert_eq!(Header::decode(&[2, 1, 2, 3, 4, 9]), Some(header));
    }

    #[test]
    fn an_incomplete_frame_reports_the_missing_bytes() {
        let bytes = [1, 0, 0, 0, 3, b'a', b'b', b'c'];
        let header = Some(Header { code: 1, payload_len: 3 });
        for (len, header, missing) in [(0, None, 5), (4, None, 1), (5, header, 3), (7, header, 1)] {
            assert_eq!(front(&bytes[..len]), Front::Incomplete { header, missing }, "{len} bytes");
        }
        assert_eq!(front(&bytes), Front::Frame { code: 1, payload: b"abc" });
    }

    #[test]
    fn an_empty_frame_is_complete_and_the_longest_is_incomplete() {
        assert_eq!(front(&[1, 0, 0, 0, 0, 7]), Front::Frame { code: 1, payload: b"" });
        let header = Some(Header { code: 1, payload_len: u32::MAX });
        assert_eq!(
            front(&[1, 255, 255, 255, 255, 7]),
            Front::Incomplete { header, missing: u32::MAX as usize - 1 }
        );
    }

    proptest! {
        #[test]
        fn an_encoded_frame_is_decoded_without_its_trailing_bytes(
            code: u8,
            payload in proptest::collection::vec(any::<u8>(), 0..300),
            trailing in proptest::collection::vec(any::<u8>(), 0..10),
        ) {
            let payload_len = u32::try_from(payload.len()).expect("short");
            let mut bytes = Header { code, payload_len }.encode().to_vec();
            bytes.extend_from_slice(&payload);
            bytes.extend_from_slice(&trailing);
            prop_assert_eq!(front(&bytes), Front::Frame { code, payload: &payload });
        }
    }
}
