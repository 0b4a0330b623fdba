//! Encrypted connections that work: every mode, both versions, both kinds of certificate.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use rustls::ProtocolVersion::{self, TLSv1_2, TLSv1_3};

use crate::runs::{Run, run, run_script};
use crate::support::behaviour::serve;
use crate::support::certificates::{Authority, Files, SERVER_NAMES, Validity, self_signed};
use crate::support::tls_server::{TlsStream, accept, config, end_tls, serve_tls, speak_text};
use crate::support::wait::PATIENCE;
use crate::terminal::Terminal;

/// A server of `text` over TLS, with a certificate that `authority` has signed.
struct TextServer {
    port: u16,
    /// What each connection negotiated, and how the client has ended it.
    ends: Receiver<(Option<ProtocolVersion>, io::Result<()>)>,
}

impl TextServer {
    fn start(files: &Files, version: ProtocolVersion, client_ca: Option<&Authority>) -> Self {
        let identity = files.authority.server(&SERVER_NAMES, Validity::Now);
        let (sender, ends) = mpsc::channel();
        let port = serve_tls(config(&identity, version, client_ca), move |stream| {
            let version = stream.conn.protocol_version();
            let _ = sender.send((version, speak_text(stream)));
        });
        Self { port, ends }
    }

    fn url(&self) -> String {
        format!("text+tls://127.0.0.1:{}", self.port)
    }

    /// The next connection must have used `version`, and the client must have ended TLS.
    #[track_caller]
    fn expect_end(&self, version: ProtocolVersion) {
        let (negotiated, end) = self.ends.recv_timeout(PATIENCE).expect("a connection ends");
        assert_eq!(negotiated, Some(version));
        assert!(end.is_ok(), "the client has cut the connection: {end:?}");
    }
}

fn with_ca(files: &Files, arguments: &[&str]) -> Run {
    run(&[arguments, &["--tls-ca", &files.argument("ca.pem"), "--timeout", "20s"]].concat())
}

#[test]
fn scripts_run_over_both_versions_and_end_tls() {
    let files = Files::new("client-versions");
    for version in [TLSv1_2, TLSv1_3] {
        let server = TextServer::start(&files, version, None);
        with_ca(&files, &[&server.url(), "-e", "ECHO a", "-e", "ECHO b"])
            .ended_with(0)
            .printing("ECHO a\nECHO b\n");
        server.expect_end(version);
        with_ca(&files, &[&server.url(), "-e", "ECHO a", "-e", "QUIT"])
            .ended_with(0)
            .printing("ECHO a\nBYE\n");
        server.expect_end(version);
    }
}

#[test]
fn the_demo_the_shell_and_a_failed_status_end_tls() {
    let files = Files::new("client-modes");
    let server = TextServer::start(&files, TLSv1_3, None);
    let demo = with_ca(&files, &[&server.url(), "demo"]);
    assert!(demo.ended_with(0).text().ends_with("<- BYE\n"), "{demo:?}");
    server.expect_end(TLSv1_3);
    server.expect_end(TLSv1_3);
    let ca = files.argument("ca.pem");
    let shell = run_script(&[&server.url(), "--tls-ca", &ca, "shell"], b"ECHO hi\n");
    assert!(shell.ended_with(0).text().contains("<- ECHO hi\n"), "{shell:?}");
    server.expect_end(TLSv1_3);
    with_ca(&files, &[&server.url(), "status"]).ended_with(4).saying("'STATUS' is no status");
    server.expect_end(TLSv1_3);
}

#[test]
#[ignore = "needs a terminal, which `script` from util-linux provides"]
fn the_shell_on_a_terminal_ends_tls() {
    let files = Files::new("client-terminal");
    let server = TextServer::start(&files, TLSv1_3, None);
    let mut terminal =
        Terminal::start(&format!("{} --tls-ca {}", server.url(), files.argument("ca.pem")));
    for line in ["ECHO one", "ECHO two"] {
        terminal.wait_for("-> ");
        terminal.type_keys(&format!("{line}\r"));
        terminal.wait_for(&format!("<- {line}"));
    }
    terminal.wait_for("-> ");
    // Ctrl-D.
    terminal.type_keys("\x04");
    terminal.wait_for("<- BYE");
    assert_eq!(terminal.finish(), Some(0));
    server.expect_end(TLSv1_3);
}

#[test]
fn a_script_that_fills_both_directions_is_no_deadlock() {
    let files = Files::new("client-full");
    let identity = files.authority.server(&SERVER_NAMES, Validity::Now);
    // The server reads nothing while it sends, and so needs a client that reads while it sends.
    let port = serve_tls(config(&identity, TLSv1_3, None), |stream| {
        let mut lines = BufReader::new(stream);
        let mut line = Vec::new();
        let mut answers = b"WELCOME\n".to_vec();
        while line != b"QUIT\n" {
            line.clear();
            lines.read_until(b'\n', &mut line).expect("a client that sends to the end");
            answers.extend_from_slice(if line == b"QUIT\n" { b"BYE\n" } else { &line });
            if answers.len() > 1 << 20 {
                lines.get_mut().write_all(&answers).expect("a client that reads");
                answers.clear();
            }
        }
        lines.get_mut().write_all(&answers).expect("a client that reads");
        end_tls(lines.into_inner());
    });
    let requests = format!("ECHO {}\n", "x".repeat(1 << 10)).repeat(20 << 10);
    let ca = files.argument("ca.pem");
    let url = format!("text+tls://127.0.0.1:{port}");
    let run = run_script(
        &[&url, "--tls-ca", &ca, "--timeout", "20s"],
        format!("{requests}QUIT\n").as_bytes(),
    );
    assert!(run.ended_with(0).text() == format!("{requests}BYE\n"), "{} bytes", run.stdout.len());
}

#[test]
fn a_self_signed_certificate_can_be_trusted_itself() {
    let files = Files::new("client-self");
    for is_authority in [false, true] {
        let identity = self_signed(&SERVER_NAMES, is_authority);
        files.write("self.pem", &identity.certificate);
        let port = serve_tls(config(&identity, TLSv1_3, None), |stream| drop(speak_text(stream)));
        let url = format!("text+tls://localhost:{port}");
        run(&[&url, "--tls-ca", &files.argument("self.pem"), "-e", "ECHO a"])
            .ended_with(0)
            .printing("ECHO a\n");
        run(&[&url, "--tls-ca", &files.argument("self.pem"), "--tls-server-name", "other.test"])
            .ended_with(3)
            .saying("is for localhost, 127.0.0.1, not for other.test");
    }
}

#[test]
fn an_unchecked_certificate_is_noted_in_one_line() {
    let identity = self_signed(&["other.test"], false);
    let port = serve_tls(config(&identity, TLSv1_2, None), |stream| drop(speak_text(stream)));
    let run = run(&[&format!("text+tls://127.0.0.1:{port}"), "--tls-insecure", "-e", "ECHO a"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    run.printing("ECHO a\n")
        .complaining_in_one_line("tinytcp-client")
        .saying("--tls-insecure: the server's certificate is not checked");
}

#[test]
fn the_name_is_sent_to_the_server_and_checked() {
    let files = Files::new("client-name");
    let identity = files.authority.server(&["first.test", "second.test"], Validity::Now);
    let (sender, names) = mpsc::channel();
    let port = serve_tls(config(&identity, TLSv1_3, None), move |stream: TlsStream| {
        let _ = sender.send(stream.conn.server_name().map(str::to_owned));
        let _ = speak_text(stream);
    });
    let url = format!("text+tls://127.0.0.1:{port}");
    with_ca(&files, &[&url, "--tls-server-name", "second.test", "-e", "ECHO a"]).ended_with(0);
    let name = names.recv_timeout(PATIENCE).expect("a handshake");
    assert_eq!(name.as_deref(), Some("second.test"));
}

#[test]
fn a_client_certificate_is_shown_to_a_server_that_demands_it() {
    let files = Files::new("client-mutual");
    files.write_identity("me-", &files.authority.client("ana", Validity::Now));
    let [certificate, key] = ["me-cert.pem", "me-key.pem"].map(|name| files.argument(name));
    for version in [TLSv1_2, TLSv1_3] {
        let server = TextServer::start(&files, version, Some(&files.authority));
        let flags = ["--tls-cert", &certificate, "--tls-key", &key, "-e", "ECHO a"];
        with_ca(&files, &[&[&server.url()[..]], &flags[..]].concat()).ended_with(0);
        server.expect_end(version);
    }
}

#[test]
fn a_proxy_header_comes_before_the_handshake() {
    let files = Files::new("client-proxy");
    let config = config(&files.authority.server(&SERVER_NAMES, Validity::Now), TLSv1_3, None);
    let port = serve(move |mut socket: TcpStream| {
        let mut header = Vec::new();
        while !header.ends_with(b"\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).expect("a header");
            header.push(byte[0]);
        }
        assert!(header.starts_with(b"PROXY TCP4 192.0.2.7 "), "{}", header.escape_ascii());
        let stream = accept(&config, socket).expect("a handshake");
        let _ = speak_text(stream);
    });
    let url = format!("text+tls://127.0.0.1:{port}");
    with_ca(&files, &[&url, "--proxy-header", "v1:192.0.2.7", "-e", "ECHO a"])
        .ended_with(0)
        .printing("ECHO a\n");
}

#[test]
fn a_unix_socket_can_be_encrypted() {
    let files = Files::new("client-unix");
    let config = config(&files.authority.server(&SERVER_NAMES, Validity::Now), TLSv1_3, None);
    let listener = UnixListener::bind(files.path("s")).expect("a free path");
    thread::spawn(move || {
        let (socket, _) = listener.accept().expect("a client");
        let socket = TcpStream::from(std::os::fd::OwnedFd::from(socket));
        speak_text(accept(&config, socket).expect("a handshake"))
    });
    with_ca(&files, &[&format!("text+tls+unix://{}", files.argument("s")), "-e", "ECHO a"])
        .ended_with(0)
        .printing("ECHO a\n");
}

#[test]
fn a_server_with_tls_that_starts_late_is_waited_for() {
    let files = Files::new("client-late");
    let config = config(&files.authority.server(&SERVER_NAMES, Validity::Now), TLSv1_3, None);
    let connections = std::sync::atomic::AtomicUsize::new(0);
    // A proxy accepts before its server is up, and then closes: first before the handshake, then
    // after it.
    let port =
        serve(move |socket| match connections.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => drop(socket),
            1 => drop(accept(&config, socket).map(end_tls)),
            _ => drop(accept(&config, socket).map(speak_text)),
        });
    let url = format!("text+tls://127.0.0.1:{port}");
    let run = with_ca(&files, &[&url, "--wait", "20s", "-e", "ECHO late"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    run.saying("waited ").printing("ECHO late\n");
}
