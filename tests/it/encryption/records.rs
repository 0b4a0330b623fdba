//! Records and first messages of TLS as bytes.

use rustls::AlertDescription;

/// Types of records.
pub const CHANGE_CIPHER_SPEC: u8 = 20;
pub const ALERT: u8 = 21;
pub const HANDSHAKE: u8 = 22;
pub const DATA: u8 = 23;

/// Versions as they are in records and messages.
pub const SSL_3: [u8; 2] = [3, 0];
pub const TLS_1_0: [u8; 2] = [3, 1];
pub const TLS_1_1: [u8; 2] = [3, 2];
pub const TLS_1_2: [u8; 2] = [3, 3];
pub const TLS_1_3: [u8; 2] = [3, 4];
pub const TLS_1_4: [u8; 2] = [3, 5];

pub fn record(kind: u8, version: [u8; 2], content: &[u8]) -> Vec<u8> {
    let len = u16::try_from(content.len()).expect("the content of a record");
    [&[kind][..], &version, &len.to_be_bytes(), content].concat()
}

/// Returns a message of the handshake in a record.
pub fn message(kind: u8, content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(content.len()).expect("the content of a message").to_be_bytes();
    record(HANDSHAKE, TLS_1_0, &[&[kind], &len[1..], content].concat())
}

fn extension(kind: u8, content: &[u8]) -> Vec<u8> {
    let len = u8::try_from(content.len()).expect("a short extension");
    [&[0, kind, 0, len], content].concat()
}

/// A first message of a client.
#[derive(Clone)]
pub struct Hello {
    pub version: [u8; 2],
    /// The versions in the extension of TLS 1.3.
    pub versions: Option<[u8; 2]>,
    pub suites: Vec<u8>,
    pub groups: Vec<u8>,
    pub signatures: Vec<u8>,
}

impl Hello {
    /// Creates a hello that a server of TLS 1.2 answers.
    pub fn new() -> Self {
        Self {
            version: TLS_1_2,
            versions: None,
            suites: vec![0x13, 1, 0x13, 2, 0xc0, 0x2b, 0xc0, 0x2c],
            groups: vec![0, 0x1d, 0, 0x17],
            signatures: vec![4, 3, 5, 3],
        }
    }

    pub fn of(version: [u8; 2]) -> Self {
        Self { version, ..Self::new() }
    }

    /// Creates a hello that names its version in an extension, and has a key for X25519.
    pub fn naming(version: [u8; 2]) -> Self {
        Self { versions: Some(version), ..Self::new() }
    }

    pub fn message(&self) -> Vec<u8> {
        let Self { version, versions, suites, groups, signatures } = self;
        let list = |items: &[u8]| [&[0, items.len() as u8], items].concat();
        let mut extensions = extension(11, &[1, 0]);
        extensions.extend(extension(10, &list(groups)));
        extensions.extend(extension(13, &list(signatures)));
        if let Some(version) = versions {
            extensions.extend(extension(43, &[&[2], &version[..]].concat()));
            extensions.extend(extension(51, &list(&[&[0, 0x1d, 0, 32], &[9; 32][..]].concat())));
        }
        let random = [7; 32];
        message(
            1,
            &[&version[..], &random, &[0], &list(suites), &[1, 0], &list(&extensions)].concat(),
        )
    }
}

/// Returns the hello of SSL 2, with which clients until 2011 also offered later versions.
pub fn hello_of_ssl_2() -> Vec<u8> {
    let suites = [1, 0, 0x80].repeat(7);
    let head = [0x80, 46, 1, 0, 2, 0, 21, 0, 0, 0, 16];
    [&head[..], &suites, &[5; 16]].concat()
}

/// Returns the hello of SSL 3, which has no extensions.
pub fn hello_of_ssl_3() -> Vec<u8> {
    let content = [&SSL_3[..], &[7; 32], &[0, 0, 4, 0, 5, 0, 10, 1, 0]].concat();
    record(HANDSHAKE, SSL_3, &[&[1, 0, 0, content.len() as u8], &content[..]].concat())
}

/// Returns a message that claims 65,535 bytes, in records of `record_len` bytes, `len` bytes in
/// all.
pub fn message_in_records(record_len: usize, len: usize) -> Vec<u8> {
    let content = [&[1, 0, 0xff, 0xff][..], &vec![0; len]].concat();
    content.chunks(record_len).flat_map(|part| record(HANDSHAKE, TLS_1_0, part)).collect()
}

/// Returns an alert in clear.
pub fn alert(description: AlertDescription) -> Vec<u8> {
    record(ALERT, TLS_1_2, &[2, description.into()])
}

/// Returns the types of the records.
pub fn kinds(records: &[u8]) -> Vec<u8> {
    starts(records).map(|start| records[start]).collect()
}

/// Returns the places at which the records begin.
pub fn starts(records: &[u8]) -> impl Iterator<Item = usize> {
    let next = |start: &usize| {
        let len = u16::from_be_bytes([records[start + 3], records[start + 4]]);
        let next = start + 5 + usize::from(len);
        (next < records.len()).then_some(next)
    };
    std::iter::successors(Some(0), next)
}
