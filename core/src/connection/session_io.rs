//! The moves between the buffers of a connection and its session: which messages are run, and when
//! the conversation is over.

use super::{Connection, Pending, Phase, ReadState, Shared, Stopping};
use crate::close_reason::CloseReason;
use crate::limits::HIGH_WATER_BYTES;
use crate::os::moment::Moment;
use crate::os::system::Socket;
use crate::protocol::{ConnectionInfo, Context, Farewell, Next, Output, Session, Step};
use crate::wire::tls;

impl<S: Socket> Connection<S> {
    /// Lets the session run the complete messages of the input. Returns true if it made progress.
    pub(super) fn advance(&mut self, shared: &mut Shared) -> bool {
        if self.has_begun_as_tls() {
            self.end(Farewell::NotTls, CloseReason::Tls, shared);
            return true;
        }
        let now = shared.clock.now();
        let waiting_len = self.output.len();
        let (consumed, step, ended, has_news) =
            self.with_session(shared, |session, input, context| {
                let (consumed, step) = session.advance(input, context);
                (consumed, step, context.has_ended_a_message(), context.has_news())
            });
        self.input.consume(consumed);
        self.pending = match step {
            Step::Paused => Pending::Messages,
            _ if has_news => Pending::News,
            _ => Pending::Nothing,
        };
        self.complete_len = 0;
        match step {
            Step::Done | Step::Paused => self.message_began = Moment::NEVER,
            Step::Incomplete { missing } => {
                let complete_len =
                    missing.map_or(0, |missing| self.input.len().saturating_add(missing));
                self.complete_len = u32::try_from(complete_len).unwrap_or(u32::MAX);
                if ended || self.message_began == Moment::NEVER {
                    self.message_began = now;
                }
            }
            Step::Close(reason) => self.begin_flushing(reason, shared),
        }
        // A call that leaves nothing pending is progress too: the next move is a read.
        consumed > 0 || self.pending == Pending::Nothing || self.output.len() > waiting_len
    }

    /// True if the first bytes of the connection are a TLS handshake and this protocol does not
    /// allow such a beginning.
    #[inline]
    fn has_begun_as_tls(&mut self) -> bool {
        self.received_bytes == self.input.len() as u64
            && tls::is_handshake(self.input.bytes())
            && !self.conversation.session().may_begin_as_tls()
    }

    /// Lets the session refuse the first message of the input, for which there is no memory.
    /// Returns how many bytes the session has dropped.
    pub(super) fn refuse(&mut self, shared: &mut Shared) -> usize {
        let consumed =
            self.with_session(shared, |session, input, context| session.refuse(input, context));
        self.input.consume(consumed);
        self.complete_len = 0;
        consumed
    }

    /// Ends the conversation if no more messages can come: the peer has ended its input, or the
    /// server stops and all that had arrived is answered. Returns true if it ended.
    ///
    /// The end of the input may be a half-close: the peer sends no more, and still reads. So its
    /// last messages are answered first, and the answers are sent before the connection is closed.
    pub(super) fn end_if_over(&mut self, shared: &mut Shared) -> bool {
        // A session that sends unasked stays open after the end of input, but not after a stop.
        let is_all_run = self.pending != Pending::Messages || self.input.is_empty();
        let has_ended = self.read_state == ReadState::Ended && !self.has_unopened();
        let is_over = match self.stopping {
            Stopping::No => has_ended && self.pending != Pending::Messages,
            Stopping::Reading => !self.may_read() && is_all_run,
            Stopping::Answering => is_all_run,
        };
        if !is_over {
            return false;
        }
        let last = if has_ended && self.is_truncated() {
            // The rest of the input may be only a part of a message, even if the protocol would
            // accept it as a whole one.
            Some(CloseReason::Truncated)
        } else if self.ends_messages_by_quiet {
            self.complete_piece(shared).close_reason()
        } else {
            None
        };
        if let Some(reason) = last {
            self.begin_flushing(reason, shared);
        } else if has_ended {
            self.begin_flushing(CloseReason::PeerClosed, shared);
        } else {
            self.end(Farewell::Shutdown, CloseReason::Shutdown, shared);
        }
        true
    }

    /// Lets the session treat the rest of the input as a message.
    pub(super) fn complete_piece(&mut self, shared: &mut Shared) -> Next {
        let next = self
            .with_session(shared, |session, input, context| session.complete_piece(input, context));
        self.input.consume(self.input.len());
        self.message_began = Moment::NEVER;
        next
    }

    /// Calls the session, and updates counters and backpressure afterwards.
    fn with_session<T>(
        &mut self,
        shared: &mut Shared,
        call: impl FnOnce(&mut dyn Session, &[u8], &mut Context<'_>) -> T,
    ) -> T {
        let Shared { pool, clock, activity, status, turn_of, address_limits, rooms, .. } = shared;
        let now = clock.now();
        let connection = ConnectionInfo {
            peer: self.peer,
            token: *turn_of,
            opened: self.opened,
            received_bytes: self.received_bytes,
            sent_bytes: self.sent_bytes,
            messages: self.messages,
        };
        let was_empty = self.is_flushed();
        let (session, tls) = self.conversation.parts();
        let output = Output::new(&mut self.output, pool);
        let mut context =
            Context::new(output, clock, activity, &connection, status, rooms).over(tls);
        let result = call(session, self.input.bytes(), &mut context);
        let messages = context.messages();
        self.messages += messages;
        status.count(self.peer.listener(), |counters| counters.messages += messages);
        self.backpressure |= self.output.len() >= HIGH_WATER_BYTES;
        if was_empty {
            self.last_sent = now;
        }
        if self.allowance.is_limited() {
            address_limits.count_messages(&self.peer, messages, now);
        }
        result
    }

    /// Ends the conversation with a farewell of the protocol.
    pub(super) fn end(&mut self, farewell: Farewell, reason: CloseReason, shared: &mut Shared) {
        self.conversation
            .session()
            .append_farewell(farewell, &mut Output::new(&mut self.output, &mut shared.pool));
        self.begin_flushing(reason, shared);
    }

    /// Takes the connection out of its room. The connection must be the one that has its turn, as
    /// `shared.turn_of` says.
    pub(super) fn leave_room(&mut self, shared: &mut Shared) {
        shared.rooms.forget(shared.turn_of, &mut self.conversation.session().take_seat());
    }

    /// Begins the phase `Flushing`: no more messages are run, and waiting answers are still sent.
    pub(super) fn begin_flushing(&mut self, reason: CloseReason, shared: &mut Shared) {
        self.phase = Phase::Flushing(reason);
        self.pending = Pending::Nothing;
        self.leave_room(shared);
        self.message_began = Moment::NEVER;
        self.last_sent = shared.clock.now();
        self.input.release(&mut shared.pool);
        self.drop_unopened(shared);
    }
}
