//! Encrypted connections: what the TLS library allocates for a message, and what an idle connection
//! holds.
//!
//! The client encrypts its requests before the count and decrypts the answers after it, so that
//! only the server allocates in between.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};

use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use stats_alloc::Region;
use tinytcp::protocol::Text;
use tinytcp::tls::TlsSettings;
use tinytcp::{Handle, Listener, Server, Settings};

use super::*;

const REQUEST: &[u8] = b"ECHO hello\n";

/// The bytes of a TLS 1.3 record in addition to its content: header, kind and tag.
const RECORD_OVERHEAD: usize = 5 + 1 + 16;
const ANSWER_LEN: usize = REQUEST.len() + RECORD_OVERHEAD;

/// The allocations of rustls for a request and its answer: one for the content of a record that it
/// opens, one for a record that it seals. The server's own are none.
const LIBRARY_ALLOCATIONS: usize = 2;

/// The most bytes of an idle connection, as requested of the allocator.
const IDLE_BYTES_MAX: usize = 3700;
const CONNECTIONS: usize = 500;

/// A server of `text` over TLS, and the configuration of clients that trust it.
struct Encrypted {
    addr: SocketAddr,
    client: Arc<ClientConfig>,
    handle: Handle,
    running: JoinHandle<()>,
}

impl Encrypted {
    fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a name");
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let settings = TlsSettings::builder().identity_pem(&*certificate, &*key).build();
        let endpoint = ([127, 0, 0, 1], 0).into();
        let listener = Listener::new([endpoint], Arc::new(Text::new()));
        let listener = listener.encrypted(settings.expect("a certificate and its key"));
        let mut settings = Settings::default();
        settings.activity_lines_max = None;
        let server = Server::builder().listener(listener).settings(settings);
        let server = server.build().expect("a free port");
        let addr = server.addresses()[0].addr().expect("a listener of TCP");
        let handle = server.handle();
        let running = thread::spawn(|| drop(server.run().expect("the server does not fail")));
        Self { addr, client: client_config(&certificate), handle, running }
    }

    fn stop(self) {
        self.handle.stop();
        self.running.join().expect("the server does not panic");
    }

    /// Connects, makes the handshake, and reads the greeting.
    fn connect(&self) -> (TcpStream, ClientConnection) {
        let mut socket = TcpStream::connect(self.addr).expect("the server listens");
        socket.set_nodelay(true).expect("a TCP socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero");
        socket.set_write_timeout(Some(PATIENCE)).expect("a timeout above zero");
        let name = ServerName::try_from("localhost").expect("a name");
        let mut tls = ClientConnection::new(self.client.clone(), name).expect("a configuration");
        while tls.is_handshaking() {
            tls.complete_io(&mut socket).expect("a handshake");
        }
        let mut greeting = vec![0; BANNER.len() + 1];
        rustls::Stream::new(&mut tls, &mut socket).read_exact(&mut greeting).expect("a greeting");
        (socket, tls)
    }
}

fn client_config(certificate: &str) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes());
    roots.add(certificate.expect("a certificate")).expect("a root");
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .expect("a version of the provider")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

fn seal(tls: &mut ClientConnection) -> Vec<u8> {
    tls.writer().write_all(REQUEST).expect("the library buffers it");
    let mut record = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut record).expect("a vector takes all bytes");
    }
    record
}

/// Opens `sealed` and asserts that it has an answer to each of `count` requests.
fn open(tls: &mut ClientConnection, mut sealed: &[u8], count: usize) {
    let mut answers = Vec::new();
    while !sealed.is_empty() {
        tls.read_tls(&mut sealed).expect("a slice can be read");
        let state = tls.process_new_packets().expect("authentic records");
        let mut bytes = vec![0; state.plaintext_bytes_to_read()];
        tls.reader().read_exact(&mut bytes).expect("opened bytes");
        answers.extend(bytes);
    }
    assert!(answers == REQUEST.repeat(count), "other answers");
}

#[test]
fn a_request_costs_two_allocations_of_the_library() {
    const REPEATS: usize = 100;
    let _alone = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let server = Encrypted::start();
    let (mut socket, mut tls) = server.connect();
    let count = REPEATS * (WARM_UPS + TIMES);
    let requests: Vec<Vec<u8>> = (0..count).map(|_| seal(&mut tls)).collect();
    let mut answers = vec![0; count * ANSWER_LEN];
    let mut exchanges = requests.iter().zip(answers.chunks_exact_mut(ANSWER_LEN));
    let mut converse = || {
        for (request, answer) in exchanges.by_ref().take(REPEATS) {
            socket.write_all(request).expect("the server reads");
            socket.read_exact(answer).expect("an answer in time");
        }
    };
    (0..WARM_UPS).for_each(|_| converse());
    let counts: [usize; TIMES] = std::array::from_fn(|_| {
        let region = Region::new(ALLOCATOR);
        converse();
        let change = region.change();
        change.allocations + change.reallocations
    });
    open(&mut tls, &answers, count);
    drop((socket, tls));
    server.stop();
    assert_eq!(counts.into_iter().min(), Some(REPEATS * LIBRARY_ALLOCATIONS));
}

#[test]
fn an_idle_connection_holds_at_most_3700_bytes() {
    let _alone = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    rlimit::increase_nofile_limit(4000).expect("descriptors for both ends");
    let server = Encrypted::start();
    let use_once = || {
        let (mut socket, mut tls) = server.connect();
        let mut answer = [0; ANSWER_LEN];
        socket.write_all(&seal(&mut tls)).expect("the server reads");
        socket.read_exact(&mut answer).expect("an answer in time");
        open(&mut tls, &answer, 1);
        socket
    };
    let warm_up: Vec<TcpStream> = (0..10).map(|_| use_once()).collect();
    let mut sockets = Vec::with_capacity(CONNECTIONS);
    let region = Region::new(ALLOCATOR);
    // The memory of the client's own side is freed after its answer.
    sockets.extend((0..CONNECTIONS).map(|_| use_once()));
    let change = region.change();
    let held = change.bytes_allocated.saturating_sub(change.bytes_deallocated) / CONNECTIONS;
    drop((warm_up, sockets));
    server.stop();
    assert!(held <= IDLE_BYTES_MAX, "an idle connection holds {held} bytes");
}
