//! Encrypted runs against servers with known counts: handshakes, and the ends of connections.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::Arc;

use rustls::{HandshakeKind, ProtocolVersion, ServerConfig};

use crate::runs::{Run, Scratch, measure, refuses};
use crate::servers::Counter;
use crate::support::behaviour::{hold, serve};
use crate::support::certificates::{Files, SERVER_NAMES, Validity};
use crate::support::server::{Server, program};
use crate::support::tls_server::{TlsStream, accept, config, cut, end_tls, serve_tls};
use crate::support::tool::start_socat;
use crate::support::wait::wait_until;
use crate::support::{BANNER, PROTOCOLS};

const V13: ProtocolVersion = ProtocolVersion::TLSv1_3;

/// The counts of a server.
#[derive(Clone, Default)]
pub struct Seen {
    full: Counter,
    resumed: Counter,
    lines: Counter,
    /// Connections that the generator has ended with close_notify.
    ended: Counter,
}

/// Returns the files of an authority, and the settings of a server with its certificate.
fn trusted(name: &str, version: ProtocolVersion) -> (Files, Arc<ServerConfig>) {
    let files = Files::new(&format!("load-{name}"));
    let identity = files.authority.server(&SERVER_NAMES, Validity::Now);
    let config = config(&identity, version, None);
    (files, config)
}

/// Serves correct text until the end of input; returns the URL.
pub fn text(config: Arc<ServerConfig>, seen: &Seen) -> String {
    let seen = seen.clone();
    let port = serve_tls(config, move |stream| answer_lines(stream, BANNER, &seen));
    format!("text+tls://127.0.0.1:{port}")
}

/// Echoes each line, until the generator ends TLS.
fn answer_lines(mut stream: TlsStream, greeting: &[u8], seen: &Seen) {
    match stream.conn.handshake_kind() {
        Some(HandshakeKind::Resumed) => seen.resumed.add(),
        _ => seen.full.add(),
    };
    let mut lines = BufReader::new(&mut stream);
    let mut line = Vec::new();
    if lines.get_mut().write_all(greeting).is_err() {
        return;
    }
    // An end of the stream without the end of TLS is an error.
    loop {
        line.clear();
        match lines.read_until(b'\n', &mut line) {
            Ok(0) => {
                seen.ended.add();
                break;
            }
            Ok(_) => seen.lines.add(),
            Err(_) => break,
        };
        if lines.get_mut().write_all(&line).is_err() {
            break;
        }
    }
    end_tls(stream);
}

/// Makes a run that trusts the authority of `files`.
#[track_caller]
fn measure_trusting(files: &Files, arguments: &[&str]) -> Run {
    measure(&[arguments, &["--tls-ca", &files.argument("ca.pem")]].concat())
}

#[test]
fn full_handshakes_agree_with_those_of_the_server() {
    for (version, name) in [(V13, "TLSv1.3"), (ProtocolVersion::TLSv1_2, "TLSv1.2")] {
        let (files, config) = trusted(name, version);
        let seen = Seen::default();
        let url = text(config, &seen);
        let run = measure_trusting(&files, &[&url, "-c", "4", "-n", "60", "--lifetime", "3"]);
        let opened = run.is_flawless().count("connections.opened");
        assert!(opened >= 20, "{run:?}");
        assert_eq!((run.count("tls.full"), run.count("tls.resumed")), (opened, 0), "{run:?}");
        // The run can end between the two ends of a handshake.
        let begun = run.count("connections.begun");
        assert!((opened..=begun).contains(&seen.full.get()) && seen.resumed.get() == 0, "{run:?}");
        assert_eq!(run.durations("latency.tls_handshake"), opened, "{run:?}");
        assert_eq!(run.text("tls.suites.0.version"), name);
        assert_eq!(run.at("tls.is_verified").as_bool(), Some(true));
        assert_eq!(seen.lines.get(), 60);
    }
}

#[test]
fn resumed_handshakes_agree_with_those_of_the_server() {
    for version in [V13, ProtocolVersion::TLSv1_2] {
        let (files, config) = trusted(&format!("resumed-{version:?}"), version);
        let seen = Seen::default();
        let url = text(config, &seen);
        let arguments = [&url, "-c", "3", "-n", "60", "--lifetime", "1", "--tls-resume", "on"];
        let run = measure_trusting(&files, &arguments);
        let opened = run.is_flawless().count("connections.opened");
        let (full, resumed) = (run.count("tls.full"), run.count("tls.resumed"));
        assert_eq!(full + resumed, opened, "{run:?}");
        let late = run.count("connections.begun") - opened;
        assert!((full..=full + late).contains(&seen.full.get()), "{run:?}");
        assert!((resumed..=resumed + late).contains(&seen.resumed.get()), "{run:?}");
        // Connections that open before the first ticket has arrived have no session to resume.
        assert!(full <= 6 && resumed >= 50, "{run:?}");
    }
}

#[test]
fn connections_end_with_close_notify() {
    let (files, config) = trusted("ends", V13);
    let seen = Seen::default();
    let url = text(config, &seen);
    let run = measure_trusting(&files, &[&url, "-c", "4", "-n", "40"]);
    assert_eq!(run.is_flawless().count("connections.opened"), 4, "{run:?}");
    wait_until("the ends at the end of the run", || seen.ended.get() == 4);
    measure_trusting(&files, &[&url, "-c", "4", "-n", "40", "--lifetime", "1"]).is_flawless();
    // A connection that has opened and has no request is closed with unread bytes, which is a
    // reset.
    wait_until("an end after each request", || seen.ended.get() >= 44);
}

#[test]
fn large_requests_in_flight_survive_full_sockets() {
    let (files, config) = trusted("large", V13);
    let seen = Seen::default();
    let url = text(config, &seen);
    let arguments = [&url, "-c", "2", "-P", "8", "--size", "60000", "-n", "100"];
    let run = measure_trusting(&files, &arguments);
    run.is_flawless();
    assert_eq!((run.count("replies.correct"), seen.lines.get()), (100, 100));
}

#[test]
fn records_can_be_split_anywhere() {
    let (files, config) = trusted("split", V13);
    let port = serve_tls(config, move |mut stream| {
        // The session encrypts, and the bytes of its records are sent one by one.
        let _ = stream.sock.set_nodelay(true);
        let mut line = [0; 23];
        let mut answer = BANNER.to_vec();
        loop {
            let mut records = Vec::new();
            let sealed = stream.conn.writer().write_all(&answer);
            while stream.conn.wants_write() {
                stream.conn.write_tls(&mut records).expect("a vector");
            }
            let sent = records.iter().try_for_each(|byte| stream.sock.write_all(&[*byte]));
            if sealed.and(sent).is_err() || stream.read_exact(&mut line).is_err() {
                return;
            }
            answer = line.to_vec();
        }
    });
    let url = format!("text+tls://127.0.0.1:{port}");
    let run = measure_trusting(&files, &[&url, "-c", "2", "-n", "20"]);
    assert_eq!(run.is_flawless().count("replies.correct"), 20);
}

#[test]
fn every_kind_of_run_can_be_encrypted() {
    let (files, config) = trusted("kinds", V13);
    let seen = Seen::default();
    let url = text(config, &seen);
    for kind in [
        &["-R", "200"][..],
        &["--hold", "--heartbeat", "50ms"],
        &["--threads", "2", "-P", "4"],
        &["--spread"],
        &["--tls-min", "1.3", "--connect-rate", "100"],
    ] {
        let common = [&url, "-c", "4", "-d", "300ms"].map(|word: &str| word);
        let run = measure_trusting(&files, &[&common, kind].concat());
        assert_eq!(run.is_flawless().count("connections.opened"), 4, "{kind:?}: {run:?}");
    }
    let found = [&url, "-c", "2", "-R", "400", "--find-max", "p50=1us", "-d", "100ms"];
    let run = measure_trusting(&files, &found.map(|word: &str| word));
    assert!(run.count("tls.full") >= 2, "{run:?}");
}

#[test]
fn raw_bytes_can_be_encrypted() {
    let (files, config) = trusted("raw", V13);
    let port = serve_tls(config, |stream| answer_lines(stream, b"", &Seen::default()));
    let url = format!("tcp+tls://localhost:{port}");
    let run = measure_trusting(&files, &[&url, "--raw", "-m", r"hello {n}\n", "-n", "10"]);
    assert_eq!(run.is_flawless().count("replies.correct"), 10);
}

#[test]
fn a_proxy_header_comes_before_tls() {
    let (files, config) = trusted("proxy", V13);
    let port = serve(move |mut socket| {
        let mut header = Vec::new();
        while !header.ends_with(b"\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).expect("a header");
            header.extend(byte);
        }
        assert!(header.starts_with(b"PROXY TCP4 192.0.2.7 "), "{header:?}");
        if let Some(stream) = accept(&config, socket) {
            answer_lines(stream, BANNER, &Seen::default());
        }
    });
    let url = format!("text+tls://127.0.0.1:{port}");
    let flags = ["-c", "2", "-n", "20", "--proxy-header", "v1:192.0.2.7"];
    let run = measure_trusting(&files, &[&[&url[..]], &flags[..]].concat());
    assert_eq!(run.is_flawless().count("replies.correct"), 20);
}

#[test]
fn files_have_the_handshakes() {
    let (files, config) = trusted("files", V13);
    let url = text(config, &Seen::default());
    let (csv, live) = (Scratch::new("csv"), Scratch::new("ndjson"));
    let flags = ["-c", "2", "-d", "300ms", "--lifetime", "1"];
    let paths = ["--csv", csv.path(), "--live", live.path()];
    let run = measure_trusting(&files, &[&[&url[..]], &flags[..], &paths[..]].concat());
    let full = run.is_flawless().count("tls.full");
    let slices: u64 = run.slices().iter().map(|slice| slice.count("handshakes")).sum();
    assert!((1..=full).contains(&slices), "{run:?}");
    let csv = csv.text().expect("a file");
    let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().expect("a header");
    let column = head.iter().position(|name| *name == "handshakes_count").expect("a column");
    let rows: u64 = lines.map(|line| line[column].parse::<u64>().expect("a number")).sum();
    assert_eq!(rows, slices);
    let live = live.text().expect("a file");
    let row: serde_json::Value =
        serde_json::from_str(live.lines().next().expect("a row")).expect("JSON");
    assert!(row["handshakes_count"].as_u64() > Some(0), "{row}");
    assert!(row["handshake_p99_us"].is_number(), "{row}");
}

#[test]
fn a_stream_cut_without_close_notify_is_truncated() {
    let (files, config) = trusted("cut", V13);
    let port = serve_tls(config, |mut stream| {
        let mut line = [0; 23];
        let spoken = stream.write_all(BANNER).and_then(|()| stream.read_exact(&mut line));
        if spoken.and_then(|()| stream.write_all(&line[..10])).is_ok() {
            cut(stream);
        }
    });
    let url = format!("text+tls://127.0.0.1:{port}");
    let run = measure_trusting(&files, &[&url, "-c", "1", "-d", "300ms", "--timeout", "5s"]);
    assert!(run.count("connections.ended.tls_truncated") > 0, "{run:?}");
    run.all_zero("connections.ended", &["tls_truncated"]).all_zero("errors", &["truncated"]);
}

#[test]
fn a_bad_record_ends_its_connection_as_failed() {
    let (files, config) = trusted("record", V13);
    let port = serve_tls(config, |mut stream| {
        let record = b"\x17\x03\x03\x00\x20no cipher has made these 32 byte";
        let spoken = stream.write_all(BANNER).and_then(|()| stream.sock.write_all(record));
        if spoken.is_ok() {
            hold(stream.sock);
        }
    });
    let url = format!("text+tls://127.0.0.1:{port}");
    let run = measure_trusting(&files, &[&url, "-c", "1", "-d", "300ms"]);
    assert!(run.count("connections.ended.tls_failed") > 0, "{run:?}");
    run.all_zero("connections.ended", &["tls_failed"]);
    assert!(run.text("tls.first_failure").contains("; "), "{run:?}");
}

#[test]
fn a_closing_message_comes_before_the_end_of_tls() {
    let (files, config) = trusted("bye", V13);
    let port = serve_tls(config, |mut stream| {
        if stream.write_all(BANNER).and_then(|()| stream.write_all(b"BYE\n")).is_ok() {
            end_tls(stream);
        }
    });
    let url = format!("text+tls://127.0.0.1:{port}");
    let run = measure_trusting(&files, &[&url, "-c", "1", "-d", "300ms"]);
    assert!(run.count("connections.ended.shutdown") > 0, "{run:?}");
    run.all_zero("connections.ended", &["shutdown"]);
}

#[test]
fn tls_without_effect_is_refused() {
    let arguments = ["text://127.0.0.1:1", "--tls-resume", "on"];
    refuses(&arguments, 2, "--tls-resume has no effect without TLS");
    refuses(&["text://127.0.0.1:1", "--tls-insecure"], 2, "text+tls://HOST");
    refuses(&["tcp+ssl://127.0.0.1:1", "--raw", "-m", "x"], 2, "tcp+tls://HOST:PORT");
    let missing = ["text+tls://127.0.0.1:1", "--tls-ca", "/nowhere/ca.pem"];
    refuses(&missing, 2, "cannot read the file");
    assert!(fs::metadata("/nowhere").is_err());
}

#[test]
fn our_server_and_the_generator_agree_over_tls() {
    let files = Files::new("load-ours");
    let mut command = program();
    for protocol in PROTOCOLS {
        command.args(["--listen", &format!("{protocol}+tls://127.0.0.1:0")]);
    }
    command.args(files.flags());
    let server = Server::launch(command);
    for protocol in PROTOCOLS {
        let url = format!("{protocol}+tls://{}", server.address(protocol));
        let run = measure_trusting(&files, &[&url, "-c", "4", "-n", "60", "--lifetime", "5"]);
        assert_eq!(run.is_flawless().count("replies.correct"), 60, "{protocol}: {run:?}");
        assert_eq!(run.count("tls.full"), run.count("connections.opened"), "{protocol}: {run:?}");
    }
}

#[test]
#[ignore = "needs socat: .ci/run installs it"]
fn a_server_of_openssl_and_the_generator_agree() {
    let files = Files::new("load-socat");
    for (index, version) in ["TLS1.2", "TLS1.3"].into_iter().enumerate() {
        let (_server, address) = start_socat(&files, version, index);
        let url = format!("tcp+tls://{address}");
        let message = r"hello {n}\n";
        let arguments = [&url, "--raw", "-m", message, "-c", "3", "-n", "30", "--lifetime", "5"];
        let run = measure_trusting(&files, &arguments);
        assert_eq!(run.is_flawless().count("replies.correct"), 30, "{run:?}");
        assert_eq!(run.count("tls.full"), run.count("connections.opened"), "{run:?}");
    }
}
