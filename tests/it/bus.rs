//! `--bus` with a broker whose side the test scripts.

use std::fs;
use std::io::Write;

use crate::support::BANNER;
use crate::support::broker::{BusLink, FakeBroker};
use crate::support::certificates::Files;
use crate::support::peer::Peer;
use crate::support::program::finish;
use crate::support::server::{Server, program};
use crate::support::unix::Folder;
use crate::support::wait::wait_until;

/// Starts a server with listeners for `text` and `http`, and with the broker at `url`.
fn server(url: &str, flags: &[&str]) -> Server {
    let mut command = program();
    command.args(["--listen", "text://127.0.0.1:0", "--admin", "http://127.0.0.1:0"]);
    command.args(flags).env("TINYTCP_BUS", url);
    Server::launch_listening(command, 2)
}

/// The URL of a broker that needs no credentials.
fn url(broker: &FakeBroker) -> String {
    format!("nats://127.0.0.1:{}", broker.port())
}

/// Opens a member of the room `tea`.
fn member(server: &Server) -> Peer {
    let mut peer = server.text();
    peer.send("JOIN tea\n");
    peer.expect("JOINED tea\n");
    peer
}

/// Starts a server with a broker that has accepted it, and a member whose room the broker knows.
fn joined() -> (Server, FakeBroker, BusLink, Peer) {
    let broker = FakeBroker::start();
    let server = server(&url(&broker), &[]);
    let (mut link, _) = broker.join();
    let member = member(&server);
    assert_eq!(link.line(), "SUB tinytcp.room.tea 1");
    (server, broker, link, member)
}

fn get(server: &Server, path: &str) -> String {
    let mut peer = server.connect("http");
    peer.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    String::from_utf8(peer.read_to_end()).expect("text")
}

#[test]
fn the_credentials_reach_the_broker_and_not_the_log() {
    let broker = FakeBroker::start();
    let url = format!("nats://ana:s3cr%65t@localhost:{}", broker.port());
    let server = server(&url, &["-vv"]);
    let (_link, connect) = broker.join();
    assert!(connect.ends_with(r#","user":"ana","pass":"s3cret"}"#), "{connect}");
    server.wait_for_log(&["the bus is connected to nats://localhost:"]);
    let log = server.log.text().join("\n");
    assert!(!log.contains("s3cr") && !log.contains("ana"), "{log}");
}

#[test]
fn messages_go_to_the_broker_and_come_from_it_byte_by_byte() {
    let (_server, _broker, mut link, mut member) = joined();
    member.send("NICK ann\nSAY hello\n");
    member.expect("NICK ann\nSAID 0\n");
    let publication = link.line();
    assert!(publication.starts_with("PUB tinytcp.room.tea "), "{publication}");
    assert!(link.line().ends_with(" ann hello"));
    link.send_slowly("MSG tinytcp.room.tea 1 36\r\ntinytcp1 0123456789abcdef bob good d\r\n");
    link.send_slowly("HMSG tinytcp.room.tea 1 12 17\r\nNATS/1.0\r\n\r\nhello\r\n");
    member.expect("FROM bob good d\nFROM operator hello\n");
    link.send("PING\r\n");
    assert_eq!(link.line(), "PONG");
}

#[test]
fn a_lost_broker_is_joined_again_and_local_members_go_on() {
    let (server, broker, link, mut ann) = joined();
    let mut bob = member(&server);
    drop(link);
    server.wait_for_log(&["the bus has lost nats://127.0.0.1:"]);
    let ready = get(&server, "/readyz");
    assert!(ready.starts_with("HTTP/1.1 200 ") && ready.contains("the bus is not connected"));
    ann.send("NICK ann\nSAY hello\n");
    ann.expect("NICK ann\nSAID 1\n");
    bob.expect("FROM ann hello\n");
    let (mut again, _) = broker.join();
    assert_eq!(again.line(), "SUB tinytcp.room.tea 2");
    again.send("MSG tinytcp.room.tea 2 5\r\nagain\r\n");
    ann.expect("FROM operator again\n");
    let metrics = get(&server, "/metrics");
    for line in ["tinytcp_bus_connects_total 2", "tinytcp_bus_dropped_total 1"] {
        assert!(metrics.contains(line), "no {line} in {metrics}");
    }
}

#[test]
fn without_a_required_broker_the_server_is_not_ready() {
    let broker = FakeBroker::start();
    let server = server(&url(&broker), &["--bus-required"]);
    let away = get(&server, "/readyz");
    assert!(away.starts_with("HTTP/1.1 503 "), "{away}");
    assert!(away.ends_with("\r\n\r\nthe bus is not connected\n"), "{away}");
    let (_link, _) = broker.join();
    wait_until("the server is ready", || get(&server, "/readyz").ends_with("\r\n\r\nready\n"));
}

#[test]
fn a_peer_that_is_no_broker_or_refuses_is_left_and_tried_again() {
    let broker = FakeBroker::start();
    let server = server(&url(&broker), &[]);
    let mut garbage = broker.accept();
    garbage.send(BANNER);
    assert!(garbage.is_ended());
    server.wait_for_log(&["does not speak the protocol of NATS"]);
    let mut refusing = broker.accept();
    refusing.send("INFO {}\r\n-ERR 'Authorization Violation'\r\n");
    assert!(refusing.is_ended());
    server.wait_for_log(&["refuses this server (Authorization Violation): check --bus"]);
    let _joined = broker.join();
    server.wait_for_log(&["the bus is connected"]);
}

#[test]
fn a_server_that_demands_tls_trusts_no_broker_in_clear() {
    let (broker, files) = (FakeBroker::start(), Files::new("bus-in-clear"));
    let url = format!("tls://s3cret@127.0.0.1:{}", broker.port());
    let server = server(&url, &["--bus-ca", &files.argument("ca.pem")]);
    broker.accept().send("INFO {\"tls_required\":true}\r\nPONG\r\n");
    server.wait_for_log(&["the broker sends more than INFO before TLS"]);
    broker.accept().send("INFO {}\r\n");
    server.wait_for_log(&["the broker offers no TLS"]);
    let mut link = broker.accept();
    link.send("INFO {\"tls_available\":true}\r\n");
    assert_eq!(link.bytes(2), [0x16, 3], "a handshake begins");
    link.send("PONG\r\n");
    server.wait_for_log(&["TLS with the broker failed"]);
    assert!(get(&server, "/readyz").contains("the bus is not connected"));
}

#[test]
fn an_error_of_the_broker_is_logged_and_explains_the_end() {
    let (server, broker, mut link, _member) = joined();
    link.send("-ERR 'Slow Consumer'\r\n");
    server.wait_for_log(&["the broker reports an error: Slow Consumer"]);
    drop(link);
    server.wait_for_log(&["the broker closed the connection: Slow Consumer"]);
    let _again = broker.join();
}

#[test]
fn a_server_stops_in_order_while_its_broker_is_there_or_away() {
    let (server, broker, link, _member) = joined();
    drop((server, link));
    drop(self::server(&url(&broker), &[]));
}

#[test]
fn wrong_settings_of_the_bus_are_one_line_without_a_password() {
    for (url, flags, reason) in [
        ("tls://ana:s3cret@broker", &[][..], "tls:// needs the authority of the broker: add"),
        ("nats://ana:s3cret@broker", &["--bus-ca", "ca.pem"], "leave it out, or write --bus tls:"),
        ("nats://ana:s3cret@", &[], "the URL of a broker looks like nats://127.0.0.1:4222"),
        ("nats://broker", &["--bus-prefix", "x"], "the prefix is tokens"),
    ] {
        let mut command = program();
        command.args(flags).env("TINYTCP_BUS", url);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let ended = finish(command);
        ended.complaining_in_one_line("tinytcp-server").saying(reason);
        assert!(ended.code == Some(2) && !ended.stderr.contains("s3cret"), "{ended:?}");
    }
}

#[test]
fn a_check_and_a_reload_show_no_password() {
    let folder = Folder::new("bus-reload");
    let file = folder.0.join("tinytcp.toml");
    let write = |password: &str| {
        let text = format!(
            "listen = \"text://127.0.0.1:0\"\nadmin = \"http://127.0.0.1:0\"\n\
             bus = \"nats://ana:{password}@127.0.0.1:1\"\n"
        );
        fs::File::create(&file).and_then(|mut it| it.write_all(text.as_bytes())).expect("a file");
    };
    write("s3cret");
    let mut command = program();
    command.arg("--config").arg(&file).arg("--check").stdout(std::process::Stdio::piped());
    let checked = finish(command);
    assert!(checked.text().contains("bus = \"nats://***@127.0.0.1:1\""), "{checked:?}");
    let mut command = program();
    command.arg("--config").arg(&file);
    let server = Server::launch_listening(command, 2);
    write("other");
    server.process().signal("HUP");
    server.wait_for_log(&["these settings need a restart: bus \"nats://***@127.0.0.1:1\""]);
    let log = server.log.text().join("\n");
    assert!(!log.contains("s3cret") && !log.contains("other@"), "{log}");
}
