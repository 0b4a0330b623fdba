//! A TLS client over rustls, for the server under test.

use super::certificates::Identity;
use super::server::Server;
use super::wait::PATIENCE;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, version};
use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

/// A client that trusts one authority.
pub struct Client {
    config: ClientConfig,
    name: &'static str,
}

/// An encrypted connection.
pub type Encrypted = BufReader<StreamOwned<ClientConnection, TcpStream>>;

impl Client {
    pub fn new(authority: &str, identity: Option<&Identity>) -> Self {
        Self::speaking(&[&version::TLS13, &version::TLS12], authority, identity)
    }

    pub fn speaking(
        versions: &[&'static rustls::SupportedProtocolVersion],
        authority: &str,
        identity: Option<&Identity>,
    ) -> Self {
        let certificate = |pem: &str| {
            CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate in PEM")
        };
        let mut roots = RootCertStore::empty();
        roots.add(certificate(authority)).expect("an authority");
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some(Identity { certificate: chain, key }) => {
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key in PEM");
                builder.with_client_auth_cert(vec![certificate(chain)], key).expect("a pair")
            }
        };
        Self { config, name: "localhost" }
    }

    /// Returns the same client for another host name.
    pub fn asking_for(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// The TLS side of a connection, without a socket.
    pub fn connection(&self) -> ClientConnection {
        let name = ServerName::try_from(self.name).expect("a name");
        ClientConnection::new(Arc::new(self.config.clone()), name).expect("a client")
    }

    /// Connects and makes the handshake.
    pub fn connect(&self, server: &Server, protocol: &str) -> io::Result<Encrypted> {
        let mut socket = TcpStream::connect(server.address(protocol)).expect("connect");
        socket.set_read_timeout(Some(PATIENCE)).expect("set the read timeout");
        socket.set_write_timeout(Some(PATIENCE)).expect("set the write timeout");
        let mut connection = self.connection();
        connection.complete_io(&mut socket)?;
        Ok(BufReader::new(StreamOwned::new(connection, socket)))
    }

    /// Connects, sends `request`, and returns all that the server sends.
    pub fn talk(&self, server: &Server, protocol: &str, request: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = self.connect(server, protocol)?;
        stream.get_mut().write_all(request)?;
        let mut answers = Vec::new();
        stream.read_to_end(&mut answers)?;
        Ok(answers)
    }

    /// Connects and sends `request`. True if an error comes instead of an answer.
    pub fn is_refused(&self, server: &Server) -> bool {
        self.talk(server, "text", b"QUIT\n").is_err()
    }
}

/// Returns the certificate of the server.
pub fn shown(stream: &Encrypted) -> Vec<u8> {
    let chain = stream.get_ref().conn.peer_certificates().expect("a certificate");
    chain[0].as_ref().to_vec()
}

pub fn der(identity: &Identity) -> Vec<u8> {
    let pem = identity.certificate.as_bytes();
    CertificateDer::from_pem_slice(pem).expect("a certificate in PEM").as_ref().to_vec()
}
