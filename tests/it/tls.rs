//! TLS at a listener without TLS: it is refused at once after its first three bytes, with an error
//! of the protocol.

use crate::support::frames::{ECHO, error, frame};
use crate::support::server::Server;
use crate::support::{BANNER, KIB, PROTOCOLS};
use std::process::{Command, Stdio};

/// The first message of OpenSSL 3.0, with a newline among its lengths and one at its end.
const CLIENT_HELLO: &[u8] = b"\x16\x03\x01\x01\x0A\x01\x00\x01\x06\x03\x03secret\n\
    \x00\x3E\x13\x02\x13\x03\x13\x01\xC0\x2C\xC0\x30\x00\x0A\x00\x16";

/// Returns the reply of `protocol` to a TLS client.
fn refusal(protocol: &str) -> Vec<u8> {
    match protocol {
        "text" => [BANNER, b"ERROR NOT_TLS\n"].concat(),
        "binary" => error("NOT_TLS"),
        _ => b"ERROR NOT_TLS\n".to_vec(),
    }
}

#[test]
fn a_client_of_tls_gets_an_error_and_a_clean_end() {
    let server = Server::start(&[]);
    for protocol in PROTOCOLS {
        let mut peer = server.connect(protocol);
        peer.send(CLIENT_HELLO);
        assert_eq!(peer.read_to_end(), refusal(protocol), "{protocol}");
    }
}

#[test]
fn it_does_not_matter_how_the_network_cuts_it() {
    let server = Server::start(&["--quiet-period", "1h"]);
    for protocol in PROTOCOLS {
        let dialogue = crate::support::dialogue::Dialogue::new(&server, protocol);
        dialogue.check_every_way(CLIENT_HELLO, &refusal(protocol));
    }
}

#[test]
fn it_is_refused_before_its_record_is_whole() {
    let server = Server::start(&["--quiet-period", "1h"]);
    for protocol in PROTOCOLS {
        // A frame is refused at its header, which has two more bytes.
        let len = if protocol == "binary" { 5 } else { 3 };
        let mut peer = server.connect(protocol);
        peer.send(&CLIENT_HELLO[..len]);
        assert_eq!(peer.read_to_end(), refusal(protocol), "{protocol}");
    }
}

#[test]
fn every_version_of_tls_is_recognised_and_nothing_else() {
    let server = Server::start(&[]);
    for version in 0..=4 {
        let mut peer = server.connect("echo");
        peer.send([0x16, 3, version, b'\n']);
        assert_eq!(peer.read_to_end(), refusal("echo"), "3.{version}");
    }
    for line in [b"\x16\x03\x05\n", b"\x16\x02\x01\n", b"\x15\x03\x01\n", b"x\x16\x03\n"] {
        let mut peer = server.connect("echo");
        peer.send(line);
        peer.expect([b"Server received: ", &line[..]].concat());
    }
}

#[test]
fn after_the_first_bytes_of_a_connection_tls_is_text() {
    let server = Server::start(&[]);
    let mut echo = server.connect("echo");
    echo.send([b"hello\n", CLIENT_HELLO].concat());
    echo.half_close();
    let mut expected = b"Server received: hello\n".to_vec();
    for line in CLIENT_HELLO.split_inclusive(|byte| *byte == b'\n') {
        expected.extend([b"Server received: ", line].concat());
    }
    assert_eq!(echo.read_to_end(), expected);
    let mut binary = server.connect("binary");
    binary.send([frame(ECHO, CLIENT_HELLO), CLIENT_HELLO[..5].to_vec()].concat());
    binary.half_close();
    assert_eq!(
        binary.read_to_end(),
        [frame(ECHO, CLIENT_HELLO), error("FRAME_TOO_LARGE")].concat()
    );
}

#[test]
fn its_bytes_are_not_logged_and_its_close_names_tls() {
    let server = Server::start(&["-v"]);
    for protocol in PROTOCOLS {
        let mut peer = server.connect(protocol);
        let address = peer.address().to_string();
        peer.send(CLIENT_HELLO);
        peer.read_to_end();
        drop(peer);
        server.wait_for_log(&[&address, "closed", protocol, "TLS on a plain port"]);
        let lines = server.log.text().into_iter().filter(|line| line.contains(&address)).count();
        assert_eq!(lines, 2, "one opens and one closes: {:#?}", server.log.text());
    }
    assert_eq!(server.log.find(&["secret"]), None);
}

#[test]
fn a_peer_that_sends_more_than_the_hello_reads_the_refusal() {
    let server = Server::start(&[]);
    for protocol in PROTOCOLS {
        let mut peer = server.connect(protocol);
        let sender = peer.send_in_background([CLIENT_HELLO, &[0x17; 500 * KIB]].concat());
        assert_eq!(peer.read_to_end(), refusal(protocol), "{protocol}");
        sender.join().expect("the server takes it, though it does not look at it");
    }
}

#[test]
fn half_of_the_first_three_bytes_is_no_more_than_half_a_message() {
    let server = Server::start(&[]);
    for (protocol, answers) in [
        ("text", BANNER),
        ("binary", b""),
        ("echo", b"Server received: \x16\x03"),
        ("chat", b"ACK: Received '\x16\x03'"),
    ] {
        let mut peer = server.connect(protocol);
        peer.send([0x16, 3]);
        peer.half_close();
        assert_eq!(peer.read_to_end(), answers, "{protocol}");
    }
}

/// Runs a TLS client against every protocol. It must end without a timeout, with the expected
/// error.
fn check_fails(program: &str, args: fn(&str) -> Vec<String>) {
    let server = Server::start(&[]);
    for protocol in PROTOCOLS {
        let mut command = Command::new(program);
        command.args(args(&server.address(protocol).to_string())).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let ended = crate::support::program::finish(command);
        assert!(ended.code.is_some_and(|code| code > 0), "{protocol}: {ended:?}");
        // The client expects a record with a version, and the answer has letters there.
        assert!(ended.stderr.contains("wrong version number"), "{protocol}: {ended:?}");
        server.wait_for_log(&["closed", protocol, "TLS on a plain port"]);
    }
}

#[test]
#[ignore = "needs openssl: .ci/run installs it"]
fn openssl_fails_at_once() {
    check_fails("openssl", |address| ["s_client", "-connect", address].map(str::to_owned).to_vec());
}

#[test]
#[ignore = "needs curl: .ci/run installs it"]
fn curl_fails_at_once() {
    check_fails("curl", |address| {
        vec![
            "-sS".to_owned(),
            "--noproxy".to_owned(),
            "*".to_owned(),
            format!("https://{address}/"),
        ]
    });
}
