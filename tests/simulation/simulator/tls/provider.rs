//! A provider of cryptography whose bytes on the wire follow from a seed: equal seeds make equal
//! traces.
//!
//! Ciphers and hashes are those of the server. Random numbers and times come from the simulation,
//! a key exchange is a hash of both public keys, and signatures are of Ed25519, which needs no
//! random numbers.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use rustls::crypto::ring::{self, cipher_suite};
use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, GetRandomFailed, SecureRandom, SharedSecret,
    SupportedKxGroup,
};
use rustls::pki_types::UnixTime;
use rustls::server::ProducesTickets;
use rustls::time_provider::TimeProvider;
use rustls::{Error, NamedGroup, SupportedCipherSuite};

thread_local! {
    /// The state of the random numbers of the world that this thread runs.
    static RANDOM: Cell<u64> = const { Cell::new(0) };
    static TIME: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Begins the random numbers of a world.
pub fn seed(seed: u64) {
    RANDOM.set(seed);
}

/// Sets the time that both sides see.
pub fn set_time(time: SystemTime) {
    TIME.set(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
}

pub fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        ],
        kx_groups: vec![&HashedKeys],
        secure_random: &SeededRandom,
        ..ring::default_provider()
    }
}

/// The random numbers of the seed, by SplitMix64.
#[derive(Debug)]
struct SeededRandom;

impl SecureRandom for SeededRandom {
    fn fill(&self, buf: &mut [u8]) -> Result<(), GetRandomFailed> {
        for chunk in buf.chunks_mut(8) {
            let state = RANDOM.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
            RANDOM.set(state);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// The simulated wall clock.
#[derive(Debug)]
pub struct SimulatedTime;

impl TimeProvider for SimulatedTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(TIME.get()))
    }
}

const KEY_LEN: usize = 32;

/// A key exchange without secrets: both sides hash both public keys.
#[derive(Debug)]
struct HashedKeys;

impl SupportedKxGroup for HashedKeys {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let mut public = [0; KEY_LEN];
        SeededRandom.fill(&mut public)?;
        Ok(Box::new(PublicKey(public)))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

struct PublicKey([u8; KEY_LEN]);

impl ActiveKeyExchange for PublicKey {
    fn complete(self: Box<Self>, peer_pub_key: &[u8]) -> Result<SharedSecret, Error> {
        let mut keys = [&self.0[..], peer_pub_key];
        keys.sort_unstable();
        let SupportedCipherSuite::Tls13(suite) = cipher_suite::TLS13_AES_128_GCM_SHA256 else {
            return Err(Error::General("no suite of TLS 1.3".into()));
        };
        let secret = suite.common.hash_provider.hash(&keys.concat());
        Ok(SharedSecret::from(secret.as_ref()))
    }

    fn pub_key(&self) -> &[u8] {
        &self.0
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// Tickets in clear: nothing in a simulation is secret.
#[derive(Debug)]
pub struct ClearTickets;

/// The beginning of a ticket.
const TICKET_MARK: &[u8] = b"ticket";

impl ProducesTickets for ClearTickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        12 * 60 * 60
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        Some([TICKET_MARK, plain].concat())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        cipher.strip_prefix(TICKET_MARK).map(<[u8]>::to_vec)
    }
}
