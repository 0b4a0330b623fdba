//! Encrypted connections that fail: one line with the remedy, and the exit code, of each failure.

use std::io::{Read, Write};
use std::net::Shutdown;

use rustls::ProtocolVersion::{self, TLSv1_2, TLSv1_3};

use crate::runs::{Run, run};
use crate::support::behaviour::{hold, reset, serve, serve_once_asked};
use crate::support::certificates::{
    Authority, Files, Identity, SERVER_NAMES, Validity, self_signed,
};
use crate::support::tls_server::{TlsStream, config, cut, end_tls, serve_tls, speak_text};

const CUT: &str = "the server cut the connection without ending TLS; look at the server's log";

/// A server of `text` with `identity`.
fn text_server(identity: &Identity, version: ProtocolVersion) -> String {
    let port =
        serve_tls(config(identity, version, None), |stream: TlsStream| drop(speak_text(stream)));
    format!("text+tls://127.0.0.1:{port}")
}

/// Runs a client that trusts `ca.pem`, with a command of `text`.
fn ask(files: &Files, url: &str, flags: &[&str]) -> Run {
    let ca = files.argument("ca.pem");
    run(&[&[url, "--tls-ca", &ca, "-e", "ECHO a"], flags].concat())
}

#[test]
fn each_defect_of_a_certificate_is_named_with_its_remedy() {
    let files = Files::new("client-defects");
    let other = Authority::new("another authority");
    let sign = |names: &[&str], validity| files.authority.server(names, validity);
    let cases = [
        (sign(&SERVER_NAMES, Validity::Expired), "certificate expired ", "days ago; renew it"),
        (sign(&SERVER_NAMES, Validity::NotYet), "becomes valid in ", "days; check the clocks"),
        (
            sign(&["other.test"], Validity::Now),
            "is for other.test, not for 127.0.0.1",
            "a name that it has",
        ),
        (sign(&[], Validity::Now), "names no host (no subjectAltName)", "must name 127.0.0.1"),
        (other.server(&SERVER_NAMES, Validity::Now), "no certificate of --tls-ca has", "the CA of"),
        (files.authority.client("ana", Validity::Now), "is not for servers", "serverAuth"),
        (self_signed(&SERVER_NAMES, false), "is self-signed", "trust it with --tls-ca"),
        (self_signed(&SERVER_NAMES, true), "is self-signed", "skip the check with --tls-insecure"),
    ];
    for (identity, fact, remedy) in cases {
        for version in [TLSv1_2, TLSv1_3] {
            let url = text_server(&identity, version);
            ask(&files, &url, &["--wait", "20s"])
                .ended_with(3)
                .saying(&format!("cannot connect to {url}: "))
                .saying(fact)
                .saying(remedy);
        }
    }
}

#[test]
fn the_roots_of_the_system_are_used_without_a_ca() {
    let files = Files::new("client-roots");
    let url = text_server(&files.authority.server(&SERVER_NAMES, Validity::Now), TLSv1_3);
    let with_roots = |name: &str| {
        let mut command = crate::runs::client(&[&url, "-e", "ECHO a"]);
        command.env("SSL_CERT_FILE", files.path(name)).env_remove("SSL_CERT_DIR");
        crate::runs::finish(command)
    };
    with_roots("ca.pem").ended_with(0).printing("ECHO a\n");
    files.write("other.pem", &Authority::new("another authority").certificate());
    with_roots("other.pem").ended_with(3).saying("an unknown CA has signed").saying("--tls-ca");
    with_roots("missing.pem").ended_with(2).saying("no root certificates").saying("--tls-ca");
}

#[test]
fn a_client_certificate_that_is_missing_or_refused_is_named() {
    let files = Files::new("client-refused");
    let other = Authority::new("another authority");
    files.write_identity("other-", &other.client("eve", Validity::Now));
    files.write_identity("old-", &files.authority.client("ana", Validity::Expired));
    files.write_identity("web-", &files.authority.server(&SERVER_NAMES, Validity::Now));
    let identity = files.authority.server(&SERVER_NAMES, Validity::Now);
    // In TLS 1.3 the server checks the certificate after the client has completed its handshake.
    for (version, code) in [(TLSv1_2, 3), (TLSv1_3, 4)] {
        let config = config(&identity, version, Some(&files.authority));
        let port = serve_tls(config, |stream| drop(speak_text(stream)));
        let url = format!("text+tls://127.0.0.1:{port}");
        ask(&files, &url, &[])
            .ended_with(code)
            .saying("the server demands a client certificate; give one with --tls-cert");
        for (prefix, alert) in [
            ("other-", "unknown ca); give one that is valid"),
            ("old-", "certificate expired); give one that is valid"),
            ("web-", "unsupported certificate); give one for clients (extendedKeyUsage clientAuth"),
        ] {
            let [certificate, key] =
                ["cert.pem", "key.pem"].map(|file| files.argument(&format!("{prefix}{file}")));
            ask(&files, &url, &["--tls-cert", &certificate, "--tls-key", &key])
                .ended_with(code)
                .saying(&format!("refuses the client certificate (alert {alert}"));
        }
    }
}

#[test]
fn versions_without_overlap_are_named() {
    let files = Files::new("client-overlap");
    let url = text_server(&files.authority.server(&SERVER_NAMES, Validity::Now), TLSv1_2);
    ask(&files, &url, &["--tls-min", "1.3"]).ended_with(3).saying("leave out --tls-min 1.3");
    ask(&files, &url, &["--tls-min", "1.2"]).ended_with(0);
    ask(&files, &url, &["--tls-min", "1.1"]).ended_with(2).saying("the versions are 1.2 and 1.3");
}

#[test]
fn a_server_without_tls_is_recognised_by_its_first_byte() {
    let files = Files::new("client-plain");
    let ports = [
        serve(|mut stream| {
            let _ = stream.write_all(b"WELCOME\n");
            hold(stream);
        }),
        serve_once_asked(b"\xff\x00\x00\x00\x07NOT_TLS"),
        serve_once_asked(b"Server received: \x16\x03\x01"),
    ];
    for port in ports {
        ask(&files, &format!("text+tls://127.0.0.1:{port}"), &["--wait", "20s"])
            .ended_with(3)
            .saying("the server speaks no TLS; leave out +tls");
    }
}

#[test]
fn a_handshake_that_is_late_cut_or_garbled_is_named() {
    let files = Files::new("client-handshake");
    let url = |port: u16| format!("text+tls://127.0.0.1:{port}");
    ask(&files, &url(serve(hold)), &["--timeout", "300ms"])
        .ended_with(3)
        .saying("did not finish the TLS handshake in time")
        .saying("--timeout");
    let closing = serve(|mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.shutdown(Shutdown::Write);
        hold(stream);
    });
    ask(&files, &url(closing), &[])
        .ended_with(3)
        .saying("the server closed the connection during the TLS handshake");
    let resetting = serve(|mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        reset(stream);
    });
    ask(&files, &url(resetting), &[])
        .ended_with(3)
        .saying("connection reset during the TLS handshake");
    let garbled = serve_once_asked(b"\x16\x03\x03\x00\x04\x63\x00\x00\x00");
    ask(&files, &url(garbled), &[]).ended_with(3).saying("the server breaks the rules of TLS");
}

#[test]
fn a_session_that_is_cut_instead_of_ended_is_an_error() {
    let files = Files::new("client-cut");
    let ca = files.argument("ca.pem");
    let identity = files.authority.server(&SERVER_NAMES, Validity::Now);
    for version in [TLSv1_2, TLSv1_3] {
        let quit = |end: fn(TlsStream)| {
            let port = serve_tls(config(&identity, version, None), move |mut stream: TlsStream| {
                let _ = stream.write_all(b"WELCOME\nBYE\n");
                let _ = stream.read(&mut [0; 1024]);
                end(stream);
            });
            let url = format!("text+tls://127.0.0.1:{port}");
            run(&[&url, "--tls-ca", &ca, "--timeout", "20s", "-e", "QUIT"])
        };
        quit(end_tls).ended_with(0).printing("BYE\n");
        quit(cut).ended_with(4).printing("BYE\n").saying(CUT);
    }
}

#[test]
fn an_answer_that_only_a_cut_ends_is_no_answer() {
    let files = Files::new("client-cut-answer");
    let ca = files.argument("ca.pem");
    let identity = files.authority.server(&SERVER_NAMES, Validity::Now);
    // The answers of echo have no ending.
    let port = serve_tls(config(&identity, TLSv1_3, None), |mut stream: TlsStream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"Server rec");
        cut(stream);
    });
    let url = format!("echo+tls://127.0.0.1:{port}");
    for mode in [&["-e", "hello there"][..], &["demo"]] {
        run(&[&[&url[..], "--tls-ca", &ca, "--timeout", "20s"], mode].concat())
            .ended_with(4)
            .saying("the server cut the connection without ending TLS");
    }
}

#[test]
fn a_plain_client_learns_that_the_server_needs_tls() {
    let port = serve_once_asked(b"ERROR TLS_REQUIRED\n");
    for (protocol, mode) in [
        ("text", &["-e", "TIME"][..]),
        ("text", &["status"]),
        ("chat", &["listen", "lobby"]),
        ("echo", &["demo"]),
    ] {
        let run = run(&[&[&format!("{protocol}://127.0.0.1:{port}")[..]], mode].concat());
        assert_eq!(run.code, Some(1), "{run:?}");
        run.complaining_in_one_line("tinytcp-client")
            .saying(&format!("demands TLS: write {protocol}+tls://127.0.0.1:{port}"));
    }
    let alert = serve_once_asked(b"\x15\x03\x01\x00\x02\x02\x46");
    run(&[&format!("text://127.0.0.1:{alert}"), "-e", "TIME"])
        .ended_with(4)
        .saying("the answer is an alert of TLS: the server needs +tls");
    let closing = serve(|socket| {
        // It waits for a handshake, and then closes the connection.
        let _ = socket.shutdown(Shutdown::Write);
        hold(socket);
    });
    let url = format!("127.0.0.1:{closing}");
    run(&[&format!("text://{url}"), "demo"])
        .ended_with(4)
        .saying("closed the connection; check that it speaks text there")
        .saying(&format!(", or connect to text+tls://{url}; look at its log"));
    let waiting = serve(hold);
    run(&[&format!("text://127.0.0.1:{waiting}"), "--timeout", "300ms", "status"])
        .ended_with(4)
        .saying("check that the server speaks text there, or connect to text+tls:");
}

#[test]
fn a_plain_client_that_waits_for_a_greeting_learns_that_the_server_needs_tls() {
    for (answer, modes) in [
        (&b"ERROR TLS_REQUIRED\n"[..], &["test", "demo", "shell", "listen lobby"][..]),
        (b"\x15\x03\x03\x00\x02\x02\x46", &["test"]),
    ] {
        let port = serve_once_asked(answer);
        for mode in modes {
            let words: Vec<&str> = mode.split(' ').collect();
            let run = run(&[&[&format!("text://127.0.0.1:{port}")[..]], &words[..]].concat());
            assert_eq!(run.code, Some(1), "{mode}: {run:?}");
            assert!(!String::from_utf8_lossy(&run.stdout).contains("FAIL"), "{mode}: {run:?}");
            run.complaining_in_one_line("tinytcp-client")
                .saying(&format!("demands TLS: write text+tls://127.0.0.1:{port}"));
        }
    }
}

#[test]
fn flags_that_cannot_be_used_are_refused() {
    let files = Files::new("client-flags");
    files.write_identity("other-", &files.authority.client("ana", Validity::Now));
    files.write("empty.pem", "");
    let [ca, key, certificate, other_key, empty] =
        ["ca.pem", "key.pem", "cert.pem", "other-key.pem", "empty.pem"]
            .map(|name| files.argument(name));
    let cases: [(&[&str], &str); 11] = [
        (&["text://localhost", "--tls-ca", &ca], "write the target as text+tls://HOST"),
        (&["text://localhost", "--tls-min", "1.3"], "--tls-min (TINYTCP_TLS_MIN) is for encrypted"),
        (&["--tls-ca", "/no/such/file"], "cannot read the file: No such file"),
        (&["--tls-ca", &empty], "the file has no certificate in PEM"),
        (&["--tls-ca", &key], "the file has no certificate in PEM"),
        (&["--tls-ca", &ca, "--tls-insecure"], "leave one of them out"),
        (&["--tls-cert", &certificate], "--tls-cert needs its key: add --tls-key"),
        (&["--tls-key", &key], "--tls-key needs its certificate: add --tls-cert"),
        (&["--tls-cert", &certificate, "--tls-key", &ca], "no private key in PEM without a pass"),
        (&["--tls-cert", &certificate, "--tls-key", &other_key], "do not fit together; give a"),
        (&["--tls-server-name", "a b"], "'a b' is no name that a certificate can have"),
    ];
    for (flags, expected) in cases {
        let target: &[&str] =
            if flags[0].starts_with("text:") { &[] } else { &["text+tls://localhost:1"] };
        run(&[target, flags, &["-e", "TIME"]].concat()).ended_with(2).saying(expected);
    }
}
