//! The needs of encrypted servers: a certificate, and the settings of programs that terminate TLS.

use std::error::Error;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::{env, fs, io, process};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Files with a self-signed certificate for `localhost` and 127.0.0.1, and their folder.
pub struct Certificate {
    folder: PathBuf,
}

/// A program that terminates TLS before another server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Terminator {
    Haproxy,
    Nginx,
    Stunnel,
}

impl Terminator {
    /// Returns the program and the package that has it.
    pub const fn program(self) -> (&'static str, &'static str) {
        match self {
            Self::Haproxy => ("haproxy", "haproxy"),
            Self::Nginx => ("nginx", "nginx-light libnginx-mod-stream"),
            Self::Stunnel => ("stunnel", "stunnel4"),
        }
    }

    /// Returns the arguments before the name of its settings.
    pub const fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Haproxy => &["-f"],
            Self::Nginx => &["-e", "stderr", "-c"],
            Self::Stunnel => &[],
        }
    }
}

impl Certificate {
    /// Returns the certificate of this run. The first call creates it.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn of_this_run() -> Result<&'static Self, Box<dyn Error>> {
        static CERTIFICATE: OnceLock<Certificate> = OnceLock::new();
        match CERTIFICATE.get() {
            Some(certificate) => Ok(certificate),
            None => {
                let certificate = Self::new()?;
                Ok(CERTIFICATE.get_or_init(|| certificate))
            }
        }
    }

    fn new() -> Result<Self, Box<dyn Error>> {
        let folder = env::temp_dir().join(format!("versus-tls-{}", process::id()));
        fs::create_dir_all(&folder)?;
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names)?;
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        fs::write(folder.join("cert.pem"), &certificate)?;
        fs::write(folder.join("key.pem"), &key)?;
        fs::write(folder.join("both.pem"), certificate + &key)?;
        Ok(Self { folder })
    }

    pub fn certificate(&self) -> PathBuf {
        self.folder.join("cert.pem")
    }

    pub fn key(&self) -> PathBuf {
        self.folder.join("key.pem")
    }

    /// Removes the files of this run, if it has any.
    pub fn remove() {
        let folder = env::temp_dir().join(format!("versus-tls-{}", process::id()));
        // It fails exactly when no encrypted server was measured.
        let _ = fs::remove_dir_all(folder);
    }

    /// Writes the settings of a program that listens at `addr` and terminates TLS before `backend`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn settings(
        &self,
        terminator: Terminator,
        addr: SocketAddr,
        backend: SocketAddr,
        clients_max: u64,
    ) -> io::Result<PathBuf> {
        let folder = self.folder.display();
        let text = match terminator {
            Terminator::Haproxy => format!(
                "global\n  nbthread 1\n  maxconn {clients_max}\n  tune.ssl.default-dh-param 2048\n\
                 defaults\n  mode tcp\n  maxconn {clients_max}\n  timeout connect 5s\n  \
                 timeout client 5m\n  timeout server 5m\n\
                 frontend tls\n  bind {addr} ssl crt {folder}/both.pem\n  default_backend floor\n\
                 backend floor\n  server floor {backend}\n"
            ),
            Terminator::Nginx => format!(
                "daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\n\
                 include /etc/nginx/modules-enabled/*.conf;\n\
                 events {{ worker_connections {}; }}\n\
                 stream {{ server {{\n  listen {addr} ssl;\n  proxy_pass {backend};\n  \
                 ssl_certificate {folder}/cert.pem;\n  \
                 ssl_certificate_key {folder}/key.pem;\n}} }}\n",
                // It also counts its connections to the backend.
                2 * clients_max
            ),
            Terminator::Stunnel => format!(
                "foreground = yes\npid =\n[floor]\naccept = {addr}\nconnect = {backend}\n\
                 cert = {folder}/cert.pem\nkey = {folder}/key.pem\n"
            ),
        };
        let path = self.folder.join("settings");
        fs::write(&path, text)?;
        Ok(path)
    }
}

/// A client of an encrypted server.
pub type Encrypted = StreamOwned<ClientConnection, TcpStream>;

/// Returns the settings of the clients, which trust the certificate of this run.
///
/// # Errors
/// When the certificate cannot be read.
pub fn client(certificate: &Path) -> Result<Arc<ClientConfig>, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate)?)?;
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// Returns a stream that makes the handshake on `stream` when it is first used.
///
/// # Errors
/// When the system has no random bytes.
pub fn encrypted(
    config: &Arc<ClientConfig>,
    stream: TcpStream,
) -> Result<Encrypted, Box<dyn Error>> {
    let name = ServerName::try_from("localhost")?;
    Ok(StreamOwned::new(ClientConnection::new(Arc::clone(config), name)?, stream))
}
