//! Tests of the event loop on a simulated network with a simulated clock.

use std::time::Duration;

use super::accept::BATCH_MAX;
use super::config::Config;
use super::harness::{FakePeer, LoopHarness};
use super::turn_budget::EXPIRED_MAX;
use crate::buffers::block::Block;
use crate::buffers::pool::BLOCK_LEN;
use crate::close_reason::CloseReason;
use crate::connection::TURN_BYTES_MAX;
use crate::limits::{HIGH_WATER_BYTES, LINGER_BYTES_MAX, LINGER_TIMEOUT, Limits, WRITE_RATE_MIN};
use crate::os::mailbox::Mail;
use crate::os::system::{Event, Readiness};
use crate::protocol::binary::Binary;
use crate::protocol::text::Text;
use crate::protocol::{Accepted, Context, Protocol, Session, Step};
use crate::protocol::{chat, echo};
use crate::wire::frame::Header;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(300);
const MESSAGE: Duration = Duration::from_secs(30);
const WRITE: Duration = Duration::from_secs(30);
const QUIET: Duration = Duration::from_millis(20);
const DRAIN: Duration = Duration::from_secs(5);

fn text() -> LoopHarness {
    LoopHarness::new(Text::new(), &Config::default())
}

fn text_with(change: impl FnOnce(&mut Config)) -> LoopHarness {
    let mut config = Config::default();
    change(&mut config);
    LoopHarness::new(Text::new(), &config)
}

fn closed_for(harness: &LoopHarness, reason: CloseReason) -> u64 {
    harness.event_loop.shared.status.total().closed_for(reason)
}

/// A protocol whose sessions run a function of the test.
#[derive(Clone, Copy)]
struct FnSession {
    advance: fn(&[u8], &mut Context<'_>) -> (usize, Step),
    /// True if the sessions drop a refused message.
    drops_refused: bool,
}

impl Protocol for FnSession {
    fn name(&self) -> &'static str {
        "improvised"
    }

    fn session(&self, _accepted: &Accepted) -> Box<dyn Session> {
        Box::new(*self)
    }
}

impl Session for FnSession {
    fn advance(&mut self, input: &[u8], context: &mut Context<'_>) -> (usize, Step) {
        (self.advance)(input, context)
    }

    fn refuse(&mut self, input: &[u8], _context: &mut Context<'_>) -> usize {
        if self.drops_refused { input.len() } else { 0 }
    }
}

mod reading {
    use super::*;

    #[test]
    fn one_request_costs_one_read() {
        let mut harness = text();
        let peer = harness.peer();
        let before = peer.link.borrow().reads;
        peer.send(b"ECHO a\n");
        harness.run_until_idle();
        assert_eq!(peer.take_sent(), "ECHO a\n");
        assert_eq!(peer.link.borrow().reads - before, 1, "a short read ends readiness");
    }

    #[test]
    fn an_end_of_input_after_the_last_bytes_is_read_without_an_event() {
        let mut harness = text();
        let peer = harness.peer();
        peer.send_and_end(b"ECHO a\n");
        harness.run_until_idle();
        assert_eq!(peer.take_sent(), "ECHO a\n");
        assert!(peer.is_closed());
        assert_eq!(closed_for(&harness, CloseReason::PeerClosed), 1);
    }

    #[test]
    fn bytes_after_an_urgent_mark_are_read_after_a_short_read() {
        let mut harness = text();
        let peer = harness.peer();
        peer.link.borrow_mut().read_max = 3;
        let token = peer.token().expect("registered");
        peer.link.borrow_mut().inbound_push(b"ECHO a\n");
        harness.event(Event::Connection(
            token,
            Readiness { readable: true, writable: false, read_to_end: true },
        ));
        harness.run_until_idle();
        assert_eq!(peer.take_sent(), "ECHO a\n");
    }

    #[test]
    fn a_turn_that_spent_its_budget_is_continued_without_an_event() {
        let mut harness = text();
        let peer = harness.peer();
        let lines = "ECHO 123456789\n".repeat(4 * TURN_BYTES_MAX / 15);
        peer.send(lines.as_bytes());
        harness.run_until_idle();
        assert!(peer.take_sent() == lines, "every answer, in order");
    }

    /// Four blocks of frames.
    fn flood() -> Vec<u8> {
        let frame = [&Header { code: 1, payload_len: 27 }.encode()[..], &[b'x'; 27]].concat();
        frame.repeat(4 * BLOCK_LEN / frame.len())
    }

    #[test]
    fn a_flood_is_read_in_whole_blocks_without_interactive_clients() {
        let mut harness = LoopHarness::new(Binary::new(), &Config::default());
        let peer = harness.peer();
        // The small rest of a flood is not an interactive turn.
        peer.send(&[flood(), flood()[..1024].to_vec()].concat());
        harness.run_until_idle();
        peer.link.borrow_mut().sent.clear();
        let before = peer.link.borrow().reads;
        peer.send(&flood());
        harness.run_until_idle();
        assert!(peer.link.borrow().sent == flood(), "every answer");
        let reads = peer.link.borrow().reads - before;
        assert!((4..8).contains(&reads), "{reads} reads");
    }

    #[test]
    fn an_interactive_client_is_answered_between_portions_of_a_flood() {
        let mut harness = LoopHarness::new(Binary::new(), &Config::default());
        let (polite, peer) = (harness.peer(), harness.peer());
        polite.send(&flood()[..32]);
        harness.run_until_idle();
        peer.send(&flood());
        // Its first turn is large, because its class is not known yet.
        harness.event_loop.round().expect("a round");
        let mut rounds = 0;
        while peer.link.borrow().sent.len() < flood().len() {
            rounds += 1;
            assert!(rounds < 100, "the flood is not answered");
            polite.link.borrow_mut().sent.clear();
            polite.send(&flood()[..32]);
            let answered = peer.link.borrow().sent.len();
            harness.event_loop.round().expect("a round");
            assert_eq!(polite.link.borrow().sent, flood()[..32], "in round {rounds}");
            assert!(peer.link.borrow().sent.len() - answered <= BLOCK_LEN / 4, "in round {rounds}");
        }
        assert!(peer.link.borrow().sent == flood(), "every answer");
    }

    #[test]
    fn a_spurious_event_changes_nothing() {
        let mut harness = text();
        let peer = harness.peer();
        let token = peer.token().expect("registered");
        harness.event(Event::Connection(
            token,
            Readiness { readable: true, writable: true, read_to_end: true },
        ));
        harness.run_until_idle();
        assert!(!peer.is_closed());
        peer.send(b"ECHO a\n");
        harness.run_until_idle();
        assert_eq!(peer.take_sent(), "ECHO a\n");
    }

    #[test]
    fn an_event_of_a_closed_connection_does_not_reach_its_successor() {
        let mut harness = text();
        let first = harness.peer();
        let stale = first.token().expect("registered");
        first.send_and_end(b"");
        harness.run_until_idle();
        let second = harness.peer();
        let reads = second.link.borrow().reads;
        assert_eq!(second.token().map(|token| token.key()), Some(stale.key()), "the key is reused");
        harness.event(Event::Connection(
            stale,
            Readiness { readable: true, writable: true, read_to_end: true },
        ));
        harness.run_until_idle();
        assert_eq!(second.link.borrow().reads, reads);
    }
}

mod writing {
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
        let mut config = Config::default();
        config.limits.line_bytes_max = 1 << 20;
        let mut harness = LoopHarness::new(echo::protocol(), &config);
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
        let mut harness = LoopHarness::new(Binary::new(), &Config::default());
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
            let mut harness = LoopHarness::new(Binary::new(), &Config::default());
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
}

mod closing {
    use super::*;

    #[test]
    fn after_its_last_answer_the_server_lingers_until_the_peer_closes() {
        let mut harness = text();
        let peer = harness.peer();
        peer.send(b"QUIT\n");
        harness.run_until_idle();
        assert!(peer.link.borrow().sent_end && !peer.is_closed());
        peer.send(b"still sending");
        harness.run_until_idle();
        assert!(!peer.is_closed());
        peer.send_and_end(b"");
        harness.run_until_idle();
        assert!(peer.is_closed());
        assert_eq!(closed_for(&harness, CloseReason::Quit), 1);
    }

    #[test]
    fn lingering_ends_after_its_timeout() {
        let mut harness = text();
        let peer = harness.peer();
        peer.send(b"QUIT\n");
        harness.run_for(LINGER_TIMEOUT - MILLISECOND);
        assert!(!peer.is_closed());
        harness.run_for(MILLISECOND);
        assert!(peer.is_closed());
    }

    #[test]
    fn lingering_discards_a_bounded_number_of_bytes_and_then_waits() {
        let mut harness = text();
        let peer = harness.peer();
        peer.send(b"QUIT\n");
        harness.run_until_idle();
        peer.send(&vec![b'x'; 2 * LINGER_BYTES_MAX as usize]);
        harness.run_until_idle();
        assert!(peer.link.borrow().inbound_len() > 0, "the flood is not read to its end");
        assert!(!peer.is_closed(), "closing now would reset bytes in transit");
        harness.run_for(LINGER_TIMEOUT);
        assert!(peer.is_closed());
    }

    #[test]
    fn a_reset_closes_one_connection_and_no_other() {
        let mut harness = text();
        let (peer, other) = (harness.peer(), harness.peer());
        peer.reset();
        harness.run_until_idle();
        assert!(peer.is_closed() && !other.is_closed());
        assert_eq!(closed_for(&harness, CloseReason::Reset), 1);
    }

    #[test]
    fn a_session_can_close_for_any_reason() {
        let full = FnSession {
            advance: |input, _| (input.len(), Step::Close(CloseReason::ServerBusy)),
            drops_refused: true,
        };
        let mut harness = LoopHarness::new(full, &Config::default());
        let peer = harness.peer();
        peer.send_and_end(b"x");
        harness.run_until_idle();
        assert!(peer.is_closed());
        assert_eq!(closed_for(&harness, CloseReason::ServerBusy), 1);
    }

    #[test]
    fn a_session_that_keeps_a_refused_message_is_closed() {
        let limits = Limits { memory_bytes_max: Limits::MEMORY_BYTES_MIN, ..Limits::default() };
        let stubborn = FnSession {
            advance: |_, _| (0, Step::Incomplete { missing: None }),
            drops_refused: false,
        };
        let mut harness = LoopHarness::new(stubborn, &Config { limits, ..Config::default() });
        let peer = harness.peer();
        peer.send(&vec![0; 4 << 20]);
        harness.run_until_idle();
        assert!(peer.is_closed());
        assert_eq!(closed_for(&harness, CloseReason::MemoryLimit), 1);
    }

    #[test]
    fn sessions_that_keep_refused_messages_stay_under_the_memory_limit() {
        let limits = Limits { memory_bytes_max: Limits::MEMORY_BYTES_MIN, ..Limits::default() };
        let stubborn = FnSession {
            advance: |_, _| (0, Step::Incomplete { missing: None }),
            drops_refused: false,
        };
        let mut harness = LoopHarness::new(stubborn, &Config { limits, ..Config::default() });
        let peers: Vec<_> = (0..40).map(|_| harness.peer()).collect();
        for peer in &peers {
            peer.send(&[0; 50_000]);
            harness.run_until_idle();
            assert!(harness.event_loop.shared.pool.lent_bytes() <= Limits::MEMORY_BYTES_MIN);
        }
        let closed = peers.iter().filter(|peer| peer.is_closed()).count();
        assert_eq!(closed_for(&harness, CloseReason::MemoryLimit), closed as u64);
        assert!((20..40).contains(&closed), "{closed} of 40 were closed");
    }

    #[test]
    fn a_session_is_not_called_before_the_missing_bytes_have_arrived() {
        let counting = FnSession {
            advance: |input, context| {
                context.refused("called");
                let missing = 10 - input.len().min(10);
                if missing > 0 {
                    (0, Step::Incomplete { missing: Some(missing) })
                } else {
                    (input.len(), Step::Done)
                }
            },
            drops_refused: true,
        };
        let mut harness = LoopHarness::new(counting, &Config::default());
        let peer = harness.peer();
        for byte in b"0123456789" {
            peer.send(&[*byte]);
            harness.run_until_idle();
        }
        peer.reset();
        harness.run_until_idle();
        // Once after the greeting, and once when all ten bytes have arrived.
        assert_eq!(harness.event_loop.shared.status.total().messages, 2);
    }

    #[test]
    fn a_paused_session_without_answers_is_called_until_no_input_is_left() {
        let swallowing = FnSession {
            advance: |input, _| (input.len().min(1), Step::Paused),
            drops_refused: true,
        };
        let mut harness = LoopHarness::new(swallowing, &Config::default());
        let peer = harness.peer();
        peer.send(b"swallowed one by one");
        harness.run_until_idle();
        assert_eq!(harness.event_loop.shared.pool.lent_bytes(), 0);
    }

    #[test]
    fn after_the_last_close_no_storage_is_held_and_the_counts_agree() {
        let mut harness = text();
        for _ in 0..10 {
            let peer = harness.peer();
            peer.send(b"TIME\nECHO half a li");
            harness.run_until_idle();
            peer.reset();
        }
        harness.run_until_idle();
        assert_eq!(harness.event_loop.inspect().connections.len(), 0);
        assert_eq!(harness.event_loop.shared.pool.lent_bytes(), 0);
        assert_eq!(harness.event_loop.shared.status.total().accepted, 10);
        assert_eq!(harness.event_loop.shared.status.total().closed_in_all(), 10);
    }
}

mod deadlines {
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
    fn reading_answers_extends_the_write_timeout_and_sending_does_not() {
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
        let mut config = Config::default();
        config.timeouts.write = None;
        let mut harness = LoopHarness::new(Text::new(), &config);
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
        let mut config = Config::default();
        config.timeouts.write = None;
        let mut harness = LoopHarness::new(Binary::new(), &config);
        let peer = harness.peer();
        let whole =
            [&Header { code: 1, payload_len: 65_000 }.encode()[..], &[b'x'; 65_000]].concat();
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
        let mut harness = LoopHarness::new(echo::protocol(), &Config::default());
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
        let mut harness = LoopHarness::new(Binary::new(), &Config::default());
        let (peer, polite) = (harness.peer(), harness.peer());
        // An interactive client makes the portions small; the message is read in whole all the
        // same.
        polite.send(&[Header { code: 1, payload_len: 2 }.encode().as_slice(), b"hi"].concat());
        let payload = vec![b'x'; 4 << 20];
        let frame = [&Header { code: 1, payload_len: 4 << 20 }.encode()[..], &payload].concat();
        peer.send(&frame[..100]);
        harness.run_until_idle();
        harness.move_clock(10 * MESSAGE);
        peer.link.borrow_mut().inbound_push(&frame[100..]);
        harness.run_until_idle();
        assert!(
            peer.link.borrow().sent == frame,
            "the bytes that had arrived were read before the deadline was enforced"
        );
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
        let mut harness = LoopHarness::new(echo::protocol(), &Config::default());
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
        let mut harness = LoopHarness::new(chat::protocol(), &Config::default());
        let peer = harness.peer();
        peer.send(b"exit");
        harness.run_for(QUIET);
        assert!(peer.link.borrow().sent_end);
        assert_eq!(peer.take_sent(), "");
    }

    #[test]
    fn a_timeout_that_is_off_never_expires() {
        let mut harness = text_with(|config| config.timeouts.idle = None);
        let peer = harness.peer();
        harness.run_for(1000 * IDLE);
        assert!(!peer.is_closed());
        assert_eq!(peer.take_sent(), "");
    }
}

mod accepting {
    use super::*;

    #[test]
    fn without_descriptors_accepting_is_retried_by_a_timer() {
        let mut harness = text();
        for _ in 0..3 {
            harness.fail_accept(libc::EMFILE);
        }
        let peer = harness.queue_peer();
        harness.run_until_idle();
        assert_eq!(peer.token(), None);
        harness.run_for(Duration::from_millis(10 + 20 + 40));
        assert!(peer.take_sent().starts_with("WELCOME"));
        assert_eq!(harness.event_loop.shared.status.accept_pauses, 3);
    }

    #[test]
    fn a_pause_ends_when_the_accept_queue_is_empty() {
        let mut harness = text();
        harness.fail_accept(libc::EMFILE);
        harness.event(Event::Listener(0));
        harness.run_for(SECOND);
        assert_eq!(harness.timeout(), None, "a pause that is over causes no wake-up");
    }

    #[test]
    fn a_descriptor_that_the_server_frees_is_used_at_once() {
        let mut harness = text();
        let first = harness.peer();
        harness.fail_accept(libc::ENFILE);
        let second = harness.queue_peer();
        harness.run_until_idle();
        assert_eq!(second.token(), None);
        first.send_and_end(b"");
        harness.run_until_idle();
        assert!(second.take_sent().starts_with("WELCOME"));
    }

    #[test]
    fn a_connection_that_was_lost_in_the_queue_is_skipped() {
        let lost = [libc::ECONNABORTED, libc::EPROTO, libc::EPERM, libc::ENETDOWN];
        for errno in lost {
            let mut harness = text();
            harness.fail_accept(errno);
            let peer = harness.queue_peer();
            harness.run_until_idle();
            assert!(peer.take_sent().starts_with("WELCOME"), "errno {errno}");
        }
    }

    #[test]
    fn an_unknown_error_of_accept_only_pauses_accepting() {
        for errno in [libc::EINVAL, libc::EOPNOTSUPP, libc::EIO] {
            let mut harness = text();
            harness.fail_accept(errno);
            let peer = harness.queue_peer();
            harness.run_for(SECOND);
            assert!(peer.take_sent().starts_with("WELCOME"), "errno {errno}");
        }
    }

    #[test]
    fn a_connection_that_cannot_be_watched_is_closed_and_the_next_one_is_served() {
        let mut harness = text();
        harness.kernel.borrow_mut().watches_left = false;
        let first = harness.queue_peer();
        harness.run_until_idle();
        assert!(first.is_closed());
        harness.kernel.borrow_mut().watches_left = true;
        let second = harness.queue_peer();
        harness.run_until_idle();
        assert!(second.take_sent().starts_with("WELCOME"));
    }

    #[test]
    fn over_the_limit_a_peer_is_rejected_until_a_place_is_free() {
        let mut harness = text_with(|config| config.connections_max = 2);
        let (first, _second) = (harness.peer(), harness.peer());
        let third = harness.queue_peer();
        third.send(b"TIME\n");
        harness.run_until_idle();
        assert_eq!(third.take_sent(), "ERROR SERVER_BUSY\n");
        assert!(
            third.link.borrow().sent_end && !third.is_closed(),
            "it lingers: its command is still unread"
        );
        first.send_and_end(b"");
        harness.run_until_idle();
        let fourth = harness.queue_peer();
        harness.run_until_idle();
        assert!(fourth.take_sent().starts_with("WELCOME"), "a lingering connection takes no place");
        harness.run_for(LINGER_TIMEOUT);
        assert_eq!(closed_for(&harness, CloseReason::ServerBusy), 1);
    }

    #[test]
    fn a_flood_of_new_connections_does_not_delay_an_open_one() {
        let mut harness = text_with(|config| config.connections_max = 10_000);
        let peer = harness.peer();
        let _flood: Vec<_> = (0..1000).map(|_| harness.queue_peer()).collect();
        peer.send(b"ECHO a\n");
        harness.event_loop.round().expect("a round");
        assert_eq!(peer.take_sent(), "ECHO a\n");
        assert_eq!(
            harness.event_loop.inspect().connections.len(),
            1 + BATCH_MAX,
            "only one batch was accepted before"
        );
    }
}

mod memory {
    use super::*;

    fn small() -> LoopHarness {
        let mut config = Config::default();
        config.limits.memory_bytes_max = Limits::MEMORY_BYTES_MIN;
        LoopHarness::new(Binary::new(), &config)
    }

    fn header(payload_len: u32) -> Vec<u8> {
        Header { code: 1, payload_len }.encode().to_vec()
    }

    #[test]
    fn a_message_over_the_memory_limit_is_refused_and_the_session_goes_on() {
        let mut harness = small();
        let (peer, other) = (harness.peer(), harness.peer());
        peer.send(&header(4 << 20));
        peer.send(&vec![b'x'; 2 << 20]);
        harness.run_until_idle();
        assert_eq!(std::mem::take(&mut peer.link.borrow_mut().sent), error("SERVER_BUSY"));
        other.send(&[header(2), b"hi".to_vec()].concat());
        harness.run_until_idle();
        assert_eq!(
            other.link.borrow().sent,
            [header(2), b"hi".to_vec()].concat(),
            "the other peer is not affected"
        );
        peer.send(&vec![b'x'; 2 << 20]);
        peer.send(&[header(2), b"ok".to_vec()].concat());
        harness.run_until_idle();
        assert_eq!(peer.link.borrow().sent, [header(2), b"ok".to_vec()].concat());
        assert!(
            harness.event_loop.shared.pool.lent_bytes_most() <= Limits::MEMORY_BYTES_MIN,
            "within a turn too"
        );
    }

    #[test]
    fn the_error_for_an_evicted_message_is_sent_through_short_writes() {
        let mut harness = small();
        let peers: Vec<_> = (0..40).map(|_| harness.peer()).collect();
        for peer in &peers {
            peer.link.borrow_mut().write_max = 3;
            peer.send(&[header(100_000), vec![b'x'; 50_000]].concat());
            harness.run_until_idle();
        }
        let answers: Vec<_> = peers.iter().map(|peer| peer.link.borrow().sent.clone()).collect();
        assert!(answers.iter().any(|answer| !answer.is_empty()), "no message is refused");
        assert!(
            answers.iter().all(|answer| answer.is_empty() || *answer == error("SERVER_BUSY")),
            "{answers:?}"
        );
    }

    #[test]
    fn many_incomplete_messages_together_stay_under_the_limit() {
        let mut harness = small();
        let peers: Vec<_> = (0..40).map(|_| harness.peer()).collect();
        for peer in &peers {
            peer.send(&header(100_000));
            peer.send(&[b'x'; 50_000]);
            harness.run_until_idle();
            assert!(harness.event_loop.shared.pool.lent_bytes() <= Limits::MEMORY_BYTES_MIN);
        }
        let refused = peers.iter().filter(|peer| !peer.link.borrow().sent.is_empty()).count();
        assert!((20..40).contains(&refused), "{refused} of 40 were refused");
    }

    #[test]
    fn unread_answers_stay_under_the_limit() {
        let mut harness = small();
        let peers: Vec<_> = (0..100).map(|_| harness.peer()).collect();
        for peer in &peers {
            peer.set_room(0);
            peer.send(&[header(60_000), vec![b'x'; 60_000]].concat());
            harness.run_until_idle();
            assert!(harness.event_loop.shared.pool.lent_bytes() <= Limits::MEMORY_BYTES_MIN);
        }
        assert!(closed_for(&harness, CloseReason::MemoryLimit) > 0);
        assert!(peers.iter().any(|peer| !peer.is_closed()));
    }

    #[test]
    fn peers_that_read_are_answered_even_if_all_would_exceed_the_limit() {
        let mut harness = small();
        let requests = [header(2), b"hi".to_vec()].concat().repeat(TURN_BYTES_MAX / 4);
        let peers: Vec<_> = (0..40).map(|_| harness.peer()).collect();
        peers.iter().for_each(|peer| peer.send(&requests));
        harness.run_until_idle();
        assert_eq!(closed_for(&harness, CloseReason::MemoryLimit), 0);
        assert!(
            peers.iter().all(|peer| peer.link.borrow().sent == requests),
            "all peers are answered"
        );
        assert!(harness.event_loop.shared.pool.lent_bytes_most() <= Limits::MEMORY_BYTES_MIN);
    }

    #[test]
    fn requests_after_unread_answers_stay_under_the_limit() {
        let limits = Limits { memory_bytes_max: Limits::MEMORY_BYTES_MIN, ..Limits::default() };
        let mut harness = LoopHarness::new(Text::new(), &Config { limits, ..Config::default() });
        let peers: Vec<_> = (0..40).map(|_| harness.peer()).collect();
        for peer in &peers {
            peer.set_room(0);
            peer.send(&b"HELP\n".repeat(10_000));
            harness.run_until_idle();
            assert!(harness.event_loop.shared.pool.lent_bytes() <= Limits::MEMORY_BYTES_MIN);
        }
        assert!(closed_for(&harness, CloseReason::MemoryLimit) > 0);
        assert!(peers.iter().any(|peer| !peer.is_closed()));
    }

    /// A server whose memory is completely filled by incomplete frames.
    fn full() -> (LoopHarness, Vec<FakePeer>) {
        let mut harness = small();
        let count = (Limits::MEMORY_BYTES_MIN - 4 * BLOCK_LEN) / BLOCK_LEN;
        let peers: Vec<_> = (0..count).map(|_| harness.peer()).collect();
        for peer in &peers {
            peer.send(&[header(100_000), vec![b'x'; 50_000]].concat());
            harness.run_until_idle();
            assert_eq!(peer.take_sent(), "");
        }
        (harness, peers)
    }

    #[test]
    fn the_beginning_of_a_message_is_kept_in_full_memory() {
        let (mut harness, _peers) = full();
        let peer = harness.peer();
        peer.send(&header(2)[..3]);
        harness.run_until_idle();
        peer.send(&[&header(2)[3..], b"hi"].concat());
        harness.run_until_idle();
        assert_eq!(peer.link.borrow().sent, [header(2), b"hi".to_vec()].concat());
    }

    /// A server whose memory limit is exceeded by the incomplete frames of many peers; that of the
    /// first peer is the largest by far.
    fn exceeded(room_of_first: usize) -> (LoopHarness, Vec<FakePeer>) {
        let mut harness = small();
        let peers: Vec<_> = (0..20).map(|_| harness.peer()).collect();
        peers[0].set_room(room_of_first);
        for (peer, len) in peers.iter().zip([200_000].into_iter().chain(std::iter::repeat(50_000)))
        {
            peer.send(&[header(300_000), vec![b'x'; len]].concat());
            harness.run_until_idle();
            if !peers[0].link.borrow().sent.is_empty() {
                break;
            }
        }
        assert!(
            peers[1..].iter().all(|peer| !peer.is_closed() && peer.link.borrow().sent.is_empty())
        );
        (harness, peers)
    }

    #[test]
    fn the_largest_holder_is_evicted_and_its_session_goes_on() {
        let (mut harness, peers) = exceeded(usize::MAX);
        peers[0].send(&[vec![b'x'; 100_000], header(2), b"hi".to_vec()].concat());
        harness.run_until_idle();
        assert_eq!(
            peers[0].link.borrow().sent,
            [error("SERVER_BUSY"), header(2), b"hi".to_vec()].concat()
        );
    }

    #[test]
    fn an_evicted_peer_that_does_not_read_the_error_is_reset() {
        let (harness, peers) = exceeded(5);
        assert!(peers[0].is_closed() && peers[0].link.borrow().was_reset);
        assert_eq!(closed_for(&harness, CloseReason::MemoryLimit), 1);
    }

    #[test]
    fn a_small_holder_is_served_beside_peers_that_read_no_answers() {
        let mut harness = small();
        let polite = harness.peer();
        polite.send(&[header(2), b"h".to_vec()].concat());
        let greedy: Vec<_> = (0..100).map(|_| harness.peer()).collect();
        for peer in &greedy {
            peer.set_room(0);
            peer.send(&[header(60_000), vec![b'x'; 60_000]].concat());
            harness.run_until_idle();
        }
        assert!(closed_for(&harness, CloseReason::MemoryLimit) > 50);
        polite.send(b"i");
        harness.run_until_idle();
        assert_eq!(polite.link.borrow().sent, [header(2), b"hi".to_vec()].concat());
    }

    #[test]
    fn a_new_message_is_accepted_by_evicting_old_incomplete_ones() {
        let (mut harness, peers) = full();
        harness.run_for(SECOND);
        let newcomer = harness.peer();
        newcomer.send(&[header(150_000), vec![b'y'; 149_999]].concat());
        harness.run_until_idle();
        newcomer.send(b"y");
        harness.run_until_idle();
        assert!(
            newcomer.link.borrow().sent == [header(150_000), vec![b'y'; 150_000]].concat(),
            "the new message is answered"
        );
        assert!(
            peers.iter().any(|peer| peer.link.borrow().sent == error("SERVER_BUSY")),
            "an older one is evicted"
        );
    }

    #[test]
    fn a_message_that_can_never_fit_is_refused_without_evictions() {
        let (mut harness, peers) = full();
        let newcomer = harness.peer();
        newcomer.send(&[header(5_000_000), vec![b'y'; 1_000_000]].concat());
        harness.run_until_idle();
        assert_eq!(newcomer.link.borrow().sent, error("SERVER_BUSY"));
        let evicted = peers.iter().filter(|peer| !peer.link.borrow().sent.is_empty()).count();
        assert!(evicted <= 2, "{evicted} others were evicted, more than for the block of one read");
    }

    #[test]
    fn an_eviction_frees_a_reserve() {
        let mut harness = small();
        let mut peers = Vec::new();
        while peers.iter().all(|peer: &FakePeer| peer.link.borrow().sent.is_empty()) {
            peers.push(harness.peer());
            peers[peers.len() - 1].send(&[header(2000), vec![b'x'; 1000]].concat());
            harness.run_until_idle();
        }
        let refused = peers.iter().filter(|peer| !peer.link.borrow().sent.is_empty()).count();
        assert_eq!(harness.event_loop.shared.pool.excess(), 0);
        assert!(
            (10..peers.len() / 10).contains(&refused),
            "{refused} of {} were refused",
            peers.len()
        );
    }

    #[test]
    fn a_nearly_complete_frame_gets_no_more_room_than_it_needs() {
        let mut harness = LoopHarness::new(Binary::new(), &Config::default());
        harness.peer().send(&[header(600_000), vec![b'x'; 590_000]].concat());
        harness.run_until_idle();
        let held = harness.event_loop.shared.pool.lent_bytes();
        assert!(held < 600_000 + BLOCK_LEN, "{held} bytes for a frame of 600,000");
    }

    #[test]
    fn a_claimed_length_allocates_nothing() {
        let mut harness = LoopHarness::new(Binary::new(), &Config::default());
        for _ in 0..100 {
            harness.peer().send(&header(16 << 20));
            harness.run_until_idle();
        }
        let held = harness.event_loop.shared.pool.lent_bytes();
        assert!(held <= 100 * Block::SHORT_LEN, "100 headers hold {held} bytes");
    }

    fn error(token: &str) -> Vec<u8> {
        let header =
            Header { code: 255, payload_len: u32::try_from(token.len()).expect("short") }.encode();
        [&header[..], token.as_bytes()].concat()
    }
}

mod stopping {
    use super::*;

    #[test]
    fn messages_that_had_arrived_are_answered_before_the_farewell() {
        let mut harness = text();
        let peer = harness.peer();
        // No event has reported these bytes yet.
        peer.link.borrow_mut().inbound_push(b"ECHO a\nECHO b\nECHO ha");
        harness.event(Event::Mail(Mail::Stop));
        harness.run_until_idle();
        assert_eq!(peer.take_sent(), "ECHO a\nECHO b\nBYE\n");
        assert!(peer.link.borrow().sent_end);
        peer.send_and_end(b"");
        harness.run_until_idle();
        assert!(harness.event_loop.is_over());
    }

    #[test]
    fn connections_in_the_accept_queue_are_answered_too() {
        let mut harness = text_with(|config| config.connections_max = 1000);
        let peers: Vec<_> = (0..200).map(|_| harness.queue_peer()).collect();
        peers.iter().for_each(|peer| peer.send_and_end(b"ECHO a\n"));
        harness.event(Event::Mail(Mail::Stop));
        harness.run_until_idle();
        let answered = peers.iter().filter(|peer| peer.take_sent().contains("ECHO a\n")).count();
        assert_eq!(answered, 200);
        assert!(harness.event_loop.is_over());
    }

    #[test]
    fn a_message_without_an_ending_is_answered_too() {
        let mut harness = LoopHarness::new(echo::protocol(), &Config::default());
        let peer = harness.peer();
        peer.send(b"hello");
        harness.event(Event::Mail(Mail::Stop));
        harness.run_until_idle();
        assert_eq!(peer.take_sent(), "Server received: hello");
    }

    #[test]
    fn no_connection_is_accepted_after_a_stop() {
        let mut harness = text();
        let _open = harness.peer();
        harness.event(Event::Mail(Mail::Stop));
        harness.run_until_idle();
        let late = harness.queue_peer();
        harness.run_until_idle();
        assert_eq!(late.token(), None);
    }

    #[test]
    fn a_peer_that_reads_nothing_delays_the_end_by_the_drain_timeout() {
        let mut harness = text();
        let peer = harness.peer();
        peer.set_room(0);
        peer.send(b"ECHO a\n");
        harness.event(Event::Mail(Mail::Stop));
        harness.run_for(DRAIN - MILLISECOND);
        assert!(!harness.event_loop.is_over());
        harness.run_for(MILLISECOND);
        assert!(harness.event_loop.is_over());
    }

    #[test]
    fn a_second_request_ends_the_server_at_once() {
        let mut harness = text();
        let peer = harness.peer();
        peer.set_room(0);
        peer.send(b"ECHO a\n");
        harness.event(Event::Mail(Mail::Stop));
        harness.run_until_idle();
        assert!(!harness.event_loop.is_over());
        harness.run_for(200 * MILLISECOND);
        harness.event(Event::Mail(Mail::Stop));
        harness.run_until_idle();
        assert!(harness.event_loop.is_over());
    }

    #[test]
    fn requests_within_a_fifth_of_a_second_are_one() {
        let mut harness = text();
        let peer = harness.peer();
        peer.set_room(0);
        peer.send(b"ECHO a\n");
        for _ in 0..2 {
            (0..2).for_each(|_| harness.event(Event::Mail(Mail::Stop)));
            harness.run_until_idle();
            harness.run_for(199 * MILLISECOND);
            assert!(!harness.event_loop.is_over(), "this is not a second request");
        }
        peer.set_room(1000);
        harness.run_until_idle();
        assert!(peer.take_sent().ends_with("ECHO a\nBYE\n"));
    }

    #[test]
    fn a_peer_that_never_stops_sending_gets_whole_answers_and_a_farewell() {
        let mut harness = text();
        let peer = harness.peer();
        harness.event(Event::Mail(Mail::Stop));
        let mut sent = 0;
        while !peer.link.borrow().sent_end {
            assert!(sent < 10_000, "the server never ends its output");
            sent += 1;
            peer.link.borrow_mut().inbound_push("ECHO a\n".repeat(TURN_BYTES_MAX).as_bytes());
            harness.event_loop.round().expect("a round");
            harness.move_clock(100 * MILLISECOND);
        }
        let answers = peer.take_sent();
        let lines = answers.strip_suffix("BYE\n").expect("a farewell at the end");
        assert!(lines.lines().all(|line| line == "ECHO a"), "no answer is cut in half");
    }
}

/// A session that sends unasked.
mod unasked {
    use super::*;

    /// Sends `tick` for ever, unasked, and `ok` for each byte that it receives.
    const TICKING: FnSession = FnSession {
        advance: |input, context| {
            context.output().append("ok\n".repeat(input.len()).as_bytes());
            context.output().append(b"tick\n");
            (input.len(), Step::Paused)
        },
        drops_refused: true,
    };

    /// A peer that reads `room` bytes.
    fn harness_and_peer(room: usize) -> (LoopHarness, FakePeer) {
        let mut harness = LoopHarness::new(TICKING, &Config::default());
        let peer = harness.queue_peer();
        peer.set_room(room);
        harness.run_until_idle();
        (harness, peer)
    }

    #[test]
    fn a_session_can_send_unasked() {
        let (_stage, peer) = harness_and_peer(12);
        assert_eq!(peer.take_sent(), "tick\ntick\nti");
    }

    #[test]
    fn it_pauses_at_the_high_water_mark_and_resumes() {
        let (mut harness, peer) = harness_and_peer(12);
        assert!(harness.event_loop.shared.pool.lent_bytes() <= BLOCK_LEN);
        peer.set_room(4 * HIGH_WATER_BYTES);
        harness.run_until_idle();
        let ticks = peer.take_sent();
        assert_eq!(ticks.len(), 12 + 4 * HIGH_WATER_BYTES);
        assert!("tick\n".repeat(ticks.len()).starts_with(&ticks));
    }

    #[test]
    fn bytes_of_its_peer_are_read_meanwhile() {
        let (mut harness, peer) = harness_and_peer(12);
        peer.send(b"x");
        harness.run_until_idle();
        assert_eq!(peer.link.borrow().inbound_len(), 1, "under backpressure nothing is read");
        peer.set_room(4 * HIGH_WATER_BYTES);
        harness.run_until_idle();
        assert!(peer.take_sent().contains("tick\nok\ntick\n"));
    }

    #[test]
    fn the_end_of_its_input_does_not_end_it() {
        let (mut harness, peer) = harness_and_peer(0);
        peer.send_and_end(b"");
        peer.set_room(4 * HIGH_WATER_BYTES);
        harness.run_until_idle();
        assert_eq!(peer.take_sent().len(), 4 * HIGH_WATER_BYTES);
        let reads = peer.link.borrow().reads;
        let everything = Readiness { readable: true, writable: true, read_to_end: true };
        harness.event(Event::Connection(peer.token().expect("registered"), everything));
        harness.run_until_idle();
        assert_eq!(peer.link.borrow().reads, reads, "after the end of input nothing is read");
        assert!(!peer.is_closed());
    }

    #[test]
    fn its_peer_is_reset_after_the_write_timeout() {
        let (mut harness, peer) = harness_and_peer(12);
        harness.run_for(WRITE);
        assert!(peer.is_closed() && peer.link.borrow().was_reset);
        assert_eq!(closed_for(&harness, CloseReason::WriteTimeout), 1);
        assert_eq!(harness.event_loop.shared.pool.lent_bytes(), 0);
    }

    #[test]
    fn a_peer_that_reads_everything_does_not_delay_others() {
        let mut harness = LoopHarness::new(TICKING, &Config::default());
        let (greedy, other) = (harness.queue_peer(), harness.queue_peer());
        greedy.set_room(usize::MAX);
        other.set_room(usize::MAX);
        let sent = || [&greedy, &other].map(|peer| peer.link.borrow().sent.len());
        harness.event_loop.round().expect("a round");
        for _ in 0..3 {
            let before = sent();
            // Each session sends more than the budget of a round.
            (0..2).for_each(|_| harness.event_loop.round().expect("a round"));
            assert!(
                sent().iter().zip(before).all(|(now, before)| *now > before),
                "two rounds serve both"
            );
        }
    }

    #[test]
    fn a_shutdown_ends_it() {
        let (mut harness, peer) = harness_and_peer(0);
        peer.set_room(usize::MAX);
        harness.event(Event::Mail(Mail::Stop));
        while !peer.link.borrow().sent_end {
            harness.event_loop.round().expect("a round");
        }
        assert!(peer.take_sent().ends_with("tick\n"), "no answer is cut in half");
    }

    #[test]
    fn a_shutdown_waits_for_its_peer_at_most_the_drain_timeout() {
        let (mut harness, _peer) = harness_and_peer(12);
        harness.event(Event::Mail(Mail::Stop));
        harness.run_for(DRAIN);
        assert!(harness.event_loop.is_over());
    }
}
