//! Tests of the event loop on a simulated network with a simulated clock.

use std::time::Duration;

use super::accept::BATCH_MAX;
use super::config::Config;
use super::scripted::{Peer, Stage};
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

fn text() -> Stage {
    Stage::new(Text::new(), &Config::default())
}

fn text_with(change: impl FnOnce(&mut Config)) -> Stage {
    let mut config = Config::default();
    change(&mut config);
    Stage::new(Text::new(), &config)
}

fn closed_for(stage: &Stage, reason: CloseReason) -> u64 {
    stage.event_loop.shared.status.total().closed_for(reason)
}

/// A protocol whose sessions run a function of the test.
#[derive(Clone, Copy)]
struct Improvised {
    advance: fn(&[u8], &mut Context<'_>) -> (usize, Step),
    /// True if the sessions drop a refused message.
    drops_refused: bool,
}

impl Protocol for Improvised {
    fn name(&self) -> &'static str {
        "improvised"
    }

    fn session(&self, _accepted: &Accepted) -> Box<dyn Session> {
        Box::new(*self)
    }
}

impl Session for Improvised {
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
        let mut stage = text();
        let peer = stage.peer();
        let before = peer.wire.borrow().reads;
        peer.send(b"ECHO a\n");
        stage.settle();
        assert_eq!(peer.take_sent(), "ECHO a\n");
        assert_eq!(peer.wire.borrow().reads - before, 1, "a short read ends readiness");
    }

    #[test]
    fn an_end_of_input_after_the_last_bytes_is_read_without_an_event() {
        let mut stage = text();
        let peer = stage.peer();
        peer.send_and_end(b"ECHO a\n");
        stage.settle();
        assert_eq!(peer.take_sent(), "ECHO a\n");
        assert!(peer.is_closed());
        assert_eq!(closed_for(&stage, CloseReason::PeerClosed), 1);
    }

    #[test]
    fn bytes_after_an_urgent_mark_are_read_after_a_short_read() {
        let mut stage = text();
        let peer = stage.peer();
        peer.wire.borrow_mut().read_max = 3;
        let token = peer.token().expect("registered");
        peer.wire.borrow_mut().inbound_push(b"ECHO a\n");
        stage.event(Event::Connection(
            token,
            Readiness { readable: true, writable: false, read_to_end: true },
        ));
        stage.settle();
        assert_eq!(peer.take_sent(), "ECHO a\n");
    }

    #[test]
    fn a_turn_that_spent_its_budget_is_continued_without_an_event() {
        let mut stage = text();
        let peer = stage.peer();
        let lines = "ECHO 123456789\n".repeat(4 * TURN_BYTES_MAX / 15);
        peer.send(lines.as_bytes());
        stage.settle();
        assert!(peer.take_sent() == lines, "every answer, in order");
    }

    /// Four blocks of frames.
    fn flood() -> Vec<u8> {
        let frame = [&Header { code: 1, payload_len: 27 }.encode()[..], &[b'x'; 27]].concat();
        frame.repeat(4 * BLOCK_LEN / frame.len())
    }

    #[test]
    fn a_flood_is_read_in_whole_blocks_without_interactive_clients() {
        let mut stage = Stage::new(Binary::new(), &Config::default());
        let peer = stage.peer();
        // The small rest of a flood is not an interactive turn.
        peer.send(&[flood(), flood()[..1024].to_vec()].concat());
        stage.settle();
        peer.wire.borrow_mut().sent.clear();
        let before = peer.wire.borrow().reads;
        peer.send(&flood());
        stage.settle();
        assert!(peer.wire.borrow().sent == flood(), "every answer");
        let reads = peer.wire.borrow().reads - before;
        assert!((4..8).contains(&reads), "{reads} reads");
    }

    #[test]
    fn an_interactive_client_is_answered_between_portions_of_a_flood() {
        let mut stage = Stage::new(Binary::new(), &Config::default());
        let (polite, peer) = (stage.peer(), stage.peer());
        polite.send(&flood()[..32]);
        stage.settle();
        peer.send(&flood());
        // Its first turn is large, because its class is not known yet.
        stage.event_loop.round().expect("a round");
        let mut rounds = 0;
        while peer.wire.borrow().sent.len() < flood().len() {
            rounds += 1;
            assert!(rounds < 100, "the flood is not answered");
            polite.wire.borrow_mut().sent.clear();
            polite.send(&flood()[..32]);
            let answered = peer.wire.borrow().sent.len();
            stage.event_loop.round().expect("a round");
            assert_eq!(polite.wire.borrow().sent, flood()[..32], "in round {rounds}");
            assert!(peer.wire.borrow().sent.len() - answered <= BLOCK_LEN / 4, "in round {rounds}");
        }
        assert!(peer.wire.borrow().sent == flood(), "every answer");
    }

    #[test]
    fn a_spurious_event_changes_nothing() {
        let mut stage = text();
        let peer = stage.peer();
        let token = peer.token().expect("registered");
        stage.event(Event::Connection(
            token,
            Readiness { readable: true, writable: true, read_to_end: true },
        ));
        stage.settle();
        assert!(!peer.is_closed());
        peer.send(b"ECHO a\n");
        stage.settle();
        assert_eq!(peer.take_sent(), "ECHO a\n");
    }

    #[test]
    fn an_event_of_a_closed_connection_does_not_reach_its_successor() {
        let mut stage = text();
        let first = stage.peer();
        let stale = first.token().expect("registered");
        first.send_and_end(b"");
        stage.settle();
        let second = stage.peer();
        let reads = second.wire.borrow().reads;
        assert_eq!(second.token().map(|token| token.key()), Some(stale.key()), "the key is reused");
        stage.event(Event::Connection(
            stale,
            Readiness { readable: true, writable: true, read_to_end: true },
        ));
        stage.settle();
        assert_eq!(second.wire.borrow().reads, reads);
    }
}

mod writing {
    use super::*;

    #[test]
    fn output_that_the_kernel_does_not_accept_is_sent_later() {
        let mut stage = text();
        let peer = stage.peer();
        peer.set_room(4);
        peer.send(b"ECHO abcdef\n");
        stage.settle();
        assert_eq!(peer.take_sent(), "ECHO");
        peer.set_room(100);
        stage.settle();
        assert_eq!(peer.take_sent(), " abcdef\n");
    }

    #[test]
    fn under_backpressure_nothing_is_read_and_later_all_is_answered() {
        let mut stage = text();
        let peer = stage.peer();
        peer.set_room(0);
        let lines = "ECHO 123456789\n".repeat(60_000);
        peer.send(lines.as_bytes());
        stage.settle();
        let reads = peer.wire.borrow().reads;
        let held = stage.event_loop.shared.pool.lent_bytes();
        assert!(held <= 4 * HIGH_WATER_BYTES, "a peer that does not read costs {held} bytes");
        peer.send(b"ECHO last\n");
        stage.settle();
        assert_eq!(peer.wire.borrow().reads, reads, "no read under backpressure");
        peer.set_room(usize::MAX);
        stage.settle();
        assert!(peer.take_sent() == lines + "ECHO last\n");
    }

    #[test]
    fn a_long_answer_after_a_quiet_period_is_backpressure_too() {
        let mut config = Config::default();
        config.limits.line_bytes_max = 1 << 20;
        let mut stage = Stage::new(echo::protocol(), &config);
        let peer = stage.peer();
        peer.set_room(0);
        peer.send(&vec![b'x'; HIGH_WATER_BYTES]);
        stage.pass(QUIET);
        let before = peer.wire.borrow().reads;
        peer.send(b"more");
        stage.settle();
        assert_eq!(peer.wire.borrow().reads, before, "it is read while its answer waits");
    }

    #[test]
    fn a_frame_that_has_begun_is_read_whole_under_backpressure() {
        let mut stage = Stage::new(Binary::new(), &Config::default());
        let peer = stage.peer();
        peer.set_room(0);
        let payload = vec![b'x'; 1 << 20];
        let frame = [&Header { code: 1, payload_len: 1 << 20 }.encode()[..], &payload].concat();
        peer.send(&frame);
        peer.send(&frame[..100]);
        stage.settle();
        peer.send(&frame[100..]);
        peer.send(&frame);
        stage.settle();
        let left = peer.wire.borrow().inbound_len();
        assert!(
            (1..=frame.len()).contains(&left),
            "the second frame is read, the third is not: {left} bytes are left"
        );
        peer.set_room(usize::MAX);
        stage.settle();
        assert!(peer.wire.borrow().sent == [&frame[..]; 3].concat());
    }

    #[test]
    fn a_frame_begins_with_the_first_byte_of_its_header() {
        for cut in 1..=6 {
            let mut stage = Stage::new(Binary::new(), &Config::default());
            let peer = stage.peer();
            peer.set_room(0);
            let payload = vec![b'x'; 1 << 20];
            let frame = [&Header { code: 1, payload_len: 1 << 20 }.encode()[..], &payload].concat();
            peer.send(&frame);
            peer.send(&frame[..cut]);
            stage.settle();
            peer.send(&frame[cut..]);
            stage.settle();
            assert_eq!(peer.wire.borrow().inbound_len(), 0, "cut after {cut} bytes");
        }
    }

    #[test]
    fn all_answers_before_quit_are_sent_through_a_full_socket() {
        let mut stage = text();
        let peer = stage.peer();
        peer.set_room(10);
        peer.send(b"ECHO abcdef\nQUIT\nECHO never\n");
        stage.settle();
        assert!(!peer.is_closed());
        peer.set_room(usize::MAX);
        stage.settle();
        assert_eq!(peer.take_sent(), "ECHO abcdef\nBYE\n");
        assert!(peer.wire.borrow().sent_end);
    }
}

mod closing {
    use super::*;

    #[test]
    fn after_its_last_answer_the_server_lingers_until_the_peer_closes() {
        let mut stage = text();
        let peer = stage.peer();
        peer.send(b"QUIT\n");
        stage.settle();
        assert!(peer.wire.borrow().sent_end && !peer.is_closed());
        peer.send(b"still sending");
        stage.settle();
        assert!(!peer.is_closed());
        peer.send_and_end(b"");
        stage.settle();
        assert!(peer.is_closed());
        assert_eq!(closed_for(&stage, CloseReason::Quit), 1);
    }

    #[test]
    fn lingering_ends_after_its_timeout() {
        let mut stage = text();
        let peer = stage.peer();
        peer.send(b"QUIT\n");
        stage.pass(LINGER_TIMEOUT - MILLISECOND);
        assert!(!peer.is_closed());
        stage.pass(MILLISECOND);
        assert!(peer.is_closed());
    }

    #[test]
    fn lingering_discards_a_bounded_number_of_bytes_and_then_waits() {
        let mut stage = text();
        let peer = stage.peer();
        peer.send(b"QUIT\n");
        stage.settle();
        peer.send(&vec![b'x'; 2 * LINGER_BYTES_MAX as usize]);
        stage.settle();
        assert!(peer.wire.borrow().inbound_len() > 0, "the flood is not read to its end");
        assert!(!peer.is_closed(), "closing now would reset bytes in transit");
        stage.pass(LINGER_TIMEOUT);
        assert!(peer.is_closed());
    }

    #[test]
    fn a_reset_closes_one_connection_and_no_other() {
        let mut stage = text();
        let (peer, other) = (stage.peer(), stage.peer());
        peer.reset();
        stage.settle();
        assert!(peer.is_closed() && !other.is_closed());
        assert_eq!(closed_for(&stage, CloseReason::Reset), 1);
    }

    #[test]
    fn a_session_can_close_for_any_reason() {
        let full = Improvised {
            advance: |input, _| (input.len(), Step::Close(CloseReason::ServerBusy)),
            drops_refused: true,
        };
        let mut stage = Stage::new(full, &Config::default());
        let peer = stage.peer();
        peer.send_and_end(b"x");
        stage.settle();
        assert!(peer.is_closed());
        assert_eq!(closed_for(&stage, CloseReason::ServerBusy), 1);
    }

    #[test]
    fn a_session_that_keeps_a_refused_message_is_closed() {
        let limits = Limits { memory_bytes_max: Limits::MEMORY_BYTES_MIN, ..Limits::default() };
        let stubborn = Improvised {
            advance: |_, _| (0, Step::Incomplete { missing: None }),
            drops_refused: false,
        };
        let mut stage = Stage::new(stubborn, &Config { limits, ..Config::default() });
        let peer = stage.peer();
        peer.send(&vec![0; 4 << 20]);
        stage.settle();
        assert!(peer.is_closed());
        assert_eq!(closed_for(&stage, CloseReason::MemoryLimit), 1);
    }

    #[test]
    fn sessions_that_keep_refused_messages_stay_under_the_memory_limit() {
        let limits = Limits { memory_bytes_max: Limits::MEMORY_BYTES_MIN, ..Limits::default() };
        let stubborn = Improvised {
            advance: |_, _| (0, Step::Incomplete { missing: None }),
            drops_refused: false,
        };
        let mut stage = Stage::new(stubborn, &Config { limits, ..Config::default() });
        let peers: Vec<_> = (0..40).map(|_| stage.peer()).collect();
        for peer in &peers {
            peer.send(&[0; 50_000]);
            stage.settle();
            assert!(stage.event_loop.shared.pool.lent_bytes() <= Limits::MEMORY_BYTES_MIN);
        }
        let closed = peers.iter().filter(|peer| peer.is_closed()).count();
        assert_eq!(closed_for(&stage, CloseReason::MemoryLimit), closed as u64);
        assert!((20..40).contains(&closed), "{closed} of 40 were closed");
    }

    #[test]
    fn a_session_is_not_called_before_the_missing_bytes_have_arrived() {
        let counting = Improvised {
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
        let mut stage = Stage::new(counting, &Config::default());
        let peer = stage.peer();
        for byte in b"0123456789" {
            peer.send(&[*byte]);
            stage.settle();
        }
        peer.reset();
        stage.settle();
        // Once after the greeting, and once when all ten bytes have arrived.
        assert_eq!(stage.event_loop.shared.status.total().messages, 2);
    }

    #[test]
    fn a_paused_session_without_answers_is_called_until_no_input_is_left() {
        let swallowing = Improvised {
            advance: |input, _| (input.len().min(1), Step::Paused),
            drops_refused: true,
        };
        let mut stage = Stage::new(swallowing, &Config::default());
        let peer = stage.peer();
        peer.send(b"swallowed one by one");
        stage.settle();
        assert_eq!(stage.event_loop.shared.pool.lent_bytes(), 0);
    }

    #[test]
    fn after_the_last_close_no_storage_is_held_and_the_counts_agree() {
        let mut stage = text();
        for _ in 0..10 {
            let peer = stage.peer();
            peer.send(b"TIME\nECHO half a li");
            stage.settle();
            peer.reset();
        }
        stage.settle();
        assert_eq!(stage.event_loop.inspect().connections.len(), 0);
        assert_eq!(stage.event_loop.shared.pool.lent_bytes(), 0);
        assert_eq!(stage.event_loop.shared.status.total().accepted, 10);
        assert_eq!(stage.event_loop.shared.status.total().closed_in_all(), 10);
    }
}

mod deadlines {
    use super::*;

    #[test]
    fn a_silent_peer_gets_the_error_after_the_idle_timeout() {
        let mut stage = text();
        let peer = stage.peer();
        stage.pass(IDLE - MILLISECOND);
        assert_eq!(peer.take_sent(), "");
        stage.pass(MILLISECOND);
        assert_eq!(peer.take_sent(), "ERROR IDLE_TIMEOUT\n");
        assert!(peer.wire.borrow().sent_end);
        stage.pass(LINGER_TIMEOUT);
        assert_eq!(closed_for(&stage, CloseReason::IdleTimeout), 1);
    }

    #[test]
    fn a_peer_is_served_between_batches_of_expired_connections() {
        let mut stage = text();
        let silent: Vec<_> = (0..3 * EXPIRED_MAX).map(|_| stage.peer()).collect();
        stage.pass(IDLE / 2);
        let busy = stage.peer();
        stage.stall(IDLE / 2);
        // The connections expire in one round, and their deadlines are enforced in the next one.
        for round in 0..=3 {
            busy.send(b"ECHO a\n");
            stage.event_loop.round().expect("a round");
            assert_eq!(busy.take_sent(), "ECHO a\n");
            let ended = silent.iter().filter(|peer| peer.wire.borrow().sent_end).count();
            assert_eq!(ended, round * EXPIRED_MAX, "after {round} rounds");
        }
    }

    #[test]
    fn a_connection_that_reuses_a_key_does_not_reuse_its_deadline() {
        let mut stage = text();
        stage.peer().send_and_end(b"");
        stage.pass(IDLE / 2);
        let peer = stage.peer();
        stage.pass(IDLE - MILLISECOND);
        assert_eq!(peer.take_sent(), "");
        stage.pass(MILLISECOND);
        assert_eq!(peer.take_sent(), "ERROR IDLE_TIMEOUT\n");
    }

    #[test]
    fn each_message_restarts_the_idle_timeout() {
        let mut stage = text();
        let peer = stage.peer();
        for _ in 0..5 {
            stage.pass(IDLE - MILLISECOND);
            peer.send(b"ECHO a\n");
            stage.settle();
            assert_eq!(peer.take_sent(), "ECHO a\n");
        }
        stage.pass(IDLE);
        assert_eq!(peer.take_sent(), "ERROR IDLE_TIMEOUT\n");
    }

    #[test]
    fn more_bytes_do_not_restart_the_message_timeout() {
        let mut stage = text();
        let peer = stage.peer();
        for _ in 0..29 {
            peer.send(b"x");
            stage.pass(SECOND);
        }
        assert_eq!(peer.take_sent(), "");
        peer.send(b"x");
        stage.pass(SECOND);
        assert_eq!(peer.take_sent(), "ERROR MESSAGE_TIMEOUT\n");
        stage.pass(LINGER_TIMEOUT);
        assert_eq!(closed_for(&stage, CloseReason::MessageTimeout), 1);
    }

    #[test]
    fn each_message_starts_its_own_message_timeout() {
        let mut stage = text();
        let peer = stage.peer();
        peer.send(b"ECHO a");
        stage.pass(MESSAGE - MILLISECOND);
        peer.send(b"\nECHO b");
        stage.pass(MESSAGE - MILLISECOND);
        assert_eq!(peer.take_sent(), "ECHO a\n");
        stage.pass(MILLISECOND);
        assert_eq!(peer.take_sent(), "ERROR MESSAGE_TIMEOUT\n");
    }

    #[test]
    fn the_rest_of_a_refused_line_is_under_the_message_timeout_too() {
        let mut stage = text();
        let peer = stage.peer();
        for _ in 0..30 {
            peer.send(&[b'x'; 10_000]);
            stage.pass(SECOND);
        }
        assert_eq!(peer.take_sent(), "ERROR LINE_TOO_LONG\nERROR MESSAGE_TIMEOUT\n");
    }

    #[test]
    fn a_peer_that_reads_nothing_is_reset_after_the_write_timeout() {
        let mut stage = text();
        let peer = stage.peer();
        peer.set_room(3);
        peer.send(b"ECHO a\n");
        stage.pass(WRITE - MILLISECOND);
        assert!(!peer.is_closed());
        stage.pass(MILLISECOND);
        assert!(peer.is_closed() && peer.wire.borrow().was_reset);
        assert_eq!(closed_for(&stage, CloseReason::WriteTimeout), 1);
    }

    #[test]
    fn reading_answers_extends_the_write_timeout_and_sending_does_not() {
        let mut stage = text();
        let peer = stage.peer();
        peer.set_room(0);
        peer.send(&[b"ECHO ", [b'x'; 3 * WRITE_RATE_MIN as usize].as_slice(), b"\n"].concat());
        stage.pass(WRITE - SECOND);
        peer.set_room(2 * WRITE_RATE_MIN as usize);
        stage.pass(SECOND);
        peer.send(b"E");
        assert!(!peer.is_closed(), "the bytes of two seconds at the minimum rate were read");
        stage.pass(2 * SECOND);
        assert!(peer.is_closed());
    }

    /// Returns after how many seconds a peer is closed that reads `bytes` of a long answer per
    /// second; `None` if it can read the whole answer.
    fn seconds_until_closed(bytes: usize) -> Option<u32> {
        let mut stage = text();
        let peer = stage.peer();
        peer.set_room(0);
        peer.send(&[b"ECHO ", [b'x'; 60_000].as_slice(), b"\n"].concat());
        let read = |peer: &Peer| peer.wire.borrow().sent.len();
        for second in 1..=60_000 {
            stage.pass(SECOND);
            if peer.is_closed() {
                return Some(second);
            }
            peer.set_room(bytes);
            stage.settle();
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
        let mut stage = Stage::new(Text::new(), &config);
        let peer = stage.peer();
        peer.set_room(0);
        peer.send(("ECHO 123456789\n".repeat(HIGH_WATER_BYTES / 15 + 1) + "ECHO ha").as_bytes());
        for _ in 0..3 {
            stage.pass(WRITE - SECOND);
            peer.set_room(1);
        }
        stage.settle();
        assert!(!peer.is_closed());
        peer.set_room(usize::MAX);
        peer.send(b"lf\n");
        stage.settle();
        assert!(peer.take_sent().ends_with("ECHO half\n"));
    }

    #[test]
    fn a_frame_after_unread_answers_is_late_only_once_they_are_read() {
        let mut config = Config::default();
        config.timeouts.write = None;
        let mut stage = Stage::new(Binary::new(), &config);
        let peer = stage.peer();
        let whole =
            [&Header { code: 1, payload_len: 65_000 }.encode()[..], &[b'x'; 65_000]].concat();
        peer.set_room(0);
        peer.send(&[&whole[..], &whole[..1000]].concat());
        stage.pass(2 * MESSAGE);
        assert!(!peer.wire.borrow().sent_end);
        peer.set_room(usize::MAX);
        stage.pass(MESSAGE - MILLISECOND);
        assert_eq!(peer.wire.borrow().sent.len(), whole.len());
        stage.pass(MILLISECOND);
        assert!(peer.wire.borrow().sent.ends_with(b"MESSAGE_TIMEOUT"));
    }

    #[test]
    fn the_quiet_period_does_not_run_while_answers_wait() {
        let mut stage = Stage::new(echo::protocol(), &Config::default());
        let peer = stage.peer();
        peer.set_room(0);
        peer.send(b"hi\n");
        // A deadline that expires without effect would expire again at once: the loop would spin.
        stage.pass(WRITE - MILLISECOND);
        assert!(!peer.is_closed());
        peer.set_room(usize::MAX);
        stage.settle();
        assert_eq!(peer.take_sent(), "Server received: hi\n");
    }

    #[test]
    fn bytes_that_arrived_while_the_loop_was_late_are_read_first() {
        let mut stage = Stage::new(Binary::new(), &Config::default());
        let (peer, polite) = (stage.peer(), stage.peer());
        // An interactive client makes the portions small; the message is read in whole all the
        // same.
        polite.send(&[Header { code: 1, payload_len: 2 }.encode().as_slice(), b"hi"].concat());
        let payload = vec![b'x'; 4 << 20];
        let frame = [&Header { code: 1, payload_len: 4 << 20 }.encode()[..], &payload].concat();
        peer.send(&frame[..100]);
        stage.settle();
        stage.stall(10 * MESSAGE);
        peer.wire.borrow_mut().inbound_push(&frame[100..]);
        stage.settle();
        assert!(
            peer.wire.borrow().sent == frame,
            "the bytes that had arrived were read before the deadline was enforced"
        );
    }

    #[test]
    fn an_overdue_connection_is_read_to_the_end_without_an_event() {
        let mut stage = text();
        let peer = stage.peer();
        peer.send(b"ECHO in ");
        stage.settle();
        stage.stall(10 * MESSAGE);
        // An urgent mark shortens the read, and a signal has interrupted the wait that would have
        // reported it.
        peer.wire.borrow_mut().read_max = 3;
        peer.wire.borrow_mut().inbound_push(b"time\n");
        stage.settle();
        assert_eq!(peer.take_sent(), "ECHO in time\n");
    }

    #[test]
    fn a_message_without_a_newline_ends_with_the_quiet_period() {
        let mut stage = Stage::new(echo::protocol(), &Config::default());
        let peer = stage.peer();
        peer.send(b"hel");
        stage.pass(QUIET - MILLISECOND);
        peer.send(b"lo");
        stage.pass(QUIET - MILLISECOND);
        assert_eq!(peer.take_sent(), "");
        stage.pass(MILLISECOND);
        assert_eq!(peer.take_sent(), "Server received: hello");
        peer.send(b"again");
        stage.pass(QUIET);
        assert_eq!(peer.take_sent(), "Server received: again");
    }

    #[test]
    fn exit_without_a_newline_ends_the_chat() {
        let mut stage = Stage::new(chat::protocol(), &Config::default());
        let peer = stage.peer();
        peer.send(b"exit");
        stage.pass(QUIET);
        assert!(peer.wire.borrow().sent_end);
        assert_eq!(peer.take_sent(), "");
    }

    #[test]
    fn a_timeout_that_is_off_never_expires() {
        let mut stage = text_with(|config| config.timeouts.idle = None);
        let peer = stage.peer();
        stage.pass(1000 * IDLE);
        assert!(!peer.is_closed());
        assert_eq!(peer.take_sent(), "");
    }
}

mod accepting {
    use super::*;

    #[test]
    fn without_descriptors_accepting_is_retried_by_a_timer() {
        let mut stage = text();
        for _ in 0..3 {
            stage.fail_accept(libc::EMFILE);
        }
        let peer = stage.queue_peer();
        stage.settle();
        assert_eq!(peer.token(), None);
        stage.pass(Duration::from_millis(10 + 20 + 40));
        assert!(peer.take_sent().starts_with("WELCOME"));
        assert_eq!(stage.event_loop.shared.status.accept_pauses, 3);
    }

    #[test]
    fn a_pause_ends_when_the_accept_queue_is_empty() {
        let mut stage = text();
        stage.fail_accept(libc::EMFILE);
        stage.event(Event::Listener(0));
        stage.pass(SECOND);
        assert_eq!(stage.sleeps_for(), None, "a pause that is over causes no wake-up");
    }

    #[test]
    fn a_descriptor_that_the_server_frees_is_used_at_once() {
        let mut stage = text();
        let first = stage.peer();
        stage.fail_accept(libc::ENFILE);
        let second = stage.queue_peer();
        stage.settle();
        assert_eq!(second.token(), None);
        first.send_and_end(b"");
        stage.settle();
        assert!(second.take_sent().starts_with("WELCOME"));
    }

    #[test]
    fn a_connection_that_was_lost_in_the_queue_is_skipped() {
        let lost = [libc::ECONNABORTED, libc::EPROTO, libc::EPERM, libc::ENETDOWN];
        for errno in lost {
            let mut stage = text();
            stage.fail_accept(errno);
            let peer = stage.queue_peer();
            stage.settle();
            assert!(peer.take_sent().starts_with("WELCOME"), "errno {errno}");
        }
    }

    #[test]
    fn an_unknown_error_of_accept_only_pauses_accepting() {
        for errno in [libc::EINVAL, libc::EOPNOTSUPP, libc::EIO] {
            let mut stage = text();
            stage.fail_accept(errno);
            let peer = stage.queue_peer();
            stage.pass(SECOND);
            assert!(peer.take_sent().starts_with("WELCOME"), "errno {errno}");
        }
    }

    #[test]
    fn a_connection_that_cannot_be_watched_is_closed_and_the_next_one_is_served() {
        let mut stage = text();
        stage.world.borrow_mut().watches_left = false;
        let first = stage.queue_peer();
        stage.settle();
        assert!(first.is_closed());
        stage.world.borrow_mut().watches_left = true;
        let second = stage.queue_peer();
        stage.settle();
        assert!(second.take_sent().starts_with("WELCOME"));
    }

    #[test]
    fn over_the_limit_a_peer_is_rejected_until_a_place_is_free() {
        let mut stage = text_with(|config| config.connections_max = 2);
        let (first, _second) = (stage.peer(), stage.peer());
        let third = stage.queue_peer();
        third.send(b"TIME\n");
        stage.settle();
        assert_eq!(third.take_sent(), "ERROR SERVER_BUSY\n");
        assert!(
            third.wire.borrow().sent_end && !third.is_closed(),
            "it lingers: its command is still unread"
        );
        first.send_and_end(b"");
        stage.settle();
        let fourth = stage.queue_peer();
        stage.settle();
        assert!(fourth.take_sent().starts_with("WELCOME"), "a lingering connection takes no place");
        stage.pass(LINGER_TIMEOUT);
        assert_eq!(closed_for(&stage, CloseReason::ServerBusy), 1);
    }

    #[test]
    fn a_flood_of_new_connections_does_not_delay_an_open_one() {
        let mut stage = text_with(|config| config.connections_max = 10_000);
        let peer = stage.peer();
        let _flood: Vec<_> = (0..1000).map(|_| stage.queue_peer()).collect();
        peer.send(b"ECHO a\n");
        stage.event_loop.round().expect("a round");
        assert_eq!(peer.take_sent(), "ECHO a\n");
        assert_eq!(
            stage.event_loop.inspect().connections.len(),
            1 + BATCH_MAX,
            "only one batch was accepted before"
        );
    }
}

mod memory {
    use super::*;

    fn small() -> Stage {
        let mut config = Config::default();
        config.limits.memory_bytes_max = Limits::MEMORY_BYTES_MIN;
        Stage::new(Binary::new(), &config)
    }

    fn header(payload_len: u32) -> Vec<u8> {
        Header { code: 1, payload_len }.encode().to_vec()
    }

    #[test]
    fn a_message_over_the_memory_limit_is_refused_and_the_session_goes_on() {
        let mut stage = small();
        let (peer, other) = (stage.peer(), stage.peer());
        peer.send(&header(4 << 20));
        peer.send(&vec![b'x'; 2 << 20]);
        stage.settle();
        assert_eq!(std::mem::take(&mut peer.wire.borrow_mut().sent), error("SERVER_BUSY"));
        other.send(&[header(2), b"hi".to_vec()].concat());
        stage.settle();
        assert_eq!(
            other.wire.borrow().sent,
            [header(2), b"hi".to_vec()].concat(),
            "the other peer is not affected"
        );
        peer.send(&vec![b'x'; 2 << 20]);
        peer.send(&[header(2), b"ok".to_vec()].concat());
        stage.settle();
        assert_eq!(peer.wire.borrow().sent, [header(2), b"ok".to_vec()].concat());
        assert!(
            stage.event_loop.shared.pool.lent_bytes_most() <= Limits::MEMORY_BYTES_MIN,
            "within a turn too"
        );
    }

    #[test]
    fn the_error_for_an_evicted_message_is_sent_through_short_writes() {
        let mut stage = small();
        let peers: Vec<_> = (0..40).map(|_| stage.peer()).collect();
        for peer in &peers {
            peer.wire.borrow_mut().write_max = 3;
            peer.send(&[header(100_000), vec![b'x'; 50_000]].concat());
            stage.settle();
        }
        let answers: Vec<_> = peers.iter().map(|peer| peer.wire.borrow().sent.clone()).collect();
        assert!(answers.iter().any(|answer| !answer.is_empty()), "no message is refused");
        assert!(
            answers.iter().all(|answer| answer.is_empty() || *answer == error("SERVER_BUSY")),
            "{answers:?}"
        );
    }

    #[test]
    fn many_incomplete_messages_together_stay_under_the_limit() {
        let mut stage = small();
        let peers: Vec<_> = (0..40).map(|_| stage.peer()).collect();
        for peer in &peers {
            peer.send(&header(100_000));
            peer.send(&[b'x'; 50_000]);
            stage.settle();
            assert!(stage.event_loop.shared.pool.lent_bytes() <= Limits::MEMORY_BYTES_MIN);
        }
        let refused = peers.iter().filter(|peer| !peer.wire.borrow().sent.is_empty()).count();
        assert!((20..40).contains(&refused), "{refused} of 40 were refused");
    }

    #[test]
    fn unread_answers_stay_under_the_limit() {
        let mut stage = small();
        let peers: Vec<_> = (0..100).map(|_| stage.peer()).collect();
        for peer in &peers {
            peer.set_room(0);
            peer.send(&[header(60_000), vec![b'x'; 60_000]].concat());
            stage.settle();
            assert!(stage.event_loop.shared.pool.lent_bytes() <= Limits::MEMORY_BYTES_MIN);
        }
        assert!(closed_for(&stage, CloseReason::MemoryLimit) > 0);
        assert!(peers.iter().any(|peer| !peer.is_closed()));
    }

    #[test]
    fn peers_that_read_are_answered_even_if_all_would_exceed_the_limit() {
        let mut stage = small();
        let requests = [header(2), b"hi".to_vec()].concat().repeat(TURN_BYTES_MAX / 4);
        let peers: Vec<_> = (0..40).map(|_| stage.peer()).collect();
        peers.iter().for_each(|peer| peer.send(&requests));
        stage.settle();
        assert_eq!(closed_for(&stage, CloseReason::MemoryLimit), 0);
        assert!(
            peers.iter().all(|peer| peer.wire.borrow().sent == requests),
            "all peers are answered"
        );
        assert!(stage.event_loop.shared.pool.lent_bytes_most() <= Limits::MEMORY_BYTES_MIN);
    }

    #[test]
    fn requests_after_unread_answers_stay_under_the_limit() {
        let limits = Limits { memory_bytes_max: Limits::MEMORY_BYTES_MIN, ..Limits::default() };
        let mut stage = Stage::new(Text::new(), &Config { limits, ..Config::default() });
        let peers: Vec<_> = (0..40).map(|_| stage.peer()).collect();
        for peer in &peers {
            peer.set_room(0);
            peer.send(&b"HELP\n".repeat(10_000));
            stage.settle();
            assert!(stage.event_loop.shared.pool.lent_bytes() <= Limits::MEMORY_BYTES_MIN);
        }
        assert!(closed_for(&stage, CloseReason::MemoryLimit) > 0);
        assert!(peers.iter().any(|peer| !peer.is_closed()));
    }

    /// A server whose memory is completely filled by incomplete frames.
    fn full() -> (Stage, Vec<Peer>) {
        let mut stage = small();
        let count = (Limits::MEMORY_BYTES_MIN - 4 * BLOCK_LEN) / BLOCK_LEN;
        let peers: Vec<_> = (0..count).map(|_| stage.peer()).collect();
        for peer in &peers {
            peer.send(&[header(100_000), vec![b'x'; 50_000]].concat());
            stage.settle();
            assert_eq!(peer.take_sent(), "");
        }
        (stage, peers)
    }

    #[test]
    fn the_beginning_of_a_message_is_kept_in_full_memory() {
        let (mut stage, _peers) = full();
        let peer = stage.peer();
        peer.send(&header(2)[..3]);
        stage.settle();
        peer.send(&[&header(2)[3..], b"hi"].concat());
        stage.settle();
        assert_eq!(peer.wire.borrow().sent, [header(2), b"hi".to_vec()].concat());
    }

    /// A server whose memory limit is exceeded by the incomplete frames of many peers; that of the
    /// first peer is the largest by far.
    fn exceeded(room_of_first: usize) -> (Stage, Vec<Peer>) {
        let mut stage = small();
        let peers: Vec<_> = (0..20).map(|_| stage.peer()).collect();
        peers[0].set_room(room_of_first);
        for (peer, len) in peers.iter().zip([200_000].into_iter().chain(std::iter::repeat(50_000)))
        {
            peer.send(&[header(300_000), vec![b'x'; len]].concat());
            stage.settle();
            if !peers[0].wire.borrow().sent.is_empty() {
                break;
            }
        }
        assert!(
            peers[1..].iter().all(|peer| !peer.is_closed() && peer.wire.borrow().sent.is_empty())
        );
        (stage, peers)
    }

    #[test]
    fn the_largest_holder_is_evicted_and_its_session_goes_on() {
        let (mut stage, peers) = exceeded(usize::MAX);
        peers[0].send(&[vec![b'x'; 100_000], header(2), b"hi".to_vec()].concat());
        stage.settle();
        assert_eq!(
            peers[0].wire.borrow().sent,
            [error("SERVER_BUSY"), header(2), b"hi".to_vec()].concat()
        );
    }

    #[test]
    fn an_evicted_peer_that_does_not_read_the_error_is_reset() {
        let (stage, peers) = exceeded(5);
        assert!(peers[0].is_closed() && peers[0].wire.borrow().was_reset);
        assert_eq!(closed_for(&stage, CloseReason::MemoryLimit), 1);
    }

    #[test]
    fn a_small_holder_is_served_beside_peers_that_read_no_answers() {
        let mut stage = small();
        let polite = stage.peer();
        polite.send(&[header(2), b"h".to_vec()].concat());
        let greedy: Vec<_> = (0..100).map(|_| stage.peer()).collect();
        for peer in &greedy {
            peer.set_room(0);
            peer.send(&[header(60_000), vec![b'x'; 60_000]].concat());
            stage.settle();
        }
        assert!(closed_for(&stage, CloseReason::MemoryLimit) > 50);
        polite.send(b"i");
        stage.settle();
        assert_eq!(polite.wire.borrow().sent, [header(2), b"hi".to_vec()].concat());
    }

    #[test]
    fn a_new_message_is_accepted_by_evicting_old_incomplete_ones() {
        let (mut stage, peers) = full();
        stage.pass(SECOND);
        let newcomer = stage.peer();
        newcomer.send(&[header(150_000), vec![b'y'; 149_999]].concat());
        stage.settle();
        newcomer.send(b"y");
        stage.settle();
        assert!(
            newcomer.wire.borrow().sent == [header(150_000), vec![b'y'; 150_000]].concat(),
            "the new message is answered"
        );
        assert!(
            peers.iter().any(|peer| peer.wire.borrow().sent == error("SERVER_BUSY")),
            "an older one is evicted"
        );
    }

    #[test]
    fn a_message_that_can_never_fit_is_refused_without_evictions() {
        let (mut stage, peers) = full();
        let newcomer = stage.peer();
        newcomer.send(&[header(5_000_000), vec![b'y'; 1_000_000]].concat());
        stage.settle();
        assert_eq!(newcomer.wire.borrow().sent, error("SERVER_BUSY"));
        let evicted = peers.iter().filter(|peer| !peer.wire.borrow().sent.is_empty()).count();
        assert!(evicted <= 2, "{evicted} others were evicted, more than for the block of one read");
    }

    #[test]
    fn an_eviction_frees_a_reserve() {
        let mut stage = small();
        let mut peers = Vec::new();
        while peers.iter().all(|peer: &Peer| peer.wire.borrow().sent.is_empty()) {
            peers.push(stage.peer());
            peers[peers.len() - 1].send(&[header(2000), vec![b'x'; 1000]].concat());
            stage.settle();
        }
        let refused = peers.iter().filter(|peer| !peer.wire.borrow().sent.is_empty()).count();
        assert_eq!(stage.event_loop.shared.pool.excess(), 0);
        assert!(
            (10..peers.len() / 10).contains(&refused),
            "{refused} of {} were refused",
            peers.len()
        );
    }

    #[test]
    fn a_nearly_complete_frame_gets_no_more_room_than_it_needs() {
        let mut stage = Stage::new(Binary::new(), &Config::default());
        stage.peer().send(&[header(600_000), vec![b'x'; 590_000]].concat());
        stage.settle();
        let held = stage.event_loop.shared.pool.lent_bytes();
        assert!(held < 600_000 + BLOCK_LEN, "{held} bytes for a frame of 600,000");
    }

    #[test]
    fn a_claimed_length_allocates_nothing() {
        let mut stage = Stage::new(Binary::new(), &Config::default());
        for _ in 0..100 {
            stage.peer().send(&header(16 << 20));
            stage.settle();
        }
        let held = stage.event_loop.shared.pool.lent_bytes();
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
        let mut stage = text();
        let peer = stage.peer();
        // No event has reported these bytes yet.
        peer.wire.borrow_mut().inbound_push(b"ECHO a\nECHO b\nECHO ha");
        stage.event(Event::Mail(Mail::Stop));
        stage.settle();
        assert_eq!(peer.take_sent(), "ECHO a\nECHO b\nBYE\n");
        assert!(peer.wire.borrow().sent_end);
        peer.send_and_end(b"");
        stage.settle();
        assert!(stage.event_loop.is_over());
    }

    #[test]
    fn connections_in_the_accept_queue_are_answered_too() {
        let mut stage = text_with(|config| config.connections_max = 1000);
        let peers: Vec<_> = (0..200).map(|_| stage.queue_peer()).collect();
        peers.iter().for_each(|peer| peer.send_and_end(b"ECHO a\n"));
        stage.event(Event::Mail(Mail::Stop));
        stage.settle();
        let answered = peers.iter().filter(|peer| peer.take_sent().contains("ECHO a\n")).count();
        assert_eq!(answered, 200);
        assert!(stage.event_loop.is_over());
    }

    #[test]
    fn a_message_without_an_ending_is_answered_too() {
        let mut stage = Stage::new(echo::protocol(), &Config::default());
        let peer = stage.peer();
        peer.send(b"hello");
        stage.event(Event::Mail(Mail::Stop));
        stage.settle();
        assert_eq!(peer.take_sent(), "Server received: hello");
    }

    #[test]
    fn no_connection_is_accepted_after_a_stop() {
        let mut stage = text();
        let _open = stage.peer();
        stage.event(Event::Mail(Mail::Stop));
        stage.settle();
        let late = stage.queue_peer();
        stage.settle();
        assert_eq!(late.token(), None);
    }

    #[test]
    fn a_peer_that_reads_nothing_delays_the_end_by_the_drain_timeout() {
        let mut stage = text();
        let peer = stage.peer();
        peer.set_room(0);
        peer.send(b"ECHO a\n");
        stage.event(Event::Mail(Mail::Stop));
        stage.pass(DRAIN - MILLISECOND);
        assert!(!stage.event_loop.is_over());
        stage.pass(MILLISECOND);
        assert!(stage.event_loop.is_over());
    }

    #[test]
    fn a_second_request_ends_the_server_at_once() {
        let mut stage = text();
        let peer = stage.peer();
        peer.set_room(0);
        peer.send(b"ECHO a\n");
        stage.event(Event::Mail(Mail::Stop));
        stage.settle();
        assert!(!stage.event_loop.is_over());
        stage.pass(200 * MILLISECOND);
        stage.event(Event::Mail(Mail::Stop));
        stage.settle();
        assert!(stage.event_loop.is_over());
    }

    #[test]
    fn requests_within_a_fifth_of_a_second_are_one() {
        let mut stage = text();
        let peer = stage.peer();
        peer.set_room(0);
        peer.send(b"ECHO a\n");
        for _ in 0..2 {
            (0..2).for_each(|_| stage.event(Event::Mail(Mail::Stop)));
            stage.settle();
            stage.pass(199 * MILLISECOND);
            assert!(!stage.event_loop.is_over(), "this is not a second request");
        }
        peer.set_room(1000);
        stage.settle();
        assert!(peer.take_sent().ends_with("ECHO a\nBYE\n"));
    }

    #[test]
    fn a_peer_that_never_stops_sending_gets_whole_answers_and_a_farewell() {
        let mut stage = text();
        let peer = stage.peer();
        stage.event(Event::Mail(Mail::Stop));
        let mut sent = 0;
        while !peer.wire.borrow().sent_end {
            assert!(sent < 10_000, "the server never ends its output");
            sent += 1;
            peer.wire.borrow_mut().inbound_push("ECHO a\n".repeat(TURN_BYTES_MAX).as_bytes());
            stage.event_loop.round().expect("a round");
            stage.stall(100 * MILLISECOND);
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
    const TICKING: Improvised = Improvised {
        advance: |input, context| {
            context.output().append("ok\n".repeat(input.len()).as_bytes());
            context.output().append(b"tick\n");
            (input.len(), Step::Paused)
        },
        drops_refused: true,
    };

    /// A peer that reads `room` bytes.
    fn stage_and_peer(room: usize) -> (Stage, Peer) {
        let mut stage = Stage::new(TICKING, &Config::default());
        let peer = stage.queue_peer();
        peer.set_room(room);
        stage.settle();
        (stage, peer)
    }

    #[test]
    fn a_session_can_send_unasked() {
        let (_stage, peer) = stage_and_peer(12);
        assert_eq!(peer.take_sent(), "tick\ntick\nti");
    }

    #[test]
    fn it_pauses_at_the_high_water_mark_and_resumes() {
        let (mut stage, peer) = stage_and_peer(12);
        assert!(stage.event_loop.shared.pool.lent_bytes() <= BLOCK_LEN);
        peer.set_room(4 * HIGH_WATER_BYTES);
        stage.settle();
        let ticks = peer.take_sent();
        assert_eq!(ticks.len(), 12 + 4 * HIGH_WATER_BYTES);
        assert!("tick\n".repeat(ticks.len()).starts_with(&ticks));
    }

    #[test]
    fn bytes_of_its_peer_are_read_meanwhile() {
        let (mut stage, peer) = stage_and_peer(12);
        peer.send(b"x");
        stage.settle();
        assert_eq!(peer.wire.borrow().inbound_len(), 1, "under backpressure nothing is read");
        peer.set_room(4 * HIGH_WATER_BYTES);
        stage.settle();
        assert!(peer.take_sent().contains("tick\nok\ntick\n"));
    }

    #[test]
    fn the_end_of_its_input_does_not_end_it() {
        let (mut stage, peer) = stage_and_peer(0);
        peer.send_and_end(b"");
        peer.set_room(4 * HIGH_WATER_BYTES);
        stage.settle();
        assert_eq!(peer.take_sent().len(), 4 * HIGH_WATER_BYTES);
        let reads = peer.wire.borrow().reads;
        let everything = Readiness { readable: true, writable: true, read_to_end: true };
        stage.event(Event::Connection(peer.token().expect("registered"), everything));
        stage.settle();
        assert_eq!(peer.wire.borrow().reads, reads, "after the end of input nothing is read");
        assert!(!peer.is_closed());
    }

    #[test]
    fn its_peer_is_reset_after_the_write_timeout() {
        let (mut stage, peer) = stage_and_peer(12);
        stage.pass(WRITE);
        assert!(peer.is_closed() && peer.wire.borrow().was_reset);
        assert_eq!(closed_for(&stage, CloseReason::WriteTimeout), 1);
        assert_eq!(stage.event_loop.shared.pool.lent_bytes(), 0);
    }

    #[test]
    fn a_peer_that_reads_everything_does_not_delay_others() {
        let mut stage = Stage::new(TICKING, &Config::default());
        let (greedy, other) = (stage.queue_peer(), stage.queue_peer());
        greedy.set_room(usize::MAX);
        other.set_room(usize::MAX);
        let sent = || [&greedy, &other].map(|peer| peer.wire.borrow().sent.len());
        stage.event_loop.round().expect("a round");
        for _ in 0..3 {
            let before = sent();
            // Each session sends more than the budget of a round.
            (0..2).for_each(|_| stage.event_loop.round().expect("a round"));
            assert!(
                sent().iter().zip(before).all(|(now, before)| *now > before),
                "two rounds serve both"
            );
        }
    }

    #[test]
    fn a_shutdown_ends_it() {
        let (mut stage, peer) = stage_and_peer(0);
        peer.set_room(usize::MAX);
        stage.event(Event::Mail(Mail::Stop));
        while !peer.wire.borrow().sent_end {
            stage.event_loop.round().expect("a round");
        }
        assert!(peer.take_sent().ends_with("tick\n"), "no answer is cut in half");
    }

    #[test]
    fn a_shutdown_waits_for_its_peer_at_most_the_drain_timeout() {
        let (mut stage, _peer) = stage_and_peer(12);
        stage.event(Event::Mail(Mail::Stop));
        stage.pass(DRAIN);
        assert!(stage.event_loop.is_over());
    }
}
