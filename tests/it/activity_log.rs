//! The log of the clients' activity: complete at a low rate, summarized under load, and free of
//! control characters.

use crate::support::frames::{ECHO, frame};
use crate::support::peer::Peer;
use crate::support::repetitions;
use crate::support::server::{Server, listen_flags, program};
use crate::support::wait::{undisturbed, wait_until};
use std::time::{Duration, Instant};

#[test]
fn a_session_is_logged_from_its_opening_to_its_close() {
    let server = Server::start(&[]);
    let mut peer = server.text();
    let address = peer.address().to_string();
    peer.send("ECHO hi\nHELP\nQUIT\n");
    let answers = peer.read_to_end();
    drop(peer);
    server.wait_for_log(&[&address, "opened", "text"]);
    server.wait_for_log(&[&address, "ECHO hi"]);
    server.wait_for_log(&[&address, "HELP"]);
    let closed = server.wait_for_log(&[&address, "closed", "text"]);
    let words: Vec<&str> = closed.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let bytes_in = "ECHO hi\nHELP\nQUIT\n".len().to_string();
    let bytes_out = (crate::support::BANNER.len() + answers.len()).to_string();
    for number in [bytes_in.as_str(), &bytes_out, "3"] {
        assert!(words.contains(&number), "{number} is not in: {closed}");
    }
}

#[test]
fn every_protocol_logs_its_messages() {
    let server = Server::start(&[]);
    for (protocol, request) in [
        ("binary", frame(ECHO, "from binary")),
        ("echo", b"from echo\n".to_vec()),
        ("chat", b"from chat\n".to_vec()),
    ] {
        let mut peer = server.connect(protocol);
        let address = peer.address().to_string();
        peer.send(request);
        peer.half_close();
        peer.read_to_end();
        server.wait_for_log(&[&address, &format!("from {protocol}")]);
        server.wait_for_log(&[&address, "closed", protocol]);
    }
}

#[test]
fn no_byte_of_a_client_reaches_the_log_as_it_is() {
    let server = Server::start(&["-v", "--activity-log", "1000000"]);
    let every_byte: Vec<u8> = (0..=255).filter(|byte| *byte != b'\n').collect();
    for protocol in crate::support::PROTOCOLS {
        let mut peer = server.connect(protocol);
        for chunk in
            every_byte.chunks(24).chain([&b"\x1B[31m\r\x1B]0;title\x07 \xC2\x9B \xE2\x80\xAE"[..]])
        {
            match protocol {
                "binary" => peer.send(frame(ECHO, chunk)),
                _ => peer.send([b"ECHO ", chunk, b"\n"].concat()),
            }
        }
        peer.half_close();
        peer.read_to_end();
    }
    let mut last = server.text();
    last.send("ECHO that was all\n");
    last.expect("ECHO that was all\n");
    server.wait_for_log(&["that was all"]);
    server.wait_for_log(&[r"\x1b[31m\r\x1b]0;title\x07"]);
    for line in server.log.raw() {
        let text =
            str::from_utf8(&line).unwrap_or_else(|_| panic!("not UTF-8: {}", line.escape_ascii()));
        let is_harmless = |c: char| !c.is_control() && !BIDI.contains(c);
        assert!(text.chars().all(is_harmless), "a raw character in the log: {text:?}");
    }
}

/// The characters that change the direction of text on a terminal.
const BIDI: &str = "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\
    \u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";

#[test]
fn printable_text_is_logged_and_bidi_characters_are_escaped() {
    let server = Server::start(&[]);
    let mut peer = server.text();
    peer.send(format!("ECHO héllo 字 שלום\nECHO {BIDI}\n"));
    peer.half_close();
    peer.read_to_end();
    server.wait_for_log(&["ECHO héllo 字 שלום"]);
    server.wait_for_log(&["ECHO \\u{61c}\\u{200e}\\u{200f}\\u{202a}"]);
}

#[test]
fn a_refused_message_is_logged_with_its_refusal() {
    let server = Server::start(&["--max-line", "16", "--max-frame", "16"]);
    let mut peer = server.text();
    peer.send("BOGUS x\nECHO\nPUT / \n");
    peer.read_to_end();
    let mut binary = server.connect("binary");
    binary.send([frame(9, "x"), frame(ECHO, "seventeen bytes !")].concat());
    binary.half_close();
    binary.read_to_end();
    let refusals = [
        ": UNKNOWN_COMMAND BOGUS x",
        ": BAD_ARGUMENTS ECHO",
        ": NOT_HTTP PUT /",
        ": UNKNOWN_COMMAND",
        ": FRAME_TOO_LARGE",
    ];
    for refusal in refusals {
        server.wait_for_log(&[refusal]);
    }
}

#[test]
fn without_messages_the_log_shows_connections_only() {
    let server = Server::start(&["--activity-log", "connections"]);
    let mut peer = server.text();
    let address = peer.address().to_string();
    peer.send("ECHO secret\nQUIT\n");
    peer.read_to_end();
    drop(peer);
    server.wait_for_log(&["opened", &address]);
    server.wait_for_log(&["closed", &address, "2 messages"]);
    assert_eq!(server.log.find(&["secret"]), None);
}

#[test]
fn an_open_listener_logs_a_warning_and_no_message_by_default() {
    let mut command = program();
    command.args(["--listen", "text://0.0.0.0:0"]);
    let server = Server::launch_listening(command, 1);
    server.wait_for_log(&["WARN", "other machines can connect", "without accounts"]);
    let mut peer = Peer::connect(([127, 0, 0, 1], server.address("text").port()).into());
    peer.send("ECHO secret\nQUIT\n");
    peer.read_to_end();
    drop(peer);
    server.wait_for_log(&["closed", "2 messages"]);
    assert_eq!(server.log.find(&["secret"]), None);
}

#[test]
fn the_log_begins_with_the_version_and_the_listeners() {
    let server = Server::start(&[]);
    let url = format!("text://{}", server.address("text"));
    server.wait_for_log(&[concat!("tinytcp-server ", env!("CARGO_PKG_VERSION")), &url]);
    assert_eq!(server.log.find(&["other machines"]), None, "it listens on loopback");
}

/// Returns the time of the event of a log line.
fn time(line: &str) -> chrono::DateTime<chrono::FixedOffset> {
    let time = line.split(' ').next().expect("a time");
    chrono::DateTime::parse_from_rfc3339(time).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn an_opening_that_is_logged_late_has_its_own_time() {
    let server = Server::start(&[]);
    undisturbed(|| {
        let began = Instant::now();
        let mut peer = server.text();
        let greeted = chrono::Utc::now();
        let opened = server.wait_for_log(&["opened", &peer.address().to_string()]);
        assert!(
            began.elapsed() >= Duration::from_secs(1),
            "it is logged after a second of silence: {opened}"
        );
        peer.send("QUIT\n");
        // The log counts the age of the event from the start of a round. A pause of the server
        // between the two makes the time later.
        let delay = time(&opened).to_utc() - greeted;
        (delay.num_milliseconds() < 500).then_some(())
    });
}

#[test]
fn a_sum_counts_probes_apart_from_connections() {
    let server = Server::start(&["-v", "--activity-log", "1"]);
    (0..50).for_each(|_| drop(server.connect("binary")));
    let sum = server.wait_for_log(&["suppressed in the last second:", "probe"]);
    assert!(!sum.contains("closed"), "{sum}");
}

#[test]
fn a_line_break_of_a_client_makes_no_line_in_the_log() {
    let server = Server::start(&[]);
    let mut peer = server.connect("binary");
    peer.send(frame(ECHO, "first\nforged line\r\nsecond"));
    peer.half_close();
    peer.read_to_end();
    server.wait_for_log(&[r"first\nforged line\r\nsecond"]);
}

#[test]
fn what_a_client_sent_is_cut_at_64_bytes() {
    let server = Server::start(&["-v"]);
    let mut peer = server.text();
    peer.send(format!("ECHO {}\n{} x\n", "z".repeat(1000), "y".repeat(1000)));
    peer.half_close();
    peer.read_to_end();
    for letter in ["z", "y"] {
        let line = server.wait_for_log(&[&letter.repeat(40)]);
        let shown =
            line.split(|c: char| !letter.contains(c)).map(str::len).max().unwrap_or_default();
        assert!((50..=64).contains(&shown), "{shown} bytes of a client in: {line}");
    }
}

/// Returns the number of messages in a line that sums up suppressed events.
fn suppressed_messages(line: &str) -> Option<usize> {
    let (_, events) = line.split_once("suppressed in the last second: ")?;
    let (before, _) = events.split_once(" message")?;
    before.rsplit(' ').next()?.parse().ok()
}

#[test]
fn under_load_the_lines_are_capped_and_the_rest_is_summed_up() {
    const COMMANDS: usize = 20_000;
    const CAP: usize = 5;
    let server = Server::start(&["--activity-log", "5"]);
    let started = Instant::now();
    let mut peer = server.text();
    let requests = "ECHO load\n".repeat(COMMANDS);
    let sender = peer.send_in_background(requests.clone().into_bytes());
    peer.expect(requests);
    sender.join().expect("everything is sent");
    let shown = || server.log.text().iter().filter(|line| line.contains("ECHO load")).count();
    let summed_up =
        || server.log.text().iter().filter_map(|line| suppressed_messages(line)).sum::<usize>();
    // The sum of a second is written in the next one.
    wait_until("each message has a line or is in a sum", || shown() + summed_up() == COMMANDS);
    let seconds = started.elapsed().as_secs() as usize + 2;
    let lines = shown();
    assert!((1..=CAP * seconds).contains(&lines), "{lines} lines in {seconds} seconds");
}

/// Opens thousands of connections, each of which breaks the protocol in one of several ways, and
/// then a polite one.
fn flood(server: &Server) {
    for index in 0..repetitions(4000, 20_000) {
        match index % 5 {
            0 => converse(server.text(), b"GET / HTTP/1.1\r\n\r\n"),
            1 => converse(server.connect("echo"), b"\x16\x03\x01\x02\x00\x01"),
            2 => converse(server.connect("binary"), &[7, 0, 0, 0, 0, 3, 0, 0, 0, 0]),
            3 => converse(server.text(), b"NONSENSE\nECHO\nQUIT\n"),
            _ => {
                let mut peer = server.connect("chat");
                peer.send("half a message");
                peer.reset();
            }
        }
    }
    converse(server.text(), b"QUIT\n");
}

fn converse(mut peer: Peer, request: &[u8]) {
    peer.send(request);
    peer.read_to_end();
}

#[test]
fn a_flood_of_bad_connections_is_capped_too() {
    const CAP: usize = 5;
    let server = Server::start(&["--activity-log", "5"]);
    let started = Instant::now();
    flood(&server);
    let seconds = started.elapsed().as_secs() as usize + 2;
    let lines = server.log.raw().len();
    // Each second has the capped lines and a summary. At the start there are also the listeners and
    // the limits.
    assert!(
        lines <= (CAP + 1) * seconds + 2,
        "{lines} lines in {seconds} seconds: {:#?}",
        server.log.text()
    );
}

#[test]
fn a_flood_of_rejected_connections_is_one_warning_per_second() {
    const CAP: usize = 5;
    let server = Server::start(&["--activity-log", "5", "--max-connections", "1"]);
    let _only = server.text();
    let started = Instant::now();
    for _ in 0..5000 {
        server.connect("echo").read_to_end();
    }
    let seconds = started.elapsed().as_secs() as usize + 2;
    let lines = server.log.raw().len();
    assert!(
        lines <= (CAP + 2) * seconds + 2,
        "{lines} lines in {seconds} seconds: {:#?}",
        server.log.text()
    );
}

#[test]
fn a_person_sees_every_command_in_spite_of_the_cap() {
    let server = Server::start(&[]);
    let mut peer = server.text();
    for index in 0..20 {
        peer.send(format!("ECHO line-{index}-\n"));
        peer.expect(format!("ECHO line-{index}-\n"));
    }
    for index in 0..20 {
        server.wait_for_log(&[&format!("line-{index}-")]);
    }
}

/// Makes a connection without a byte from the client, and then a session that is logged.
fn probe(server: &Server) -> String {
    let probe = server.connect("binary");
    let address = probe.address().to_string();
    drop(probe);
    let mut peer = server.text();
    let later = peer.address().to_string();
    peer.send("QUIT\n");
    peer.read_to_end();
    drop(peer);
    server.wait_for_log(&[&later, "closed"]);
    address
}

#[test]
fn a_probe_is_not_logged() {
    let server = Server::start(&[]);
    let address = probe(&server);
    assert_eq!(server.log.find(&[&address]), None);
}

#[test]
fn a_probe_is_logged_for_debugging() {
    let server = Server::start(&["-v"]);
    let address = probe(&server);
    server.wait_for_log(&[&address]);
}

#[test]
fn quiet_is_quiet() {
    let mut server = Server::start(&["-q"]);
    let mut peer = server.text();
    peer.send("ECHO hush\nQUIT\n");
    peer.read_to_end();
    drop(peer);
    server.process().signal("TERM");
    assert!(server.wait_for_exit().success());
    assert_eq!(server.log.text(), [""; 0]);
}

#[test]
fn rust_log_overrides_the_flags() {
    let mut command = program();
    command.args(listen_flags()).arg("-q").env("RUST_LOG", "info");
    let server = Server::launch(command);
    let mut peer = server.text();
    peer.send("ECHO seen\n");
    peer.expect("ECHO seen\n");
    server.wait_for_log(&["ECHO seen"]);
}

#[test]
fn the_log_has_no_colour_without_a_terminal() {
    let server = Server::start(&["-v"]);
    let mut peer = server.text();
    peer.send("NONSENSE\n");
    peer.expect("ERROR UNKNOWN_COMMAND\n");
    server.wait_for_log(&["NONSENSE"]);
    assert!(server.log.raw().iter().all(|line| !line.contains(&0x1B)), "{:#?}", server.log.text());
}
