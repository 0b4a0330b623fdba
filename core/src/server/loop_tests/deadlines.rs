//! Tests of the timeouts.

use super::*;

#[test]
fn a_silent_peer_gets_the_error_after_the_idle_timeout() {
    let mut harness = text();
    let peer = harness.peer();
    harness.run_for(IDLE - MILLISECOND);
    assert_eq!(peer.take_sent(), "");
    harness.run_for(MILLISECOND);
    assert_eq!(peer.take_sent(), "ERROR IDLE_TIMEOUT\n");
    assert!(peer.link.borrow().sent_end);
    harness.run_for(LINGER_TIMEOUT);
    assert_eq!(closed_for(&harness, CloseReason::IdleTimeout), 1);
}

#[test]
fn a_peer_is_served_between_batches_of_expired_connections() {
    let mut harness = text();
    let silent: Vec<_> = (0..3 * EXPIRED_MAX).map(|_| harness.peer()).collect();
    harness.run_for(IDLE / 2);
    let busy = harness.peer();
    harness.move_clock(IDLE / 2);
    // The connections expire in one round, and their deadlines are enforced in the next one.
    for round in 0..=3 {
        busy.send(b"ECHO a\n");
        harness.event_loop.round().expect("a round");
        assert_eq!(busy.take_sent(), "ECHO a\n");
        let ended = silent.iter().filter(|peer| peer.link.borrow().sent_end).count();
        assert_eq!(ended, round * EXPIRED_MAX, "after {round} rounds");
    }
}

#[test]
fn a_connection_that_reuses_a_key_does_not_reuse_its_deadline() {
    let mut harness = text();
    harness.peer().send_and_end(b"");
    harness.run_for(IDLE / 2);
    let peer = harness.peer();
    harness.run_for(IDLE - MILLISECOND);
    assert_eq!(peer.take_sent(), "");
    harness.run_for(MILLISECOND);
    assert_eq!(peer.take_sent(), "ERROR IDLE_TIMEOUT\n");
}

#[test]
fn each_message_restarts_the_idle_timeout() {
    let mut harness = text();
    let peer = harness.peer();
    for _ in 0..5 {
        harness.run_for(IDLE - MILLISECOND);
        peer.send(b"ECHO a\n");
        harness.run_until_idle();
        assert_eq!(peer.take_sent(), "ECHO a\n");
    }
    harness.run_for(IDLE);
    assert_eq!(peer.take_sent(), "ERROR IDLE_TIMEOUT\n");
}

#[test]
fn more_bytes_do_not_restart_the_message_timeout() {
    let mut harness = text();
    let peer = harness.peer();
    for _ in 0..29 {
        peer.send(b"x");
        harness.run_for(SECOND);
    }
    assert_eq!(peer.take_sent(), "");
    peer.send(b"x");
    harness.run_for(SECOND);
    assert_eq!(peer.take_sent(), "ERROR MESSAGE_TIMEOUT\n");
    harness.run_for(LINGER_TIMEOUT);
    assert_eq!(closed_for(&harness, CloseReason::MessageTimeout), 1);
}

#[test]
fn each_message_starts_its_own_message_timeout() {
    let mut harness = text();
    let peer = harness.peer();
    peer.send(b"ECHO a");
    harness.run_for(MESSAGE - MILLISECOND);
    peer.send(b"\nECHO b");
    harness.run_for(MESSAGE - MILLISECOND);
    assert_eq!(peer.take_sent(), "ECHO a\n");
    harness.run_for(MILLISECOND);
    assert_eq!(peer.take_sent(), "ERROR MESSAGE_TIMEOUT\n");
}

#[test]
fn the_rest_of_a_refused_line_is_under_the_message_timeout_too() {
    let mut harness = text();
    let peer = harness.peer();
    for _ in 0..30 {
        peer.send(&[b'x'; 10_000]);
        harness.run_for(SECOND);
    }
    assert_eq!(peer.take_sent(), "ERROR LINE_TOO_LONG\nERROR MESSAGE_TIMEOUT\n");
}

#[test]
fn a_peer_that_reads_nothing_is_reset_after_the_write_timeout() {
    let mut harness = text();
    let peer = harness.peer();
    peer.set_room(3);
    peer.send(b"ECHO a\n");
    harness.run_for(WRITE - MILLISECOND);
    assert!(!peer.is_closed());
    harness.run_for(MILLISECOND);
    assert!(peer.is_closed() && peer.link.borrow().was_reset);
    assert_eq!(closed_for(&harness, CloseReason::WriteTimeout), 1);
}

#[test]
fn reading_extends_the_write_timeout_and_sending_does_not() {
    let mut harness = text();
    let peer = harness.peer();
    peer.set_room(0);
    peer.send(&[b"ECHO ", [b'x'; 3 * WRITE_RATE_MIN as usize].as_slice(), b"\n"].concat());
    harness.run_for(WRITE - SECOND);
    peer.set_room(2 * WRITE_RATE_MIN as usize);
    harness.run_for(SECOND);
    peer.send(b"E");
    assert!(!peer.is_closed(), "the bytes of two seconds at the minimum rate were read");
    harness.run_for(2 * SECOND);
    assert!(peer.is_closed());
}

/// Returns after how many seconds a peer is closed that reads `bytes` of a long answer per
/// second; `None` if it can read the whole answer.
fn seconds_until_closed(bytes: usize) -> Option<u32> {
    let mut harness = text();
    let peer = harness.peer();
    peer.set_room(0);
    peer.send(&[b"ECHO ", [b'x'; 60_000].as_slice(), b"\n"].concat());
    let read = |peer: &FakePeer| peer.link.borrow().sent.len();
    for second in 1..=60_000 {
        harness.run_for(SECOND);
        if peer.is_closed() {
            return Some(second);
        }
        peer.set_room(bytes);
        harness.run_until_idle();
        if read(&peer) > 60_000 {
            return None;
        }
    }
    Some(u32::MAX)
}

#[test]
fn a_peer_that_reads_below_the_minimum_rate_is_reset() {
    let write = u32::try_from(WRITE.as_secs()).expect("short");
    assert_eq!(seconds_until_closed(1), Some(write + 1));
    assert!(
        seconds_until_closed(WRITE_RATE_MIN as usize / 8)
            .is_some_and(|seconds| seconds <= 2 * write)
    );
    assert_eq!(
        seconds_until_closed(WRITE_RATE_MIN as usize),
        None,
        "at the minimum rate it reads the whole answer"
    );
}

#[test]
fn a_message_that_backpressure_delays_is_not_late() {
    let mut harness = text_with(|settings| settings.timeouts.write = None);
    let peer = harness.peer();
    peer.set_room(0);
    peer.send(("ECHO 123456789\n".repeat(HIGH_WATER_BYTES / 15 + 1) + "ECHO ha").as_bytes());
    for _ in 0..3 {
        harness.run_for(WRITE - SECOND);
        peer.set_room(1);
    }
    harness.run_until_idle();
    assert!(!peer.is_closed());
    peer.set_room(usize::MAX);
    peer.send(b"lf\n");
    harness.run_until_idle();
    assert!(peer.take_sent().ends_with("ECHO half\n"));
}

#[test]
fn a_frame_after_unread_answers_is_late_only_once_they_are_read() {
    let mut settings = Settings::default();
    settings.timeouts.write = None;
    let mut harness = LoopHarness::new(Binary::new(), settings);
    let peer = harness.peer();
    let whole = [&Header { code: 1, payload_len: 65_000 }.encode()[..], &[b'x'; 65_000]].concat();
    peer.set_room(0);
    peer.send(&[&whole[..], &whole[..1000]].concat());
    harness.run_for(2 * MESSAGE);
    assert!(!peer.link.borrow().sent_end);
    peer.set_room(usize::MAX);
    harness.run_for(MESSAGE - MILLISECOND);
    assert_eq!(peer.link.borrow().sent.len(), whole.len());
    harness.run_for(MILLISECOND);
    assert!(peer.link.borrow().sent.ends_with(b"MESSAGE_TIMEOUT"));
}

#[test]
fn the_quiet_period_does_not_run_while_answers_wait() {
    let mut harness = LoopHarness::new(echo::protocol(), Settings::default());
    let peer = harness.peer();
    peer.set_room(0);
    peer.send(b"hi\n");
    // A deadline that expires without effect would expire again at once: the loop would spin.
    harness.run_for(WRITE - MILLISECOND);
    assert!(!peer.is_closed());
    peer.set_room(usize::MAX);
    harness.run_until_idle();
    assert_eq!(peer.take_sent(), "Server received: hi\n");
}

#[test]
fn bytes_that_arrived_while_the_loop_was_late_are_read_first() {
    for (len, limits) in
        [(4 << 20, Limits::default()), (32 << 20, Limits::default().with_frame_bytes_max(32 << 20))]
    {
        let settings = Settings { limits, ..Settings::default() };
        let mut harness = LoopHarness::new(Binary::new(), settings);
        let (peer, polite) = (harness.peer(), harness.peer());
        // An interactive client makes the portions small; the message is read in whole all the
        // same.
        polite.send(&[Header { code: 1, payload_len: 2 }.encode().as_slice(), b"hi"].concat());
        let payload = vec![b'x'; len as usize];
        let frame = [&Header { code: 1, payload_len: len }.encode()[..], &payload].concat();
        peer.send(&frame[..100]);
        harness.run_until_idle();
        harness.move_clock(10 * MESSAGE);
        peer.link.borrow_mut().inbound_push(&frame[100..]);
        harness.run_until_idle();
        assert!(
            peer.link.borrow().sent == frame,
            "{len} bytes had arrived, and were not read before the deadline was enforced"
        );
    }
}

#[test]
fn an_overdue_connection_is_read_to_the_end_without_an_event() {
    let mut harness = text();
    let peer = harness.peer();
    peer.send(b"ECHO in ");
    harness.run_until_idle();
    harness.move_clock(10 * MESSAGE);
    // An urgent mark shortens the read, and a signal has interrupted the wait that would have
    // reported it.
    peer.link.borrow_mut().read_max = 3;
    peer.link.borrow_mut().inbound_push(b"time\n");
    harness.run_until_idle();
    assert_eq!(peer.take_sent(), "ECHO in time\n");
}

#[test]
fn a_message_without_a_newline_ends_with_the_quiet_period() {
    let mut harness = LoopHarness::new(echo::protocol(), Settings::default());
    let peer = harness.peer();
    peer.send(b"hel");
    harness.run_for(QUIET - MILLISECOND);
    peer.send(b"lo");
    harness.run_for(QUIET - MILLISECOND);
    assert_eq!(peer.take_sent(), "");
    harness.run_for(MILLISECOND);
    assert_eq!(peer.take_sent(), "Server received: hello");
    peer.send(b"again");
    harness.run_for(QUIET);
    assert_eq!(peer.take_sent(), "Server received: again");
}

#[test]
fn exit_without_a_newline_ends_the_chat() {
    let mut harness = LoopHarness::new(chat::protocol(), Settings::default());
    let peer = harness.peer();
    peer.send(b"exit");
    harness.run_for(QUIET);
    assert!(peer.link.borrow().sent_end);
    assert_eq!(peer.take_sent(), "");
}

#[test]
fn a_timeout_that_is_off_never_expires() {
    let mut harness = text_with(|settings| settings.timeouts.idle = None);
    let peer = harness.peer();
    harness.run_for(1000 * IDLE);
    assert!(!peer.is_closed());
    assert_eq!(peer.take_sent(), "");
}
