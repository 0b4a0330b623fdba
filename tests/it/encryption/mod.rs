//! Encrypted listeners: their flags, their certificates, and the certificates of clients.

mod bad_handshakes;
mod crowd;
mod records;
mod reload;
mod tools;

use crate::support::certificates::{Authority, Files, SERVER_NAMES, Validity};
use crate::support::complaint::{check_failure, run};
use crate::support::frames::{error, frame};
use crate::support::server::{Server, program, program_under};
use crate::support::tls_client::{Client, der, shown};
use crate::support::tool::Tool;
use crate::support::wait::PATIENCE;
use crate::support::{BANNER, PROTOCOLS};
use rustls::version;
use std::fs;
use std::io::{BufRead, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

const LISTEN: [&str; 2] = ["--listen", "text+tls://127.0.0.1:0"];

/// Starts a server that reloads, and waits for its `count` listeners.
fn start(count: usize, flags: &[&str]) -> Server {
    let mut command = program_under(&["setsid"]);
    command.args(flags);
    Server::launch_listening(command, count)
}

/// Starts a server with one encrypted listener for `text`, the certificate of `files`, and `flags`,
/// which may add listeners.
fn start_with(files: &Files, flags: &[&str]) -> Server {
    let pair = files.flags();
    let pair: Vec<&str> = pair.iter().map(String::as_str).collect();
    let listeners = 1 + flags.iter().filter(|flag| **flag == LISTEN[0]).count();
    start(listeners, &[&LISTEN, &pair[..], flags].concat())
}

/// Sends SIGHUP and waits for a log line with `parts`.
#[track_caller]
fn reload(server: &Server, parts: &[&str]) {
    server.process().signal("HUP");
    server.wait_for_log(parts);
}

#[test]
fn a_listener_without_a_certificate_is_exit_2_with_a_remedy() {
    for flags in [
        &[][..],
        &["--tls-min", "1.3"],
        &["--listen", "echo+tls://127.0.0.1:0?cert=a.pem&key=b.pem"],
    ] {
        let parts = ["needs a certificate", "--tls-cert FILE", "--tls-self-signed"];
        check_failure(program().args(LISTEN).args(flags), 2, &parts);
    }
}

#[test]
fn flags_of_tls_that_contradict_each_other_are_exit_2() {
    let files = Files::new("contradictions");
    let (pair, plain) = (files.flags(), ["--listen", "text://127.0.0.1:0"]);
    check_failure(program().args(LISTEN).args(&pair[..2]), 2, &["pairs", "1 and 0"]);
    check_failure(
        program().args(LISTEN).args(&pair).arg("--tls-self-signed"),
        2,
        &["leave one of them out"],
    );
    check_failure(program().args(plain).args(&pair), 2, &["there is none", "text+tls://"]);
    check_failure(program().args(LISTEN).args(["--tls-min", "1.1"]), 2, &["1.2", "1.3"]);
}

#[test]
fn an_unusable_file_is_exit_1_with_its_name_and_a_remedy() {
    let files = Files::new("useless");
    files.write_identity("other-", &files.authority.server(&SERVER_NAMES, Validity::Now));
    files.write("empty.pem", "");
    for (certificate, key, parts) in [
        ("none.pem", "key.pem", ["cannot read", "none.pem"]),
        ("cert.pem", "none.pem", ["cannot read", "none.pem"]),
        ("cert.pem", "other-key.pem", ["is not the key of", "belong together"]),
        ("key.pem", "cert.pem", ["has no certificate", "it has a private key"]),
        ("empty.pem", "key.pem", ["has no certificate", "-----BEGIN CERTIFICATE-----"]),
        ("cert.pem", "empty.pem", ["has no private key", "-----BEGIN PRIVATE KEY-----"]),
    ] {
        let paths = [certificate, key].map(|name| files.argument(name));
        let flags = ["--tls-cert", &paths[0], "--tls-key", &paths[1]];
        check_failure(program().args(LISTEN).args(flags), 1, &parts);
        check_failure(program().args(LISTEN).args(flags).arg("--check"), 1, &parts);
    }
    let key = files.argument("key.pem");
    check_failure(
        program().args(LISTEN).args(files.flags()).args(["--tls-client-ca", &key]),
        1,
        &["has no certificate"],
    );
}

#[test]
fn every_protocol_is_spoken_in_both_versions() {
    let files = Files::new("versions");
    let listeners = PROTOCOLS.map(|it| ["--listen".to_owned(), format!("{it}+tls://127.0.0.1:0")]);
    let flags = [listeners.concat(), files.flags().to_vec()].concat();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let server = start(PROTOCOLS.len(), &flags);
    for version in [&version::TLS12, &version::TLS13] {
        let client = Client::speaking(&[version], &files.authority.certificate(), None);
        for protocol in PROTOCOLS {
            let (request, answer) = match protocol {
                "text" => (b"ECHO hi\nQUIT\n".to_vec(), [BANNER, b"ECHO hi\nBYE\n"].concat()),
                "binary" => ([frame(1, b"hi"), frame(3, b"")].concat(), frame(1, b"hi")),
                "echo" => (b"hi\n".to_vec(), b"Server received: hi\n".to_vec()),
                _ => (b"hi\n".to_vec(), Vec::new()),
            };
            let mut stream = client.connect(&server, protocol).expect("a handshake");
            stream.get_mut().write_all(&request).expect("send");
            let mut answers = vec![0; answer.len()];
            stream.read_exact(&mut answers).expect("answers");
            assert_eq!(answers, answer, "{protocol}");
            if protocol == "chat" {
                let mut line = String::new();
                stream.read_line(&mut line).expect("an answer");
                assert!(line.contains("hi"), "{line}");
            }
        }
    }
}

#[test]
fn an_older_version_than_the_oldest_is_refused() {
    let files = Files::new("oldest");
    let server = start_with(&files, &["--tls-min", "1.3"]);
    let authority = files.authority.certificate();
    assert!(Client::speaking(&[&version::TLS12], &authority, None).is_refused(&server));
    assert!(!Client::speaking(&[&version::TLS13], &authority, None).is_refused(&server));
}

#[test]
fn a_client_gets_the_certificate_for_its_host_or_the_first() {
    let files = Files::new("sni");
    let identities = [&["localhost"][..], &["b.example"], &["*.c.example"]]
        .map(|names| files.authority.server(names, Validity::Now));
    let mut flags = Vec::from(LISTEN.map(str::to_owned));
    for (index, identity) in identities.iter().enumerate() {
        let prefix = format!("{index}-");
        files.write_identity(&prefix, identity);
        for (flag, name) in [("--tls-cert", "cert.pem"), ("--tls-key", "key.pem")] {
            flags.extend([flag.to_owned(), files.argument(&format!("{prefix}{name}"))]);
        }
    }
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let server = start(1, &flags);
    let authority = files.authority.certificate();
    for (host, index) in [("localhost", 0), ("b.example", 1), ("a.c.example", 2)] {
        let client = Client::new(&authority, None).asking_for(host);
        let stream = client.connect(&server, "text").expect("a certificate for this host");
        assert_eq!(shown(&stream), der(&identities[index]), "{host}");
    }
    let stranger = Client::new(&authority, None).asking_for("unknown.example");
    assert!(stranger.connect(&server, "text").is_err(), "the first one is for another host");
}

#[test]
fn a_listener_has_the_certificate_that_its_url_names() {
    let files = Files::new("url");
    let own = files.authority.server(&["localhost"], Validity::Now);
    files.write_identity("own-", &own);
    let url = format!(
        "echo+tls://127.0.0.1:0?cert={}&key={}&min=1.3",
        files.argument("own-cert.pem"),
        files.argument("own-key.pem")
    );
    let server = start_with(&files, &["--listen", &url]);
    let client = Client::new(&files.authority.certificate(), None);
    let common = client.connect(&server, "text").expect("a handshake");
    assert_ne!(shown(&common), der(&own));
    assert_eq!(shown(&client.connect(&server, "echo").expect("a handshake")), der(&own));
}

#[test]
fn a_made_certificate_is_logged_and_not_trusted() {
    let flags = ["--listen", "text+tls://127.0.0.1:0", "--tls-self-signed"];
    let server = start(1, &flags);
    let line = server.wait_for_log(&["self-signed certificate of localhost", "SHA-256 "]);
    assert!(line.contains("127.0.0.1, ::1, valid until "), "{line}");
    let stranger = Client::new(&Authority::new("another").certificate(), None);
    assert!(stranger.is_refused(&server));
}

#[test]
fn a_handshake_that_takes_too_long_is_closed() {
    let files = Files::new("handshake-timeout");
    let server = start_with(&files, &["--handshake-timeout", "100ms"]);
    let mut silent = TcpStream::connect(server.address("text")).expect("connect");
    silent.set_read_timeout(Some(PATIENCE)).expect("set the read timeout");
    // A signal can interrupt a single `read`. `read_to_end` repeats it.
    assert_eq!(silent.read_to_end(&mut Vec::new()).expect("the end"), 0, "nothing is sent");
    server.wait_for_log(&["closed text", "TLS handshake timeout"]);
}

#[test]
fn only_a_client_with_a_certificate_of_the_authority_is_served() {
    let files = Files::new("mutual");
    let server = start_with(&files, &["--tls-client-ca", &files.argument("ca.pem")]);
    let authority = files.authority.certificate();
    let alice = files.authority.client("alice", Validity::Now);
    let answers = Client::new(&authority, Some(&alice))
        .talk(&server, "text", b"WHOAMI\nwhoami now\nQUIT\n")
        .expect("alice is served");
    let expected = [BANNER, b"WHOAMI CN=alice\nWHOAMI CN=alice\nBYE\n"].concat();
    assert_eq!(String::from_utf8_lossy(&answers), String::from_utf8_lossy(&expected));
    server.wait_for_log(&["opened text", "with TLS 1.3, CN=alice"]);
    let foreign = Authority::new("tinytcp test authority");
    let expired = files.authority.client("alice", Validity::Expired);
    for (client, identity) in [
        ("without a certificate", None),
        ("of another authority", Some(foreign.client("alice", Validity::Now))),
        ("expired", Some(expired)),
        ("of a server", Some(files.authority.server(&["alice"], Validity::Now))),
    ] {
        assert!(Client::new(&authority, identity.as_ref()).is_refused(&server), "{client}");
    }
    server.wait_for_log(&["TLS of text", "failed"]);
}

#[test]
fn whoami_in_binary_answers_under_its_own_code() {
    let files = Files::new("binary-whoami");
    let ca = files.argument("ca.pem");
    let pair = files.flags();
    let mut flags = vec!["--listen", "binary+tls://127.0.0.1:0", "--tls-client-ca", &ca];
    flags.extend(pair.iter().map(String::as_str));
    let server = start(1, &flags);
    let alice = files.authority.client("alice", Validity::Now);
    let client = Client::new(&files.authority.certificate(), Some(&alice));
    let request = [frame(5, b"ignored"), frame(3, b"")].concat();
    assert_eq!(client.talk(&server, "binary", &request).expect("served"), frame(5, b"CN=alice"));
}

#[test]
fn whoami_is_unknown_without_a_certificate_of_the_client() {
    let files = Files::new("no-whoami");
    let pair = files.flags();
    let mut flags = vec!["--listen", "text://127.0.0.1:0", "--listen", "binary+tls://127.0.0.1:0"];
    flags.extend(pair.iter().map(String::as_str));
    let server = start(2, &flags);
    let client = Client::new(&files.authority.certificate(), None);
    let request = [frame(5, b""), frame(3, b"")].concat();
    let answers = client.talk(&server, "binary", &request).expect("served");
    assert_eq!(answers, error("UNKNOWN_COMMAND"));
    let mut plain = TcpStream::connect(server.address("text")).expect("connect");
    plain.set_read_timeout(Some(PATIENCE)).expect("set the read timeout");
    plain.write_all(b"WHOAMI\nQUIT\n").expect("send");
    let mut answers = Vec::new();
    plain.read_to_end(&mut answers).expect("answers");
    assert_eq!(answers, [BANNER, b"ERROR UNKNOWN_COMMAND\nBYE\n"].concat());
}

#[test]
fn a_certificate_and_a_key_of_concern_are_warned_of_and_used() {
    let files = Files::new("concerns");
    files.write_identity("", &files.authority.server(&SERVER_NAMES, Validity::Expired));
    let mode = |mode| {
        fs::set_permissions(files.path("key.pem"), fs::Permissions::from_mode(mode)).expect("chmod")
    };
    mode(0o644);
    let server = start_with(&files, &[]);
    server.wait_for_log(&[
        "WARN",
        "the certificate of localhost expired on 2002-01-01",
        "renew it",
    ]);
    server.wait_for_log(&["WARN", "every user of this machine can read", "chmod 600"]);
    let client = Client::new(&files.authority.certificate(), None);
    assert!(client.is_refused(&server), "the client sees that it has expired");
    let ended = run(program().args(LISTEN).args(files.flags()).arg("--check"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let checked = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(checked.contains("# warning: the certificate of localhost expired on"), "{checked}");
    mode(0o600);
    files.write_identity("", &files.authority.server(&SERVER_NAMES, Validity::Now));
    reload(&server, &["reloaded: certificate of localhost"]);
    assert!(!client.is_refused(&server));
}

#[test]
#[ignore = "needs openssl: .ci/run installs it"]
fn a_renegotiation_of_openssl_is_refused() {
    let files = Files::new("renegotiation");
    let server = start_with(&files, &[]);
    let address = server.address("text").to_string();
    let mut openssl = Tool::start("openssl", &["s_client", "-tls1_2", "-connect", &address]);
    openssl.wait_for(BANNER);
    openssl.say("ECHO before\n");
    openssl.wait_for("ECHO before\n");
    openssl.say("R\n");
    // OpenSSL ends without a renegotiation.
    openssl.finish();
    server.wait_for_log(&["TLS of text", "received fatal alert: HandshakeFailure"]);
}
