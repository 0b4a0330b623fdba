//! TLS as a client, for the one connection that the server opens itself: that to the broker of a
//! bus. There is no I/O here.
//!
//! ```text
//!   kernel ---> open ---> input of the session      output of the session ---> seal ---> kernel
//! ```

use std::fmt;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, ClientConnection, Error, RootCertStore};

use super::error::TlsError;
use super::identity;

/// The most bytes that are sealed at a time, which bounds the memory for sealed bytes.
const SEALED_BYTES_MAX: usize = 64 << 10;

/// The authorities that a client trusts. A clone is cheap and shares everything.
#[derive(Clone)]
pub struct ClientSettings {
    config: Arc<ClientConfig>,
}

impl ClientSettings {
    /// Trusts the authorities whose certificates are in the file `path`, in PEM format.
    ///
    /// # Errors
    /// When the file cannot be read, or has no usable certificate.
    pub fn trusting(path: &Path) -> Result<Self, TlsError> {
        let authorities = identity::parse_certificates(path, &identity::read_file(path)?)?;
        let mut roots = RootCertStore::empty();
        if roots.add_parsable_certificates(authorities).0 == 0 {
            let remedy = "use the certificate of the authority";
            return Err(TlsError::of_file(path, "has no usable certificate", remedy));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::new(format!("the versions do not work: {error}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config) })
    }
}

impl PartialEq for ClientSettings {
    /// True for clones of each other.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.config, &other.config)
    }
}

impl Eq for ClientSettings {}

impl fmt::Debug for ClientSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSettings").finish_non_exhaustive()
    }
}

/// The TLS layer of a connection to a broker.
#[derive(Debug)]
pub struct ClientLayer {
    tls: ClientConnection,
    /// Bytes that the kernel has not accepted.
    sealed: Vec<u8>,
}

impl ClientLayer {
    /// Creates the layer of a new connection to `host`, whose certificate must have this name.
    ///
    /// # Errors
    /// When no certificate can have such a name.
    pub fn new(settings: &ClientSettings, host: &str) -> Result<Self, TlsError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| TlsError::new(format!("no certificate can have the name {host}")))?;
        let tls = ClientConnection::new(Arc::clone(&settings.config), name)
            .map_err(|error| explained(&error))?;
        Ok(Self { tls, sealed: Vec::new() })
    }

    /// Opens the records in `raw` and writes their bytes to the front of `input`, which must have
    /// room for 16 KiB more than `raw` has. Returns how many bytes it has written; `None` if there
    /// are none because the peer has ended its input.
    ///
    /// # Errors
    /// When the peer has no acceptable certificate, or breaks the rules of TLS. An alert for the
    /// peer is among the sealed bytes.
    pub fn open(&mut self, mut raw: &[u8], input: &mut [u8]) -> Result<Option<usize>, TlsError> {
        let mut opened = 0;
        while !raw.is_empty() {
            // Reading from memory fails only if bytes of the session were not taken out.
            self.tls.read_tls(&mut raw).map_err(|error| TlsError::new(error.to_string()))?;
            if let Err(error) = self.tls.process_new_packets() {
                self.take_sealed();
                return Err(explained(&error));
            }
            loop {
                let room = input.get_mut(opened..).unwrap_or_default();
                match self.tls.reader().read(room) {
                    Ok(0) if room.is_empty() => {
                        return Err(TlsError::new("a record found no room"));
                    }
                    Ok(0) => return Ok(Some(opened).filter(|opened| *opened > 0)),
                    Ok(count) => opened += count,
                    // Nothing more has arrived.
                    Err(_) => break,
                }
            }
        }
        Ok(Some(opened))
    }

    /// Seals the front of `output` if no sealed bytes wait. Returns how many bytes it has taken.
    pub fn seal(&mut self, output: &[u8]) -> usize {
        if !self.sealed.is_empty() {
            return 0;
        }
        let front = output.get(..output.len().min(SEALED_BYTES_MAX)).unwrap_or_default();
        // Before the end of the handshake, the library keeps these bytes.
        let taken = self.tls.writer().write(front).unwrap_or_default();
        self.take_sealed();
        taken
    }

    /// Appends a `close_notify` to the sealed bytes.
    pub fn finish(&mut self) {
        self.tls.send_close_notify();
        self.take_sealed();
    }

    /// The bytes for the kernel.
    #[must_use]
    pub fn sealed(&self) -> &[u8] {
        &self.sealed
    }

    /// True if bytes for the kernel wait, sealed or in the library.
    #[must_use]
    pub fn wants_write(&self) -> bool {
        !self.sealed.is_empty() || self.tls.wants_write()
    }

    /// Removes `count` sealed bytes that the kernel has accepted.
    pub fn note_sent(&mut self, count: usize) {
        self.sealed.drain(..count.min(self.sealed.len()));
    }

    /// Takes what the library has to send, and appends it to the sealed bytes.
    fn take_sealed(&mut self) {
        while self.tls.wants_write() && self.tls.write_tls(&mut self.sealed).is_ok() {}
    }
}

/// Returns `error` as a fact and a remedy.
fn explained(error: &Error) -> TlsError {
    TlsError::new(match error {
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => {
            "no certificate of --bus-ca has signed that of the broker; use the one that has".into()
        }
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "the certificate of the broker has expired; renew it, or check the clock".into(),
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the certificate of the broker is for another host; use a name of it in --bus".into(),
        Error::InvalidCertificate(error) => {
            format!("the certificate of the broker cannot be used: {error}")
        }
        Error::AlertReceived(alert) => {
            format!("the broker refuses the handshake of TLS ({alert:?}); see its log")
        }
        _ => format!("TLS with the broker failed: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
    use rustls::ServerConnection;

    use super::super::TlsSettings;
    use super::*;

    /// An authority that signs the certificates of brokers.
    fn authority() -> (Issuer<'static, KeyPair>, String) {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        (Issuer::new(params, key), pem)
    }

    fn broker(issuer: &Issuer<'_, KeyPair>, host: &str, year: i32) -> ServerConnection {
        let mut params = CertificateParams::new([host.to_owned()]).expect("a name");
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let pem = params.signed_by(&key, issuer).expect("a certificate").pem();
        let settings = TlsSettings::builder().identity_pem(pem, key.serialize_pem()).build();
        let settings = settings.expect("settings");
        ServerConnection::new(Arc::clone(settings.config())).expect("a connection")
    }

    fn layer(authority: &str, host: &str) -> ClientLayer {
        let path = std::env::temp_dir().join(format!(
            "tinytcp-ca-{}-{:?}.pem",
            std::process::id(),
            std::thread::current().id()
        ));
        std::fs::write(&path, authority).expect("a file");
        let settings = ClientSettings::trusting(&path).expect("an authority");
        std::fs::remove_file(&path).expect("ours");
        ClientLayer::new(&settings, host).expect("a name")
    }

    /// Exchanges bytes until both sides have nothing to say. Returns what the client got.
    fn talk(
        layer: &mut ClientLayer,
        broker: &mut ServerConnection,
        mut output: &[u8],
    ) -> Result<String, TlsError> {
        let mut got = Vec::new();
        for _ in 0..10 {
            output = &output[layer.seal(output)..];
            let mut sealed = layer.sealed();
            while !sealed.is_empty() {
                broker.read_tls(&mut sealed).expect("memory");
                let _ = broker.process_new_packets();
            }
            layer.note_sent(layer.sealed().len());
            let mut raw = Vec::new();
            while broker.wants_write() {
                broker.write_tls(&mut raw).expect("memory");
            }
            let mut input = vec![0; raw.len() + (32 << 10)];
            let Some(count) = layer.open(&raw, &mut input)? else { return Ok("end".into()) };
            got.extend_from_slice(&input[..count]);
        }
        Ok(String::from_utf8(got).expect("text"))
    }

    #[test]
    fn bytes_go_both_ways_after_the_handshake() {
        let (issuer, pem) = authority();
        let (mut layer, mut broker) = (layer(&pem, "broker"), broker(&issuer, "broker", 2999));
        assert_eq!(talk(&mut layer, &mut broker, b"CONNECT"), Ok(String::new()));
        let mut got = [0; 7];
        broker.reader().read_exact(&mut got).expect("all of it");
        assert_eq!(&got, b"CONNECT");
        broker.writer().write_all(b"PONG").expect("memory");
        assert_eq!(talk(&mut layer, &mut broker, b""), Ok("PONG".into()));
        broker.send_close_notify();
        assert_eq!(talk(&mut layer, &mut broker, b""), Ok("end".into()));
    }

    #[test]
    fn each_unacceptable_certificate_has_a_line_of_its_own() {
        let (issuer, pem) = authority();
        let (_, other) = authority();
        for (authority, host, year, expected) in [
            (&other, "broker", 2999, "no certificate of --bus-ca has signed that of the broker"),
            (&pem, "other", 2999, "the certificate of the broker is for another host"),
            (&pem, "broker", 2001, "the certificate of the broker has expired"),
        ] {
            let mut broker = broker(&issuer, "broker", year);
            let error = talk(&mut layer(authority, host), &mut broker, b"").expect_err(expected);
            assert!(
                error.to_string().starts_with(expected) && error.to_string().contains("; "),
                "{error}"
            );
        }
    }

    #[test]
    fn a_peer_without_tls_is_an_error() {
        let (_, pem) = authority();
        let mut input = [0; 32 << 10];
        let error = layer(&pem, "broker").open(b"-ERR 'Unknown'\r\n", &mut input);
        assert!(error.is_err_and(|it| it.to_string().starts_with("TLS with the broker failed: ")));
    }

    #[test]
    fn a_file_without_an_authority_is_refused() {
        let error = ClientSettings::trusting(Path::new("/none/ca.pem")).expect_err("no file");
        assert!(error.to_string().contains("cannot read /none/ca.pem"), "{error}");
    }
}
