//! The limits per address, on the real server.

#[cfg(target_os = "linux")]
use std::net::Ipv4Addr;

use crate::admin::{get, start};
use crate::support::BANNER;
#[cfg(target_os = "linux")]
use crate::support::peer::Peer;
use crate::support::server::Server;
use crate::support::wait::wait_until;

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

/// Connects to `text` from the address 127.0.0.`host`, unless the server resets the connection at
/// once. Of the systems with tests, only Linux has these addresses.
#[cfg(target_os = "linux")]
fn text_from(server: &Server, host: u8) -> Option<Peer> {
    Peer::try_connect_from(Ipv4Addr::new(127, 0, 0, host).into(), server.address("text"))
}

#[cfg(target_os = "linux")]
#[test]
fn each_address_has_its_own_number_of_connections() {
    let server = start(&["--max-connections-per-ip", "2"]);
    let mut served = Vec::new();
    for host in [2, 3] {
        for _ in 0..2 {
            let mut peer = text_from(&server, host).expect("no limit resets");
            peer.expect(BANNER);
            served.push(peer);
        }
        let mut rejected = text_from(&server, host).expect("no limit resets");
        assert_eq!(rejected.read_to_end(), b"ERROR SERVER_BUSY\n");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn each_address_has_its_own_rate_of_connections() {
    let server = start(&["--accept-rate-per-ip", "1"]);
    let is_served = |host| {
        let mut peer = text_from(&server, host)?;
        Some(!peer.read_until_ended(BANNER.len()).is_empty())
    };
    wait_until("an address over its rate is reset", || is_served(2) != Some(true));
    assert_eq!(is_served(3), Some(true), "another address");
    wait_until("its own rate allows another connection", || is_served(2) == Some(true));
    assert!(get(&server, "/metrics").lines().any(|line| {
        line.starts_with("tinytcp_connections_closed_total{reason=\"address_accept_rate\"}")
            && !line.ends_with(" 0")
    }));
}

#[cfg(target_os = "linux")]
#[test]
fn each_address_has_its_own_rate_of_messages() {
    let server = start(&["--message-rate-per-ip", "1"]);
    let mut flooder = text_from(&server, 2).expect("no limit resets");
    wait_until("an address over its rate is delayed", || {
        flooder.send("ECHO hello\n".repeat(100));
        get(&server, "/metrics")
            .lines()
            .any(|line| line.starts_with("tinytcp_message_delays_total{") && !line.ends_with(" 0"))
    });
    let mut other = text_from(&server, 3).expect("no limit resets");
    other.expect(BANNER);
    other.send("ECHO hello\n");
    other.expect("ECHO hello\n");
}
