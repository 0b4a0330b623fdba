//! Handshakes that fail: what the client receives, what the server counts, and that it frees all
//! memory.

use super::records::{
    CHANGE_CIPHER_SPEC, DATA, HANDSHAKE, Hello, TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3, TLS_1_4, alert,
    hello_of_ssl_2, hello_of_ssl_3, kinds, message, message_in_records, record, starts,
};
use super::start_with;
use crate::support::BANNER;
use crate::support::certificates::{
    Authority, Files, Identity, SERVER_NAMES, Validity, self_signed,
};
use crate::support::server::Server;
use crate::support::tls_client::Client;
use crate::support::wait::{PATIENCE, wait_until};
use rustls::{AlertDescription, ClientConnection, SupportedProtocolVersion, version};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

/// The reply to a client without TLS.
const TLS_REQUIRED: &[u8] = b"ERROR TLS_REQUIRED\n";

/// A server with an encrypted listener, and one that reports its counters.
struct Target {
    server: Server,
    files: Files,
    /// The number of its descriptors without a connection.
    descriptors: usize,
}

impl Target {
    /// Requires certificates of clients if `is_mutual`.
    fn start(name: &str, is_mutual: bool) -> Self {
        let files = Files::new(name);
        let authority = files.argument("ca.pem");
        let mut common = vec!["--activity-log", "100k", "--listen", "binary://127.0.0.1:0"];
        // No row of the matrix may end by a timeout.
        common.extend(["--handshake-timeout", "1h"]);
        let mutual = ["--tls-client-ca", &authority];
        let flags = [&common[..], if is_mutual { &mutual } else { &[] }].concat();
        let server = start_with(&files, &flags);
        let target = Self { descriptors: server.descriptor_count(), server, files };
        target.check_good_client();
        target
    }

    fn connect(&self) -> (TcpStream, SocketAddr) {
        let socket = TcpStream::connect(self.server.address("text")).expect("connect");
        socket.set_read_timeout(Some(PATIENCE)).expect("set the read timeout");
        socket.set_write_timeout(Some(PATIENCE)).expect("set the write timeout");
        let address = socket.local_addr().expect("an address");
        (socket, address)
    }

    /// Returns a client with a valid handshake in `version`.
    fn client(&self, version: &'static SupportedProtocolVersion) -> Client {
        let alice = self.files.authority.client("alice", Validity::Now);
        Client::speaking(&[version], &self.files.authority.certificate(), Some(&alice))
    }

    fn check_good_client(&self) {
        for version in [&version::TLS12, &version::TLS13] {
            let answers = self.client(version).talk(&self.server, "text", b"ECHO hi\nQUIT\n");
            assert_eq!(answers.expect("served"), [BANNER, b"ECHO hi\nBYE\n"].concat());
        }
    }

    /// Returns three counters: failed handshakes, closes with this label in the metrics, and
    /// complete handshakes.
    fn counts(&self, label: &str) -> [u64; 3] {
        let closed = format!("connections_closed_total.{label}");
        let names = ["tls_handshakes_failed_total", &closed, "tls_handshakes_full_total"];
        names.map(|name| self.server.count(name))
    }

    /// Runs `fail`, which makes `failures` connections, each with a handshake that fails. Checks
    /// that the server counts them, then serves a good client, and frees all descriptors.
    fn check_counted(&self, label: &str, failures: u64, fail: impl FnOnce()) {
        let [failed, closed, full] = self.counts(label);
        fail();
        let expected = [failed + failures, closed + failures, full];
        wait_until("the failure is counted", || self.counts(label) == expected);
        self.check_good_client();
        self.server.wait_for_descriptors(self.descriptors);
        wait_until("no storage is held", || self.server.count("buffered_bytes") == 0);
    }

    fn expect_failure(&self, address: SocketAddr, failure: &str) {
        self.server.wait_for_log(&[&format!("TLS of text {address} failed: "), failure]);
    }

    /// Ends the output of the client, after which the server sends only its end.
    fn expect_failure_at_the_end(&self, mut socket: TcpStream, address: SocketAddr) {
        socket.shutdown(Shutdown::Write).expect("end the output");
        let mut seen = Vec::new();
        socket.read_to_end(&mut seen).expect("a clean end");
        assert_eq!(seen, b"");
        drop(socket);
        self.expect_close(address, "TLS handshake failed");
    }

    fn expect_close(&self, address: SocketAddr, reason: &str) {
        self.server.wait_for_log(&[&format!("closed text {address}: {reason}; ")]);
    }
}

#[test]
fn an_unusable_first_message_is_answered_with_an_alert() {
    use AlertDescription::{DecodeError, HandshakeFailure, ProtocolVersion, UnexpectedMessage};
    let target = Target::start("bad-hello", false);
    for (name, sent, description, failure) in [
        ("SSL 3", hello_of_ssl_3(), HandshakeFailure, "SignatureAlgorithmsExtensionRequired"),
        ("TLS 1.0", Hello::of(TLS_1_0).message(), ProtocolVersion, "Tls12NotOffered"),
        ("TLS 1.1", Hello::of(TLS_1_1).message(), ProtocolVersion, "Tls12NotOffered"),
        ("1.1 of both", Hello::naming(TLS_1_1).message(), ProtocolVersion, "Tls12NotOffered"),
        ("TLS 1.4", Hello::naming(TLS_1_4).message(), ProtocolVersion, "Tls12NotOffered"),
        (
            "no common cipher",
            Hello { suites: vec![0, 5], ..Hello::new() }.message(),
            HandshakeFailure,
            "NoCipherSuitesInCommon",
        ),
        (
            "no common group",
            Hello { groups: vec![0, 1], ..Hello::new() }.message(),
            HandshakeFailure,
            "NoKxGroupsInCommon",
        ),
        (
            "no common signature",
            Hello { signatures: vec![2, 1], ..Hello::new() }.message(),
            HandshakeFailure,
            "NoSignatureSchemesInCommon",
        ),
        (
            "a record of SSL 2",
            record(HANDSHAKE, [2, 0], &[1, 0, 0, 0]),
            DecodeError,
            "UnknownProtocolVersion",
        ),
        ("an empty record", record(HANDSHAKE, TLS_1_0, b""), DecodeError, "InvalidEmptyPayload"),
        ("a record too long", vec![HANDSHAKE, 3, 1, 0x48, 1], DecodeError, "MessageTooLarge"),
        ("the longest record", vec![HANDSHAKE, 3, 1, 0xff, 0xff], DecodeError, "MessageTooLarge"),
        (
            "a message too long",
            record(HANDSHAKE, TLS_1_0, &[1, 1, 0, 0]),
            DecodeError,
            "HandshakePayloadTooLarge",
        ),
        (
            "64 KiB in records of 16 KiB",
            message_in_records(16 << 10, 65_530),
            DecodeError,
            "the handshake has more than 64 KiB",
        ),
        (
            "64 KiB in records of a byte",
            message_in_records(1, 12_000),
            DecodeError,
            "the handshake has more than 64 KiB",
        ),
        ("Finished", message(20, &[0; 32]), UnexpectedMessage, "got Finished when expecting"),
        ("HelloRequest", message(0, b""), UnexpectedMessage, "got HelloRequest when expecting"),
        ("an unknown message", message(99, b""), UnexpectedMessage, "when expecting ClientHello"),
        ("a byte repeated", vec![HANDSHAKE; 100], DecodeError, "UnknownProtocolVersion"),
        ("no message", message(1, &[0xff; 64]), DecodeError, "corrupt message"),
        (
            "text",
            b"\x16\x03\x01  TIME\nTIME\n".repeat(1000),
            DecodeError,
            "HandshakePayloadTooLarge",
        ),
    ] {
        target.check_counted("tls_handshake", 1, || {
            let (mut socket, address) = target.connect();
            socket.write_all(&sent).expect("the server reads or drops it");
            let mut seen = Vec::new();
            socket.read_to_end(&mut seen).expect("a clean end");
            assert_eq!(seen, alert(description), "{name}: {}", seen.escape_ascii());
            drop(socket);
            target.expect_failure(address, failure);
            target.expect_close(address, "TLS handshake failed");
        });
    }
}

#[test]
fn an_unusable_second_message_ends_in_an_alert() {
    use AlertDescription::{DecodeError, UnexpectedMessage};
    let target = Target::start("bad-second", false);
    let plain = message(20, &[0; 32]);
    let garbage = record(HANDSHAKE, TLS_1_2, &[1; 40]);
    let data = record(DATA, TLS_1_2, &[1; 40]);
    let sealed = [record(CHANGE_CIPHER_SPEC, TLS_1_2, &[1]), data.clone()];
    let hello = Hello::new().message();
    // In TLS 1.3 the alert is encrypted, and the client has the keys.
    for (name, version, second, description, failure) in [
        ("a second hello", TLS_1_2, hello, Some(UnexpectedMessage), "got ClientHello when"),
        ("early data", TLS_1_2, data, Some(UnexpectedMessage), "got ApplicationData when"),
        ("Finished too early", TLS_1_2, plain.clone(), Some(UnexpectedMessage), "got Finished"),
        ("a message too long", TLS_1_2, garbage, Some(DecodeError), "HandshakePayloadTooLarge"),
        ("a message in clear", TLS_1_3, plain, None, "cannot decrypt"),
        ("a record of other keys", TLS_1_3, sealed.concat(), None, "cannot decrypt"),
    ] {
        target.check_counted("tls_handshake", 1, || {
            let (mut socket, address) = target.connect();
            let hello = match version {
                TLS_1_3 => Hello::naming(TLS_1_3),
                _ => Hello::new(),
            };
            socket.write_all(&[hello.message(), second].concat()).expect("send");
            let mut seen = Vec::new();
            socket.read_to_end(&mut seen).expect("a clean end");
            match description {
                None => assert_eq!(kinds(&seen).last(), Some(&DATA), "{name}"),
                Some(it) => assert!(seen.ends_with(&alert(it)), "{name}: {}", seen.escape_ascii()),
            }
            drop(socket);
            target.expect_failure(address, failure);
            target.expect_close(address, "TLS handshake failed");
        });
    }
}

#[test]
fn a_client_without_tls_is_told_so_in_clear() {
    let target = Target::start("no-tls", false);
    for (name, sent) in [
        ("SSL 2", hello_of_ssl_2()),
        ("text", b"TIME\nTIME\n".to_vec()),
        ("an alert", alert(AlertDescription::HandshakeFailure)),
        ("a change of ciphers", record(CHANGE_CIPHER_SPEC, TLS_1_2, &[1])),
        ("a sealed record", record(DATA, TLS_1_2, &[1; 100])),
        ("garbage", (0..=255).rev().collect()),
    ] {
        target.check_counted("tls_required", 1, || {
            let (mut socket, address) = target.connect();
            socket.write_all(&sent).expect("send");
            let mut seen = Vec::new();
            socket.read_to_end(&mut seen).expect("a clean end");
            assert_eq!(seen, TLS_REQUIRED, "{name}: {}", seen.escape_ascii());
            drop(socket);
            target.expect_close(address, "no TLS on an encrypted port");
        });
    }
}

/// Returns the places of the cuts: the border of each record, a place in its header and in its
/// content, and the place before its last byte.
fn cuts(records: &[u8]) -> Vec<usize> {
    let mut borders: Vec<usize> = starts(records).collect();
    borders.push(records.len());
    let in_record = |pair: &[usize]| {
        let [start, end] = [pair[0], pair[1]];
        [start, start + 3, start + 5, usize::midpoint(start, end), end - 1]
    };
    let mut cuts: Vec<usize> = borders.windows(2).flat_map(in_record).collect();
    cuts.dedup();
    cuts
}

/// Returns the bytes that the client has to send.
fn take_flight(connection: &mut ClientConnection) -> Vec<u8> {
    let mut flight = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut flight).expect("a vector takes all bytes");
    }
    flight
}

#[test]
fn a_handshake_that_is_cut_anywhere_is_a_failed_one() {
    let target = Target::start("cut", true);
    for version in [&version::TLS12, &version::TLS13] {
        let client = target.client(version);
        let hello = take_flight(&mut client.connection());
        // A connection without a byte counts as a probe.
        let cuts_of_hello = cuts(&hello).split_off(1);
        target.check_counted("tls_handshake", cuts_of_hello.len() as u64, || {
            for cut in cuts_of_hello {
                let (mut socket, address) = target.connect();
                socket.write_all(&hello[..cut]).expect("send");
                target.expect_failure_at_the_end(socket, address);
            }
        });
        // The lengths of flights vary, because a signature of ECDSA has no fixed length.
        for index in 0.. {
            let (mut socket, address) = target.connect();
            let mut connection = client.connection();
            socket.write_all(&take_flight(&mut connection)).expect("send");
            let flight = second_flight(&mut connection, &mut socket);
            let cut = cuts(&flight).get(index).copied();
            target.check_counted("tls_handshake", 1, || {
                socket.write_all(&flight[..cut.unwrap_or_default()]).expect("send");
                target.expect_failure_at_the_end(socket, address);
            });
            if cut.is_none() {
                break;
            }
        }
    }
}

/// Returns the bytes with which the client answers the first flight of the server.
fn second_flight(connection: &mut ClientConnection, socket: &mut TcpStream) -> Vec<u8> {
    let mut flight = Vec::new();
    // In TLS 1.3 the flight begins with a record for middleboxes, and more records follow it.
    while connection.is_handshaking()
        && (flight.is_empty() || kinds(&flight) == [CHANGE_CIPHER_SPEC])
    {
        assert_ne!(connection.read_tls(socket).expect("a flight"), 0, "the server has ended");
        connection.process_new_packets().expect("a good server");
        flight.extend(take_flight(connection));
    }
    flight
}

#[test]
fn a_client_without_a_good_certificate_gets_an_alert() {
    use AlertDescription::{CertificateExpired, CertificateRequired, UnknownCA};
    let target = Target::start("bad-certificates", true);
    let authority = &target.files.authority;
    let other = Authority::new("tinytcp test authority");
    for (name, identity, description, failure) in [
        ("none", None, CertificateRequired, "the client sent no certificate"),
        (
            "expired",
            Some(authority.client("alice", Validity::Expired)),
            CertificateExpired,
            "the client's certificate expired on 2002-01-01",
        ),
        (
            "not valid yet",
            Some(authority.client("alice", Validity::NotYet)),
            CertificateExpired,
            "the client's certificate is not valid before 4000-01-01",
        ),
        (
            "of another authority with the same name",
            Some(other.client("alice", Validity::Now)),
            AlertDescription::DecryptError,
            "BadSignature",
        ),
        (
            "of another authority",
            Some(Authority::new("another").client("alice", Validity::Now)),
            UnknownCA,
            "an unknown authority has signed the client's certificate",
        ),
        (
            "for servers",
            Some(authority.server(&SERVER_NAMES, Validity::Now)),
            AlertDescription::UnsupportedCertificate,
            "the client's certificate is not for clients (extendedKeyUsage)",
        ),
        ("self-signed", Some(self_signed(&["alice"], false)), UnknownCA, "an unknown authority"),
        (
            "self-signed, of an authority",
            Some(self_signed(&["alice"], true)),
            AlertDescription::CertificateUnknown,
            "CaUsedAsEndEntity",
        ),
    ] {
        for version in [&version::TLS12, &version::TLS13] {
            target.check_counted("tls_handshake", 1, || {
                check_refused(&target, version, identity.as_ref(), description, failure, name);
            });
        }
    }
}

fn check_refused(
    target: &Target,
    version: &'static SupportedProtocolVersion,
    identity: Option<&Identity>,
    description: AlertDescription,
    failure: &str,
    name: &str,
) {
    let authority = target.files.authority.certificate();
    let client = Client::speaking(&[version], &authority, identity);
    let (mut socket, address) = target.connect();
    let mut connection = client.connection();
    // In TLS 1.3 the server checks the certificate after the client has completed its handshake.
    let error = loop {
        let step = connection.complete_io(&mut socket);
        if let Err(error) = step {
            break error;
        }
        assert_ne!(step.expect("a step").0, 0, "{name}: an end without an alert");
    };
    let expected = rustls::Error::AlertReceived(description).to_string();
    assert_eq!(error.to_string(), expected, "{name}, {version:?}");
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest).expect("a clean end");
    assert_eq!(rest, b"", "{name}: bytes after the alert");
    drop(socket);
    target.expect_failure(address, failure);
    target.expect_close(address, "TLS handshake failed");
}

#[test]
fn a_client_that_refuses_the_server_is_a_failed_handshake() {
    let target = Target::start("refused-server", false);
    let stranger = Authority::new("another").certificate();
    for version in [&version::TLS12, &version::TLS13] {
        target.check_counted("tls_handshake", 1, || {
            let client = Client::speaking(&[version], &stranger, None);
            let (mut socket, address) = target.connect();
            let mut connection = client.connection();
            connection.complete_io(&mut socket).expect_err("a stranger");
            let mut seen = Vec::new();
            socket.read_to_end(&mut seen).expect("a clean end");
            drop(socket);
            target.expect_failure(address, "received fatal alert: UnknownCA");
            target.expect_close(address, "TLS handshake failed");
        });
    }
}
