//! Tests of floods of records without content: they cost the peer almost nothing, so the library
//! bounds each kind, and the connection ends. The records are sealed here, because no library sends
//! them.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::ConnectionTrafficSecrets;
use rustls::version::TLS13;

use super::super::closed_for;
use super::super::harness::LoopHarness;
use super::client::{TlsPeer, client_config, connect_with, encrypted};
use crate::close_reason::CloseReason;
use crate::limits::Settings;
use crate::protocol::text::Text;

const ALERT: u8 = 21;
const APPLICATION_DATA: u8 = 23;

/// An alert of the level *warning*: the peer cancels the handshake.
const USER_CANCELED: [u8; 2] = [1, 90];

/// Seals `count` times `content` as a record of `kind`, with the keys of `client`.
fn seal(client: TlsPeer, kind: u8, content: &[u8], count: u64) -> Vec<u8> {
    let secrets = client.tls.dangerous_extract_secrets().expect("a complete handshake");
    let (first, ConnectionTrafficSecrets::Aes256Gcm { key, iv }) = secrets.tx else {
        panic!("another cipher than the first of the library");
    };
    let key = UnboundKey::new(&AES_256_GCM, key.as_ref()).expect("a key of 32 bytes");
    let key = LessSafeKey::new(key);
    let record = |number: u64| {
        let mut nonce: [u8; 12] = iv.as_ref().try_into().expect("12 bytes");
        nonce[4..].iter_mut().zip(number.to_be_bytes()).for_each(|(byte, bits)| *byte ^= bits);
        let mut sealed = [content, &[kind]].concat();
        let len = u8::try_from(sealed.len() + AES_256_GCM.tag_len()).expect("a short record");
        let header = [APPLICATION_DATA, 3, 3, 0, len];
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(header),
            &mut sealed,
        )
        .expect("a short record can be sealed");
        [&header[..], &sealed].concat()
    };
    (first..first + count).flat_map(record).collect()
}

/// Sends `count` records of a client whose handshake is complete, and returns the loop after it has
/// run. The client ends its input without a `close_notify`.
fn flooded(kind: u8, content: &[u8], count: u64) -> LoopHarness {
    let mut harness = encrypted(Text::new(), Settings::default());
    let mut config = client_config(&TLS13);
    config.enable_secret_extraction = true;
    let client = connect_with(&mut harness, config);
    let peer = client.peer.clone();
    peer.send_and_end(&seal(client, kind, content, count));
    harness.run_until_idle();
    assert!(peer.is_closed());
    harness
}

#[test]
fn a_few_empty_records_are_no_flood() {
    let harness = flooded(APPLICATION_DATA, b"", 32);
    assert_eq!(closed_for(&harness, CloseReason::Truncated), 1);
}

#[test]
fn empty_records_after_the_handshake_end_in_a_close() {
    let harness = flooded(APPLICATION_DATA, b"", 33);
    assert_eq!(closed_for(&harness, CloseReason::TlsFailed), 1);
}

#[test]
fn a_few_warnings_are_no_flood() {
    let harness = flooded(ALERT, &USER_CANCELED, 4);
    assert_eq!(closed_for(&harness, CloseReason::Truncated), 1);
}

#[test]
fn warnings_after_the_handshake_end_in_a_close() {
    let harness = flooded(ALERT, &USER_CANCELED, 5);
    assert_eq!(closed_for(&harness, CloseReason::TlsFailed), 1);
}
