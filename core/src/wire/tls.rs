//! What a connection of TLS begins with (RFC 8446, section 5.1), as far as a server without TLS
//! needs it: to know it when it comes to the wrong port.
//!
//! ```text
//!   16          03 00..04     LL LL     01 ...
//!   handshake   the version   length    a `ClientHello`
//! ```

/// The type of a record that carries a handshake: the first byte that a client sends.
pub const HANDSHAKE: u8 = 0x16;

/// True exactly when `input`, the first bytes of a connection, begins as a client of SSL 3.0 to TLS
/// 1.3 does.
///
/// Three bytes decide, and no later one has a say: so it does not matter how the network cuts them,
/// unless a pause ends a message between them; and none of the three is a newline, which any later
/// one may be.
#[must_use]
#[inline]
pub const fn is_handshake(input: &[u8]) -> bool {
    matches!(input, [HANDSHAKE, 3, 0..=4, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_of_every_version_is_known_by_its_first_three_bytes() {
        for version in 0..=4 {
            assert!(is_handshake(&[0x16, 3, version]), "3.{version}");
            assert!(is_handshake(&[0x16, 3, version, 2, 0, 1]), "3.{version}");
        }
    }

    #[test]
    fn anything_else_is_no_handshake() {
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
