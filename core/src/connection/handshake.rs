//! The handshake of an encrypted connection. Its session does not exist before it is complete.
//!
//! A handshake takes as long as dozens of requests. So each step of it is charged to the budget of
//! the round, and a connection whose peer has left gets no step.

use std::io;

use super::conversation::{Conversation, NoSession};
use super::{Allowance, Connection, Opened, ReadState, Shared, Stopping, Turn};
use crate::close_reason::CloseReason;
use crate::limits::HANDSHAKE_STEP_BYTES;
use crate::os::moment::Moment;
use crate::os::system::Socket;
use crate::protocol::{Farewell, Protocol};
use crate::queues::run_queue::Demand;
use crate::tls::TlsSettings;
use crate::tls::info::TLS12;
use crate::tls::layer::{BUSY_ALERT, LayerError, Step};

impl<S: Socket> Connection<S> {
    /// Begins the handshake of a connection whose peer is known. Bytes after the header of a proxy
    /// belong to the handshake.
    ///
    /// # Errors
    /// When the settings are unusable. No peer can cause an error.
    pub fn begin_handshake(
        &mut self,
        settings: &TlsSettings,
        shared: &Shared,
    ) -> Result<(), LayerError> {
        let raw = std::mem::take(&mut self.input);
        self.conversation = Conversation::encrypted(settings, raw)?;
        self.message_began = shared.clock.now();
        self.demand.note(HANDSHAKE_STEP_BYTES);
        Ok(())
    }

    /// Reads what has arrived, and then does the next step of the handshake.
    pub(super) fn shake_hands(&mut self, shared: &mut Shared) -> io::Result<Turn> {
        while self.is_readable() && self.stopping != Stopping::Answering && self.has_room_in_layer()
        {
            let Some(count) = self.receive_raw(shared)? else { break };
            self.count_received(count, shared);
        }
        if let Some(turn) = self.turn_without_step() {
            return Ok(turn);
        }
        let step = match self.conversation.layer_mut() {
            Some(layer) if layer.has_unopened() => {
                layer.shake_hands(&mut self.input, &mut shared.pool)
            }
            _ => Ok(Step::Incomplete),
        };
        if !matches!(step, Ok(Step::Incomplete)) {
            shared.moved_bytes += HANDSHAKE_STEP_BYTES;
        }
        match step {
            Ok(Step::Complete) => return Ok(Turn::Opened(Opened::Encrypted)),
            Ok(Step::Incomplete | Step::Answered) => {}
            Err(error) => {
                self.fail(&error, CloseReason::TlsHandshake, shared);
                return Ok(Turn::Yield);
            }
        }
        if self.wants_flush() {
            self.flush(shared)?;
        }
        Ok(match self.stopping {
            Stopping::No if self.is_readable() => Turn::Yield,
            // No event follows the end of the input.
            Stopping::No => self.turn_without_step().unwrap_or(Turn::Idle),
            Stopping::Reading | Stopping::Answering => Turn::Close(CloseReason::Shutdown),
        })
    }

    fn has_room_in_layer(&self) -> bool {
        self.conversation.layer().is_some_and(|layer| !layer.is_full())
    }

    /// Returns the result of a turn in which the handshake cannot go on, because the peer has begun
    /// without TLS or has left. Returns `None` if it can.
    fn turn_without_step(&self) -> Option<Turn> {
        let layer = self.conversation.layer()?;
        if layer.is_other_protocol() {
            return Some(Turn::Opened(Opened::Unencrypted));
        }
        let is_useless = layer.is_unanswered() || !layer.has_unopened();
        // A peer that closes without a byte is a probe.
        let is_probe = self.received_bytes == 0;
        (self.read_state == ReadState::Ended && is_useless).then_some(Turn::Close(match is_probe {
            true => CloseReason::PeerClosed,
            false => CloseReason::TlsHandshake,
        }))
    }

    /// Notes that the handshake is complete, for the counters, the log, and the session.
    pub(super) fn end_handshake(&mut self, shared: &mut Shared) {
        let Conversation::Encrypted(it) = &mut self.conversation else { return };
        let info = it.info.insert(it.layer.info());
        if std::mem::replace(&mut self.announced, true) {
            shared.activity.encrypted(&self.peer, info);
        } else {
            let age = shared.clock.now().since(self.opened);
            shared.activity.opened_encrypted(&self.peer, info, age);
        }
        shared.status.count(self.peer.listener(), |counters| {
            counters.full_handshakes += u64::from(!info.is_resumed);
            counters.resumed_handshakes += u64::from(info.is_resumed);
            counters.tls12_handshakes += u64::from(info.version == TLS12);
        });
        if it.layer.has_ended() {
            self.read_state = ReadState::Ended;
        }
        // A part of the first record may have come with the last message.
        if it.layer.raw_len() > 0 {
            it.record_began = shared.clock.now();
        }
        self.message_began = Moment::NEVER;
        self.demand = Demand::default();
    }

    /// Answers a peer that has begun without TLS on an encrypted listener: with one error in the
    /// protocol of the listener, in clear.
    pub fn require_tls(&mut self, protocol: &dyn Protocol, shared: &mut Shared) {
        if let Some(layer) = self.conversation.layer_mut() {
            layer.release(&mut shared.pool);
        }
        self.conversation = Conversation::Plain(Box::new(NoSession));
        self.message_began = Moment::NEVER;
        self.open(protocol, shared);
        self.output.release(&mut shared.pool);
        self.end(Farewell::TlsRequired, CloseReason::TlsRequired, shared);
    }

    /// Rejects a connection over the limit of `reason` before its handshake, with an alert.
    pub fn reject_handshake(&mut self, reason: CloseReason, shared: &mut Shared) {
        self.allowance = Allowance::Rejected;
        self.output.append(&BUSY_ALERT, &mut shared.pool);
        self.begin_flushing(reason, shared);
    }
}
