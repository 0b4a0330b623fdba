//! Tests of the connection to a broker, whose part the test plays.

use std::io;
use std::sync::Arc;

use super::*;
use crate::bus::envelope::Origin;
use crate::bus::session::OUTPUT_BYTES_MAX;
use crate::bus::settings::BusSettings;
use crate::status::BusStatus;

const INFO: &[u8] = b"INFO {\"max_payload\":1048576}\r\n";

/// The longest wait before an attempt to connect.
const BACKOFF: Duration = Duration::from_secs(5);

/// A server that has the broker of `url`.
fn server(url: &str) -> LoopHarness {
    let bus = BusSettings::parse(url).expect("a URL").with_origin(Origin(7)).required(true);
    LoopHarness::new(Text::new(), Config { bus: Some(bus), ..Config::default() })
}

/// A server that is connected to its broker.
fn connected() -> (LoopHarness, FakePeer) {
    let mut harness = server("nats://127.0.0.1");
    let broker = harness.await_connect();
    accept(&mut harness, &broker);
    (harness, broker)
}

/// Plays the handshake of a broker.
fn accept(harness: &mut LoopHarness, broker: &FakePeer) {
    harness.run_until_idle();
    broker.send(INFO);
    harness.run_until_idle();
    let sent = broker.take_sent();
    assert!(sent.starts_with("CONNECT {") && sent.ends_with("}\r\nPING\r\n"), "{sent}");
    broker.send(b"PONG\r\n");
    harness.run_until_idle();
    assert!(status(harness).is_connected);
}

fn status(harness: &LoopHarness) -> BusStatus {
    harness.event_loop.shared.status.bus.expect("a server with a bus")
}

fn obstacle(harness: &LoopHarness) -> Option<&'static str> {
    harness.event_loop.shared.status.obstacle().map(|obstacle| obstacle.label())
}

/// A client that has joined the room `tea`.
fn member(harness: &mut LoopHarness) -> FakePeer {
    let peer = harness.peer();
    assert_eq!(ask(harness, &peer, "JOIN tea"), "JOINED tea\n");
    peer
}

fn ask(harness: &mut LoopHarness, peer: &FakePeer, line: &str) -> String {
    peer.send(format!("{line}\n").as_bytes());
    harness.run_until_idle();
    peer.take_sent()
}

/// A message from another server.
fn message(room: &str, text: &str) -> Vec<u8> {
    let payload = format!("tinytcp1 0000000000000008 bob {text}");
    format!("MSG tinytcp.room.{room} 1 {}\r\n{payload}\r\n", payload.len()).into_bytes()
}

#[test]
fn messages_go_to_and_come_from_other_servers() {
    let (mut harness, broker) = connected();
    let ann = member(&mut harness);
    assert_eq!(broker.take_sent(), "SUB tinytcp.room.tea 1\r\n");
    assert_eq!(ask(&mut harness, &ann, "NICK ann"), "NICK ann\n");
    assert_eq!(ask(&mut harness, &ann, "SAY hello all"), "SAID 0\n");
    let payload = "tinytcp1 0000000000000007 ann hello all";
    let expected = format!("PUB tinytcp.room.tea {}\r\n{payload}\r\n", payload.len());
    assert_eq!(broker.take_sent(), expected);
    broker.send(&message("tea", "hello ann"));
    harness.run_until_idle();
    assert_eq!(ann.take_sent(), "FROM bob hello ann\n");
    assert_eq!((status(&harness).published, status(&harness).received), (1, 1));
}

#[test]
fn a_message_from_elsewhere_does_not_go_back() {
    let (mut harness, broker) = connected();
    let (ann, bob) = (member(&mut harness), member(&mut harness));
    broker.take_sent();
    broker.send(&[message("tea", "one"), message("tea", "two")].concat());
    harness.run_until_idle();
    assert_eq!(ann.take_sent(), "FROM bob one\nFROM bob two\n");
    assert_eq!(bob.take_sent(), "FROM bob one\nFROM bob two\n");
    assert_eq!(broker.take_sent(), "");
}

#[test]
fn an_own_message_that_comes_back_is_not_delivered() {
    let (mut harness, broker) = connected();
    let (ann, bob) = (member(&mut harness), member(&mut harness));
    assert_eq!(ask(&mut harness, &ann, "SAY hello"), "SAID 1\n");
    assert!(bob.take_sent().ends_with(" hello\n"));
    let sent = broker.take_sent();
    let publication = sent.split_once("PUB tinytcp.room.tea ").expect("a message").1;
    broker.send(format!("MSG tinytcp.room.tea 1 {publication}").as_bytes());
    harness.run_until_idle();
    assert_eq!((ann.take_sent(), bob.take_sent()), (String::new(), String::new()));
}

#[test]
fn an_operator_speaks_to_a_room_by_a_plain_message() {
    let (mut harness, broker) = connected();
    let ann = member(&mut harness);
    broker.send(b"MSG tinytcp.room.tea 1 6\r\nhello\n\r\n");
    harness.run_until_idle();
    assert_eq!(ann.take_sent(), "FROM operator hello\n");
    assert_eq!(ask(&mut harness, &ann, "NICK operator"), "ERROR BAD_NAME\n");
}

#[test]
fn a_message_that_no_room_can_take_is_counted_and_not_delivered() {
    let (mut harness, broker) = connected();
    let ann = member(&mut harness);
    broker.send(&[message("tea", "\x1b[2J"), message("milk", "hello")].concat());
    broker.send(b"MSG tinytcp.room.tea 1 7\r\na\nERROR\r\n");
    harness.run_until_idle();
    assert_eq!(ann.take_sent(), "");
    assert_eq!((status(&harness).ignored, status(&harness).received), (3, 0));
}

#[test]
fn the_broker_learns_which_rooms_have_members() {
    let (mut harness, broker) = connected();
    let (ann, bob) = (member(&mut harness), member(&mut harness));
    assert_eq!(broker.take_sent(), "SUB tinytcp.room.tea 1\r\n");
    ask(&mut harness, &ann, "LEAVE");
    assert_eq!(broker.take_sent(), "");
    ask(&mut harness, &bob, "JOIN milk");
    assert_eq!(broker.take_sent(), "SUB tinytcp.room.milk 2\r\nUNSUB 1\r\n");
    bob.reset();
    harness.run_until_idle();
    assert_eq!(broker.take_sent(), "UNSUB 2\r\n");
}

#[test]
fn a_server_without_its_broker_serves_members_and_reports_that() {
    let mut harness = server("nats://127.0.0.1");
    let (ann, bob) = (member(&mut harness), member(&mut harness));
    assert_eq!(ask(&mut harness, &ann, "SAY hello"), "SAID 1\n");
    assert!(bob.take_sent().ends_with(" hello\n"));
    assert_eq!(status(&harness).dropped, 1);
    assert_eq!(obstacle(&harness), Some("bus_away"));
    let broker = harness.await_connect();
    harness.run_for(BACKOFF);
    accept(&mut harness, &broker);
    assert_eq!(broker.take_sent(), "SUB tinytcp.room.tea 1\r\n");
    assert_eq!(obstacle(&harness), None);
}

#[test]
fn a_server_reconnects_and_subscribes_again() {
    let (mut harness, broker) = connected();
    let ann = member(&mut harness);
    broker.send_and_end(b"-ERR 'Stale Connection'\r\n");
    let again = harness.await_connect();
    harness.run_for(BACKOFF);
    assert!(broker.is_closed());
    accept(&mut harness, &again);
    assert_eq!(again.take_sent(), "SUB tinytcp.room.tea 2\r\n");
    again.send(&message("tea", "hello"));
    harness.run_until_idle();
    assert_eq!(ann.take_sent(), "FROM bob hello\n");
    assert_eq!(status(&harness).connects, 2);
}

#[test]
fn attempts_to_connect_are_further_and_further_apart() {
    let mut harness = server("nats://127.0.0.1");
    let attempts = |harness: &LoopHarness| harness.kernel.borrow().connected.len();
    harness.run_for(MILLISECOND);
    assert_eq!(attempts(&harness), 1);
    // The waits are at most 0.1, 0.2, 0.4, 0.8 and 1.6 s and at least half of that.
    harness.run_for(Duration::from_millis(3100));
    assert!((6..=7).contains(&attempts(&harness)), "{}", attempts(&harness));
    let before = attempts(&harness);
    harness.run_for(Duration::from_secs(60));
    assert!((11..=25).contains(&(attempts(&harness) - before)));
}

#[test]
fn a_broker_that_does_not_greet_is_left_after_5_seconds() {
    for greeting in [&b""[..], b"IN", INFO] {
        let mut harness = server("nats://127.0.0.1");
        let broker = harness.await_connect();
        harness.run_until_idle();
        broker.send(greeting);
        harness.run_for(SECOND * 4);
        assert!(!broker.is_closed());
        harness.run_for(SECOND * 2);
        assert!(broker.is_closed());
    }
}

#[test]
fn a_broker_that_answers_no_ping_is_left_after_20_seconds() {
    let (mut harness, broker) = connected();
    harness.run_for(SECOND * 11);
    assert_eq!(broker.take_sent(), "PING\r\n");
    broker.send(b"PONG\r\n");
    harness.run_for(SECOND * 10);
    assert_eq!(broker.take_sent(), "PING\r\n");
    assert!(!broker.is_closed());
    harness.run_for(SECOND * 10);
    assert!(broker.is_closed() && !status(&harness).is_connected);
}

#[test]
fn a_broker_whose_messages_arrive_before_its_answer_is_kept() {
    let (mut harness, broker) = connected();
    let ann = member(&mut harness);
    // The messages were queued before the answer to the first PING, which never gets its turn.
    for _ in 0..6 {
        harness.run_for(SECOND * 8);
        broker.send(&message("tea", "hello"));
    }
    harness.run_until_idle();
    assert!(!broker.is_closed() && status(&harness).is_connected);
    assert_eq!(ann.take_sent().matches("FROM bob hello\n").count(), 6);
}

#[test]
fn a_part_of_a_message_is_a_sign_of_life_too() {
    let (mut harness, broker) = connected();
    for part in message("tea", "hello").chunks(10) {
        harness.run_for(SECOND * 8);
        broker.send(part);
    }
    assert!(!broker.is_closed());
}

#[test]
fn an_answer_that_came_while_the_server_did_not_run_counts() {
    let (mut harness, broker) = connected();
    harness.run_for(SECOND * 10);
    assert_eq!(broker.take_sent(), "PING\r\n");
    broker.send(b"PONG\r\n");
    harness.move_clock(SECOND * 15);
    harness.run_until_idle();
    assert!(!broker.is_closed() && status(&harness).is_connected);
}

#[test]
fn no_message_waits_in_the_kernel_for_a_broker_that_was_left() {
    let (mut harness, broker) = connected();
    harness.run_for(SECOND * 21);
    assert!(broker.is_closed() && broker.link.borrow().was_reset);
}

#[test]
fn a_ping_of_the_broker_is_answered() {
    let (mut harness, broker) = connected();
    broker.send(b"PING\r\n");
    harness.run_until_idle();
    assert_eq!(broker.take_sent(), "PONG\r\n");
}

#[test]
fn another_protocol_and_a_refusal_end_the_connection() {
    let refusal = [INFO, b"-ERR 'Authorization Violation'\r\n"].concat();
    for answer in
        [&b"HTTP/1.1 400 Bad Request\r\n"[..], &refusal, b"INFO {\"tls_required\":true}\r\n"]
    {
        let mut harness = server("nats://127.0.0.1");
        let broker = harness.await_connect();
        harness.run_until_idle();
        broker.send(answer);
        harness.run_until_idle();
        assert!(broker.is_closed());
    }
}

#[test]
fn a_broker_that_does_not_read_bounds_what_waits_for_it() {
    let (mut harness, broker) = connected();
    broker.set_room(0);
    let ann = member(&mut harness);
    let bob = member(&mut harness);
    let text = "x".repeat(1000);
    let count = OUTPUT_BYTES_MAX as u64 / 1000 + 500;
    for _ in 0..count {
        ann.send(format!("SAY {text}\n").as_bytes());
        harness.run_for(SECOND / 10);
        broker.send(b"PONG\r\n");
    }
    assert!(ann.take_sent().ends_with("SAID 1\n"));
    assert_eq!(bob.take_sent().matches("FROM ").count() as u64, count);
    let bus = status(&harness);
    assert_eq!(bus.published + bus.dropped, count);
    assert!(bus.dropped >= 400 && bus.is_connected, "{bus:?}");
    broker.set_room(usize::MAX);
    harness.run_until_idle();
    assert_eq!(broker.take_sent().matches("PUB ").count() as u64, bus.published);
    assert_eq!(ask(&mut harness, &ann, "SAY more"), "SAID 1\n");
    assert!(broker.take_sent().ends_with(" more\r\n"));
}

#[test]
fn the_addresses_of_a_name_are_tried_one_after_another() {
    let mut harness = server("nats://broker:4000");
    harness.run_until_idle();
    assert_eq!(harness.kernel.borrow().looked_up, [("broker".to_owned(), 4000)]);
    let addrs = ["127.0.0.2:4000", "127.0.0.3:4000"].map(|addr| addr.parse().expect(addr));
    harness.event(Event::Mail(Mail::Addresses(Ok(addrs.to_vec()))));
    harness.run_until_idle();
    assert_eq!(harness.kernel.borrow().connected, addrs);
    harness.run_for(BACKOFF);
    assert_eq!(harness.kernel.borrow().looked_up.len(), 2, "the name may have moved");
    harness.event(Event::Mail(Mail::Addresses(Err(Arc::new(io::ErrorKind::NotFound.into())))));
    harness.run_for(BACKOFF);
    assert_eq!(harness.kernel.borrow().looked_up.len(), 3);
}

#[test]
fn a_message_before_a_stop_reaches_the_broker() {
    let (mut harness, broker) = connected();
    let ann = member(&mut harness);
    broker.take_sent();
    ann.send_and_end(b"SAY last words\nQUIT\n");
    harness.event(Event::Mail(Mail::Stop));
    harness.run_until_idle();
    assert!(harness.event_loop.is_over());
    harness.finish();
    assert!(broker.take_sent().contains(" last words\r\n"));
    assert!(broker.link.borrow().sent_end);
}

#[test]
fn the_broker_takes_no_place_and_is_no_client() {
    let (mut harness, _broker) = connected();
    let status = &harness.event_loop.shared.status;
    assert_eq!((status.total().accepted, status.connections_counted), (0, 0));
    harness.event(Event::Mail(Mail::Stop));
    harness.run_until_idle();
    assert!(harness.event_loop.is_over());
}
