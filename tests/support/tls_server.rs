//! A TLS server over rustls, for the clients under test.

use super::behaviour::{hold, serve};
use super::certificates::{Authority, Identity};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ProtocolVersion, RootCertStore, ServerConfig, ServerConnection, StreamOwned, version,
};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

/// An encrypted connection on the side of the server.
pub type TlsStream = StreamOwned<ServerConnection, TcpStream>;

/// Returns the settings of a server that has `identity`, one version, and demands certificates of
/// `client_ca`.
pub fn config(
    identity: &Identity,
    version: ProtocolVersion,
    client_ca: Option<&Authority>,
) -> Arc<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let versions = match version {
        ProtocolVersion::TLSv1_2 => [&version::TLS12],
        _ => [&version::TLS13],
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .expect("a version of the provider");
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(certificate(&authority.certificate())).expect("an authority");
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().expect("a root"))
        }
    };
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("a key");
    let chain = vec![certificate(&identity.certificate)];
    Arc::new(builder.with_single_cert(chain, key).expect("a certificate and its key"))
}

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}

/// Serves every connection with `behaviour` after its handshake; returns the port.
pub fn serve_tls(
    config: Arc<ServerConfig>,
    behaviour: impl Fn(TlsStream) + Send + Sync + 'static,
) -> u16 {
    serve(move |socket| {
        if let Some(stream) = accept(&config, socket) {
            behaviour(stream);
        }
    })
}

/// Makes the handshake. `None` if it failed; the client has received the alert then.
pub fn accept(config: &Arc<ServerConfig>, mut socket: TcpStream) -> Option<TlsStream> {
    let mut connection = ServerConnection::new(Arc::clone(config)).expect("a connection");
    while connection.is_handshaking() {
        if connection.complete_io(&mut socket).is_err() {
            // A close before the client's last bytes are read would reset the connection, and
            // destroy the alert.
            let _ = socket.shutdown(Shutdown::Write);
            hold(socket);
            return None;
        }
    }
    Some(StreamOwned::new(connection, socket))
}

/// Serves `text` until QUIT or the end of input, which it returns: an error if the client has cut
/// the connection. Then it ends TLS.
pub fn speak_text(stream: TlsStream) -> io::Result<()> {
    let mut lines = BufReader::new(stream);
    lines.get_mut().write_all(b"WELCOME\n")?;
    let mut line = Vec::new();
    let end = loop {
        line.clear();
        match lines.read_until(b'\n', &mut line) {
            Ok(0) => break Ok(()),
            Ok(_) if line == b"QUIT\n" => {
                lines.get_mut().write_all(b"BYE\n")?;
                break Ok(());
            }
            Ok(_) => lines.get_mut().write_all(&line)?,
            Err(error) => break Err(error),
        }
    };
    end_tls(lines.into_inner());
    end
}

/// Ends TLS, and the connection after the client has ended it.
pub fn end_tls(mut stream: TlsStream) {
    stream.conn.send_close_notify();
    let _ = stream.flush();
    cut(stream);
}

/// Closes the connection without the end of TLS.
pub fn cut(stream: TlsStream) {
    let _ = stream.sock.shutdown(Shutdown::Write);
    hold(stream.sock);
}
