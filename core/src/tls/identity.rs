//! The identity of a server: a certificate, the chain that leads to its issuer, and its private
//! key.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, SignatureAlgorithm};

use super::certificate::Certificate;
use super::error::TlsError;
use super::x509;

/// The longest file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where an identity comes from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// The files of the certificates and of the key.
    Files { certificates: PathBuf, key: PathBuf },
    /// The texts of such files.
    Pem { certificates: Vec<u8>, key: Vec<u8> },
}

/// A certificate with its chain and its key, and the facts about it.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) certified: Arc<CertifiedKey>,
    pub(super) certificate: Certificate,
}

impl Identity {
    /// Reads and checks the identity at `source`.
    ///
    /// # Errors
    /// When a file cannot be read or holds something else, and when key and certificate do not
    /// belong together.
    pub(super) fn read(source: &Source, provider: &CryptoProvider) -> Result<Self, TlsError> {
        match source {
            Source::Files { certificates, key } => {
                let chain = read_file(certificates)?;
                let key_text = read_file(key)?;
                let mut identity = Self::parse([certificates, key], [&chain, &key_text], provider)?;
                identity.certificate.exposed_key = is_readable_by_all(key).then(|| key.clone());
                Ok(identity)
            }
            Source::Pem { certificates, key } => {
                let names = [Path::new("the certificate"), Path::new("the private key")];
                Self::parse(names, [certificates, key], provider)
            }
        }
    }

    /// Parses the two texts of the files `paths`: the certificates, and the key.
    fn parse(
        [cert_path, key_path]: [&Path; 2],
        [certificates, key]: [&[u8]; 2],
        provider: &CryptoProvider,
    ) -> Result<Self, TlsError> {
        let chain = parse_certificates(cert_path, certificates)?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| no_private_key(key_path, key, &error))?;
        let malformed = || {
            let remedy = "its first certificate must be that of the server";
            TlsError::of_file(cert_path, "has a malformed certificate", remedy)
        };
        let facts = chain.first().and_then(|leaf| x509::facts(leaf)).ok_or_else(malformed)?;
        let signing_key = provider.key_provider.load_private_key(key).map_err(|_| {
            let fact = "has a private key of no supported type";
            let remedy = "use ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to 8192 bits";
            TlsError::of_file(key_path, fact, remedy)
        })?;
        let has_rsa_key = signing_key.algorithm() == SignatureAlgorithm::RSA;
        let certified = CertifiedKey::new(chain, signing_key);
        match certified.keys_match() {
            // A key that cannot state its public half is trusted.
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                let fact = format!("is not the key of {}", cert_path.display());
                let remedy = "use files that belong together, with the certificate of the server \
                              first in its file";
                return Err(TlsError::of_file(key_path, fact, remedy));
            }
            Err(_) => return Err(malformed()),
        }
        let certificate = Certificate { has_rsa_key, ..facts };
        Ok(Self { certified: Arc::new(certified), certificate })
    }
}

/// Reads a file of at most 1 MiB. A pipe is refused, because its bytes could be read only once.
///
/// # Errors
/// When it cannot be read.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, TlsError> {
    let refuse = |error: &dyn std::fmt::Display, remedy: &str| {
        TlsError::new(format!("cannot read {}: {error}; {remedy}", path.display()))
    };
    let read = || -> io::Result<Option<Vec<u8>>> {
        if !fs::metadata(path)?.is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    };
    match read() {
        Ok(Some(bytes)) if bytes.len() as u64 <= FILE_BYTES_MAX => Ok(bytes),
        Ok(Some(_)) => Err(refuse(&"it is longer than 1 MiB", "use a file in PEM format")),
        Ok(None) => Err(refuse(&"it is no file", "use a file that can be read again")),
        Err(error) => Err(refuse(&error, "check the path and its permissions")),
    }
}

/// Returns all certificates of the text of the file `path`.
///
/// # Errors
/// When there is none, or the text is malformed.
pub(super) fn parse_certificates(
    path: &Path,
    text: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let chain = chain.map_err(|error| malformed(path, &error))?;
    if !chain.is_empty() {
        return Ok(chain);
    }
    let remedy = match PrivateKeyDer::from_pem_slice(text).is_ok() {
        true => "it has a private key: use the file of the certificate here",
        false => "it needs a block -----BEGIN CERTIFICATE-----",
    };
    Err(TlsError::of_file(path, "has no certificate", remedy))
}

/// The error of a text that is no PEM.
fn malformed(path: &Path, error: &pem::Error) -> TlsError {
    let fact = match error {
        pem::Error::MissingSectionEnd { .. } => "a block has no -----END line",
        pem::Error::IllegalSectionStart { .. } => "a -----BEGIN line is malformed",
        pem::Error::Base64Decode(_) => "a block is not Base64",
        _ => "a block is malformed",
    };
    TlsError::of_file(path, format!("is no PEM file: {fact}"), "copy or convert it again")
}

/// The error of the text of a key file without a usable key.
fn no_private_key(path: &Path, text: &[u8], error: &pem::Error) -> TlsError {
    let has = |part: &[u8]| text.windows(part.len()).any(|window| window == part);
    // The block of PKCS #8, and a header of the older format.
    if has(b"BEGIN ENCRYPTED PRIVATE KEY-") || has(b"Proc-Type: 4,ENCRYPTED") {
        let remedy = "decrypt it: openssl pkey -in FILE -out NEW_FILE";
        return TlsError::of_file(path, "has an encrypted private key", remedy);
    }
    if !matches!(error, pem::Error::NoItemsFound) {
        return malformed(path, error);
    }
    let remedy = match has(b"-----BEGIN CERTIFICATE-----") {
        true => "it has a certificate: use the file of the key here",
        false => "it needs a block -----BEGIN PRIVATE KEY-----",
    };
    TlsError::of_file(path, "has no private key", remedy)
}

/// True if every user of this machine can read the file at `path`.
fn is_readable_by_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}
