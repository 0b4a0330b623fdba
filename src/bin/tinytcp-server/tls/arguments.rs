//! The flags for TLS.

use std::path::PathBuf;

use clap::ValueEnum;
use tinytcp_cli::units::{self, Timeout};
use tinytcp_core::limits::Timeouts;
use tinytcp_core::tls::settings::TlsVersion;

use super::options::TlsOptions;

/// What a listener without a certificate needs, after its name.
pub const NEEDS_CERTIFICATE: &str = "needs a certificate: add --tls-cert FILE and --tls-key FILE, \
                                     or --tls-self-signed for a trial";

/// The flags for listeners with `+tls`.
#[derive(Clone, Debug, clap::Args)]
pub struct TlsArguments {
    /// The certificate of listeners with +tls, and its chain, in PEM format; repeatable, each with
    /// its --tls-key: a client gets the one for the host that it names, or the first
    #[arg(long, value_name = "FILE", env = "TINYTCP_TLS_CERT", value_delimiter = ',')]
    pub tls_cert: Vec<PathBuf>,

    /// The private key of the --tls-cert in the same place, in PEM format; repeatable
    #[arg(long, value_name = "FILE", env = "TINYTCP_TLS_KEY", value_delimiter = ',')]
    pub tls_key: Vec<PathBuf>,

    /// Require a certificate of each client of a listener with +tls, signed by an authority whose
    /// certificate is in this file in PEM format [default: none]
    #[arg(long, value_name = "FILE", env = "TINYTCP_TLS_CLIENT_CA")]
    pub tls_client_ca: Option<PathBuf>,

    /// The oldest version of TLS that a client may use
    #[arg(long, value_name = "VERSION", env = "TINYTCP_TLS_MIN", default_value = "1.2")]
    pub tls_min: MinVersion,

    /// For a trial, make a certificate and its key in memory, and log its SHA-256 fingerprint
    #[arg(long, env = "TINYTCP_TLS_SELF_SIGNED")]
    pub tls_self_signed: bool,

    /// Close a connection whose TLS handshake takes longer than this
    #[arg(long, value_name = "D", env = "TINYTCP_HANDSHAKE_TIMEOUT", default_value = "5s",
        value_parser = units::timeout)]
    pub handshake_timeout: Timeout,
}

/// The oldest version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MinVersion {
    #[value(name = "1.2")]
    Tls12,
    #[value(name = "1.3")]
    Tls13,
}

impl From<MinVersion> for TlsVersion {
    fn from(version: MinVersion) -> Self {
        match version {
            MinVersion::Tls12 => Self::Tls12,
            MinVersion::Tls13 => Self::Tls13,
        }
    }
}

impl TlsArguments {
    /// The names of the settings that can change while the server runs.
    pub const CHANGEABLE: &[&str] = &[
        "tls-cert",
        "tls-key",
        "tls-client-ca",
        "tls-min",
        "tls-self-signed",
        "handshake-timeout",
    ];

    /// Returns why the flags contradict each other or the listeners, if they do: each of
    /// `listeners` is a URL and its options. If the service manager `has_sockets` for the server,
    /// they can use the flags too.
    pub fn contradiction<'a>(
        &self,
        listeners: impl Iterator<Item = (String, &'a TlsOptions)>,
        has_sockets: bool,
    ) -> Option<String> {
        let (certificates, keys) = (self.tls_cert.len(), self.tls_key.len());
        if certificates != keys {
            return Some(format!(
                "--tls-cert (TINYTCP_TLS_CERT) and --tls-key (TINYTCP_TLS_KEY) belong together in \
                 pairs, and there are {certificates} and {keys}: name both files of each pair"
            ));
        }
        if self.tls_self_signed && certificates > 0 {
            return Some(
                "--tls-self-signed (TINYTCP_TLS_SELF_SIGNED) makes the certificate that --tls-cert \
                 (TINYTCP_TLS_CERT) names: leave one of them out"
                    .into(),
            );
        }
        let mut listeners = listeners.peekable();
        if listeners.peek().is_none() {
            return if has_sockets { None } else { self.is_of_no_use() };
        }
        let has_none = |(_, options): &(String, &TlsOptions)| !options.has_certificate();
        let without = listeners.find(has_none).filter(|_| !self.has_certificate());
        without.map(|(url, _)| format!("{url} {NEEDS_CERTIFICATE}"))
    }

    /// Returns `timeouts` with that of a handshake.
    pub fn timeouts(&self, timeouts: Timeouts) -> Timeouts {
        timeouts.with_handshake(self.handshake_timeout)
    }

    /// True if there is a certificate for listeners whose URL names none.
    pub fn has_certificate(&self) -> bool {
        self.tls_self_signed || !self.tls_cert.is_empty()
    }

    /// Returns why a flag is wrong without a listener that uses it.
    fn is_of_no_use(&self) -> Option<String> {
        let flags = [
            ("--tls-cert (TINYTCP_TLS_CERT)", !self.tls_cert.is_empty()),
            ("--tls-client-ca (TINYTCP_TLS_CLIENT_CA)", self.tls_client_ca.is_some()),
            ("--tls-self-signed (TINYTCP_TLS_SELF_SIGNED)", self.tls_self_signed),
        ];
        let (flag, _) = flags.into_iter().find(|(_, is_given)| *is_given)?;
        Some(format!(
            "{flag} is for listeners with +tls, and there is none: leave it out, or add \
             --listen text+tls://127.0.0.1:40443"
        ))
    }
}
