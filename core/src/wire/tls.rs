//! The beginning of a TLS connection (RFC 8446, section 5.1). A server without TLS detects it to
//! answer a client at the wrong port.
//!
//! ```text
//!   16          03 00..04     LL LL     01 ...
//!   handshake   the version   length    a `ClientHello`
//! ```

/// The type of a handshake record: the first byte of a TLS client.
pub const HANDSHAKE: u8 = 0x16;

/// True if `input`, the first bytes of a connection, is a handshake of SSL 3.0 to TLS 1.3.
///
/// Only three bytes decide, none of them a newline. So the result does not depend on how the
/// network splits the input, unless a quiet period ends a message between these bytes.
#[must_use]
#[inline]
pub const fn is_handshake(input: &[u8]) -> bool {
    matches!(input, [HANDSHAKE, 3, 0..=4, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_of_each_version_is_detected_by_three_bytes() {
        for version in 0..=4 {
            assert!(is_handshake(&[0x16, 3, version]), "3.{version}");
            assert!(is_handshake(&[0x16, 3, version, 2, 0, 1]), "3.{version}");
        }
    }

    #[test]
    fn other_bytes_are_not_a_handshake() {
        let others: [&[u8]; 8] = [
            b"",
            b"\x16",
            b"\x16\x03",
            b"\x16\x03\x05",
            b"\x16\x02\x00",
            b"\x15\x03\x01",
            b"TIME\n",
            b" \x16\x03\x01",
        ];
        for other in others {
            assert!(!is_handshake(other), "{}", other.escape_ascii());
        }
    }
}
