//! The limits per address, on the real server.

use crate::support::PROTOCOLS;
use crate::support::server::Server;
use crate::support::wait::wait_until;

/// Starts a server with an administrative listener and `flags`.
fn start(flags: &[&str]) -> Server {
    let mut server = Server::start(&[&["--admin", "http://127.0.0.1:0"], flags].concat());
    server.read_addresses(PROTOCOLS.len() + 1);
    server
}

/// Returns the answer of the administrative listener to a request for `path`.
fn get(server: &Server, path: &str) -> String {
    let mut peer = server.connect("http");
    peer.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    String::from_utf8(peer.read_to_end()).expect("an answer is UTF-8")
}

#[test]
fn an_address_over_its_number_of_connections_gets_busy() {
    let server = start(&["--max-connections-per-ip", "2"]);
    let mut served = vec![server.text(), server.text()];
    assert_eq!(server.connect("text").read_to_end(), b"ERROR SERVER_BUSY\n");
    let counted = "tinytcp_connections_closed_total{reason=\"address_connections\"} 1\n";
    wait_until("the rejected connection is counted, and the admin listener answers", || {
        get(&server, "/metrics").contains(counted)
    });
    served.pop();
    wait_until("a closed connection frees its place", || {
        server.connect("text").read_line().starts_with("WELCOME")
    });
}

#[test]
fn messages_over_the_rate_of_an_address_are_answered_later() {
    let server = start(&["--message-rate-per-ip", "1"]);
    let mut peer = server.text();
    let is_delayed =
        |line: &str| line.starts_with("tinytcp_message_delays_total{") && !line.ends_with(" 0");
    wait_until("a message is delayed, and answered all the same", || {
        peer.send("ECHO hello\n");
        peer.expect("ECHO hello\n");
        get(&server, "/metrics").lines().any(is_delayed)
    });
}
