//! The layer of one connection: it turns records of TLS into bytes for the session, and bytes of
//! the session into records. It makes no system calls.
//!
//! ```text
//!   kernel ---> raw ----open---> input ---> session ---> output ---seal---> sealed ---> kernel
//!                 '---- handshake, answers to the peer's alerts and keys ----^
//! ```
//!
//! `raw` holds at most one working block: part of a record or of a handshake message, or whole
//! records for which the input had no room.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustls::pki_types::UnixTime;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic,
};
use rustls::{CertificateError, Error, HandshakeKind, ProtocolVersion};

use super::certificate::date;
use super::info::{TLS12, TLS13, TlsInfo};
use super::{TlsSettings, x509};
use crate::buffers::buffer::Buffer;
use crate::buffers::pool::{BLOCK_LEN, Pool};
use crate::wire::tls;

/// The most bytes of plaintext in a record.
pub const RECORD_BYTES_MAX: usize = 16 << 10;

/// The most bytes that are sealed at a time: five records, so that a line of 64 KiB and its ending
/// are one write. With three records such a line cost 11 % more processor time
/// (`cargo bench --bench versus -- text+tls large`).
const SEALED_BYTES_MAX: usize = 5 * RECORD_BYTES_MAX;

/// The most bytes that are sealed into a working block: three records. No more are sealed at a time
/// if memory is short.
const SEALED_BYTES_MAX_SHORT: usize = 3 * RECORD_BYTES_MAX;

/// The length of a block for five records.
const LONG_BLOCK_LEN: usize = 2 * BLOCK_LEN;

/// While more sealed bytes than this wait for the kernel, nothing is sealed. The last message of a
/// handshake is shorter, so that the greeting is sealed after it and leaves in the same write.
const JOINED_BYTES_MAX: usize = 4 << 10;

// A working block has room for them, and for three records with their headers and tags.
const _: () = assert!(JOINED_BYTES_MAX + SEALED_BYTES_MAX_SHORT + RECORD_BYTES_MAX / 2 < BLOCK_LEN);

/// The most bytes that a client may send before its handshake is complete. A `ClientHello` has a
/// few hundred bytes, a chain of certificates a few thousand.
pub const HANDSHAKE_BYTES_MAX: usize = 64 << 10;

/// The alert for a connection that finds no place: fatal, internal error. It needs no handshake.
pub const BUSY_ALERT: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 80];

/// The alert for a peer whose failure has none in the library: fatal, decode error. A message that
/// is too long is such a failure.
const DECODE_ALERT: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 50];

/// The TLS layer of one connection.
pub struct Layer {
    tls: UnbufferedServerConnection,
    /// Received bytes that are not opened.
    raw: Buffer,
    /// Bytes that the kernel has not accepted.
    sealed: Buffer,
    /// How many bytes at the front of `raw` the library has seen and keeps there: a part of a
    /// record, or records with a part of a handshake message. Each of its calls must get them
    /// again.
    seen: usize,
    /// How many bytes the peer has sent for the handshake.
    handshake_bytes: usize,
    /// True once the library has made an answer for the peer.
    has_answered: bool,
    /// True if the peer has sent a `close_notify`: the end of its input is authentic.
    has_ended: bool,
    /// True if nothing more can be sealed: a `close_notify` or a fatal alert is the last record.
    is_finished: bool,
}

type Traffic<'a> = WriteTraffic<'a, ServerConnectionData>;

/// How far the library has come in one call.
enum Progress {
    /// Bytes were added to the input.
    Opened,
    /// Bytes were added to the sealed ones, or may be added now.
    Answered,
    /// The peer has ended its input.
    Ended,
    /// The library needs more bytes from the peer.
    NeedsMore,
}

/// What a step of the handshake has achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing yet: a message is incomplete. This costs almost nothing.
    Incomplete,
    /// An answer is among the sealed bytes. This costs as long as dozens of requests.
    Answered,
    /// The handshake is complete.
    Complete,
}

/// A failure of the layer. An alert for the peer is among the sealed bytes if TLS has one for it.
#[derive(Debug)]
pub struct LayerError(Error);

impl fmt::Display for LayerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Error::NoCertificatesPresented => f.write_str("the client sent no certificate"),
            Error::InvalidCertificate(error) => fmt_client_certificate(error, f),
            error => error.fmt(f),
        }
    }
}

/// Writes why the certificate of a client is refused.
fn fmt_client_certificate(error: &CertificateError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let on = |time: UnixTime| date(UNIX_EPOCH + Duration::from_secs(time.as_secs()));
    match *error {
        CertificateError::ExpiredContext { not_after, .. } => {
            write!(f, "the client's certificate expired on {}", on(not_after))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            write!(f, "the client's certificate is not valid before {}", on(not_before))
        }
        CertificateError::UnknownIssuer => {
            f.write_str("an unknown authority has signed the client's certificate")
        }
        CertificateError::InvalidPurposeContext { .. } => {
            f.write_str("the client's certificate is not for clients (extendedKeyUsage)")
        }
        ref error => write!(f, "the client's certificate is unusable: {error}"),
    }
}

impl From<Error> for LayerError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer")
            .field("raw", &self.raw.len())
            .field("sealed", &self.sealed.len())
            .field("has_ended", &self.has_ended)
            .field("is_finished", &self.is_finished)
            .finish_non_exhaustive()
    }
}

impl Layer {
    /// Creates the layer of a new connection, of which `raw` has arrived.
    ///
    /// # Errors
    /// When the settings are unusable. No peer can cause an error.
    pub fn new(settings: &TlsSettings, raw: Buffer) -> Result<Self, LayerError> {
        Ok(Self {
            tls: UnbufferedServerConnection::new(Arc::clone(&settings.config))?,
            raw,
            sealed: Buffer::default(),
            seen: 0,
            handshake_bytes: 0,
            has_answered: false,
            has_ended: false,
            is_finished: false,
        })
    }

    /// The buffer for a read. It has no room only if the peer has filled a block with an incomplete
    /// message.
    pub fn raw_mut(&mut self) -> &mut Buffer {
        self.raw.compact();
        &mut self.raw
    }

    /// True if no more can be read before something is opened.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.raw.len() >= BLOCK_LEN
    }

    /// True if bytes have arrived that the library has not seen.
    #[must_use]
    #[inline]
    pub const fn has_unopened(&self) -> bool {
        self.raw.len() > self.seen
    }

    /// The number of received bytes that are not opened.
    #[must_use]
    pub const fn raw_len(&self) -> usize {
        self.raw.len()
    }

    /// True if the peer has sent a `close_notify`.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// True if no step of the handshake has been answered yet.
    #[must_use]
    pub const fn is_unanswered(&self) -> bool {
        !self.has_answered
    }

    /// True if the first byte of the peer begins no handshake.
    #[must_use]
    pub fn is_other_protocol(&self) -> bool {
        self.handshake_bytes == 0
            && self.raw.bytes().first().is_some_and(|first| *first != tls::HANDSHAKE)
    }

    /// The bytes that wait for the kernel.
    #[inline]
    pub const fn sealed(&mut self) -> &mut Buffer {
        &mut self.sealed
    }

    /// True if no bytes wait for the kernel.
    #[must_use]
    #[inline]
    pub const fn is_flushed(&self) -> bool {
        self.sealed.is_empty()
    }

    /// The number of bytes that wait for the kernel.
    #[must_use]
    pub const fn sealed_len(&self) -> usize {
        self.sealed.len()
    }

    /// Continues the handshake with the bytes that have arrived. Application data after it stays
    /// unopened, except for a record that the library opens together with the last message: its
    /// bytes are appended to `input`.
    ///
    /// # Errors
    /// When the peer breaks the rules of TLS, or agrees to nothing that the settings allow.
    pub fn shake_hands(&mut self, input: &mut Buffer, pool: &mut Pool) -> Result<Step, LayerError> {
        self.handshake_bytes += self.raw.len() - self.seen;
        let mut step = Step::Incomplete;
        loop {
            match self.advance(input, pool)? {
                // The last flight of TLS 1.2 has three parts.
                _ if !self.tls.is_handshaking() && !self.tls.wants_write() => {
                    return Ok(Step::Complete);
                }
                Progress::Answered => step = Step::Answered,
                Progress::Opened => {}
                Progress::Ended | Progress::NeedsMore => break,
            }
        }
        if self.handshake_bytes >= HANDSHAKE_BYTES_MAX {
            self.append_alert(pool);
            return Err(Error::General("the handshake has more than 64 KiB".into()).into());
        }
        Ok(step)
    }

    /// Opens the records that have arrived and appends their bytes to `input`, as long as its free
    /// storage has room for a record. Returns how many bytes it has appended. Nothing is opened
    /// after a `close_notify`.
    ///
    /// # Errors
    /// When a record is not authentic, or the peer breaks the rules of TLS.
    pub fn open(&mut self, input: &mut Buffer, pool: &mut Pool) -> Result<usize, LayerError> {
        let before = input.len();
        let mut goes_on = self.may_open(input);
        while goes_on {
            goes_on = match self.advance(input, pool)? {
                Progress::Opened => self.may_open(input),
                // The library may have read on and not have reported it. It may also keep a part of
                // a message, so it goes on even without room: one record exceeds no limit.
                Progress::Answered => true,
                Progress::Ended => false,
                Progress::NeedsMore if self.is_full() => {
                    return Err(Error::General("a message has more than 64 KiB".into()).into());
                }
                Progress::NeedsMore => false,
            };
        }
        Ok(input.len() - before)
    }

    /// True if bytes wait that may be a record, and `input` has room for it.
    fn may_open(&self, input: &mut Buffer) -> bool {
        self.has_unopened() && input.spare().len() >= self.room_wanted()
    }

    /// The most bytes that the next record can have.
    #[must_use]
    pub fn room_wanted(&self) -> usize {
        self.raw.len().min(RECORD_BYTES_MAX)
    }

    /// Seals the front of `output` and consumes it: at most five records, or three if memory is
    /// short. Does nothing while more than 4 KiB of sealed bytes wait for the kernel: else a peer
    /// that reads slowly would cause no backpressure, because its output would never be full.
    ///
    /// # Errors
    /// When the keys have sealed as many records as they may, and cannot be renewed: with TLS 1.2
    /// after 16 million. A `close_notify` is then among the sealed bytes.
    pub fn seal(&mut self, output: &mut Buffer, pool: &mut Pool) -> Result<(), LayerError> {
        if output.is_empty() || self.sealed.len() > JOINED_BYTES_MAX || self.is_finished {
            return Ok(());
        }
        let has_long_block = output.len() > SEALED_BYTES_MAX_SHORT
            && (self.sealed.capacity() >= LONG_BLOCK_LEN
                || self.sealed.move_to(LONG_BLOCK_LEN, pool));
        let max = if has_long_block { SEALED_BYTES_MAX } else { SEALED_BYTES_MAX_SHORT };
        let count = output.len().min(max);
        let bytes = output.bytes().get(..count).unwrap_or_default();
        if self.append_records(pool, |traffic, room| traffic.encrypt(bytes, room)).is_err() {
            self.append_alert(pool);
            return Err(
                Error::General("the keys have sealed all records that they may".into()).into()
            );
        }
        output.consume(count);
        Ok(())
    }

    /// True if nothing can be sealed any more.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// Appends a `close_notify` to the sealed bytes, unless there is one. Nothing is opened or
    /// sealed afterwards.
    pub fn finish(&mut self, pool: &mut Pool) {
        if !self.is_finished && !self.tls.is_handshaking() {
            // If no key is left to seal it with, the connection ends without one.
            let _ = self.append_records(pool, |traffic, room| traffic.queue_close_notify(room));
        }
        self.is_finished = true;
        self.seen = 0;
        self.raw.release(pool);
    }

    /// Appends the records that `encrypt` makes to the sealed bytes. What the library has to send
    /// itself goes first, such as new keys.
    fn append_records(
        &mut self,
        pool: &mut Pool,
        mut encrypt: impl FnMut(&mut Traffic<'_>, &mut [u8]) -> Result<usize, EncryptError>,
    ) -> Result<(), LayerError> {
        loop {
            // Only what the library has seen: it opens no further record.
            let seen = self.raw.bytes_mut().get_mut(..self.seen).unwrap_or_default();
            let UnbufferedStatus { discard, state, .. } = self.tls.process_tls_records(seen);
            let is_appended = match state? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    append(&mut self.sealed, pool, |room| encrypt(&mut traffic, room))?;
                    true
                }
                ConnectionState::EncodeTlsData(mut data) => {
                    append(&mut self.sealed, pool, |room| data.encode(room))?;
                    false
                }
                ConnectionState::TransmitTlsData(data) => {
                    data.done();
                    false
                }
                ConnectionState::PeerClosed => {
                    self.has_ended = true;
                    false
                }
                _ => return Err(Error::HandshakeNotComplete.into()),
            };
            self.discard(discard);
            if is_appended {
                return Ok(());
            }
        }
    }

    /// Lets the library look at the bytes that have arrived until it has something to report.
    fn advance(&mut self, input: &mut Buffer, pool: &mut Pool) -> Result<Progress, LayerError> {
        let UnbufferedStatus { mut discard, state, .. } =
            self.tls.process_tls_records(self.raw.bytes_mut());
        let progress = match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    let record = record?;
                    discard += record.discard;
                    input.append(record.payload, pool);
                }
                Progress::Opened
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                append(&mut self.sealed, pool, |room| data.encode(room))?;
                self.has_answered = true;
                Progress::Answered
            }
            Ok(ConnectionState::TransmitTlsData(data)) => {
                data.done();
                Progress::Answered
            }
            Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Progress::Ended,
            Ok(ConnectionState::WriteTraffic(_) | ConnectionState::BlockedHandshake) => {
                Progress::NeedsMore
            }
            Ok(_) => return Err(Error::General("early data, which is off".into()).into()),
            Err(error) => {
                self.discard(discard);
                self.append_alert(pool);
                return Err(error.into());
            }
        };
        self.discard(discard);
        match progress {
            Progress::NeedsMore => self.seen = self.raw.len(),
            // Nothing after the end is authentic.
            Progress::Ended => {
                self.has_ended = true;
                self.seen = 0;
                self.raw.release(pool);
            }
            Progress::Opened | Progress::Answered => self.seen = 0,
        }
        Ok(progress)
    }

    /// Removes bytes that the library needs no more from the front of `raw`.
    fn discard(&mut self, count: usize) {
        self.raw.consume(count);
        self.seen = self.seen.saturating_sub(count);
    }

    /// Appends the alert for the last error to the sealed bytes, if there is one. The library opens
    /// nothing while it has something to write. While alerts are sent in clear, the layer sends one
    /// of its own if the library has none.
    fn append_alert(&mut self, pool: &mut Pool) {
        if !self.tls.wants_write() && self.sends_in_clear() {
            self.sealed.append(&DECODE_ALERT, pool);
        }
        while self.tls.wants_write() {
            let state = self.tls.process_tls_records(self.raw.bytes_mut()).state;
            let Ok(ConnectionState::EncodeTlsData(mut data)) = state else { break };
            if append(&mut self.sealed, pool, |room| data.encode(room)).is_err() {
                break;
            }
        }
        self.is_finished = true;
        self.seen = 0;
        self.raw.release(pool);
    }

    /// True if the next record to the peer is not encrypted: up to the hello of TLS 1.3, and in a
    /// full handshake of TLS 1.2.
    fn sends_in_clear(&self) -> bool {
        match self.tls.protocol_version() {
            None => true,
            Some(ProtocolVersion::TLSv1_2) => {
                self.tls.is_handshaking()
                    && self.tls.handshake_kind() != Some(HandshakeKind::Resumed)
            }
            Some(_) => false,
        }
    }

    /// Drops the bytes that the library has not seen.
    pub fn drop_unopened(&mut self, pool: &mut Pool) {
        if self.seen == 0 {
            self.raw.release(pool);
        } else if self.has_unopened() {
            self.raw.block(pool).truncate(self.seen);
        }
    }

    /// The subject of the client's certificate, if the settings require one.
    fn client(&self) -> Option<String> {
        x509::subject(self.tls.peer_certificates()?.first()?)
    }

    /// What the handshake has agreed on.
    #[must_use]
    pub fn info(&self) -> TlsInfo {
        let version = match self.tls.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => TLS12,
            _ => TLS13,
        };
        let suite = self.tls.negotiated_cipher_suite();
        TlsInfo {
            version,
            cipher: suite.and_then(|it| it.suite().as_str()).unwrap_or("unknown"),
            client: self.client().map(String::into_boxed_str),
            is_resumed: self.tls.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }

    /// The bytes of storage that the layer holds.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.raw.capacity() + self.sealed.capacity()
    }

    /// Hands the storage that its bytes do not need back to the pool.
    pub fn shrink(&mut self, pool: &mut Pool) {
        self.raw.shrink(pool);
        self.sealed.shrink(pool);
    }

    /// Hands all storage back to the pool. The layer must not be used afterwards.
    pub fn release(&mut self, pool: &mut Pool) {
        (self.seen, self.is_finished) = (0, true);
        self.raw.release(pool);
        self.sealed.release(pool);
    }
}

/// Appends what `write` writes, which fails if it needs more room.
fn append<E: Shortage>(
    sealed: &mut Buffer,
    pool: &mut Pool,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, E>,
) -> Result<(), Error> {
    loop {
        match write(sealed.spare_in(pool)) {
            Ok(count) => {
                sealed.commit(count);
                return Ok(());
            }
            Err(error) => sealed.make_room(error.missing().ok_or(Error::EncryptError)?, pool),
        }
    }
}

/// An error that may be a lack of room.
trait Shortage {
    /// Returns the number of bytes that are needed, if that is the reason.
    fn missing(&self) -> Option<usize>;
}

impl Shortage for EncodeError {
    fn missing(&self) -> Option<usize> {
        match self {
            Self::InsufficientSize(needed) => Some(needed.required_size),
            Self::AlreadyEncoded => None,
        }
    }
}

impl Shortage for EncryptError {
    fn missing(&self) -> Option<usize> {
        match self {
            Self::InsufficientSize(needed) => Some(needed.required_size),
            Self::EncryptExhausted => None,
        }
    }
}
