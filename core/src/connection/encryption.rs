//! The moves of an encrypted connection: between the kernel, its layer, and its buffers.
//!
//! ```text
//!   kernel --receive--> raw --open--> input --advance--> session --append--> output
//!   kernel <---flush--- sealed <---------------seal-------------------------'
//! ```
//!
//! To open a record is to decrypt it; to seal bytes is to encrypt them as records. The rules of
//! readiness hold for bytes of the kernel. What is left in the layer causes no event: the
//! connection then needs another turn, or waits until its own output is sent, as a plain one does.

use std::io;

use super::conversation::Conversation;
use super::socket_io::receive;
use super::{Connection, Pending, ReadState, Shared};
use crate::close_reason::CloseReason;
use crate::os::moment::Moment;
use crate::os::system::Socket;
use crate::tls::Layer;
use crate::tls::layer::LayerError;

impl<S: Socket> Connection<S> {
    /// Reads into the layer, once, unless records wait there, and opens the records that are
    /// complete. Returns false if that changed nothing.
    pub(super) fn fill_layer(&mut self, shared: &mut Shared) -> io::Result<bool> {
        let has_received = self.is_readable()
            && !self.has_unopened()
            && self
                .receive_raw(shared)?
                .inspect(|count| self.count_received(*count, shared))
                .is_some();
        Ok(self.open_records(shared)? || has_received)
    }

    /// Reads into the layer, once. Returns how many bytes came, or `None` if nothing has arrived.
    pub(super) fn receive_raw(&mut self, shared: &mut Shared) -> io::Result<Option<usize>> {
        let Some(layer) = self.conversation.layer_mut() else { return Ok(None) };
        let (socket, bytes_max) = (&mut self.socket, shared.read_bytes_max);
        let received =
            layer.raw_mut().read(&mut shared.pool, |spare| receive(socket, spare, bytes_max))?;
        Ok(self.note_received(received, shared))
    }

    /// Opens the records that wait in the layer, as far as the input has room. Returns false if no
    /// record waits, or if there is no room in memory yet.
    fn open_records(&mut self, shared: &mut Shared) -> io::Result<bool> {
        let room = match self.conversation.layer() {
            Some(layer) if layer.has_unopened() => layer.room_wanted(),
            _ => return Ok(false),
        };
        if let Err(len) = self.make_room(room, shared) {
            return self.wait_for_room(len, shared);
        }
        let Conversation::Encrypted(it) = &mut self.conversation else { return Ok(false) };
        match it.open(&mut self.input, &mut shared.pool, shared.clock.now()) {
            Ok(count) => {
                if it.layer.has_ended() {
                    self.read_state = ReadState::Ended;
                }
                if count > 0 && self.input.len() >= self.complete_len as usize {
                    self.pending = Pending::Messages;
                }
            }
            Err(error) => self.fail(&error, CloseReason::TlsFailed, shared),
        }
        Ok(true)
    }

    /// True if records have arrived that are not opened.
    #[inline]
    pub(super) const fn has_unopened(&self) -> bool {
        match self.conversation.layer() {
            Some(layer) => layer.has_unopened(),
            None => false,
        }
    }

    /// Drops the records that are not opened: no more messages are run.
    pub(super) fn drop_unopened(&mut self, shared: &mut Shared) {
        if let Conversation::Encrypted(it) = &mut self.conversation {
            it.layer.drop_unopened(&mut shared.pool);
            it.record_began = Moment::NEVER;
        }
    }

    /// True if the end of the input is not authentic: the stream may have been cut.
    pub(super) fn is_truncated(&self) -> bool {
        self.conversation.layer().is_some_and(|layer| !layer.has_ended())
    }

    /// True if the kernel has accepted all bytes that the connection has to send.
    #[inline]
    pub(super) const fn is_flushed(&self) -> bool {
        self.output.is_empty()
            && match self.conversation.layer() {
                Some(layer) => layer.is_flushed(),
                None => true,
            }
    }

    /// The number of sealed bytes that the kernel has not accepted.
    pub(super) fn sealed_len(&self) -> usize {
        self.conversation.layer().map_or(0, Layer::sealed_len)
    }

    /// Ends the connection after a failure of the layer. What is sealed is sent, and its alert is
    /// the last record: the output that is not sealed is dropped, because a stream that is not
    /// authentic ends at once (RFC 8446, section 6.2).
    pub(super) fn fail(&mut self, error: &LayerError, reason: CloseReason, shared: &mut Shared) {
        self.announce(shared);
        shared.activity.encryption_failed(&self.peer, error);
        self.output.release(&mut shared.pool);
        self.begin_flushing(reason, shared);
    }

    /// Seals the `close_notify`, which the peer must get before the end of the output. Returns
    /// false if there is nothing to seal.
    pub(super) fn finish_layer(&mut self, shared: &mut Shared) -> bool {
        let Some(layer) = self.conversation.layer_mut() else { return false };
        layer.finish(&mut shared.pool);
        !layer.is_flushed()
    }
}
