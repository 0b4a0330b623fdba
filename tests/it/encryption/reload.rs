//! What SIGHUP replaces at encrypted listeners.

use super::{reload, start, start_with};
use crate::support::BANNER;
use crate::support::certificates::{Authority, Files, SERVER_NAMES, Validity};
use crate::support::tls_client::{Client, der, shown};
use rustls::version;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

#[test]
fn a_reload_replaces_the_certificate_and_keeps_connections() {
    let files = Files::new("reload");
    let server = start_with(&files, &[]);
    let client = Client::new(&files.authority.certificate(), None);
    let mut before = client.connect(&server, "text").expect("a handshake");
    let new = files.authority.server(&SERVER_NAMES, Validity::Now);
    files.write_identity("", &new);
    reload(&server, &["reloaded: certificate of localhost, 127.0.0.1, valid until", "SHA-256"]);
    assert_eq!(shown(&client.connect(&server, "text").expect("a handshake")), der(&new));
    before.get_mut().write_all(b"ECHO still here\nQUIT\n").expect("send");
    let mut answers = Vec::new();
    before.read_to_end(&mut answers).expect("answers");
    assert_eq!(answers, [BANNER, b"ECHO still here\nBYE\n"].concat());
    reload(&server, &["reloaded: no setting and no certificate has changed"]);
}

#[test]
fn a_reload_with_one_wrong_file_changes_no_certificate() {
    let files = Files::new("all-or-nothing");
    files.write_identity("own-", &files.authority.server(&["localhost"], Validity::Now));
    let url = format!(
        "echo+tls://127.0.0.1:0?cert={}&key={}",
        files.argument("own-cert.pem"),
        files.argument("own-key.pem")
    );
    let server = start_with(&files, &["--listen", &url, "--listen", "binary://127.0.0.1:0"]);
    let client = Client::new(&files.authority.certificate(), None);
    let show = |protocol| shown(&client.connect(&server, protocol).expect("a handshake"));
    let before = [show("text"), show("echo")];
    files.write_identity("", &files.authority.server(&SERVER_NAMES, Validity::Now));
    let half = files.authority.server(&["localhost"], Validity::Now);
    files.write("own-cert.pem", &half.certificate);
    reload(&server, &["not reloaded, all settings stay", "own-key.pem is not the key of"]);
    assert_eq!([show("text"), show("echo")], before);
    assert_eq!(server.count("tls_reload_failures_total"), 1);
    files.write("own-key.pem", &half.key);
    reload(&server, &["reloaded: certificate of"]);
    assert_ne!(show("text"), before[0]);
    assert_eq!(show("echo"), der(&half));
}

#[test]
fn a_reload_takes_other_files_from_the_configuration() {
    let files = Files::new("reload-config");
    let new = files.authority.server(&SERVER_NAMES, Validity::Now);
    files.write_identity("new-", &new);
    let configure = |prefix: &str, min: &str| {
        let [certificate, key] =
            ["cert.pem", "key.pem"].map(|name| files.argument(&format!("{prefix}{name}")));
        files.write(
            "tinytcp.toml",
            &format!(
                "listen = 'text+tls://127.0.0.1:0'\ntls-cert = '{certificate}'\n\
                 tls-key = ['{key}']\ntls-min = {min}\n"
            ),
        );
    };
    configure("", "1.2");
    let server = start(1, &["--config", &files.argument("tinytcp.toml")]);
    configure("new-", "1.3");
    reload(&server, &["reloaded: tls-cert [", "tls-min \"1.2\" -> \"1.3\"", "certificate of"]);
    let authority = files.authority.certificate();
    let stream = Client::new(&authority, None).connect(&server, "text").expect("a handshake");
    assert_eq!(shown(&stream), der(&new));
    assert!(Client::speaking(&[&version::TLS12], &authority, None).is_refused(&server));
    configure("missing-", "1.2");
    reload(&server, &["not reloaded, all settings stay: cannot read", "missing-cert.pem"]);
    assert!(Client::speaking(&[&version::TLS12], &authority, None).is_refused(&server));
}

#[test]
fn a_reload_replaces_the_authority_of_clients() {
    let files = Files::new("reload-ca");
    let server = start_with(&files, &["--tls-client-ca", &files.argument("ca.pem")]);
    let authority = files.authority.certificate();
    let alice = Client::new(&authority, Some(&files.authority.client("alice", Validity::Now)));
    assert!(!alice.is_refused(&server));
    let new = Authority::new("a new authority");
    files.write("ca.pem", &new.certificate());
    reload(&server, &["reloaded: the authorities of clients"]);
    assert!(alice.is_refused(&server), "with a ticket too");
    assert!(!Client::new(&authority, Some(&new.client("bob", Validity::Now))).is_refused(&server));
}

#[test]
fn reloads_under_load_fail_no_connection() {
    let files = Files::new("reload-load");
    let server = start_with(&files, &["--activity-log", "off"]);
    let identities = [(); 2].map(|()| files.authority.server(&SERVER_NAMES, Validity::Now));
    let authority = files.authority.certificate();
    let is_over = AtomicBool::new(false);
    let converse = || {
        let client = Client::new(&authority, None);
        let mut connections = 0;
        while connections < 5 || !is_over.load(Ordering::Relaxed) {
            let answers = client.talk(&server, "text", b"ECHO 1\nECHO 2\nQUIT\n");
            let expected = [BANNER, b"ECHO 1\nECHO 2\nBYE\n"].concat();
            assert_eq!(answers.expect("a connection"), expected);
            connections += 1;
        }
    };
    thread::scope(|scope| {
        let talkers: Vec<_> = (0..3).map(|_| scope.spawn(converse)).collect();
        for index in 0..20 {
            files.write_identity("", &identities[index % 2]);
            server.process().signal("HUP");
            thread::yield_now();
        }
        is_over.store(true, Ordering::Relaxed);
        talkers.into_iter().for_each(|talker| talker.join().expect("all are answered"));
    });
    let last = files.authority.server(&["localhost", "last.example"], Validity::Now);
    files.write_identity("", &last);
    reload(&server, &["reloaded: certificate of localhost, last.example"]);
    let client = Client::new(&authority, None);
    assert_eq!(shown(&client.connect(&server, "text").expect("a handshake")), der(&last));
}
