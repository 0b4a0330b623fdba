//! Listeners for proxies, the agent check, and the headers that the programs send.

use std::process::{Command, Stdio};

use crate::support::BANNER;
use crate::support::program::{Ended, finish};
use crate::support::server::{Server, program, without_settings};
use crate::support::unix::Folder;

const HEADER: &str = "PROXY TCP4 192.0.2.7 198.51.100.1 51234 40000\r\n";
const OPENED: &str = "opened text 192.0.2.7:51234 by proxy 127.0.0.1:";

/// Starts a server with a listener of `text` for proxies.
fn start(flags: &[&str]) -> Server {
    let mut command = program();
    command.args(["--listen", "text://127.0.0.1:0?proxy=on"]).args(flags);
    Server::launch_listening(command, 1)
}

fn trusting(flags: &[&str]) -> Server {
    start(&[&["--proxy-from", "127.0.0.0/8"], flags].concat())
}

fn run(mut command: Command) -> Ended {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command)
}

/// Runs the client against the server, with its header, for one command.
fn client(server: &Server, header: &str) -> Ended {
    let mut command = without_settings(Command::new(env!("CARGO_BIN_EXE_tinytcp-client")));
    command.arg(format!("text://{}", server.address("text")));
    command.args(["--proxy-header", header, "-e", "ECHO hi"]);
    run(command)
}

#[test]
fn the_log_names_the_client_and_the_proxy() {
    let server = trusting(&[]);
    let mut peer = server.connect("text");
    peer.send(format!("{HEADER}ECHO in the same segment\n"));
    peer.expect(BANNER);
    peer.expect("ECHO in the same segment\n");
    let proxy = format!("{OPENED}{}", peer.address().port());
    drop(peer);
    server.wait_for_log(&[&proxy]);
    server.wait_for_log(&["text 192.0.2.7:51234: ECHO in the same segment"]);
    server.wait_for_log(&["closed text 192.0.2.7:51234: client closed; 25 bytes in"]);
}

#[test]
fn the_greeting_waits_for_the_last_byte_of_the_header() {
    let server = trusting(&["--proxy-timeout", "off"]);
    let mut peer = server.connect("text");
    for byte in HEADER.as_bytes() {
        assert!(!peer.has_bytes());
        peer.send([*byte]);
    }
    peer.expect(BANNER);
}

#[test]
fn a_connection_without_a_header_is_closed_with_its_own_reason() {
    let server = trusting(&["--proxy-timeout", "300ms"]);
    let mut silent = server.connect("text");
    silent.expect_eof();
    server.wait_for_log(&["closed text", "PROXY header timeout"]);
    let patient = trusting(&["--proxy-timeout", "off"]);
    let mut other = patient.connect("text");
    other.send("T");
    other.expect_eof();
    patient.wait_for_log(&["closed text", "bad PROXY header"]);
    let untrusting = start(&["--proxy-from", "10.0.0.0/8,192.0.2.7"]);
    untrusting.connect("text").expect_eof();
    untrusting.wait_for_log(&["closed text", "not a trusted proxy"]);
}

#[test]
fn a_unix_socket_needs_no_addresses_of_proxies() {
    let folder = Folder::new("proxy");
    let url = format!("text+unix://{}", folder.socket().display());
    let mut command = program();
    command.args(["--listen", &format!("{url}?proxy=on")]);
    let server = Server::launch_only(command);
    server.wait_for_log(&["listens on"]);
    let mut client = without_settings(Command::new(env!("CARGO_BIN_EXE_tinytcp-client")));
    client.args([&url, "--wait", "20s", "--proxy-header", "v1:192.0.2.7:51234", "-e", "ECHO hi"]);
    run(client).printing("ECHO hi\n");
    server.wait_for_log(&["opened text 192.0.2.7:51234 by proxy unix#"]);
}

#[test]
fn the_client_sends_headers_of_each_kind() {
    let server = trusting(&[]);
    for (header, opened) in [
        ("v1", "opened text 127.0.0.1:"),
        ("v2", "opened text 127.0.0.1:"),
        ("v1:192.0.2.7", "opened text 192.0.2.7:"),
        ("v2:[2001:db8::7]:51234", "opened text [2001:db8::7]:51234 by proxy 127.0.0.1:"),
        ("local", "opened text 127.0.0.1:"),
    ] {
        client(&server, header).printing("ECHO hi\n");
        server.wait_for_log(&[opened]);
    }
    let wrong = client(&server, "v3");
    assert_eq!(wrong.code, Some(2));
    wrong.complaining_in_one_line("tinytcp-client").saying("a header is v1, v2, or local");
}

#[test]
fn the_load_generator_sends_a_header_on_each_connection() {
    let server = trusting(&[]);
    let mut load = without_settings(Command::new(env!("CARGO_BIN_EXE_tinytcp-load")));
    load.arg(format!("text://{}", server.address("text")));
    load.args(["-c", "3", "-d", "500ms", "--lifetime", "5", "--proxy-header", "v2:192.0.2.7"]);
    let report = run(load);
    assert_eq!(report.code, Some(0), "{report:?}");
    assert!(report.text().contains("Errors        none"), "{report:?}");
    server.wait_for_log(&["opened text 192.0.2.7:", "by proxy 127.0.0.1:"]);
}

#[test]
fn on_a_plain_listener_a_header_is_a_line() {
    let server = Server::start(&[]);
    let mut peer = server.text();
    peer.send(HEADER);
    peer.expect("ERROR UNKNOWN_COMMAND\n");
}

#[test]
fn the_flags_for_proxies_need_each_other() {
    for (flags, complaint) in [
        (&["--listen", "text://127.0.0.1:0?proxy=on"][..], "add --proxy-from"),
        (&["--proxy-from", "127.0.0.1"], "there is none"),
        (&["--listen", "text://127.0.0.1:0?proxy=off"], "'proxy=off' is no option of a listener"),
        (&["--proxy-from", "10.0.0.0/33"], "looks like 10.0.0.0/8"),
        (&["--agent-check", "http://127.0.0.1:0"], "agent://127.0.0.1:9465"),
    ] {
        let mut command = program();
        command.args(flags);
        let ended = run(command);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        ended.complaining_in_one_line("tinytcp-server").saying(complaint);
    }
}

#[test]
fn the_agent_check_answers_with_the_state_and_closes() {
    let mut command = program();
    command.args(["--listen", "text://127.0.0.1:0", "--agent-check", "agent://127.0.0.1:0"]);
    command.args(["--max-connections", "1", "--drain-delay", "off"]);
    let server = Server::launch_listening(command, 2);
    let answer =
        |server: &Server| String::from_utf8(server.connect("agent").read_to_end()).expect("text");
    assert_eq!(answer(&server), "ready up 100%\n");
    let served = server.text();
    crate::support::wait::wait_until("a full server gets no new clients", || {
        answer(&server) == "drain\n"
    });
    drop(served);
    crate::support::wait::wait_until("there is room again", || {
        answer(&server).starts_with("ready")
    });
    server.process().signal("USR2");
    server.wait_for_log(&["draining"]);
    assert_eq!(answer(&server), "drain\n");
    assert!(server.log.find(&["opened agent"]).is_none(), "it does not appear in the log");
}
