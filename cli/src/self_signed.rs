//! A certificate for a trial, which signs itself.

use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DnType, Error, KeyPair};

/// The common name of the certificate's subject.
pub const COMMON_NAME: &str = "tinytcp self-signed";

const DAY: Duration = Duration::from_hours(24);

/// Makes a key (ECDSA P-256) and a self-signed certificate for `hosts`: names and addresses. It is
/// valid for a year, and since yesterday, because the clock of a client can be late.
///
/// Returns the certificate and the key in PEM format.
///
/// # Errors
/// When a host has characters that no name has, or the system has no random numbers.
pub fn generate(hosts: Vec<String>) -> Result<(String, String), Error> {
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name.push(DnType::CommonName, COMMON_NAME);
    let now = SystemTime::now();
    params.not_before = (now - DAY).into();
    params.not_after = (now + 365 * DAY).into();
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}
