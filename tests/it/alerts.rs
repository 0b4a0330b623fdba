//! The alert rules for Prometheus: each names a metric that the server has, and each is valid.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};

use crate::support::PROTOCOLS;
use crate::support::documents::root;
use crate::support::program::finish;
use crate::support::server::Server;

const RULES: &str = "packaging/prometheus/alerts.yml";

/// Returns the words of `text` that can be metrics of the server.
fn metrics(text: &str) -> BTreeSet<&str> {
    let is_of_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let words = text.split(|c| !is_of_name(c));
    words.filter(|word| word.starts_with("tinytcp_") || word.starts_with("process_")).collect()
}

#[test]
fn the_alert_rules_name_only_metrics_of_the_server() {
    let mut server =
        Server::start(&["--admin", "http://127.0.0.1:0", "--bus", "nats://127.0.0.1:1"]);
    server.read_addresses(PROTOCOLS.len() + 1);
    let mut peer = server.connect("http");
    peer.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = String::from_utf8(peer.read_to_end()).expect("an answer is UTF-8");
    let served = metrics(&answer);
    let rules = fs::read_to_string(root().join(RULES)).expect("the rules are readable");
    let named = metrics(&rules);
    assert!(named.len() >= 9, "{named:?}");
    assert!(named.is_subset(&served), "missing: {:?}", named.difference(&served));
}

#[test]
#[ignore = "needs promtool"]
fn the_alert_rules_are_valid_and_pass_their_tests() {
    for (action, file) in [("check", RULES), ("test", "packaging/prometheus/alerts-test.yml")] {
        let mut command = Command::new("promtool");
        command.args([action, "rules", file]).current_dir(root());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let ended = finish(command);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}
