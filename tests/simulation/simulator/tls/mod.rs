//! TLS in the simulation: the certificates of the server, and the clients' side of a connection.

mod client;
mod engine;
mod fate;
mod places;
mod provider;
mod server;

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, ServerConfig, SignatureScheme,
    SupportedProtocolVersion,
};
use tinytcp_core::tls::TlsSettings;

pub use engine::Engine;
pub use fate::Fate;
pub use places::Place;
use provider::{ClearTickets, SimulatedTime};
pub use provider::{seed, set_time};

/// The key and the certificate of every simulated server. They protect nothing.
const IDENTITY: &[u8] = include_bytes!("identity.pem");

/// The settings of both sides in one world.
pub struct Security {
    pub server: TlsSettings,
    clients: [Arc<ClientConfig>; 2],
}

impl Security {
    /// Makes the settings of a world, whose clients have no sessions to resume yet.
    pub fn new() -> Self {
        Self {
            server: TlsSettings::new(Arc::new(server_config())),
            clients: [&TLS13, &TLS12].map(|version| Arc::new(client_config(version))),
        }
    }

    /// The settings of a client. All clients of one version share their sessions.
    pub fn client(&self, has_old_version: bool) -> Arc<ClientConfig> {
        Arc::clone(&self.clients[usize::from(has_old_version)])
    }
}

fn server_config() -> ServerConfig {
    let certificate = CertificateDer::from_pem_slice(IDENTITY).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(IDENTITY).expect("a key");
    let provider = Arc::new(provider::provider());
    let mut config = ServerConfig::builder_with_details(provider, Arc::new(SimulatedTime))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .expect("versions of the provider")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a key of the certificate");
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 1;
    config.ticketer = Arc::new(ClearTickets);
    config
}

fn client_config(version: &'static SupportedProtocolVersion) -> ClientConfig {
    const SESSIONS_MAX: usize = 32;
    let provider = Arc::new(provider::provider());
    let mut config = ClientConfig::builder_with_details(provider, Arc::new(SimulatedTime))
        .with_protocol_versions(&[version])
        .expect("a version of the provider")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting))
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
    config
}

/// Accepts every certificate: its check would cost more than the rest of a handshake.
#[derive(Debug)]
struct Trusting;

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}
