//! Tests of writing and of backpressure.

use super::*;

#[test]
fn output_that_the_kernel_does_not_accept_is_sent_later() {
    let mut harness = text();
    let peer = harness.peer();
    peer.set_room(4);
    peer.send(b"ECHO abcdef\n");
    harness.run_until_idle();
    assert_eq!(peer.take_sent(), "ECHO");
    peer.set_room(100);
    harness.run_until_idle();
    assert_eq!(peer.take_sent(), " abcdef\n");
}

#[test]
fn an_answer_that_waits_leaves_in_one_write_with_those_of_the_turn() {
    let mut harness = text();
    let peer = harness.peer();
    peer.set_room(0);
    peer.send(b"ECHO a\n");
    harness.run_until_idle();
    let writes = peer.link.borrow().writes;
    peer.send(b"ECHO b\n");
    peer.set_room(100);
    harness.run_until_idle();
    assert_eq!(peer.take_sent(), "ECHO a\nECHO b\n");
    assert_eq!(peer.link.borrow().writes, writes + 1);
}

#[test]
fn under_backpressure_nothing_is_read_and_later_all_is_answered() {
    let mut harness = text();
    let peer = harness.peer();
    peer.set_room(0);
    let lines = "ECHO 123456789\n".repeat(60_000);
    peer.send(lines.as_bytes());
    harness.run_until_idle();
    let reads = peer.link.borrow().reads;
    let held = harness.event_loop.shared.pool.lent_bytes();
    assert!(held <= 4 * HIGH_WATER_BYTES, "a peer that does not read costs {held} bytes");
    peer.send(b"ECHO last\n");
    harness.run_until_idle();
    assert_eq!(peer.link.borrow().reads, reads, "no read under backpressure");
    peer.set_room(usize::MAX);
    harness.run_until_idle();
    assert!(peer.take_sent() == lines + "ECHO last\n");
}

#[test]
fn a_long_answer_after_a_quiet_period_is_backpressure_too() {
    let mut settings = Settings::default();
    settings.limits.line_bytes_max = 1 << 20;
    let mut harness = LoopHarness::new(echo::protocol(), settings);
    let peer = harness.peer();
    peer.set_room(0);
    peer.send(&vec![b'x'; HIGH_WATER_BYTES]);
    harness.run_for(QUIET);
    let before = peer.link.borrow().reads;
    peer.send(b"more");
    harness.run_until_idle();
    assert_eq!(peer.link.borrow().reads, before, "it is read while its answer waits");
}

#[test]
fn a_frame_that_has_begun_is_read_whole_under_backpressure() {
    let mut harness = LoopHarness::new(Binary::new(), Settings::default());
    let peer = harness.peer();
    peer.set_room(0);
    let payload = vec![b'x'; 1 << 20];
    let frame = [&Header { code: 1, payload_len: 1 << 20 }.encode()[..], &payload].concat();
    peer.send(&frame);
    peer.send(&frame[..100]);
    harness.run_until_idle();
    peer.send(&frame[100..]);
    peer.send(&frame);
    harness.run_until_idle();
    let left = peer.link.borrow().inbound_len();
    assert!(
        (1..=frame.len()).contains(&left),
        "the second frame is read, the third is not: {left} bytes are left"
    );
    peer.set_room(usize::MAX);
    harness.run_until_idle();
    assert!(peer.link.borrow().sent == [&frame[..]; 3].concat());
}

#[test]
fn a_frame_begins_with_the_first_byte_of_its_header() {
    for cut in 1..=6 {
        let mut harness = LoopHarness::new(Binary::new(), Settings::default());
        let peer = harness.peer();
        peer.set_room(0);
        let payload = vec![b'x'; 1 << 20];
        let frame = [&Header { code: 1, payload_len: 1 << 20 }.encode()[..], &payload].concat();
        peer.send(&frame);
        peer.send(&frame[..cut]);
        harness.run_until_idle();
        peer.send(&frame[cut..]);
        harness.run_until_idle();
        assert_eq!(peer.link.borrow().inbound_len(), 0, "cut after {cut} bytes");
    }
}

#[test]
fn all_answers_before_quit_are_sent_through_a_full_socket() {
    let mut harness = text();
    let peer = harness.peer();
    peer.set_room(10);
    peer.send(b"ECHO abcdef\nQUIT\nECHO never\n");
    harness.run_until_idle();
    assert!(!peer.is_closed());
    peer.set_room(usize::MAX);
    harness.run_until_idle();
    assert_eq!(peer.take_sent(), "ECHO abcdef\nBYE\n");
    assert!(peer.link.borrow().sent_end);
}
