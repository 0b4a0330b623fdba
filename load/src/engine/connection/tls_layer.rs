//! The TLS layer of a connection, between the bytes of the kernel and those of the protocol.
//!
//! Bytes of the kernel go in and bytes of the protocol come out, completely: no byte that was read
//! from the socket waits in the layer, because no event would report it.

use std::io::{self, BufRead, Write};
use std::mem;

use mio::net::TcpStream;
use rustls::{CipherSuite, ClientConnection, Error, HandshakeKind, ProtocolVersion};
use tinytcp_core::os::moment::Moment;
use tinytcp_core::os::system::interrupted;

use crate::measurement::causes::ConnectError;
use crate::measurement::tls::TlsSuite;
use crate::traffic::plan::TlsPlan;

/// The types of the records of TLS (RFC 8446, section 5.1), and of its heartbeats (RFC 6520).
const RECORD_TYPES: std::ops::RangeInclusive<u8> = 20..=24;

/// The layer of one connection.
#[derive(Debug)]
pub struct TlsLayer {
    session: ClientConnection,
    /// When the handshake began.
    begun: Moment,
    /// Bytes of requests in records that the kernel has not completely accepted.
    sealed: usize,
    /// True if the first byte of the server was that of a record.
    is_tls: Option<bool>,
    /// True if the server has sent the end of TLS.
    is_ended: bool,
}

impl TlsLayer {
    /// Begins the handshake of a connection to the address with this index; `send` sends it.
    ///
    /// # Errors
    /// Fails if the system has no random bytes.
    pub fn new(plan: &TlsPlan, address: usize, begun: Moment) -> Result<Box<Self>, ConnectError> {
        let session = plan.session(address).map_err(|_| ConnectError::TlsFailed)?;
        Ok(Box::new(Self { session, begun, sealed: 0, is_tls: None, is_ended: false }))
    }

    /// Returns when the handshake began.
    #[must_use]
    pub const fn begun(&self) -> Moment {
        self.begun
    }

    /// Returns true if the handshake is complete, at least for this end.
    #[must_use]
    pub fn is_established(&self) -> bool {
        !self.session.is_handshaking()
    }

    /// Returns true if the server has sent the end of TLS (close_notify).
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Returns true if the session was resumed.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.session.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Returns the version and the cipher suite of the handshake.
    #[must_use]
    pub fn suite(&self) -> TlsSuite {
        let version = match self.session.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "unknown",
        };
        let cipher = self.session.negotiated_cipher_suite().map(|cipher| cipher.suite());
        TlsSuite { version, cipher: cipher.map_or("unknown", cipher_name) }
    }

    /// Encrypts and sends `bytes`, as a write to a socket: returns the number of bytes whose
    /// records the kernel has accepted, which is less than all only if the socket is full. The next
    /// call must begin with the bytes that were not accepted.
    ///
    /// # Errors
    /// Fails with `WouldBlock` if no byte was accepted, and if the connection is broken.
    pub fn write(&mut self, stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        loop {
            match self.send(stream) {
                Ok(()) => written += mem::take(&mut self.sealed),
                Err(_) if written > 0 => return Ok(written),
                Err(error) => return Err(error),
            }
            if written == bytes.len() {
                return Ok(written);
            }
            // The session encrypts at most 64 KiB at once, which bounds its memory.
            self.sealed = self.session.writer().write(&bytes[written..])?;
        }
    }

    /// Sends the records that are encrypted.
    ///
    /// # Errors
    /// Fails with `WouldBlock` if the socket is full, and if the connection is broken.
    pub fn send(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(stream) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if interrupted(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Decrypts the start of `bytes`, and removes it from them. [`Self::received`] returns the
    /// result and must be called until it is empty, after a failure too.
    ///
    /// # Errors
    /// Fails if the bytes are not those of the protocol, the certificate is not accepted, or the
    /// server has sent an alert.
    pub fn open(&mut self, bytes: &mut &[u8]) -> Result<(), Failure> {
        if let Some(first) = bytes.first() {
            self.is_tls.get_or_insert(RECORD_TYPES.contains(first));
        }
        let opened = match self.session.read_tls(bytes) {
            Ok(0) => {
                // Bytes after the end of TLS have no meaning.
                *bytes = &[];
                return Ok(());
            }
            Ok(_) => self.session.process_new_packets(),
            Err(_) => Err(Error::PeerSentOversizedRecord),
        };
        let state =
            opened.map_err(|error| Failure { is_tls: self.is_tls != Some(false), error })?;
        self.is_ended = state.peer_has_closed();
        Ok(())
    }

    /// Returns decrypted bytes; empty if there are none.
    pub fn received(&mut self) -> &[u8] {
        self.session.reader().into_first_chunk().unwrap_or_default()
    }

    /// Removes the first `len` of the decrypted bytes.
    pub fn consume(&mut self, len: usize) {
        self.session.reader().consume(len);
    }

    /// Sends the end of TLS (close_notify), as far as the socket has room. After a failure, it
    /// sends the alert instead.
    pub fn close(&mut self, stream: &mut TcpStream) {
        self.session.send_close_notify();
        // The connection is closed in any case.
        let _ = self.send(stream);
    }
}

/// Returns the name of a cipher suite in the registry of IANA. The library has names of its own for
/// those of TLS 1.3.
fn cipher_name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => other.as_str().unwrap_or("unknown"),
    }
}

/// The reason why TLS has failed.
#[derive(Debug)]
pub struct Failure {
    /// False if the first byte of the server was not that of a record.
    is_tls: bool,
    error: Error,
}

impl Failure {
    /// Returns the cause that a failed handshake counts as.
    #[must_use]
    pub fn cause(&self) -> ConnectError {
        match self.error {
            _ if !self.is_tls => ConnectError::TlsPlainServer,
            Error::InvalidCertificate(_) | Error::NoCertificatesPresented => {
                ConnectError::TlsCertificate
            }
            Error::AlertReceived(_) => ConnectError::TlsAlert,
            _ => ConnectError::TlsFailed,
        }
    }

    /// Returns a line about it: the fact and the remedy.
    #[must_use]
    pub fn text(&self, plan: &TlsPlan) -> String {
        if self.is_tls {
            return plan.explain(&self.error);
        }
        "the server answered with bytes that are not TLS; leave out +tls, or use the port of its \
         TLS"
        .into()
    }
}
