//! The cost of TLS without a network: the layer of a connection, beside its library and its cipher.
//!
//! ```text
//! cargo bench --bench encryption            # all of it; a word after `--` chooses: `-- handshake`
//! ```
//!
//! The time is that of the server's end. A message is decrypted, and encrypted again as its answer.

use std::hint::black_box;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use rustls::client::Resumption;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};
use tinytcp_core::buffers::buffer::Buffer;
use tinytcp_core::buffers::pool::{BLOCK_LEN, Pool};
use tinytcp_core::tls::layer::{Layer, RECORD_BYTES_MAX, Step};
use tinytcp_core::tls::settings::TlsSettings;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    targets = handshakes, messages
}
criterion_main!(benches);

/// The lengths of messages: a short one, and one of 64 KiB.
const LENGTHS: [(&str, usize); 2] = [("23 bytes", 23), ("64 KiB", 64 << 10)];

/// The server's end of a connection.
trait Server {
    fn new(settings: &TlsSettings) -> Self;

    /// Takes `sealed` bytes from the client, and appends the bytes for the client to `answer`.
    fn receive(&mut self, sealed: &[u8], answer: &mut Vec<u8>);
}

/// The library with the buffers that it offers.
struct Library {
    tls: ServerConnection,
    message: Vec<u8>,
}

/// The layer of our connections, with an echo after it.
struct Ours {
    layer: Layer,
    pool: Pool,
    message: Buffer,
    is_established: bool,
}

impl Server for Library {
    fn new(settings: &TlsSettings) -> Self {
        let tls = ServerConnection::new(settings.config().clone()).expect("the settings are good");
        Self { tls, message: vec![0; 64 << 10] }
    }

    fn receive(&mut self, mut sealed: &[u8], answer: &mut Vec<u8>) {
        while !sealed.is_empty() {
            self.tls.read_tls(&mut sealed).expect("memory is always readable");
            self.tls.process_new_packets().expect("the client is good");
            while let Ok(count @ 1..) = self.tls.reader().read(&mut self.message) {
                let mut rest = &self.message[..count];
                while !rest.is_empty() {
                    let taken = self.tls.writer().write(rest).expect("records take bytes");
                    rest = &rest[taken..];
                    flush(&mut self.tls, answer);
                }
            }
        }
        flush(&mut self.tls, answer);
    }
}

/// Moves the bytes that the library has to send to `answer`.
fn flush(tls: &mut ServerConnection, answer: &mut Vec<u8>) {
    while tls.wants_write() {
        tls.write_tls(answer).expect("a vector takes all bytes");
    }
}

impl Server for Ours {
    fn new(settings: &TlsSettings) -> Self {
        Self {
            layer: Layer::new(settings, Buffer::default()).expect("the settings are good"),
            pool: Pool::new(1 << 20),
            message: Buffer::default(),
            is_established: false,
        }
    }

    fn receive(&mut self, mut sealed: &[u8], answer: &mut Vec<u8>) {
        while !sealed.is_empty() {
            let raw = self.layer.raw_mut();
            let (piece, rest) = sealed.split_at(sealed.len().min(BLOCK_LEN - raw.len()));
            raw.append(piece, &mut self.pool);
            sealed = rest;
            if self.is_established {
                while self.layer.has_unopened() {
                    self.message.make_room(RECORD_BYTES_MAX, &mut self.pool);
                    let opened = self.layer.open(&mut self.message, &mut self.pool);
                    if opened.expect("the client is good") == 0 {
                        break;
                    }
                    self.answer(answer);
                }
            } else {
                let shaken = self.layer.shake_hands(&mut self.message, &mut self.pool);
                self.is_established = shaken.expect("the client is good") == Step::Complete;
                self.flush(answer);
            }
        }
    }
}

impl Ours {
    fn answer(&mut self, answer: &mut Vec<u8>) {
        while !self.message.is_empty() {
            self.layer.seal(&mut self.message, &mut self.pool).expect("the keys are new");
            self.flush(answer);
        }
    }

    fn flush(&mut self, answer: &mut Vec<u8>) {
        let sealed = self.layer.sealed();
        answer.extend_from_slice(sealed.bytes());
        sealed.consume(sealed.len());
    }
}

/// A client and the server's end, and the bytes in transit between them.
struct Pair<S> {
    client: ClientConnection,
    server: S,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    /// The time that the server has worked.
    worked: Duration,
}

impl<S: Server> Pair<S> {
    /// Connects the two ends and completes the handshake.
    fn new(setup: &Setup, client: &Arc<ClientConfig>) -> Self {
        let name = ServerName::try_from("localhost").expect("localhost is a name");
        let client = ClientConnection::new(Arc::clone(client), name).expect("a good name");
        let began = Instant::now();
        let server = S::new(&setup.server);
        let worked = began.elapsed();
        let (to_server, to_client) = (Vec::new(), Vec::new());
        let mut pair = Self { client, server, to_server, to_client, worked };
        pair.exchange();
        assert!(!pair.client.is_handshaking(), "the handshake is complete");
        pair
    }

    /// Moves bytes between the ends until neither has any to send.
    fn exchange(&mut self) {
        loop {
            self.to_server.clear();
            while self.client.wants_write() {
                self.client.write_tls(&mut self.to_server).expect("a vector takes all bytes");
            }
            if self.to_server.is_empty() {
                return;
            }
            self.to_client.clear();
            let began = Instant::now();
            self.server.receive(&self.to_server, &mut self.to_client);
            self.worked += began.elapsed();
            let mut rest = self.to_client.as_slice();
            while !rest.is_empty() {
                self.client.read_tls(&mut rest).expect("memory is always readable");
                self.client.process_new_packets().expect("the server is good");
                let mut reader = self.client.reader();
                while let Ok(1..) = reader.read(&mut [0; 16 << 10]) {}
            }
        }
    }

    /// Sends a message and reads its answer.
    fn ask(&mut self, message: &[u8]) {
        let mut rest = message;
        while !rest.is_empty() {
            let taken = self.client.writer().write(rest).expect("records take bytes");
            rest = &rest[taken..];
            self.exchange();
        }
    }
}

/// The settings of both ends.
struct Setup {
    server: TlsSettings,
    roots: Arc<RootCertStore>,
}

impl Setup {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])
            .expect("a key is found at once");
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let server = TlsSettings::builder()
            .identity_pem(certificate.clone(), key)
            .build()
            .expect("the certificate has this key");
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes());
        roots.add(certificate.expect("it was just made")).expect("it was just made");
        Self { server, roots: roots.into() }
    }

    fn client(&self, resumption: Resumption) -> Arc<ClientConfig> {
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has their suites")
            .with_root_certificates(Arc::clone(&self.roots))
            .with_no_client_auth();
        config.resumption = resumption;
        config.into()
    }
}

fn handshakes(criterion: &mut Criterion) {
    let setup = Setup::new();
    let mut group = criterion.benchmark_group("handshake");
    for (name, client) in [
        ("full", setup.client(Resumption::disabled())),
        ("resumed", setup.client(Resumption::default())),
    ] {
        let mut measure = |server: &str, handshake: &dyn Fn() -> Duration| {
            group.bench_function(format!("{name}, {server}"), |bencher| {
                bencher.iter_custom(|count| (0..count).map(|_| handshake()).sum());
            });
        };
        measure("library", &|| Pair::<Library>::new(&setup, &client).worked);
        measure("ours", &|| Pair::<Ours>::new(&setup, &client).worked);
    }
    group.finish();
}

fn messages(criterion: &mut Criterion) {
    let setup = Setup::new();
    let client = setup.client(Resumption::disabled());
    let mut library = Pair::<Library>::new(&setup, &client);
    let mut ours = Pair::<Ours>::new(&setup, &client);
    let mut group = criterion.benchmark_group("message");
    for (name, len) in LENGTHS {
        let message = vec![b'x'; len];
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(format!("{name}, cipher"), |bencher| {
            let mut cipher = Cipher::new();
            bencher.iter(|| cipher.open_and_seal(len));
        });
        group.bench_function(format!("{name}, library"), |bencher| {
            bencher.iter_custom(|count| time_of(&mut library, &message, count));
        });
        group.bench_function(format!("{name}, ours"), |bencher| {
            bencher.iter_custom(|count| time_of(&mut ours, &message, count));
        });
    }
    group.finish();
}

/// Returns the time that the server works for `count` messages.
fn time_of<S: Server>(pair: &mut Pair<S>, message: &[u8], count: u64) -> Duration {
    pair.worked = Duration::ZERO;
    (0..count).for_each(|_| pair.ask(message));
    pair.worked
}

/// The cipher alone, on records that it decrypts and encrypts in place.
struct Cipher {
    key: LessSafeKey,
    record: Vec<u8>,
}

impl Cipher {
    fn new() -> Self {
        let key = UnboundKey::new(&AES_256_GCM, &[7; 32]).expect("32 bytes are a key");
        Self { key: LessSafeKey::new(key), record: vec![0; RECORD_BYTES_MAX] }
    }

    /// Decrypts `len` bytes and encrypts them, in records of at most 16 KiB. The cost is the same
    /// in both directions, and the same for a record that is not authentic.
    fn open_and_seal(&mut self, len: usize) {
        let mut rest = len;
        while rest > 0 {
            let count = rest.min(RECORD_BYTES_MAX);
            let record = &mut self.record[..count];
            for _direction in 0..2 {
                let nonce = Nonce::assume_unique_for_key([3; NONCE_LEN]);
                let tag = self.key.seal_in_place_separate_tag(nonce, Aad::empty(), record);
                let _tag = black_box(tag.expect("the record is not too long"));
            }
            rest -= count;
        }
    }
}
