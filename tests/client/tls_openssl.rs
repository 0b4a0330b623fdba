//! The client with other TLS servers: OpenSSL, which returns each line reversed, and socat, which
//! echoes.

use std::process::Command;

use crate::runs::run;
use crate::support::certificates::{Authority, Files, Validity};
use crate::support::tool::{Tool, start_socat};
use crate::support::wait::wait_for;

/// Starts `openssl s_server` with the certificate of `files` and `flags`. Returns its URL too.
fn start(files: &Files, flags: &[&str]) -> (Tool, String) {
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| files.argument(name));
    let common =
        ["s_server", "-accept", "127.0.0.1:0", "-cert", &certificate, "-key", &key, "-rev"];
    let server = Tool::start("openssl", &[&common, flags].concat());
    let port = wait_for("the server says where it listens", || {
        let printed = String::from_utf8(server.printed()).expect("text");
        let (_, rest) = printed.split_once("ACCEPT 127.0.0.1:")?;
        Some(rest.split_once('\n')?.0.to_owned())
    });
    (server, format!("echo+tls://localhost:{port}"))
}

#[test]
#[ignore = "needs openssl: .ci/run installs it"]
fn openssl_answers_over_both_versions() {
    let files = Files::new("client-openssl");
    let ca = files.argument("ca.pem");
    for flag in ["-tls1_2", "-tls1_3"] {
        let (_server, url) = start(&files, &[flag]);
        run(&[&url, "--tls-ca", &ca, "-e", "hello", "-e", "world"])
            .ended_with(0)
            .printing("olleh\ndlrow\n");
    }
    let (_server, url) = start(&files, &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]);
    run(&[&url, "--tls-ca", &ca, "-e", "hello"])
        .ended_with(3)
        .saying("no version of TLS in common");
}

#[test]
#[ignore = "needs socat: .ci/run installs it"]
fn socat_answers_over_both_versions() {
    let files = Files::new("client-socat");
    let ca = files.argument("ca.pem");
    for (index, version) in ["TLS1.2", "TLS1.3"].into_iter().enumerate() {
        let (_server, address) = start_socat(&files, version, index);
        run(&[&format!("echo+tls://{address}"), "--tls-ca", &ca, "-e", "hello", "-e", "world"])
            .ended_with(0)
            .printing("hello\nworld\n");
    }
}

#[test]
#[ignore = "needs openssl: .ci/run installs it"]
fn a_key_of_another_curve_is_refused_with_the_types_that_work() {
    let files = Files::new("client-key-type");
    let [certificate, key] = ["cert.pem", "p521.pem"].map(|name| files.argument(name));
    let curve = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"];
    let mut openssl = Command::new("openssl");
    let made = openssl.arg("genpkey").args(curve).args(["-out", &key]).status();
    assert!(made.expect("openssl").success());
    run(&["text+tls://localhost:1", "--tls-cert", &certificate, "--tls-key", &key, "-e", "TIME"])
        .ended_with(2)
        .saying("--tls-key has a private key of no supported type; use ECDSA P-256 or P-384");
}

#[test]
#[ignore = "needs openssl: .ci/run installs it"]
fn openssl_demands_a_client_certificate_of_its_ca() {
    let files = Files::new("client-openssl-mutual");
    files.write_identity("me-", &files.authority.client("ana", Validity::Now));
    files.write_identity("eve-", &Authority::new("another").client("eve", Validity::Now));
    let ca = files.argument("ca.pem");
    // In TLS 1.3 the server checks the certificate after the client has completed its handshake. In
    // TLS 1.2 it has no alert for a missing certificate.
    for (flag, code, missing) in
        [("-tls1_2", 3, "it demands a client"), ("-tls1_3", 4, "demands a client certificate")]
    {
        let (_server, url) =
            start(&files, &[flag, "-Verify", "2", "-verify_return_error", "-CAfile", &ca]);
        let ask = |prefix: &str| {
            let [certificate, key] =
                ["cert.pem", "key.pem"].map(|file| files.argument(&format!("{prefix}{file}")));
            let flags = ["--tls-cert", &certificate, "--tls-key", &key, "-e", "hello"];
            run(&[&[&url[..], "--tls-ca", &ca][..], &flags].concat())
        };
        run(&[&url, "--tls-ca", &ca, "-e", "hello"]).ended_with(code).saying(missing);
        ask("me-").ended_with(0).printing("olleh\n");
        ask("eve-").ended_with(code).saying("refuses the client certificate (alert unknown ca)");
    }
}
