//! Certificates for tests: an authority, and the identities that it signs.

use super::unix::Folder;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use std::fs;
use std::path::{Path, PathBuf};

/// The names of a server on the loopback.
pub const SERVER_NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// An authority whose certificate its clients trust.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, both in PEM.
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

/// When a certificate is valid.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    Now,
    Expired,
    NotYet,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = named(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, key()).expect("a certificate"))
    }

    /// Its own certificate, in PEM.
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// Signs the certificate of a server for `names`.
    pub fn server(&self, names: &[&str], validity: Validity) -> Identity {
        self.sign(
            named("tinytcp test server", names),
            ExtendedKeyUsagePurpose::ServerAuth,
            validity,
        )
    }

    /// Signs the certificate of the client `name`.
    pub fn client(&self, name: &str, validity: Validity) -> Identity {
        self.sign(named(name, &[]), ExtendedKeyUsagePurpose::ClientAuth, validity)
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        usage: ExtendedKeyUsagePurpose,
        validity: Validity,
    ) -> Identity {
        params.extended_key_usages = vec![usage];
        let years = match validity {
            Validity::Now => None,
            Validity::Expired => Some((2001, 2002)),
            Validity::NotYet => Some((4000, 4001)),
        };
        if let Some((from, until)) = years {
            params.not_before = date_time_ymd(from, 1, 1);
            params.not_after = date_time_ymd(until, 1, 1);
        }
        let key = key();
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

/// Makes a self-signed certificate for `names`. `openssl req -x509` marks such a certificate as one
/// of an authority.
pub fn self_signed(names: &[&str], is_authority: bool) -> Identity {
    let mut params = named("tinytcp test server", names);
    if is_authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let key = key();
    let certificate = params.self_signed(&key).expect("a certificate");
    Identity { certificate: certificate.pem(), key: key.serialize_pem() }
}

fn named(name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// A key of P-256, with which a handshake is quick.
fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

/// A folder with the files of a server: `cert.pem` and `key.pem`, signed by the authority of
/// `ca.pem`.
pub struct Files {
    folder: Folder,
    pub authority: Authority,
}

impl Files {
    pub fn new(name: &str) -> Self {
        let folder = Folder::new(&format!("tls-{name}"));
        let files = Self { folder, authority: Authority::new("tinytcp test authority") };
        files.write("ca.pem", &files.authority.certificate());
        files.write_identity("", &files.authority.server(&SERVER_NAMES, Validity::Now));
        files
    }

    /// Returns the path of the file `name`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    /// Returns the path of the file `name` as an argument of a program.
    pub fn argument(&self, name: &str) -> String {
        self.path(name).to_str().expect("a path in UTF-8").to_owned()
    }

    pub fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).expect("write a file");
    }

    /// Writes `PREFIXcert.pem` and `PREFIXkey.pem`.
    pub fn write_identity(&self, prefix: &str, identity: &Identity) {
        self.write(&format!("{prefix}cert.pem"), &identity.certificate);
        self.write(&format!("{prefix}key.pem"), &identity.key);
    }

    /// The flags with which a server uses `cert.pem` and `key.pem`.
    pub fn flags(&self) -> [String; 4] {
        flags(&self.folder.0)
    }
}

/// The flags with which a server uses `cert.pem` and `key.pem` of `folder`.
pub fn flags(folder: &Path) -> [String; 4] {
    let file = |name| folder.join(name).to_str().expect("a path in UTF-8").to_owned();
    ["--tls-cert".into(), file("cert.pem"), "--tls-key".into(), file("key.pem")]
}
