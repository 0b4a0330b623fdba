//! The TLS side of a raw client. Two threads may share a connection.

use super::wait::uninterrupted;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, version};
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::{env, mem};

/// The variable with the folder of the certificates of the server and of its authority. If it is
/// set, every server listens with TLS and every peer uses TLS.
pub const FILES: &str = "TINYTCP_TEST_TLS";

/// The variable that chooses one version, `1.2` or `1.3`.
pub const VERSION: &str = "TINYTCP_TEST_TLS_VERSION";

/// The folder of the certificates, if the tests run over TLS.
pub fn files() -> Option<PathBuf> {
    env::var_os(FILES).map(PathBuf::from)
}

/// Returns the settings of all peers of this process. They share TLS sessions, so that most
/// handshakes are resumed.
pub fn common_config(folder: &Path) -> Arc<ClientConfig> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let version = match env::var(VERSION).as_deref() {
        Ok("1.2") => ProtocolVersion::TLSv1_2,
        _ => ProtocolVersion::TLSv1_3,
    };
    Arc::clone(CONFIG.get_or_init(|| config(&folder.join("ca.pem"), version)))
}

/// Returns the settings of a client with one version, which trusts the authority of `ca`.
pub fn config(ca: &Path, version: ProtocolVersion) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(ca).expect("the certificate of an authority");
    roots.add(certificate).expect("the certificate of an authority");
    let versions = match version {
        ProtocolVersion::TLSv1_2 => [&version::TLS12],
        _ => [&version::TLS13],
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&versions)
        .expect("a version of the provider");
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

/// One connection; its clones share it.
#[derive(Clone)]
pub struct Encrypted(Arc<Shared>);

struct Shared {
    socket: TcpStream,
    inward: Mutex<Inward>,
    /// Records that the kernel has not taken. Locked before `inward`.
    unsent: Mutex<Vec<u8>>,
}

struct Inward {
    engine: ClientConnection,
    /// Records that are not opened.
    unopened: Vec<u8>,
    /// True once the end of output is announced, or never will be.
    has_said_goodbye: bool,
}

impl Inward {
    /// Appends what waits to be sent to `unsent`.
    fn seal(&mut self, unsent: &mut Vec<u8>) -> io::Result<()> {
        while self.engine.wants_write() {
            self.engine.write_tls(unsent)?;
        }
        Ok(())
    }
}

impl Encrypted {
    /// Makes the handshake.
    pub fn connect(socket: TcpStream, config: Arc<ClientConfig>) -> io::Result<Self> {
        let name = ServerName::try_from("localhost").expect("a name");
        let engine = ClientConnection::new(config, name).map_err(io::Error::other)?;
        let inward = Inward { engine, unopened: Vec::new(), has_said_goodbye: false };
        let encrypted = Self(Arc::new(Shared {
            socket,
            inward: Mutex::new(inward),
            unsent: Mutex::new(Vec::new()),
        }));
        encrypted.send_own()?;
        while encrypted.inward().engine.is_handshaking() {
            encrypted.open_more()?;
        }
        Ok(encrypted)
    }

    pub fn socket(&self) -> &TcpStream {
        &self.0.socket
    }

    /// Announces the end of output, and ends it.
    pub fn end_output(&self) -> io::Result<()> {
        self.say_goodbye()?;
        self.0.socket.shutdown(Shutdown::Write)
    }

    /// Announces the end of output, and leaves the connection open.
    pub fn say_goodbye(&self) -> io::Result<()> {
        let mut inward = self.inward();
        inward.has_said_goodbye = true;
        inward.engine.send_close_notify();
        drop(inward);
        self.send_own()
    }

    /// Drops the connection without an announcement of its end.
    pub fn abandon(&self) {
        self.inward().has_said_goodbye = true;
    }

    /// True when there is something to read now; the socket does not block.
    pub fn has_bytes(&self) -> bool {
        let has_some = || {
            let mut inward = self.inward();
            inward.engine.reader().fill_buf().is_ok_and(|bytes| !bytes.is_empty())
        };
        while !has_some() {
            match self.open_more() {
                Ok(true) => {}
                Ok(false) | Err(_) => return false,
            }
        }
        true
    }

    fn inward(&self) -> MutexGuard<'_, Inward> {
        self.0.inward.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unsent(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens records, and reads more if there are none. Returns false at the end of input.
    fn open_more(&self) -> io::Result<bool> {
        let mut block = [0; 16 << 10];
        let is_empty = self.inward().unopened.is_empty();
        // No lock is held while the read waits.
        let len = match is_empty {
            true => uninterrupted(|| (&self.0.socket).read(&mut block))?,
            false => 0,
        };
        let mut inward = self.inward();
        let Inward { engine, unopened, .. } = &mut *inward;
        unopened.extend_from_slice(&block[..len]);
        let mut rest = unopened.as_slice();
        engine.read_tls(&mut rest)?;
        let opened_len = unopened.len() - rest.len();
        unopened.drain(..opened_len);
        let opened = engine.process_new_packets();
        let has_own = engine.wants_write();
        drop(inward);
        if has_own {
            self.send_own()?;
        }
        opened.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        Ok(!is_empty || len > 0)
    }

    /// Sends the records of the protocol itself.
    fn send_own(&self) -> io::Result<()> {
        let mut unsent = self.unsent();
        self.inward().seal(&mut unsent)?;
        self.send_some(&mut unsent)
    }

    fn send_some(&self, unsent: &mut Vec<u8>) -> io::Result<()> {
        while !unsent.is_empty() {
            let sent = uninterrupted(|| (&self.0.socket).write(unsent))?;
            unsent.drain(..sent);
        }
        Ok(())
    }
}

impl Read for Encrypted {
    /// Returns 0 only after the server has announced its end.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.inward().engine.reader().read(buf);
            match read {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.open_more()?;
                }
                result => return result,
            }
        }
    }
}

impl Write for Encrypted {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        const RECORD_MAX: usize = 16 << 10;
        let mut unsent = self.unsent();
        self.send_some(&mut unsent)?;
        let mut inward = self.inward();
        let taken = inward.engine.writer().write(&buf[..buf.len().min(RECORD_MAX)])?;
        // Under the same lock, because a reader that found the record would wait for this send.
        inward.seal(&mut unsent)?;
        drop(inward);
        match self.send_some(&mut unsent) {
            // The record is accepted, and its rest is sent first next time.
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_some(&mut self.unsent())
    }
}

impl Drop for Shared {
    /// Announces the end, as a client does that closes in order, if the kernel takes the bytes now.
    fn drop(&mut self) {
        let inward = self.inward.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut unsent = mem::take(self.unsent.get_mut().unwrap_or_else(PoisonError::into_inner));
        if inward.has_said_goodbye || self.socket.set_nonblocking(true).is_err() {
            return;
        }
        inward.engine.send_close_notify();
        let sealed = inward.engine.write_tls(&mut unsent);
        let _ = sealed.and_then(|_| (&self.socket).write(&unsent));
    }
}
