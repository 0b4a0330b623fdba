//! The settings of rustls for a client, made from the flags.

use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, Error, SupportedProtocolVersion};

use super::arguments::{TlsArguments, TlsVersion};
use super::explain::{self, Facts};
use super::files;
use super::verifier::{Unchecked, Verifier};
use crate::address::Place;
use crate::terminal::note;
use crate::usage_error::UsageError;

/// The settings with which a client encrypts its connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TlsClient {
    /// The settings. Connections with the same settings resume each other's sessions.
    pub config: Arc<ClientConfig>,
    /// The name that the certificate of the server must have, sent to the server too (SNI).
    pub name: ServerName<'static>,
    is_checked: bool,
    has_ca: bool,
    has_certificate: bool,
    min: TlsVersion,
}

impl TlsArguments {
    /// Returns the settings of `program` for encrypted connections to `place`; `None` for a target
    /// that is not encrypted. Reads the files of the flags. Reports `--tls-insecure` on stderr.
    ///
    /// # Errors
    /// For a file that is unusable, for flags that contradict each other, and for flags without an
    /// encrypted target.
    pub fn client(
        &self,
        program: &str,
        is_encrypted: bool,
        place: &Place,
    ) -> Result<Option<TlsClient>, UsageError> {
        if !is_encrypted {
            return match self.first() {
                None => Ok(None),
                Some(flag) => Err(UsageError::new(format_args!(
                    "{flag} is for encrypted connections: write the target as text+tls://HOST, or \
                     leave the flag out"
                ))),
            };
        }
        let client = TlsClient::new(self, place)?;
        if self.tls_insecure {
            note(
                program,
                "--tls-insecure: the server's certificate is not checked; an attacker on the way \
                 can read and change everything",
            );
        }
        Ok(Some(client))
    }
}

impl TlsClient {
    /// Creates the settings for connections to `place`.
    ///
    /// # Errors
    /// For a file that is unusable, for a host that can have no certificate, and for a certificate
    /// without its key.
    fn new(arguments: &TlsArguments, place: &Place) -> Result<Self, UsageError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions(arguments.tls_min))
            .map_err(UsageError::new)?
            .dangerous()
            .with_custom_certificate_verifier(verifier(arguments, &provider)?);
        let config = match (&arguments.tls_cert, &arguments.tls_key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let chain = files::certificates("--tls-cert", certificate)?;
                let key = files::private_key("--tls-key", key)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| UsageError::from(unusable_pair(&error)))?
            }
            (Some(_), None) => return Err("--tls-cert needs its key: add --tls-key".into()),
            (None, Some(_)) => return Err("--tls-key needs its certificate: add --tls-cert".into()),
        };
        Ok(Self {
            config: Arc::new(config),
            name: server_name(arguments.tls_server_name.as_deref(), place)?,
            is_checked: !arguments.tls_insecure,
            has_ca: arguments.tls_ca.is_some(),
            has_certificate: arguments.tls_cert.is_some(),
            min: arguments.tls_min,
        })
    }

    /// Returns true if the certificate of the server is checked.
    #[must_use]
    pub const fn is_checked(&self) -> bool {
        self.is_checked
    }

    /// Returns `error`, which ended a connection with these settings, as a fact and a remedy.
    #[must_use]
    pub fn explain(&self, error: &rustls::Error) -> String {
        let Self { ref name, has_ca, has_certificate, min, .. } = *self;
        explain::sentence(&Facts { has_ca, has_certificate, min, name }, error)
    }
}

fn versions(min: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    const FROM_12: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
    const FROM_13: &[&SupportedProtocolVersion] = &[&TLS13];
    match min {
        TlsVersion::V12 => FROM_12,
        TlsVersion::V13 => FROM_13,
    }
}

fn verifier(
    arguments: &TlsArguments,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, UsageError> {
    let (roots, none) = match (&arguments.tls_ca, arguments.tls_insecure) {
        (Some(_), true) => {
            return Err("--tls-ca checks the server's certificate and --tls-insecure does not: \
                        leave one of them out"
                .into());
        }
        (None, true) => return Ok(Arc::new(Unchecked(Arc::clone(provider)))),
        (Some(path), false) => (
            files::certificates("--tls-ca", path)?,
            format!("--tls-ca {}: no certificate in the file is usable", path.display()),
        ),
        (None, false) => (
            system_roots(),
            "the system has no root certificates: install them (ca-certificates), or give the \
             server's CA with --tls-ca"
                .into(),
        ),
    };
    let verifier = Verifier::new(roots, provider).ok_or(none)?;
    Ok(Arc::new(verifier))
}

/// Returns the root certificates of the system. What cannot be read is left out.
fn system_roots() -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_native_certs().certs
}

/// Returns why a client certificate and its key cannot be used, with the remedy.
const fn unusable_pair(error: &Error) -> &'static str {
    match error {
        Error::InconsistentKeys(_) => {
            "--tls-cert and --tls-key do not fit together; give a certificate and its own key"
        }
        Error::InvalidCertificate(_) => {
            "--tls-cert has a malformed certificate; its first one must be that of this client"
        }
        _ => {
            "--tls-key has a private key of no supported type; use ECDSA P-256 or P-384, Ed25519, \
             or RSA of 2048 to 8192 bits"
        }
    }
}

/// Returns the name that the certificate must have: `given`, or the host of `place`.
fn server_name(given: Option<&str>, place: &Place) -> Result<ServerName<'static>, UsageError> {
    let name = match (given, place) {
        (Some(name), _) => name,
        // The zone of an IPv6 address has a meaning only on this machine.
        (None, Place::Host { host, .. }) => host.split('%').next().unwrap_or_default(),
        (None, Place::Unix(_)) => "localhost",
    };
    ServerName::try_from(name.to_owned()).map_err(|_| {
        UsageError::new(format_args!(
            "'{name}' is no name that a certificate can have: give one with --tls-server-name"
        ))
    })
}
