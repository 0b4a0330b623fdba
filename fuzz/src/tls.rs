//! The layer of TLS before, in and after its handshake, against the records of a client.
//!
//! The stream of a plan begins with a mask over valid bytes: the first bytes of a client or the
//! records after its handshake. It continues with bytes without a pattern. A knob makes all of it
//! such bytes.

use std::io::Write;
use std::mem;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use tinytcp_core::buffers::buffer::Buffer;
use tinytcp_core::buffers::pool::{BLOCK_LEN, Pool};
use tinytcp_core::tls::Layer;
use tinytcp_core::tls::layer::{LayerError, Step};

use crate::plan::Plan;
use crate::simulator::tls::{Security, seed};

/// The lengths of the messages after the handshake. The longest one needs two records.
const MESSAGE_LENS: [usize; 5] = [1, 50, 700, 20_000, 5];

/// More memory than a layer and its input ever need.
const MEMORY_BYTES_MAX: usize = 4 * BLOCK_LEN;

/// The types of records with an alert, and with sealed content.
const ALERT: u8 = 21;
const DATA: u8 = 23;

/// Checks for every cut of the bytes: Without the right keys there is no session and no plaintext.
/// With them the layer returns all plaintext before the first wrong byte, and only what the client
/// has sealed. A handshake that fails ends with an alert. After a failure nothing is opened or
/// sealed. No memory grows with the input, and no call of the layer needs more input while it is
/// full.
pub fn check(data: &[u8]) {
    let plan = Plan::new(data);
    let [has_old_version, has_session, is_without_pattern] = [0, 1, 2].map(|it| plan.knob(it));
    seed(1);
    let security = Security::new();
    let name = ServerName::try_from("simulation").expect("a name");
    let mut client = ClientConnection::new(security.client(has_old_version), name)
        .expect("a usable configuration");
    let mut server = Server::new(&security);
    let hello = take_records(&mut client);
    let (honest, sealed) = if has_session {
        server.shake_hands(&mut client, &hello);
        Sealed::by(&mut client)
    } else {
        (hello, Sealed::default())
    };

    let bytes =
        if is_without_pattern { plan.stream.to_vec() } else { masked(&honest, plan.stream) };
    let pieces = plan.with_stream(&bytes).pieces();
    let result = pieces.iter().try_for_each(|piece| server.receive(piece.bytes));

    assert!(sealed.plaintext.starts_with(&server.opened), "plaintext that nothing has sealed");
    let same_len = bytes.iter().zip(&honest).take_while(|(byte, honest)| byte == honest).count();
    assert!(server.opened.len() >= sealed.len_within(same_len), "plaintext is lost");
    assert_eq!(server.is_complete, has_session);
    if bytes == honest {
        assert!(result.is_ok(), "{result:?}");
        assert_eq!(server.layer.has_ended(), has_session, "the last record announces the end");
    }
    if let Err(error) = result {
        server.check_failed(&error, has_session);
    }
}

/// Applies `mask` to `honest`. The bytes after the mask stay as they are.
fn masked(honest: &[u8], mask: &[u8]) -> Vec<u8> {
    let changes = mask.iter().copied().chain(std::iter::repeat(0));
    let mut bytes: Vec<u8> = honest.iter().zip(changes).map(|(byte, bits)| byte ^ bits).collect();
    bytes.extend(mask.iter().skip(honest.len()));
    bytes
}

/// Returns the records that a client has to send.
fn take_records(client: &mut ClientConnection) -> Vec<u8> {
    let mut records = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut records).expect("a vector takes all bytes");
    }
    records
}

/// Returns the type of the last record.
fn last_kind(mut records: &[u8]) -> Option<u8> {
    let mut last = None;
    while let [kind, _, _, high, low, rest @ ..] = records {
        last = Some(*kind);
        records = &rest[usize::from(u16::from_be_bytes([*high, *low]))..];
    }
    last
}

/// The plaintext of a client, and the ends of its records.
#[derive(Default)]
struct Sealed {
    plaintext: Vec<u8>,
    /// For each record, the length of the records up to its end, and of the plaintext in them.
    ends: Vec<(usize, usize)>,
}

impl Sealed {
    /// Seals all messages and the end of the output. Returns the records too.
    fn by(client: &mut ClientConnection) -> (Vec<u8>, Self) {
        let (mut records, mut sealed) = (Vec::new(), Self::default());
        for len in MESSAGE_LENS {
            let message: Vec<u8> = (0..=250).cycle().take(len).collect();
            client.writer().write_all(&message).expect("the library buffers all bytes");
            records.extend(take_records(client));
            sealed.plaintext.extend(message);
            sealed.ends.push((records.len(), sealed.plaintext.len()));
        }
        client.send_close_notify();
        records.extend(take_records(client));
        (records, sealed)
    }

    /// Returns the number of bytes of plaintext in the whole records of the first `len` bytes.
    fn len_within(&self, len: usize) -> usize {
        let whole = self.ends.iter().take_while(|(end, _)| *end <= len).last();
        whole.map_or(0, |(_, plaintext_len)| *plaintext_len)
    }
}

/// The layer, used as a connection uses it.
struct Server {
    layer: Layer,
    input: Buffer,
    pool: Pool,
    opened: Vec<u8>,
    /// The bytes that it sends.
    sent: Vec<u8>,
    is_complete: bool,
}

impl Server {
    fn new(security: &Security) -> Self {
        Self {
            layer: Layer::new(&security.server, Buffer::default()).expect("usable settings"),
            input: Buffer::default(),
            pool: Pool::new(MEMORY_BYTES_MAX),
            opened: Vec::new(),
            sent: Vec::new(),
            is_complete: false,
        }
    }

    /// Feeds `bytes` to the layer, as many at a time as it has room for.
    fn receive(&mut self, mut bytes: &[u8]) -> Result<(), LayerError> {
        while !bytes.is_empty() && !self.layer.has_ended() {
            let raw = self.layer.raw_mut();
            let (piece, rest) = bytes.split_at(bytes.len().min(BLOCK_LEN - raw.len()));
            assert!(!piece.is_empty(), "the layer is full and waits");
            raw.append(piece, &mut self.pool);
            bytes = rest;
            let result = self.advance();
            self.take();
            result?;
        }
        Ok(())
    }

    /// Continues the handshake, or opens what has arrived.
    fn advance(&mut self) -> Result<(), LayerError> {
        if !self.is_complete {
            let step = self.layer.shake_hands(&mut self.input, &mut self.pool)?;
            self.is_complete = step == Step::Complete;
        }
        while self.is_complete && self.layer.has_unopened() {
            let before = self.layer.raw_len();
            self.input.make_room(self.layer.room_wanted(), &mut self.pool);
            self.layer.open(&mut self.input, &mut self.pool)?;
            let has_moved = self.layer.raw_len() < before || !self.layer.has_unopened();
            assert!(has_moved, "the layer waits, though there is room");
            self.take();
        }
        Ok(())
    }

    /// Takes the plaintext and the records, as the session and the kernel would.
    fn take(&mut self) {
        assert!(self.pool.lent_bytes() <= MEMORY_BYTES_MAX, "{} bytes", self.pool.lent_bytes());
        self.opened.extend(self.input.bytes());
        self.input.release(&mut self.pool);
        let sealed = self.layer.sealed();
        self.sent.extend(sealed.bytes());
        sealed.consume(sealed.len());
        self.layer.shrink(&mut self.pool);
    }

    /// Makes the handshake with an honest client.
    fn shake_hands(&mut self, client: &mut ClientConnection, hello: &[u8]) {
        let mut flight = hello.to_vec();
        while !flight.is_empty() {
            self.receive(&flight).expect("an honest client");
            let sent = mem::take(&mut self.sent);
            let mut rest = sent.as_slice();
            while !rest.is_empty() {
                client.read_tls(&mut rest).expect("a slice can be read");
                client.process_new_packets().expect("an honest server");
            }
            flight = take_records(client);
        }
        assert!(self.is_complete && !client.is_handshaking());
    }

    /// Checks a layer that has failed.
    fn check_failed(&mut self, error: &LayerError, has_session: bool) {
        // An alert is not answered. After a hello of TLS 1.3, an alert is sealed like data.
        if !has_session && !error.to_string().contains("received fatal alert") {
            let kind = last_kind(&self.sent);
            assert!(matches!(kind, Some(ALERT | DATA)), "{error} without an alert: {kind:?}");
        }
        let (opened_len, sent_len) = (self.opened.len(), self.sent.len());
        assert!(self.layer.is_finished() && !self.layer.has_unopened());
        let mut output = Buffer::default();
        output.append(b"too late", &mut self.pool);
        self.layer.seal(&mut output, &mut self.pool).expect("nothing to do");
        self.layer.finish(&mut self.pool);
        self.take();
        assert_eq!((self.opened.len(), self.sent.len()), (opened_len, sent_len));
    }
}
