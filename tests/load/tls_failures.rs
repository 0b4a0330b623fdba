//! Handshakes that fail: each has a cause of its own, and a verdict with a remedy.

use std::io::{Read, Write};

use rustls::ProtocolVersion;

use crate::runs::{Run, measure, run};
use crate::servers::says_and_leaves;
use crate::support::behaviour::{hold, serve};
use crate::support::certificates::{Authority, Files, SERVER_NAMES, Validity};
use crate::support::tls_server::config;
use crate::tls::{Seen, text};

const V13: ProtocolVersion = ProtocolVersion::TLSv1_3;

/// Makes a run of 2 connections that lasts until the first alert of TLS 1.3, which arrives after
/// the start of the load. A run without any connection ends at once.
#[track_caller]
fn attempt(url: &str, flags: &[&str]) -> Run {
    let common = [url, "-c", "2", "-d", "1s", "--timeout", "10s"];
    measure(&[&common[..], flags].concat())
}

/// Checks that all connections failed with `cause`, and that the verdict has `remedy`.
#[track_caller]
fn fails(run: &Run, cause: &str, remedy: &str) {
    fails_first(run, cause, remedy);
    assert!(run.count(&format!("connections.failed.{cause}")) >= 2, "{run:?}");
    assert_eq!(run.count("connections.reached"), 0, "{run:?}");
}

/// Checks that a connection failed with `cause`, which may have ended the run before the others
/// failed, and that the verdict has `remedy`.
#[track_caller]
fn fails_first(run: &Run, cause: &str, remedy: &str) {
    run.exits_with(1).is_judged(&["nothing_completed", "tls_failed"]);
    run.all_zero("connections.failed", &[cause]);
    assert!(run.count(&format!("connections.failed.{cause}")) >= 1, "{run:?}");
    let verdict = ["evidence", "advice"].map(|key| run.text(&format!("verdict.{key}")));
    assert!(verdict.iter().any(|text| text.contains(remedy)), "{verdict:?}");
}

#[test]
fn a_certificate_that_is_not_trusted_fails_the_handshake() {
    let files = Files::new("load-untrusted");
    let other = Authority::new("another authority");
    let expired = files.authority.server(&SERVER_NAMES, Validity::Expired);
    let elsewhere = files.authority.server(&["example.org"], Validity::Now);
    let foreign = other.server(&SERVER_NAMES, Validity::Now);
    for (identity, remedy) in
        [(expired, "expired"), (elsewhere, "--tls-server-name"), (foreign, "--tls-ca")]
    {
        let url = text(config(&identity, V13, None), &Seen::default());
        let run = attempt(&url, &["--tls-ca", &files.argument("ca.pem")]);
        fails(&run, "tls_certificate", remedy);
    }
}

#[test]
fn an_insecure_run_reports_that_nothing_was_checked() {
    let identity = Authority::new("any authority").server(&["example.org"], Validity::Now);
    let url = text(config(&identity, V13, None), &Seen::default());
    let ended = run(&[&url, "-c", "2", "-n", "10", "--tls-insecure", "-q"]);
    assert!(ended.stderr.contains("--tls-insecure"), "{ended:?}");
    let words: Vec<&str> = ended.text().split_whitespace().collect();
    assert!(words.join(" ").contains("the certificate was not checked"), "{ended:?}");
}

#[test]
fn a_missing_client_certificate_is_an_alert() {
    let files = Files::new("load-mutual");
    let identity = files.authority.server(&SERVER_NAMES, Validity::Now);
    let client = files.authority.client("load", Validity::Now);
    files.write_identity("client-", &client);
    for version in [V13, ProtocolVersion::TLSv1_2] {
        let demanding = config(&identity, version, Some(&files.authority));
        let url = text(demanding, &Seen::default());
        let ca = files.argument("ca.pem");
        fails(&attempt(&url, &["--tls-ca", &ca]), "tls_alert", "--tls-cert");
        let (certificate, key) =
            (files.argument("client-cert.pem"), files.argument("client-key.pem"));
        let run = attempt(&url, &["--tls-ca", &ca, "--tls-cert", &certificate, "--tls-key", &key]);
        run.is_flawless();
    }
}

#[test]
fn a_plain_server_is_recognised() {
    let port = says_and_leaves(b"WELCOME\n");
    fails(&attempt(&format!("text+tls://127.0.0.1:{port}"), &[]), "tls_plain_server", "+tls");
}

#[test]
fn a_server_that_requires_tls_is_recognised_in_every_protocol() {
    for (protocol, words) in [
        ("text", &b"ERROR TLS_REQUIRED\n"[..]),
        ("echo", b"ERROR TLS_REQUIRED\n"),
        ("chat", b"ERROR TLS_REQUIRED\n"),
        ("binary", b"\xff\0\0\0\x0cTLS_REQUIRED"),
    ] {
        let port = says_and_leaves(words);
        let run = attempt(&format!("{protocol}://127.0.0.1:{port}"), &[]);
        fails_first(&run, "tls_required", &format!("write {protocol}+tls://127.0.0.1:{port}"));
    }
}

#[test]
fn a_run_of_a_number_of_requests_ends_when_the_server_requires_tls() {
    let port = says_and_leaves(b"ERROR TLS_REQUIRED\n");
    let run = measure(&[&format!("text://127.0.0.1:{port}"), "-c", "2", "-n", "10"]);
    fails_first(&run, "tls_required", "demands TLS");
}

#[test]
fn an_alert_in_place_of_a_reply_hints_at_tls() {
    let port = says_and_leaves(b"\x15\x03\x03\x00\x02\x02\x0a");
    let run = attempt(&format!("text://127.0.0.1:{port}"), &[]);
    let hint = run.text("exchanges.0.hint");
    assert!(hint.contains("+tls"), "{run:?}");
}

#[test]
fn a_handshake_without_an_answer_times_out() {
    let port = serve(hold);
    let url = format!("text+tls://127.0.0.1:{port}");
    let run = measure(&[&url, "-c", "2", "-d", "1s", "--timeout", "500ms"]);
    fails(&run, "tls_timed_out", "speaks TLS");
}

#[test]
fn a_handshake_that_the_server_cuts_off_is_closed() {
    let port = serve(|mut socket| {
        // With unread bytes, the end would be a reset.
        let mut hello = [0; 5];
        if socket.read_exact(&mut hello).is_ok() {
            let mut rest = vec![0; usize::from(u16::from_be_bytes([hello[3], hello[4]]))];
            let _ = socket.read_exact(&mut rest).and_then(|()| socket.flush());
        }
    });
    fails(&attempt(&format!("text+tls://127.0.0.1:{port}"), &[]), "tls_closed", "speaks TLS");
}
