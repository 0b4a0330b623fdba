//! The flags with which a program encrypts its connections.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::FalseyValueParser;

use crate::usage_error::UsageError;

/// The flags for TLS. A program flattens them into its own.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "TLS")]
pub struct TlsArguments {
    /// For text+tls://HOST: trust the certificates in FILE (PEM) instead of those of the system
    ///
    /// FILE has the certificate of a CA, or the self-signed certificate of the server. Without the
    /// flag, the client trusts the root certificates of the system.
    #[arg(long, value_name = "FILE", env = "TINYTCP_TLS_CA")]
    pub tls_ca: Option<PathBuf>,

    /// Accept any certificate: an attacker on the way can then read and change everything
    #[arg(long, env = "TINYTCP_TLS_INSECURE", value_parser = FalseyValueParser::new())]
    pub tls_insecure: bool,

    /// The certificate of this client, and its chain, for a server that demands one (PEM)
    #[arg(long, value_name = "FILE", env = "TINYTCP_TLS_CERT")]
    pub tls_cert: Option<PathBuf>,

    /// The private key of --tls-cert (PEM)
    #[arg(long, value_name = "FILE", env = "TINYTCP_TLS_KEY")]
    pub tls_key: Option<PathBuf>,

    /// The name that the server's certificate must have, instead of the host of the URL
    ///
    /// The client sends the name to the server too (SNI), which may have several certificates. The
    /// default for a unix socket is localhost.
    #[arg(long, value_name = "NAME", env = "TINYTCP_TLS_SERVER_NAME")]
    pub tls_server_name: Option<String>,

    /// The oldest version of TLS that the client accepts: 1.2 or 1.3
    #[arg(long, value_name = "VERSION", env = "TINYTCP_TLS_MIN", default_value = "1.2")]
    pub tls_min: TlsVersion,
}

impl TlsArguments {
    /// The first of the flags that is given, and its variable.
    pub(super) fn first(&self) -> Option<&'static str> {
        let flags = [
            ("--tls-ca (TINYTCP_TLS_CA)", self.tls_ca.is_some()),
            ("--tls-insecure (TINYTCP_TLS_INSECURE)", self.tls_insecure),
            ("--tls-cert (TINYTCP_TLS_CERT)", self.tls_cert.is_some()),
            ("--tls-key (TINYTCP_TLS_KEY)", self.tls_key.is_some()),
            ("--tls-server-name (TINYTCP_TLS_SERVER_NAME)", self.tls_server_name.is_some()),
            ("--tls-min (TINYTCP_TLS_MIN)", self.tls_min != TlsVersion::default()),
        ];
        flags.into_iter().find(|(_, is_given)| *is_given).map(|(flag, _)| flag)
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    V12,
    /// TLS 1.3.
    V13,
}

impl FromStr for TlsVersion {
    type Err = UsageError;

    fn from_str(text: &str) -> Result<Self, UsageError> {
        match text {
            "1.2" => Ok(Self::V12),
            "1.3" => Ok(Self::V13),
            _ => Err("the versions are 1.2 and 1.3".into()),
        }
    }
}
