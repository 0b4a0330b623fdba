//! The TLS settings of a listener: its certificates, the clients that it trusts, and its versions.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{ALL_VERSIONS, RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::certificate::Certificate;
use super::error::TlsError;
use super::identity::{self, Identity, Source};

/// The TLS settings of a listener. A clone is cheap and shares everything.
///
/// A client resumes a session with a ticket, which the server does not store. There is no early
/// data, and no negotiation of an application protocol.
#[derive(Clone)]
pub struct TlsSettings {
    pub(super) config: Arc<ServerConfig>,
    certificates: Arc<[Certificate]>,
    /// The certificates of the authorities that sign those of clients; empty if no client needs
    /// one.
    client_authorities: Arc<[CertificateDer<'static>]>,
}

impl TlsSettings {
    /// Creates a builder without an identity.
    pub fn builder() -> TlsBuilder {
        TlsBuilder::default()
    }

    /// Returns the settings of a configuration of rustls, without facts about its certificates.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self { config, certificates: Arc::new([]), client_authorities: Arc::new([]) }
    }

    /// Returns the facts about the certificates. The first one is for clients that name no host,
    /// or an unknown one.
    #[must_use]
    pub const fn certificates(&self) -> &Arc<[Certificate]> {
        &self.certificates
    }

    /// True if each client needs a certificate.
    #[must_use]
    pub fn requires_client_certificates(&self) -> bool {
        !self.client_authorities.is_empty()
    }

    /// True if both settings trust the same authorities for the certificates of clients, or if
    /// neither requires such certificates.
    #[must_use]
    pub fn trusts_same_clients(&self, other: &Self) -> bool {
        self.client_authorities == other.client_authorities
    }

    /// The configuration of the TLS library.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub const fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }
}

impl PartialEq for TlsSettings {
    /// True for clones of each other.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.config, &other.config)
    }
}

impl Eq for TlsSettings {}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings")
            .field("certificates", &self.certificates)
            .field("requires_client_certificates", &self.requires_client_certificates())
            .finish_non_exhaustive()
    }
}

/// The lowest version of TLS that a listener speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2; 1.3 is preferred.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl TlsVersion {
    /// Returns this version and the later ones.
    fn and_later(self) -> &'static [&'static SupportedProtocolVersion] {
        static ONLY_TLS13: [&SupportedProtocolVersion; 1] = [&TLS13];
        match self {
            Self::Tls12 => ALL_VERSIONS,
            Self::Tls13 => &ONLY_TLS13,
        }
    }
}

/// Builds [`TlsSettings`]. Files are read by [`TlsBuilder::build`], and by no other method.
///
/// ```no_run
/// use std::sync::Arc;
/// use tinytcp::protocol::Text;
/// use tinytcp::tls::TlsSettings;
/// use tinytcp::{Listener, Server};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tls = TlsSettings::builder().identity_files("cert.pem", "key.pem").build()?;
/// let listener = Listener::new([([127, 0, 0, 1], 40443).into()], Arc::new(Text::new()));
/// let server = Server::builder().listener(listener.encrypted(tls)).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct TlsBuilder {
    identities: Vec<Source>,
    client_ca: Option<PathBuf>,
    min_version: TlsVersion,
    replaced: Option<TlsSettings>,
}

impl TlsBuilder {
    /// Adds a certificate with its chain, and its private key, from files in PEM format. A client
    /// gets the certificate for the host that it names (SNI), or the first one.
    pub fn identity_files(
        mut self,
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        let (certificates, key) = (certificates.into(), key.into());
        self.identities.push(Source::Files { certificates, key });
        self
    }

    /// Adds a certificate with its chain, and its private key, from texts in PEM format.
    pub fn identity_pem(
        mut self,
        certificates: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        let (certificates, key) = (certificates.into(), key.into());
        self.identities.push(Source::Pem { certificates, key });
        self
    }

    /// Requires a certificate of each client, signed by an authority whose certificate is in this
    /// file in PEM format.
    pub fn client_ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.client_ca = Some(path.into());
        self
    }

    /// Sets the lowest version. Default: TLS 1.2.
    pub const fn min_version(mut self, version: TlsVersion) -> Self {
        self.min_version = version;
        self
    }

    /// Keeps the tickets of `settings`, which these replace, unless they trust other clients: a
    /// ticket stands for the certificate of its client.
    pub fn replacing(mut self, settings: &TlsSettings) -> Self {
        self.replaced = Some(settings.clone());
        self
    }

    /// Reads and checks the files and texts, and returns the settings.
    ///
    /// # Errors
    /// When there is no identity, a file cannot be read or holds something else, or a key is not
    /// that of its certificate.
    pub fn build(self) -> Result<TlsSettings, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let read = |source| Identity::read(source, &provider);
        let identities: Vec<Identity> =
            self.identities.iter().map(read).collect::<Result<_, _>>()?;
        if identities.is_empty() {
            return Err(TlsError::new("there is no certificate; add one with its private key"));
        }
        let client_authorities = self.client_authorities()?;
        let ticketer = self.ticketer(&client_authorities)?;
        let certificates = identities.iter().map(|it| it.certificate.clone()).collect();
        let versions = self.min_version.and_later();
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(|error| TlsError::new(format!("the versions do not work: {error}")))?;
        let config = match self.client_ca {
            Some(path) => {
                let roots = roots(&client_authorities);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                config.with_client_cert_verifier(verifier.build().map_err(|error| {
                    let remedy = "use the certificate of the authority";
                    TlsError::of_file(&path, format!("cannot be used: {error}"), remedy)
                })?)
            }
            None => config.with_no_client_auth(),
        };
        let mut config = config.with_cert_resolver(Arc::new(Resolver(identities)));
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 1;
        config.ticketer = ticketer;
        Ok(TlsSettings {
            config: Arc::new(config),
            certificates,
            client_authorities: client_authorities.into(),
        })
    }

    /// Reads the certificates of the authorities of clients.
    fn client_authorities(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let Some(path) = &self.client_ca else { return Ok(Vec::new()) };
        let authorities = identity::parse_certificates(path, &identity::read_file(path)?)?;
        let is_usable =
            |authority: &CertificateDer<'_>| RootCertStore::empty().add(authority.clone()).is_ok();
        match authorities.iter().all(is_usable) {
            true => Ok(authorities),
            false => {
                let fact = "has a malformed certificate";
                Err(TlsError::of_file(path, fact, "use the certificate of the authority"))
            }
        }
    }

    /// Returns the maker of tickets: that of the replaced settings if they trust the same clients.
    fn ticketer(
        &self,
        client_authorities: &[CertificateDer<'static>],
    ) -> Result<Arc<dyn ProducesTickets>, TlsError> {
        match &self.replaced {
            Some(replaced) if *replaced.client_authorities == *client_authorities => {
                Ok(Arc::clone(&replaced.config.ticketer))
            }
            _ => ring::Ticketer::new().map_err(|error| {
                TlsError::new(format!("the system has no random numbers: {error}; try again"))
            }),
        }
    }
}

/// The store of the authorities, all of which are usable.
fn roots(authorities: &[CertificateDer<'static>]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities.iter().cloned());
    roots
}

/// Chooses the certificate for the host that a client names.
#[derive(Debug)]
struct Resolver(Vec<Identity>);

impl ResolvesServerCert for Resolver {
    /// Returns the first certificate for the host whose key the client can verify, or the first
    /// one.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let is_for_host = |identity: &&Identity| {
            hello.server_name().is_some_and(|host| identity.certificate.is_for(host))
        };
        let is_verifiable = |identity: &&Identity| {
            identity.certified.key.choose_scheme(hello.signature_schemes()).is_some()
        };
        let mut named = self.0.iter().filter(is_for_host);
        let chosen = named.find(is_verifiable).or_else(|| self.0.iter().find(is_verifiable));
        chosen.or(self.0.first()).map(|identity| Arc::clone(&identity.certified))
    }
}
