//! Tests of settings that change while the server runs.

use super::*;

/// Reloads the default settings after `change`.
fn reload(harness: &mut LoopHarness, change: impl FnOnce(&mut Settings)) {
    let mut settings = Settings::default();
    change(&mut settings);
    harness.event(Event::Mail(Mail::Reload(Box::new(settings))));
    harness.run_until_idle();
}

#[test]
fn a_shorter_timeout_holds_for_a_wait_in_progress() {
    let mut harness = text();
    let peer = harness.peer();
    harness.run_for(10 * SECOND);
    reload(&mut harness, |settings| settings.timeouts.idle = Some(15 * SECOND));
    harness.run_for(5 * SECOND - MILLISECOND);
    assert_eq!(peer.take_sent(), "");
    harness.run_for(MILLISECOND);
    assert_eq!(peer.take_sent(), "ERROR IDLE_TIMEOUT\n");
}

#[test]
fn a_timeout_that_is_over_by_the_new_setting_ends_at_once() {
    let mut harness = text();
    let peer = harness.peer();
    harness.run_for(10 * SECOND);
    reload(&mut harness, |settings| settings.timeouts.idle = Some(SECOND));
    assert_eq!(peer.take_sent(), "ERROR IDLE_TIMEOUT\n");
}

#[test]
fn a_longer_timeout_and_none_hold_for_a_wait_in_progress() {
    for (idle, lasts) in [(Some(2 * IDLE), 2 * IDLE), (None, 10 * IDLE)] {
        let mut harness = text();
        let peer = harness.peer();
        harness.run_for(IDLE - MILLISECOND);
        reload(&mut harness, |settings| settings.timeouts.idle = idle);
        harness.run_for(lasts - IDLE);
        assert_eq!(peer.take_sent(), "");
        harness.run_for(MILLISECOND);
        let ended = if idle.is_some() { "ERROR IDLE_TIMEOUT\n" } else { "" };
        assert_eq!(peer.take_sent(), ended);
    }
}

#[test]
fn a_shorter_line_limit_holds_for_a_line_in_progress() {
    let mut harness = text();
    let peer = harness.peer();
    peer.send(b"ECHO 0123456789");
    harness.run_until_idle();
    reload(&mut harness, |settings| settings.limits.line_bytes_max = 10);
    assert_eq!(peer.take_sent(), "", "nothing has arrived since");
    peer.send(b"\nECHO 6789\nECHO a\n");
    harness.run_until_idle();
    assert_eq!(peer.take_sent(), "ERROR LINE_TOO_LONG\nECHO 6789\nECHO a\n");
}

#[test]
fn a_longer_line_limit_does_not_revive_a_line_that_is_dropped() {
    let mut harness = text_with(|settings| settings.limits.line_bytes_max = 10);
    let peer = harness.peer();
    peer.send(b"ECHO 0123456789");
    harness.run_until_idle();
    assert_eq!(peer.take_sent(), "ERROR LINE_TOO_LONG\n");
    reload(&mut harness, |_| {});
    peer.send(b"\nECHO 0123456789\n");
    harness.run_until_idle();
    assert_eq!(peer.take_sent(), "ECHO 0123456789\n");
}

#[test]
fn a_smaller_frame_limit_holds_for_a_frame_in_progress() {
    let mut harness = LoopHarness::new(Binary::new(), Settings::default());
    let peer = harness.peer();
    let frame = [&Header { code: 1, payload_len: 10 }.encode()[..], b"0123456789"].concat();
    peer.send(&frame[..12]);
    harness.run_until_idle();
    reload(&mut harness, |settings| settings.limits.frame_bytes_max = 9);
    peer.send(&frame[12..]);
    peer.send(&[&Header { code: 1, payload_len: 1 }.encode()[..], b"x"].concat());
    harness.run_until_idle();
    let sent = peer.link.borrow().sent.escape_ascii().to_string();
    assert!(sent.contains("FRAME_TOO_LARGE") && sent.ends_with('x'), "{sent}");
}

#[test]
fn a_piece_without_an_end_is_judged_by_the_new_limit() {
    let mut harness = LoopHarness::new(echo::protocol(), Settings::default());
    let peer = harness.peer();
    peer.send(b"0123456789");
    harness.run_until_idle();
    reload(&mut harness, |settings| settings.limits.line_bytes_max = 9);
    harness.run_for(QUIET);
    assert_eq!(peer.take_sent(), "ERROR LINE_TOO_LONG");
}

#[test]
fn a_lower_connection_limit_closes_none_and_a_higher_one_admits() {
    let mut harness = text();
    let open = [harness.peer(), harness.peer()];
    reload(&mut harness, |settings| settings.connections_max = 1);
    let rejected = harness.queue_peer();
    harness.run_until_idle();
    assert_eq!(rejected.take_sent(), "ERROR SERVER_BUSY\n");
    for peer in &open {
        peer.send(b"ECHO a\n");
        harness.run_until_idle();
        assert!(peer.take_sent().ends_with("ECHO a\n"), "an open connection goes on");
    }
    assert_eq!(harness.event_loop.shared.status.connections_max, 1);
    reload(&mut harness, |settings| settings.connections_max = 3);
    let admitted = harness.queue_peer();
    harness.run_until_idle();
    assert!(admitted.take_sent().starts_with("WELCOME"));
}

#[test]
fn a_lower_limit_of_rejected_connections_closes_no_admitted_one() {
    let mut harness = text_with(|settings| settings.connections_max = 1);
    let first = harness.peer();
    let rejected = harness.peer();
    first.send_and_end(b"");
    reload(&mut harness, |settings| settings.rejected_max = 0);
    let admitted = harness.queue_peer();
    harness.run_until_idle();
    assert!(!rejected.is_closed(), "it lingers");
    assert!(admitted.take_sent().starts_with("WELCOME") && !admitted.is_closed());
}

#[test]
fn a_lower_memory_limit_evicts_what_is_over_it() {
    let mut settings = Settings::default();
    settings.limits.line_bytes_max = 1 << 20;
    let mut harness = LoopHarness::new(Text::new(), settings);
    let peers: Vec<_> = (0..4).map(|_| harness.peer()).collect();
    for peer in &peers {
        peer.take_sent();
        peer.send(&vec![b'x'; 700_000]);
        harness.run_until_idle();
    }
    assert!(harness.event_loop.shared.pool.lent_bytes() > 4 * 700_000);
    settings.limits.memory_bytes_max = Limits::MEMORY_BYTES_MIN;
    harness.event(Event::Mail(Mail::Reload(Box::new(settings))));
    harness.run_until_idle();
    assert!(!harness.event_loop.shared.pool.is_over_limit());
    let refused = peers.iter().filter(|peer| peer.take_sent().contains("SERVER_BUSY")).count();
    assert!(refused >= 3, "{refused} of 4 lines were evicted");
}

#[test]
fn a_stop_that_has_begun_keeps_its_time() {
    let mut harness = text();
    let peer = harness.peer();
    peer.send(b"ECHO half");
    harness.run_until_idle();
    harness.event(Event::Mail(Mail::Stop));
    harness.run_until_idle();
    reload(&mut harness, |settings| settings.timeouts.drain = None);
    harness.run_for(DRAIN);
    assert!(harness.event_loop.is_over());
}
