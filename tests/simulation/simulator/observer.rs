//! An observer of sessions: a protocol that wraps another one, checks each call, and passes it on.

use std::sync::Arc;

use tinytcp_core::close_reason::CloseReason;
use tinytcp_core::protocol::{Accepted, Context, Farewell, Next, Output, Protocol, Session, Step};
use tinytcp_core::rooms::Seat;

use super::coverage::Behaviour;
use super::invariant::Invariant;
use super::kernel::Shared;
use super::network::{Link, Network};
use super::oracle::Unasked;

/// A protocol whose sessions are observed.
pub struct Observer {
    pub protocol: Arc<dyn Protocol>,
    pub own_places: Option<usize>,
    pub network: Shared,
}

impl Protocol for Observer {
    fn name(&self) -> &'static str {
        self.protocol.name()
    }

    fn session(&self, accepted: &Accepted) -> Box<dyn Session> {
        let id = self.network.lock().accepted_as(accepted);
        Box::new(ObservedSession {
            session: self.protocol.session(accepted),
            network: self.network.clone(),
            id,
        })
    }

    fn own_places(&self) -> Option<usize> {
        self.own_places
    }

    fn ends_messages_by_quiet(&self) -> bool {
        self.protocol.ends_messages_by_quiet()
    }
}

struct ObservedSession {
    session: Box<dyn Session>,
    network: Shared,
    id: usize,
}

impl Session for ObservedSession {
    fn greet(&mut self, output: &mut Output<'_>) {
        let before = output.len();
        self.session.greet(output);
        let mut network = self.network.lock();
        network.note_output(self.id, before, output.len());
        network.note_call(self.id, "greets", b"", 0);
    }

    fn advance(&mut self, input: &[u8], context: &mut Context<'_>) -> (usize, Step) {
        self.network.lock().check_call(self.id, input);
        let before = context.output().len();
        let (consumed, step) = self.session.advance(input, context);
        let mut network = self.network.lock();
        network.note_messages(self.id, context.messages());
        if input.is_empty() {
            network.check_news(self.id, before, context.output().len());
        }
        network.note_output(self.id, before, context.output().len());
        network.note_call(self.id, "runs", input, consumed);
        network.run_room_commands(self.id);
        network.check_step(self.id, step);
        (consumed, step)
    }

    fn take_seat(&mut self) -> Seat {
        self.network.lock().rooms.forget(self.id);
        self.session.take_seat()
    }

    fn complete_piece(&mut self, input: &[u8], context: &mut Context<'_>) -> Next {
        self.network.lock().check_call(self.id, input);
        self.network.lock().check_quiet(self.id);
        let before = context.output().len();
        let next = self.session.complete_piece(input, context);
        let mut network = self.network.lock();
        network.cover(Behaviour::Piece);
        network.note_messages(self.id, context.messages());
        network.links[self.id].account.oracle.complete_piece();
        network.note_output(self.id, before, context.output().len());
        network.note_call(self.id, "takes for a message", input, input.len());
        network.run_room_commands(self.id);
        if next == Next::Close {
            network.check_step(self.id, Step::Close(CloseReason::Quit));
        }
        next
    }

    fn refuse(&mut self, input: &[u8], context: &mut Context<'_>) -> usize {
        self.network.lock().check_call(self.id, input);
        let before = context.output().len();
        let consumed = self.session.refuse(input, context);
        let mut network = self.network.lock();
        if !network.plan.is_memory_short() {
            network.fail(
                Invariant::BoundedMemory,
                Some(self.id),
                "a message is refused although there is memory",
            );
        }
        if consumed > 0 {
            network.cover(Behaviour::Refusal);
            network.links[self.id].account.oracle.refuse();
        }
        network.note_messages(self.id, context.messages());
        network.note_output(self.id, before, context.output().len());
        network.note_call(self.id, "refuses", input, consumed);
        consumed
    }

    fn append_farewell(&mut self, farewell: Farewell, output: &mut Output<'_>) {
        let before = output.len();
        self.session.append_farewell(farewell, output);
        let mut network = self.network.lock();
        if matches!(farewell, Farewell::ServerBusy | Farewell::TlsRequired) {
            // The farewell replaces the greeting.
            network.links[self.id].account.unheard_len = 0;
        }
        network.check_unasked(self.id, farewell);
        network.note_output(self.id, before, output.len());
        network.note_call(self.id, "says unasked", b"", 0);
    }
}

impl Network {
    /// Returns the connection for which a session is created, which must have its peer.
    fn accepted_as(&mut self, accepted: &Accepted) -> usize {
        let is_of = |link: &Link| {
            link.account.token.is_some_and(|token| token.number() == accepted.number())
        };
        let id = self.links.iter().position(is_of).expect("a registered connection");
        // A connection over the limit is rejected before its header.
        let expected = self.peer(id);
        if accepted.peer() != expected {
            let what = format!("its peer is {}, not {expected}", accepted.peer());
            self.fail(Invariant::PeerKnown, Some(id), what);
        }
        self.note_admitted(id, expected);
        id
    }

    /// A session gets all bytes that were read on its connection and not consumed, and is not
    /// called after its end.
    fn check_call(&mut self, id: usize, input: &[u8]) {
        self.give_input(id, input);
        let now = self.now;
        let account = &mut self.links[id].account;
        if std::mem::take(&mut account.has_paused) {
            account.oracle.look_again(now);
        }
        let (is_own, is_over) = (account.stream == input, account.is_session_over);
        if account.opening.is_some() {
            self.fail(Invariant::PeerKnown, Some(id), "a session is called before the header");
        }
        if !is_own {
            self.fail(
                Invariant::OwnBytesOnly,
                Some(id),
                "a session gets bytes that were not read on its connection",
            );
        }
        if is_over {
            self.fail(
                Invariant::NothingAfterClose,
                Some(id),
                "a session is called after its end was decided",
            );
        }
    }

    /// Notes that a call has left `after` bytes of output, of which there were `before`.
    fn note_output(&mut self, id: usize, before: usize, after: usize) {
        let now = self.now;
        self.links[id].account.note_output(before, after, now);
    }

    fn note_call(&mut self, id: usize, what: &'static str, input: &[u8], consumed: usize) {
        let account = &mut self.links[id].account;
        account.consumed_len += consumed;
        account.stream.drain(..consumed.min(account.stream.len()));
        self.note(id, what, (consumed, input.len()), &input[..consumed]);
    }

    /// A session ends exactly when the oracle expects it.
    fn check_step(&mut self, id: usize, step: Step) {
        self.note_admin_step(id, step);
        let account = &mut self.links[id].account;
        let (closes, has_closed) = (matches!(step, Step::Close(_)), account.oracle.is_closed());
        account.is_session_over |= closes;
        account.has_paused = step == Step::Paused;
        match step {
            Step::Close(_) if !has_closed => {
                self.fail(Invariant::AtMostOnce, Some(id), "a session closes without a reason");
            }
            Step::Done | Step::Incomplete { .. } if has_closed => {
                self.fail(
                    Invariant::AtMostOnce,
                    Some(id),
                    "a session goes on after its last message",
                );
            }
            _ => {}
        }
    }

    /// A message without an ending is complete after a quiet period, at the end of input, or when
    /// the server stops.
    fn check_quiet(&mut self, id: usize) {
        self.check_piece(id);
        let Link { account, channel, .. } = &self.links[id];
        let has_more = channel.unread_len() > 0;
        let was_quiet = self.now >= account.last_received.deadline(self.settings().timeouts.quiet);
        if (!was_quiet || has_more) && !account.has_input_ended() && self.is_listening {
            self.fail(
                Invariant::TimeFromTheSeam,
                Some(id),
                "a message without an ending is run before the quiet period is over",
            );
        }
    }

    /// A TLS handshake ends the connection exactly when the oracle expects it.
    fn check_tls(&mut self, id: usize) {
        let account = &mut self.links[id].account;
        account.is_session_over = true;
        account.unasked = Some(Unasked::Tls);
        if account.oracle.may_be_tls() {
            account.oracle.end(Unasked::Tls);
        }
        if !account.oracle.is_closed() {
            self.fail(Invariant::AnswersInOrder, Some(id), "a client is mistaken for one of TLS");
        }
    }

    /// A client in clear is turned away from an encrypted listener by its first byte.
    fn check_tls_required(&mut self, id: usize) {
        let is_plain = self.is_plain_at_tls(id);
        self.cover(Behaviour::NotTls);
        let account = &mut self.links[id].account;
        account.is_session_over = true;
        account.unasked = Some(Unasked::NoTls);
        account.oracle.end(Unasked::NoTls);
        if !is_plain {
            let what = "a client that uses TLS is refused as a client in clear";
            self.fail(Invariant::AnswersInOrder, Some(id), what);
        }
    }

    /// The server may end a conversation when a timeout has passed, when it is full, or when it
    /// stops.
    fn check_unasked(&mut self, id: usize, farewell: Farewell) {
        let timeouts = self.settings().timeouts;
        let account = &mut self.links[id].account;
        let last_moved = account.last_received.max(account.last_sent);
        let (unasked, due) = match farewell {
            Farewell::ServerBusy => (Unasked::Busy, self.now),
            Farewell::NotTls => return self.check_tls(id),
            Farewell::TlsRequired => return self.check_tls_required(id),
            Farewell::Shutdown => (Unasked::Shutdown, self.now),
            Farewell::IdleTimeout => (Unasked::Idle, last_moved.deadline(timeouts.idle)),
            // Under backpressure no byte of its message could be read.
            Farewell::MessageTimeout => (
                Unasked::Late,
                account.incomplete_since().max(account.resumed).deadline(timeouts.message),
            ),
            _ => return self.fail(Invariant::AnswersInOrder, Some(id), "an unknown farewell"),
        };
        let is_over = std::mem::replace(&mut account.is_session_over, true);
        let has_place = unasked == Unasked::Busy && self.has_place(id);
        let account = &mut self.links[id].account;
        account.unasked = Some(unasked);
        account.opening = None;
        account.oracle.end(unasked);
        if is_over {
            self.fail(Invariant::NothingAfterClose, Some(id), "a farewell after the end");
        }
        if has_place {
            self.fail(
                Invariant::AcceptRecovers,
                Some(id),
                "it is rejected although there is a place for it",
            );
        }
        if matches!(unasked, Unasked::Idle | Unasked::Late)
            && self.links[id].channel.unread_len() > 0
            && !self.is_over_message_rate(id)
        {
            self.fail(
                Invariant::TimeFromTheSeam,
                Some(id),
                "it is closed although bytes that it has sent were not read",
            );
        }
        if self.now < due {
            self.fail(Invariant::TimeFromTheSeam, Some(id), "a deadline is enforced early");
        }
        if unasked == Unasked::Shutdown && self.is_listening {
            self.fail(Invariant::ShutdownEnds, Some(id), "a shutdown without a request");
        }
        if unasked == Unasked::Shutdown && self.stopped_at.is_none() {
            self.check_gradual_close(id);
        }
    }

    /// Of `open` connections the server dismisses at most their share in each part of the time.
    fn check_gradual_close(&mut self, id: usize) {
        let length = self.settings().timeouts.drain.unwrap_or_default().as_nanos();
        let Some(closing) = &mut self.gradual_close else { return };
        let due = length * closing.dismissed as u128 / closing.open.max(1) as u128;
        let is_early = self.now.since(closing.began).as_nanos() < due;
        closing.dismissed += 1;
        self.cover(Behaviour::GradualClose);
        if is_early {
            self.fail(Invariant::GradualClose, Some(id), "too many connections close at once");
        }
    }
}
