//! Certificates and keys in PEM files.

use std::path::Path;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::usage_error::UsageError;

/// Returns the certificates of the file that `flag` names, at least one.
///
/// # Errors
/// When the file cannot be read, is no PEM, or has no certificate.
pub(super) fn certificates(
    flag: &str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, UsageError> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>())
        .map_err(|error| unusable(flag, path, &error))?;
    match certificates.is_empty() {
        false => Ok(certificates),
        true => Err(UsageError::new(format_args!(
            "{flag} {}: the file has no certificate in PEM; it needs a section that begins with \
             -----BEGIN CERTIFICATE-----",
            path.display()
        ))),
    }
}

/// Returns the first private key of the file that `flag` names.
///
/// # Errors
/// When the file cannot be read, is no PEM, or has no key without a password.
pub(super) fn private_key(flag: &str, path: &Path) -> Result<PrivateKeyDer<'static>, UsageError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| match error {
        pem::Error::NoItemsFound => UsageError::new(format_args!(
            "{flag} {}: the file has no private key in PEM without a password; `openssl pkey -in \
             FILE -out NEW` makes one from any other",
            path.display()
        )),
        error => unusable(flag, path, &error),
    })
}

fn unusable(flag: &str, path: &Path, error: &pem::Error) -> UsageError {
    let path = path.display();
    match error {
        pem::Error::Io(error) => UsageError::new(format_args!(
            "{flag} {path}: cannot read the file: {error}; check its path and permissions"
        )),
        error => UsageError::new(format_args!(
            "{flag} {path}: the file is malformed: {error}; make it anew, in PEM"
        )),
    }
}
