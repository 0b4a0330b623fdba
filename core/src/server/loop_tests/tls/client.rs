//! A client of the TLS library on the simulated network, and a server for it.

use std::io::{Read, Write};
use std::sync::{Arc, LazyLock};

use rustls::client::Resumption;
use rustls::crypto::{CipherSuiteCommon, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, SupportedCipherSuite,
    SupportedProtocolVersion, Tls12CipherSuite, Tls13CipherSuite,
};

use super::super::harness::{FakePeer, LoopHarness};
use crate::protocol::Protocol;
use crate::server::config::{Config, Listener};
use crate::tls::TlsSettings;

/// A self-signed certificate and its key, in PEM format.
static IDENTITY: LazyLock<(String, String)> = LazyLock::new(|| {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".into()]).expect("a valid name");
    (cert.pem(), signing_key.serialize_pem())
});

/// Settings with a certificate for `localhost`.
pub(super) fn settings() -> TlsSettings {
    let (certificate, key) = &*IDENTITY;
    TlsSettings::builder().identity_pem(&**certificate, &**key).build().expect("a valid identity")
}

/// Settings of one version whose keys seal at most `records_max` records.
pub(super) fn settings_for_records(
    version: &'static SupportedProtocolVersion,
    records_max: u64,
) -> TlsSettings {
    let suite_of = |it: &SupportedCipherSuite| it.version() == version;
    let mut provider = ring::default_provider();
    let suite = provider.cipher_suites.iter().copied().find(suite_of).expect("a suite");
    provider.cipher_suites = vec![with_records(suite, records_max)];
    let certificate = CertificateDer::from_pem_slice(IDENTITY.0.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(IDENTITY.1.as_bytes()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .expect("a version of the provider")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("they belong together");
    TlsSettings::new(Arc::new(config))
}

/// The same suite, whose keys seal at most `records_max` records. The library keeps it for ever.
fn with_records(suite: SupportedCipherSuite, records_max: u64) -> SupportedCipherSuite {
    let limited = |common: &CipherSuiteCommon| CipherSuiteCommon {
        confidentiality_limit: records_max,
        ..*common
    };
    match suite {
        SupportedCipherSuite::Tls12(suite) => {
            let suite = Tls12CipherSuite { common: limited(&suite.common), ..*suite };
            SupportedCipherSuite::Tls12(Box::leak(Box::new(suite)))
        }
        SupportedCipherSuite::Tls13(suite) => {
            let suite = Tls13CipherSuite { common: limited(&suite.common), ..*suite };
            SupportedCipherSuite::Tls13(Box::leak(Box::new(suite)))
        }
    }
}

/// A loop with one encrypted listener for `protocol`.
pub(super) fn encrypted(
    protocol: impl Protocol + 'static,
    config: impl Into<Config>,
) -> LoopHarness {
    let listener = Listener::new([], Arc::new(protocol)).encrypted(settings());
    LoopHarness::with_listeners(vec![listener.service()], config)
}

/// The versions of TLS.
pub(super) const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// A configuration of clients that trust the server of the tests.
pub(super) fn client_config(version: &'static SupportedProtocolVersion) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(IDENTITY.0.as_bytes()).expect("a certificate");
    roots.add(certificate).expect("a certificate that can be trusted");
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .expect("a version of the provider")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config
}

/// A client of TLS.
pub(super) struct TlsPeer {
    pub peer: FakePeer,
    pub tls: ClientConnection,
    /// What the server has sent, decrypted.
    pub received: Vec<u8>,
    /// True if the server has sent a `close_notify`.
    pub has_ended: bool,
    /// The failure of the client.
    pub error: Option<rustls::Error>,
}

impl TlsPeer {
    /// A client on `peer` that has sent nothing yet.
    pub(super) fn new(peer: FakePeer, config: ClientConfig) -> Self {
        let name = ServerName::try_from("localhost").expect("a valid name");
        let tls = ClientConnection::new(Arc::new(config), name).expect("a usable configuration");
        Self { peer, tls, received: Vec::new(), has_ended: false, error: None }
    }

    /// Returns what the client has to send.
    pub(super) fn take_records(&mut self) -> Vec<u8> {
        let mut records = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut records).expect("a vector takes all bytes");
        }
        records
    }

    /// Decrypts what the server has sent.
    pub(super) fn open(&mut self) {
        let sent = std::mem::take(&mut self.peer.link.borrow_mut().sent);
        let mut sent = &sent[..];
        while !sent.is_empty() && self.error.is_none() {
            self.tls.read_tls(&mut sent).expect("a slice can be read");
            match self.tls.process_new_packets() {
                Ok(state) => {
                    let mut bytes = vec![0; state.plaintext_bytes_to_read()];
                    self.tls.reader().read_exact(&mut bytes).expect("opened bytes");
                    self.received.extend(bytes);
                    self.has_ended |= state.peer_has_closed();
                }
                Err(error) => self.error = Some(error),
            }
        }
    }

    /// Sends what the client has to send, and decrypts the answers, until neither side has more to
    /// send.
    pub(super) fn exchange(&mut self, harness: &mut LoopHarness) {
        loop {
            let records = self.take_records();
            if !records.is_empty() {
                self.peer.send(&records);
            }
            harness.run_until_idle();
            self.open();
            if !self.tls.wants_write() {
                return;
            }
        }
    }

    /// Encrypts `bytes` and returns the records.
    pub(super) fn seal(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.tls.writer().write_all(bytes).expect("the library buffers all bytes");
        self.take_records()
    }

    /// Sends `bytes` and returns what the server answers at once.
    pub(super) fn ask(&mut self, harness: &mut LoopHarness, bytes: &[u8]) -> String {
        let records = self.seal(bytes);
        self.peer.send(&records);
        self.exchange(harness);
        self.take_received()
    }

    /// Returns what the server has sent since the last call.
    pub(super) fn take_received(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.received)).expect("answers in UTF-8")
    }

    /// Sends a `close_notify`, and nothing else.
    pub(super) fn send_close_notify(&mut self) {
        self.tls.send_close_notify();
        let records = self.take_records();
        self.peer.send(&records);
    }
}

/// Connects a client to the first listener, and shakes hands.
pub(super) fn connect_with(harness: &mut LoopHarness, config: ClientConfig) -> TlsPeer {
    let mut client = TlsPeer::new(harness.queue_peer(), config);
    harness.run_until_idle();
    client.exchange(harness);
    assert!(!client.tls.is_handshaking(), "no handshake: {:?}", client.error);
    client
}

/// Connects a client with TLS 1.3, and discards the greeting.
pub(super) fn connect(harness: &mut LoopHarness) -> TlsPeer {
    let mut client = connect_with(harness, client_config(&TLS13));
    client.take_received();
    client
}
