//! A line echo on tokio and rustls, as its users write it: a task per connection, one thread, and
//! buffers around the encrypted stream. Its arguments are a certificate and its key in PEM, and the
//! line with which it greets every connection.

use std::error::Error;
use std::sync::Arc;
use std::{env, io};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [certificate, key, greeting] = arguments.as_slice() else {
        return Err("the arguments are CERTIFICATE KEY GREETING".into());
    };
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let greeting: Arc<str> = format!("{greeting}\n").into();
    let listener = tinytcp_peers::listen()?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        // A peer that resets its connection ends only its own task.
        tokio::spawn(serve(acceptor.clone(), stream, Arc::clone(&greeting)));
    }
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream, greeting: Arc<str>) -> io::Result<()> {
    let mut stream = BufReader::new(acceptor.accept(stream).await?);
    stream.get_mut().write_all(greeting.as_bytes()).await?;
    stream.get_mut().flush().await?;
    let mut line = String::new();
    let mut answers = Vec::new();
    while stream.read_line(&mut line).await? > 0 {
        answers.extend_from_slice(line.as_bytes());
        line.clear();
        if !stream.buffer().contains(&b'\n') {
            stream.get_mut().write_all(&answers).await?;
            stream.get_mut().flush().await?;
            answers.clear();
        }
    }
    stream.get_mut().shutdown().await
}
