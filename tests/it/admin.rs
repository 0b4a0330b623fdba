//! The administrative listener of the real server: health, readiness, metrics, status and page.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::peer::Peer;
use crate::support::program::finish;
use crate::support::server::{Server, program};
use crate::support::wait::wait_until;
use crate::support::{BANNER, PROTOCOLS};

/// The limit of the listener's connections, as in `core/src/protocol/admin/mod.rs`.
const PLACES: usize = 16;

/// Starts a server with an administrative listener and `flags`.
pub fn start(flags: &[&str]) -> Server {
    let mut server = Server::start(&[&["--admin", "http://127.0.0.1:0"], flags].concat());
    server.read_addresses(PROTOCOLS.len() + 1);
    server
}

/// Returns the whole answer to a request for `path`.
pub fn get(server: &Server, path: &str) -> String {
    let mut peer = server.connect("http");
    peer.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    String::from_utf8(peer.read_to_end()).expect("an answer is UTF-8")
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").expect("a head ends with an empty line").1
}

/// Returns the status code and the body of `/readyz`.
fn readiness(server: &Server) -> (String, String) {
    let answer = get(server, "/readyz");
    let code = answer.split(' ').nth(1).expect("a status line has a code");
    (code.to_owned(), body(&answer).trim().to_owned())
}

fn ready() -> (String, String) {
    ("200".to_owned(), "ready".to_owned())
}

#[test]
fn the_listener_answers_at_the_limit_of_connections() {
    let server = start(&["--max-connections", "2"]);
    assert_eq!(readiness(&server), ready());
    let _served = [server.text(), server.text()];
    server.connect("text").expect("ERROR SERVER_BUSY\n");
    let full = ("503".to_owned(), "the limit of connections is reached".to_owned());
    assert_eq!(readiness(&server), full);
    assert_eq!(body(&get(&server, "/healthz")), "ok\n");
    assert!(body(&get(&server, "/metrics")).contains("\ntinytcp_connections_limit 2\n"));
    assert!(body(&get(&server, "/")).starts_with("<!doctype html>"));
}

#[test]
fn its_connections_have_a_limit_of_their_own() {
    let server = start(&["--max-connections", "1"]);
    let mut waiting: Vec<Peer> = (0..PLACES).map(|_| server.connect("http")).collect();
    assert!(server.connect("http").read_to_end().starts_with(b"HTTP/1.1 503 "));
    let mut served = server.text();
    served.send("ECHO hello\n");
    served.expect("ECHO hello\n");
    waiting.pop();
    wait_until("a closed connection frees its place", || {
        get(&server, "/healthz").starts_with("HTTP/1.1 200 ")
    });
    drop(waiting);
    wait_until("the refusals count as those of the listener alone", || {
        let metrics = get(&server, "/metrics");
        metrics.contains("{reason=\"admin_busy\"} ")
            && !metrics.contains("{reason=\"admin_busy\"} 0\n")
            && metrics.contains("{reason=\"server_busy\"} 0\n")
    });
}

/// Ends the threads of a test on drop, even if it fails.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn the_listener_answers_while_the_server_is_full_and_flooded() {
    let server = start(&["--max-connections", "4"]);
    let flood = "ECHO hello\n".repeat(1000);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _ending = Ending(&is_over);
        for mut peer in [(); 4].map(|()| server.text()) {
            let (is_over, flood) = (&is_over, &flood);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    peer.send(flood);
                    peer.read_exact(flood.len());
                }
            });
        }
        for _ in 0..20 {
            server.connect("text").expect("ERROR SERVER_BUSY\n");
            assert_eq!(body(&get(&server, "/healthz")), "ok\n");
        }
    });
}

#[test]
fn slow_clients_hold_no_place_longer_than_a_message_may_take() {
    let server = start(&["--message-timeout", "300ms"]);
    let mut slow: Vec<Peer> = (0..PLACES)
        .map(|number| {
            let mut peer = server.connect_with_small_window("http");
            // A silent one, half a head, and a page that is not read.
            peer.send(["", "GET / HT", "GET / HTTP/1.0\r\n\r\n"][number % 3]);
            peer
        })
        .collect();
    wait_until("their places are free", || get(&server, "/healthz").starts_with("HTTP/1.1 200 "));
    for peer in &mut slow[..2] {
        assert!(peer.read_to_end().starts_with(b"HTTP/1.1 408 "));
    }
}

#[test]
fn a_flood_of_its_connections_leaves_other_listeners_alone() {
    let server = start(&["--max-connections", "2"]);
    let flood: Vec<Peer> = (0..200).map(|_| server.connect("http")).collect();
    let mut served = [(); 2].map(|()| server.text());
    for peer in &mut served {
        peer.send("ECHO hello\n");
        peer.expect("ECHO hello\n");
    }
    drop(flood);
    wait_until("their places are free", || get(&server, "/healthz").starts_with("HTTP/1.1 200 "));
}

#[test]
fn the_status_is_json_with_the_counts_of_each_listener() {
    let server = start(&[]);
    let mut peer = server.text();
    peer.send("ECHO hello\nTIME\n");
    peer.expect("ECHO hello\n");
    peer.read_line();
    let answer = get(&server, "/status");
    let status: serde_json::Value = serde_json::from_str(body(&answer)).expect("JSON");
    let text = status["listeners"]
        .as_array()
        .and_then(|listeners| listeners.iter().find(|listener| listener["protocol"] == "text"));
    let text = text.expect("a listener of text");
    assert_eq!(text["url"], format!("text://{}", server.address("text")));
    assert_eq!((&text["connections_open"], &text["messages_total"]), (&1.into(), &2.into()));
    assert_eq!(text["received_bytes_total"], "ECHO hello\nTIME\n".len());
    assert_eq!((&status["state"], &status["ready"]), (&"serving".into(), &true.into()));
}

#[test]
fn the_metric_of_open_descriptors_is_the_count_of_the_kernel() {
    let server = start(&[]);
    let _served = [server.text(), server.connect("echo")];
    let answer = get(&server, "/metrics");
    let line = body(&answer).lines().find_map(|line| line.strip_prefix("process_open_fds "));
    let counted: usize = line.expect("a line").parse().expect("a number");
    // The answer counts the connection of its own request, which is closed after it.
    server.wait_for_descriptors(counted - 1);
    assert_eq!(server.descriptor_count(), counted - 1);
}

#[test]
fn its_connections_are_not_in_the_activity_log() {
    let server = start(&["-v"]);
    get(&server, "/healthz");
    drop(server.connect("http"));
    server.text().send("QUIT\n");
    server.wait_for_log(&["closed text"]);
    assert_eq!(server.log.find(&[" http 127.0.0.1"]), None);
}

#[test]
fn a_draining_server_is_not_ready_and_serves_until_it_stops() {
    let mut server = start(&["--drain-delay", "off"]);
    let mut peer = server.text();
    server.process().signal("USR2");
    server.wait_for_log(&["draining"]);
    assert_eq!(readiness(&server), ("503".to_owned(), "draining".to_owned()));
    assert_eq!(body(&get(&server, "/healthz")), "ok\n");
    peer.send("ECHO hello\n");
    peer.expect("ECHO hello\n");
    server.text();
    server.process().signal("TERM");
    assert!(server.wait_for_exit().success());

    let mut server = start(&["--drain-delay", "1ms"]);
    server.process().signal("USR2");
    assert!(server.wait_for_exit().success());
}

#[test]
fn signal_usr1_logs_the_state() {
    let server = start(&[]);
    let mut peer = server.text();
    peer.send("ECHO hello\n");
    peer.expect("ECHO hello\n");
    server.process().signal("USR1");
    server.wait_for_log(&["status: 1 connection, 0 rejected, 1 message"]);
}

#[test]
fn a_time_without_the_processor_is_counted_as_a_stall() {
    let server = start(&[]);
    // While a connection is open, the loop reads its clock twice per second.
    let _served = server.text();
    server.freeze();
    thread::sleep(Duration::from_secs(1));
    server.thaw();
    wait_until("the stall is counted", || {
        let answer = get(&server, "/metrics");
        let line = body(&answer)
            .lines()
            .find_map(|line| line.strip_prefix("tinytcp_stall_seconds_count "));
        line.expect("a line").parse::<u64>().expect("a number") > 0
    });
}

#[test]
fn the_health_check_exits_with_0_or_1() {
    let server = start(&[]);
    let url = format!("http://{}", server.address("http"));
    let health = |arguments: &[&str]| {
        let mut command = program();
        command.arg("--health").args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        finish(command)
    };
    health(&[&url]).printing("ok\n");
    let text = format!("http://{}", server.address("text"));
    health(&["--admin", &url]).printing("ok\n");
    health(&[&text]).complaining_in_one_line("tinytcp-server");
    drop(server);
    health(&[&url]).complaining_in_one_line("tinytcp-server").saying("no answer");
}

#[test]
fn a_request_for_a_foreign_host_is_refused() {
    let server = start(&["--admin-host", "tinytcp.example"]);
    for (host, code) in [("tinytcp.example:80", "200"), ("evil.example", "421")] {
        let mut peer = server.connect("http");
        peer.send(format!("GET /status HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        let answer = peer.read_to_end();
        assert!(answer.starts_with(format!("HTTP/1.1 {code} ").as_bytes()), "{host}");
    }
}

#[test]
fn a_client_of_the_wrong_protocol_gets_one_error() {
    let server = start(&[]);
    let mut peer = server.connect("http");
    peer.send("ECHO hello\n\n");
    assert!(peer.read_to_end().starts_with(b"HTTP/1.1 400 "));
    let mut peer = server.connect("text");
    peer.expect(BANNER);
    peer.send("GET /healthz HTTP/1.1\r\n\r\n");
    assert_eq!(peer.read_to_end(), b"ERROR NOT_HTTP\n");
}

#[test]
fn a_url_of_another_form_is_refused_with_the_right_one() {
    for (url, complaint) in [
        ("127.0.0.1:9464", "looks like http://127.0.0.1:9464"),
        ("https://127.0.0.1:9464", "there is no TLS here"),
        ("http+tls://127.0.0.1:9464", "there is no TLS here"),
        ("text://127.0.0.1:9464", "looks like http://127.0.0.1:9464"),
    ] {
        let mut command = program();
        command.args(["--admin", url]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let ended = finish(command);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        ended.complaining_in_one_line("tinytcp-server").saying(complaint);
    }
}
