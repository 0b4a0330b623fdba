//! The memory that a connection holds between its turns, and how an eviction frees it.

use std::io;

use super::{Connection, Pending, Phase, Shared, Turn};
use crate::close_reason::CloseReason;
use crate::os::moment::Moment;
use crate::os::system::Socket;
use crate::tls::Layer;

impl<S: Socket> Connection<S> {
    /// The bytes of storage that the connection holds.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let layer = self.conversation.layer().map_or(0, Layer::held_bytes);
        self.input.capacity() + self.output.capacity() + layer
    }

    /// When the connection began to hold them: with the first byte of its incomplete message or of
    /// its waiting answers, whichever is earlier.
    #[must_use]
    pub fn holds_since(&self) -> Moment {
        let waits_since = if self.is_flushed() { Moment::NEVER } else { self.last_sent };
        self.message_began.min(waits_since).min(self.last_received.max(self.last_sent))
    }

    /// Returns to the pool the storage that its bytes do not need.
    pub(super) fn shrink_buffers(&mut self, shared: &mut Shared) {
        self.input.shrink(&mut shared.pool);
        self.output.shrink(&mut shared.pool);
        if let Some(layer) = self.conversation.layer_mut() {
            layer.shrink(&mut shared.pool);
        }
    }

    /// Evicts the connection: it runs and sends what it can, and then refuses an incomplete
    /// message. Returns [`Turn::Idle`] if it then holds no storage, and otherwise a close with a
    /// reset, which also frees the memory of the kernel.
    pub fn evict(&mut self, shared: &mut Shared) -> Turn {
        if self.phase == Phase::Opening {
            return Turn::Close(CloseReason::MemoryLimit);
        }
        let moved = self.run_and_flush(shared).and_then(|()| {
            if !self.input.is_empty() && self.pending != Pending::Messages {
                self.refuse(shared);
            }
            self.run_and_flush(shared)
        });
        self.shrink_buffers(shared);
        match moved {
            Err(error) => Turn::Close(self.reason_of(&error)),
            Ok(()) if self.held_bytes() == 0 => Turn::Idle,
            Ok(()) => {
                self.socket.reset_on_close();
                Turn::Close(CloseReason::MemoryLimit)
            }
        }
    }

    /// Runs and sends what waits, as long as the buffers shrink.
    fn run_and_flush(&mut self, shared: &mut Shared) -> io::Result<()> {
        let waiting = |it: &Self| (it.input.len(), it.output.len() + it.sealed_len());
        let mut held = (usize::MAX, usize::MAX);
        while waiting(self) < held {
            held = waiting(self);
            if self.wants_flush() {
                self.flush(shared)?;
            }
            if self.pending == Pending::Messages && self.wants_advance() {
                self.advance(shared);
            }
        }
        // The session of a member has appended messages of its room too.
        if self.wants_flush() {
            self.flush(shared)?;
        }
        Ok(())
    }
}
