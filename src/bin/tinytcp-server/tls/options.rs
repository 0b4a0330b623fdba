//! The options of a listener's URL that concern TLS:
//! `text+tls://127.0.0.1:40443?cert=cert.pem&key=key.pem`.

use std::path::PathBuf;

use clap::ValueEnum;
use tinytcp_cli::UsageError;

use super::arguments::MinVersion;

/// What the URL of a listener with `+tls` states about TLS. The flags hold for everything else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    pub(super) certificates: Vec<PathBuf>,
    /// As many as certificates.
    pub(super) keys: Vec<PathBuf>,
    pub(super) client_ca: Option<PathBuf>,
    pub(super) min: Option<MinVersion>,
}

impl TlsOptions {
    /// The names of the options.
    pub const KEYS: &[&str] = &["cert", "key", "client-ca", "min"];

    /// Collects the options of a URL: names and values.
    ///
    /// # Errors
    /// When a name is unknown, a value is wrong, or a certificate has no key.
    pub fn parse(pairs: &[(&str, &str)]) -> Result<Self, UsageError> {
        let mut options = Self::default();
        for (name, value) in pairs {
            match *name {
                "cert" => options.certificates.push(value.into()),
                "key" => options.keys.push(value.into()),
                "client-ca" => options.client_ca = Some(value.into()),
                "min" => {
                    let version = MinVersion::from_str(value, false);
                    options.min = Some(version.map_err(|_| "min is 1.2 or 1.3, as in min=1.3")?);
                }
                _ => return Err(format!("{name} is no option of TLS").into()),
            }
        }
        match options.certificates.len() == options.keys.len() {
            true => Ok(options),
            false => Err("cert and key belong together, as in cert=cert.pem&key=key.pem".into()),
        }
    }

    /// True if it names a certificate.
    pub fn has_certificate(&self) -> bool {
        !self.certificates.is_empty()
    }
}
