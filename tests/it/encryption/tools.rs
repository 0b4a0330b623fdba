//! Common programs over TLS, with all four protocols.

use super::{start, start_with};
use crate::support::certificates::Files;
use crate::support::frames::{ECHO, QUIT, REVERSE, frame};
use crate::support::peer::difference;
use crate::support::program::finish;
use crate::support::server::Server;
use crate::support::tool::Tool;
use crate::support::{BANNER, PROTOCOLS};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

/// The way in which a program ends its input.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// A `close_notify`, after which it continues to read.
    Half,
    /// The end of the connection without a `close_notify`, as of a stream that was cut.
    Cut,
}

fn start_all(files: &Files) -> Server {
    let listeners = PROTOCOLS.map(|it| ["--listen".to_owned(), format!("{it}+tls://127.0.0.1:0")]);
    let flags = [listeners.concat(), files.flags().to_vec()].concat();
    start(PROTOCOLS.len(), &flags.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Returns a few whole requests, and their answers.
fn whole(protocol: &str) -> (Vec<u8>, Vec<u8>) {
    match protocol {
        "text" => (b"ECHO one\nECHO two\n".to_vec(), [BANNER, b"ECHO one\nECHO two\n"].concat()),
        "binary" => (
            [frame(ECHO, "hi"), frame(REVERSE, "abc")].concat(),
            [frame(ECHO, "hi"), frame(ECHO, "cba")].concat(),
        ),
        "echo" => {
            (b"one\ntwo\n".to_vec(), b"Server received: one\nServer received: two\n".to_vec())
        }
        _ => (b"one\ntwo\n".to_vec(), b"ACK: Received 'one'\nACK: Received 'two'\n".to_vec()),
    }
}

/// Returns a last piece that only the end of the input completes, and its answer then.
fn piece(protocol: &str) -> (&'static [u8], &'static [u8]) {
    match protocol {
        "echo" => (b"three", b"Server received: three"),
        "chat" => (b"three", b"ACK: Received 'three'"),
        _ => (b"", b""),
    }
}

/// Runs a program with requests as its input, as `printf ... | program` does, and compares its
/// output.
#[track_caller]
fn check_poured_in(program: &str, end: End, args: impl Fn(SocketAddr, &str) -> Vec<String>) {
    let files = Files::new(program);
    let server = start_all(&files);
    for protocol in PROTOCOLS {
        let ((mut requests, mut answers), (last, answer)) = (whole(protocol), piece(protocol));
        requests.extend(last);
        // The last piece of a stream that may have been cut is not run.
        let reason = match end {
            End::Half => {
                answers.extend(answer);
                "client closed"
            }
            End::Cut => "truncated",
        };
        let args = args(server.address(protocol), &files.argument("ca.pem"));
        let mut tool = Tool::start(program, &args.iter().map(String::as_str).collect::<Vec<_>>());
        tool.say(requests);
        tool.end_input();
        let printed = tool.finish();
        assert!(printed == answers, "{program}, {protocol}: {}", difference(&printed, &answers));
        server.wait_for_log(&[&format!("closed {protocol} "), reason]);
    }
}

#[test]
#[ignore = "needs ncat: .ci/run installs it"]
fn ncat_gets_every_answer_and_cuts_its_stream() {
    check_poured_in("ncat", End::Cut, |address, ca| {
        // ncat verifies names, and no addresses.
        let port = address.port().to_string();
        let check = ["--ssl", "--ssl-verify", "--ssl-trustfile", ca];
        [&check[..], &["localhost", &port]].concat().into_iter().map(str::to_owned).collect()
    });
}

#[test]
#[ignore = "needs socat: .ci/run installs it"]
fn socat_gets_every_answer_after_a_half_close() {
    check_poured_in("socat", End::Half, |address, ca| {
        let address = format!("OPENSSL:{address},cafile={ca},commonname=127.0.0.1");
        vec!["-t".into(), "20".into(), "-".into(), address]
    });
}

/// Sends its input, reads this number of bytes, and requires a `close_notify` and the end.
const PYTHON: &str = "
import socket, ssl, sys
port, ca, version, count = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.load_verify_locations(ca)
context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
plain = socket.create_connection(('127.0.0.1', port), 20)
stream = context.wrap_socket(plain, server_hostname='localhost')
stream.sendall(sys.stdin.buffer.read())
answers = b''
while len(answers) < count:
    block = stream.recv(65536)
    assert block, answers
    answers += block
rest = stream.unwrap()
assert rest.recv(1) == b''
sys.stdout.buffer.write(answers)
";

#[test]
#[ignore = "needs python3: .ci/run installs it"]
fn python_is_answered_in_both_versions_and_gets_a_close_notify() {
    let files = Files::new("python");
    let server = start_all(&files);
    for version in ["TLSv1_2", "TLSv1_3"] {
        for protocol in PROTOCOLS {
            let (mut requests, mut answers) = whole(protocol);
            // The server closes the connections of these protocols first.
            match protocol {
                "text" => {
                    requests.extend(b"QUIT\n");
                    answers.extend(b"BYE\n");
                }
                "binary" => requests.extend(frame(QUIT, "")),
                _ => {}
            }
            let port = server.address(protocol).port().to_string();
            let (ca, count) = (files.argument("ca.pem"), answers.len().to_string());
            let mut python = Tool::start("python3", &["-c", PYTHON, &port, &ca, version, &count]);
            python.say(requests);
            python.end_input();
            let printed = python.finish();
            assert!(printed == answers, "{version}: {}", difference(&printed, &answers));
        }
    }
    assert_eq!(server.log.find(&["truncated"]), None);
}

#[test]
#[ignore = "needs openssl: .ci/run installs it"]
fn openssl_is_answered_line_by_line_in_both_versions() {
    let files = Files::new("openssl");
    let server = start_all(&files);
    let ca = files.argument("ca.pem");
    for version in ["-tls1_2", "-tls1_3"] {
        for protocol in PROTOCOLS {
            let address = server.address(protocol).to_string();
            let check = ["-CAfile", &ca, "-verify_return_error", "-verify_hostname", "localhost"];
            let flags = ["s_client", "-quiet", "-no_ign_eof", version, "-connect", &address];
            let mut openssl = Tool::start("openssl", &[&flags[..], &check].concat());
            let (requests, answers) = whole(protocol);
            openssl.say(requests);
            openssl.wait_for(answers);
            // The end of its input makes it send a close_notify.
            openssl.end_input();
            openssl.finish();
            server.wait_for_log(&[&format!("closed {protocol} "), "client closed"]);
        }
    }
    assert_eq!(server.log.find(&["truncated"]), None);
}

#[test]
#[ignore = "needs curl: .ci/run installs it"]
fn curl_verifies_the_certificate_and_is_refused_as_http() {
    let files = Files::new("curl");
    let server = start_with(&files, &[]);
    let url = format!("https://{}/", server.address("text"));
    for version in ["1.2", "1.3"] {
        let run = |more: &[&str]| {
            let mut command = Command::new("curl");
            command.args(["-sS", "--noproxy", "*", "--http0.9", "--tls-max", version]);
            command.args(more).arg(&url).stdin(Stdio::null());
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            finish(command)
        };
        let trusting = run(&["--cacert", &files.argument("ca.pem")]);
        let answers = [BANNER, b"ERROR NOT_HTTP\n"].concat();
        assert_eq!((trusting.code, &trusting.stdout), (Some(0), &answers), "{trusting:?}");
        assert_eq!(run(&[]).code, Some(60), "the authority is unknown");
        server.wait_for_log(&["TLS of text", "received fatal alert: UnknownCA"]);
    }
}
