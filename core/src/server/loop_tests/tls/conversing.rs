//! Tests of encrypted conversations without faults.

use super::super::closed_for;
use super::client::{VERSIONS, client_config, connect, connect_with, encrypted};
use crate::close_reason::CloseReason;
use crate::protocol::text::{BANNER, Text};
use crate::server::config::Config;

#[test]
fn both_versions_are_greeted_and_answered() {
    for version in VERSIONS {
        let mut harness = encrypted(Text::new(), &Config::default());
        let mut client = connect_with(&mut harness, client_config(version));
        assert_eq!(client.take_received(), format!("{BANNER}\n"), "{version:?}");
        assert_eq!(client.ask(&mut harness, b"ECHO a\n"), "ECHO a\n");
        assert_eq!(client.ask(&mut harness, b"QUIT\n"), "BYE\n");
        assert!(client.has_ended, "a close_notify before the end of output");
        assert!(client.peer.link.borrow().sent_end);
    }
}

#[test]
fn a_half_closed_client_gets_the_answers_to_what_it_has_sent() {
    let mut harness = encrypted(Text::new(), &Config::default());
    let mut client = connect(&mut harness);
    let records = client.seal(b"ECHO 1\nECHO 2\n");
    client.peer.send(&records);
    client.send_close_notify();
    harness.run_until_idle();
    client.open();
    assert_eq!(client.take_received(), "ECHO 1\nECHO 2\n");
    assert!(client.has_ended);
    assert_eq!(closed_for(&harness, CloseReason::PeerClosed), 1);
}
