//! The TLS side of one client: it turns plaintext into records, and keeps account of what the
//! server has received.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind};

use super::super::choices::Choices;
use super::Fate;

/// The length of the header of a record.
const HEADER_LEN: usize = 5;

/// How many bytes of that header are not authentic.
const IGNORED_LEN: usize = 3;

/// The first byte of a record that changes ciphers.
const CHANGE_CIPHER_SPEC: u8 = 20;

/// The most plaintext in one record.
const RECORD_MAX: usize = 16 << 10;

/// The TLS side of a client.
pub struct Engine {
    config: Arc<ClientConfig>,
    /// The connection, once the client has said hello.
    connection: Option<ClientConnection>,
    /// Plaintext that waits for the end of the handshake.
    early: Vec<u8>,
    /// Bytes that the client has made and not sent.
    outgoing: Vec<u8>,
    /// How many of them are the rest of a record of which a part was sent.
    cut_len: usize,
    /// How many bytes it has made.
    made: u64,
    /// How many of them the server has read.
    reached: u64,
    /// All plaintext of its records, in order.
    written: Vec<u8>,
    /// The end of each record with plaintext, and the length of the plaintext up to it.
    seals: VecDeque<(u64, usize)>,
    /// The end of each record that the server has not read.
    borders: VecDeque<u64>,
    is_within_record: bool,
    /// How many bytes of plaintext the server could open.
    available: usize,
    /// How many of them its session has got.
    given: usize,
    /// The place of the first wrong byte.
    spoilt_at: Option<u64>,
    /// The place of the last byte of the record that announces the end.
    ends_at: Option<u64>,
    /// True once the server has sent an error alert, or bytes that are no record.
    has_failed: bool,
    /// True once the server has announced its end.
    is_server_done: bool,
    /// True if the handshake has resumed a session.
    pub is_resumed: bool,
    /// True if a bit of the next records flips.
    pub spoils_next: bool,
    /// How many bytes it sends at most.
    pub silent_at: Option<u64>,
    pub fate: Fate,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("made", &self.made).finish_non_exhaustive()
    }
}

impl Engine {
    pub fn new(config: Arc<ClientConfig>) -> Self {
        Self {
            config,
            connection: None,
            early: Vec::new(),
            outgoing: Vec::new(),
            cut_len: 0,
            made: 0,
            reached: 0,
            written: Vec::new(),
            seals: VecDeque::new(),
            borders: VecDeque::new(),
            is_within_record: false,
            available: 0,
            given: 0,
            spoilt_at: None,
            ends_at: None,
            has_failed: false,
            is_server_done: false,
            is_resumed: false,
            spoils_next: false,
            silent_at: None,
            fate: Fate::Honest,
        }
    }

    /// Says hello.
    pub fn begin(&mut self) {
        let name = ServerName::try_from("simulation").expect("a name");
        let connection = ClientConnection::new(Arc::clone(&self.config), name);
        self.connection = Some(connection.expect("a usable configuration"));
        self.make();
    }

    /// True until the client has all that it needs to send plaintext.
    pub fn is_handshaking(&self) -> bool {
        self.connection.as_ref().is_none_or(|connection| connection.is_handshaking())
    }

    /// Sends plaintext, in one record or more; after the handshake if that is not over.
    pub fn write(&mut self, bytes: &[u8]) {
        if self.is_handshaking() {
            self.early.extend_from_slice(bytes);
            return;
        }
        for piece in bytes.chunks(RECORD_MAX) {
            if let Some(connection) = &mut self.connection {
                connection.writer().write_all(piece).expect("room for a record");
            }
            self.written.extend_from_slice(piece);
            self.make();
            self.seals.push_back((self.made, self.written.len()));
        }
    }

    /// Sends bytes that are no records of its own.
    pub fn write_raw(&mut self, bytes: &[u8]) {
        self.spoilt_at.get_or_insert(self.made);
        self.outgoing.extend_from_slice(bytes);
        self.made += bytes.len() as u64;
    }

    /// Changes the keys with which it seals; TLS 1.2 cannot.
    pub fn update_keys(&mut self) -> bool {
        let is_done = !self.is_handshaking()
            && self.connection.as_mut().is_some_and(|it| it.refresh_traffic_keys().is_ok());
        self.make();
        is_done
    }

    /// Announces the end of its output.
    pub fn say_goodbye(&mut self) {
        if let Some(connection) = &mut self.connection {
            connection.send_close_notify();
        }
        self.make();
        self.ends_at.get_or_insert(self.made);
    }

    /// Flips one bit of the records that it has not sent. Returns false if there are none.
    pub fn spoil(&mut self, choices: &mut Choices) -> bool {
        let mut records = Vec::new();
        let mut begin = self.cut_len;
        while begin < self.outgoing.len() {
            let end = (begin + record_len(&self.outgoing[begin..])).min(self.outgoing.len());
            // Most bits of a record that changes ciphers have no meaning.
            if self.outgoing[begin] != CHANGE_CIPHER_SPEC && end - begin > IGNORED_LEN {
                records.push((begin, end));
            }
            begin = end;
        }
        if records.is_empty() {
            return false;
        }
        let (begin, end) = choices.pick(&records);
        // The type and the version have no meaning in an encrypted record.
        let place = begin + IGNORED_LEN + choices.below(end - begin - IGNORED_LEN);
        self.outgoing[place] ^= 1 << choices.below(8);
        self.spoilt_at.get_or_insert(self.sent() + place as u64);
        true
    }

    fn make(&mut self) {
        let before = self.outgoing.len();
        while let Some(connection) = self.connection.as_mut().filter(|it| it.wants_write()) {
            connection.write_tls(&mut self.outgoing).expect("a vector has room");
        }
        let mut place = before;
        while place < self.outgoing.len() {
            place += record_len(&self.outgoing[place..]);
            self.borders.push_back(self.made + (place - before) as u64);
        }
        self.made += (self.outgoing.len() - before) as u64;
    }

    /// The bytes that it has made and not sent.
    pub fn outgoing(&self) -> &[u8] {
        &self.outgoing
    }

    /// How many bytes it has sent.
    pub fn sent(&self) -> u64 {
        self.made - self.outgoing.len() as u64
    }

    /// Notes that it has sent `count` bytes.
    pub fn note_sent(&mut self, count: usize) {
        let mut border = self.cut_len;
        while border < count {
            border += record_len(&self.outgoing[border..]);
        }
        self.cut_len = border - count;
        self.outgoing.drain(..count);
    }

    /// Forgets what it has not sent and will never send.
    pub fn fall_silent(&mut self) {
        self.made -= self.outgoing.len() as u64;
        self.outgoing.clear();
        self.early.clear();
    }

    /// The length of the first record that it has not sent.
    pub fn record_len(&self) -> usize {
        record_len(&self.outgoing)
    }

    /// Takes bytes that the server has sent. Returns the plaintext in them.
    pub fn hear(&mut self, mut bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut plaintext = Vec::new();
        let was_handshaking = self.is_handshaking();
        let Some(connection) = &mut self.connection else {
            return Err("a record for a client that has not said hello".into());
        };
        while !bytes.is_empty() && !self.has_failed {
            connection.read_tls(&mut bytes).map_err(|error| error.to_string())?;
            match connection.process_new_packets() {
                Ok(state) => {
                    self.is_server_done |= state.peer_has_closed();
                    // It ends with an error unless the server has announced its end.
                    let _ = connection.reader().read_to_end(&mut plaintext);
                }
                Err(error) => {
                    self.has_failed = true;
                    self.make();
                    return Err(error.to_string());
                }
            }
        }
        self.make();
        if was_handshaking && !self.is_handshaking() {
            // Both sides have seen the same bytes, so that a wrong one had no meaning.
            self.spoilt_at = None;
            let kind = self.connection.as_ref().and_then(|it| it.handshake_kind());
            self.is_resumed = kind == Some(HandshakeKind::Resumed);
            let early = std::mem::take(&mut self.early);
            self.write(&early);
        }
        Ok(plaintext)
    }

    /// Notes that the server has read `count` more bytes. Returns true if a record ends in them.
    pub fn note_reached(&mut self, count: usize) -> bool {
        self.reached += count as u64;
        self.is_within_record = self.borders.back().is_some_and(|last| self.reached < *last)
            && !self.borders.contains(&self.reached);
        let borders_before = self.borders.len();
        while self.borders.pop_front_if(|border| *border <= self.reached).is_some() {}
        let readable = self.reached.min(self.spoilt_at.unwrap_or(u64::MAX));
        while let Some((end, len)) = self.seals.front().copied()
            && end <= readable
        {
            self.available = len;
            self.seals.pop_front();
        }
        self.borders.len() < borders_before
    }

    /// Takes plaintext that a session gets. Returns false if it is not the next one that the
    /// server can have.
    pub fn give(&mut self, bytes: &[u8]) -> bool {
        let place = self.given..self.given + bytes.len();
        self.given = place.end;
        place.end <= self.available && self.written.get(place) == Some(bytes)
    }

    /// True if the server has read a part of a record.
    pub fn is_within_record(&self) -> bool {
        self.is_within_record
    }

    /// How many bytes a session could get beside those that it has got.
    pub fn not_given(&self) -> usize {
        self.available - self.given
    }

    /// True if everything that was written has been given to a session.
    pub fn is_all_given(&self) -> bool {
        self.early.is_empty() && self.outgoing.is_empty() && self.given == self.written.len()
    }

    /// True if the server has read the announcement of the end.
    pub fn has_said_goodbye(&self) -> bool {
        self.is_clean() && self.ends_at.is_some_and(|at| at <= self.reached)
    }

    /// True if the server has read no wrong byte.
    pub fn is_clean(&self) -> bool {
        self.spoilt_at.is_none_or(|at| self.reached <= at)
    }

    /// True if none of its bytes is wrong, sent or not.
    pub fn is_honest(&self) -> bool {
        self.spoilt_at.is_none()
    }

    pub fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// True once the server has announced its end.
    pub fn is_server_done(&self) -> bool {
        self.is_server_done
    }
}

/// The length of the first record of `bytes`, of which a part may be missing.
fn record_len(bytes: &[u8]) -> usize {
    match bytes {
        [_, _, _, high, low, ..] => HEADER_LEN + usize::from(u16::from_be_bytes([*high, *low])),
        rest => rest.len(),
    }
}
