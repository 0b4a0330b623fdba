//! The moves between the buffers of a connection and the kernel. Each makes at most one system
//! call.

use std::io;

use super::{Connection, Pending, Phase, ReadState, Shared};
use crate::buffers::pool::BLOCK_LEN;
use crate::close_reason::CloseReason;
use crate::limits::{LOW_WATER_BYTES, write_time};
use crate::os::moment::Moment;
use crate::os::system::{Socket, would_block};

impl<S: Socket> Connection<S> {
    /// Writes as many bytes of the output to the socket as the kernel accepts. Returns false if
    /// it accepts none and nothing else has changed.
    pub(super) fn flush(&mut self, shared: &mut Shared) -> io::Result<bool> {
        let waiting = match self.conversation.seal(&mut self.output, &mut shared.pool) {
            Ok(waiting) => waiting,
            Err(error) => {
                self.fail(&error, CloseReason::TlsFailed, shared);
                return Ok(true);
            }
        };
        match self.socket.send(waiting.bytes()) {
            Ok(count) => {
                waiting.consume(count);
                self.sent_bytes += count as u64;
                let now = shared.clock.now();
                // An empty output ends the wait. A partial write moves the write deadline ahead in
                // proportion to its bytes.
                self.last_sent = if self.is_flushed() {
                    now
                } else {
                    now.min(self.last_sent.after(write_time(count)))
                };
                shared.moved_bytes += count as u64;
                shared
                    .status
                    .count(self.peer.listener(), |counters| counters.sent_bytes += count as u64);
                self.end_backpressure_if_low(now);
                Ok(true)
            }
            Err(error) if would_block(&error) => {
                self.writable = false;
                let was_full = self.backpressure;
                // The layer may have taken bytes of the output.
                self.end_backpressure_if_low(shared.clock.now());
                Ok(was_full && !self.backpressure)
            }
            Err(error) => Err(error),
        }
    }

    /// Ends backpressure once the output is low enough.
    const fn end_backpressure_if_low(&mut self, now: Moment) {
        if self.backpressure && self.output.len() <= LOW_WATER_BYTES {
            self.backpressure = false;
            self.restart_incomplete(now);
        }
    }

    /// Restarts the time of a message whose rest could not be read until `now`.
    pub(super) const fn restart_incomplete(&mut self, now: Moment) {
        if !matches!(self.message_began, Moment::NEVER) {
            self.message_began = now;
        }
        self.conversation.restart_record(now);
    }

    /// Reads from the socket into the input, once. Returns false if nothing has arrived, or if
    /// there is no room in memory yet.
    pub(super) fn fill(&mut self, shared: &mut Shared) -> io::Result<bool> {
        if self.conversation.layer().is_some() {
            return self.fill_layer(shared);
        }
        if let Err(len) = self.make_room(0, shared) {
            return self.wait_for_room(len, shared);
        }
        let Some(count) = self.receive_input(shared)? else { return Ok(false) };
        self.count_received(count, shared);
        if self.read_state != ReadState::Ended && self.input.len() >= self.complete_len as usize {
            self.pending = Pending::Messages;
        }
        Ok(true)
    }

    /// Makes room in the input for a read. An encrypted connection does not read into its input:
    /// `count` is then how many bytes its layer appends, at most those of one TLS record.
    ///
    /// # Errors
    /// When memory has no room yet: the length of the block that is needed.
    pub(super) fn make_room(&mut self, count: usize, shared: &mut Shared) -> Result<(), usize> {
        let missing = (self.complete_len as usize)
            .checked_sub(self.input.len())
            .filter(|missing| *missing > 0);
        let mut wanted = self.input.block_wanted(missing);
        if wanted.is_none() {
            self.input.compact();
            let is_short = self.input.spare().len() < count;
            wanted = is_short.then(|| BLOCK_LEN.max(self.input.len() + count));
        }
        match wanted {
            Some(len) if !self.input.move_to(len, &mut shared.pool) => Err(len),
            _ => Ok(()),
        }
    }

    /// Reads into the free storage of the input, once. Returns how many bytes came, or `None` if
    /// nothing has arrived.
    pub(super) fn receive_input(&mut self, shared: &mut Shared) -> io::Result<Option<usize>> {
        let (socket, bytes_max) = (&mut self.socket, shared.read_bytes_max);
        let received =
            self.input.read(&mut shared.pool, |spare| receive(socket, spare, bytes_max))?;
        Ok(self.note_received(received, shared))
    }

    /// Notes the result of a read: how many bytes came, and for how many there was room. Returns
    /// how many came, or `None` if nothing has arrived.
    pub(super) fn note_received(
        &mut self,
        received: Option<(usize, usize)>,
        shared: &mut Shared,
    ) -> Option<usize> {
        let Some((count, room)) = received else {
            self.read_state = ReadState::Empty;
            return None;
        };
        self.note_read(count, room, shared);
        if self.overdue {
            self.note_grace(count);
        }
        Some(count)
    }

    /// Waits when no block of `len` bytes is free for the first message of the input. If eviction
    /// can make room, the connection stays in the run queue until there is room or it is evicted
    /// itself. If the message can never fit, it is refused.
    #[cold]
    pub(super) fn wait_for_room(&mut self, len: usize, shared: &mut Shared) -> io::Result<bool> {
        let complete_len = len.max(self.complete_len as usize);
        if !shared.pool.has_room_for(len)
            && shared.pool.may_have_room_for(complete_len, self.held_bytes())
        {
            shared.pool.note_shortage(len);
            return Ok(false);
        }
        shared.pool.note_misfit();
        match self.refuse(shared) {
            // A session that keeps the refused bytes would refuse them for ever: it is closed.
            0 => Err(io::ErrorKind::OutOfMemory.into()),
            _ => Ok(true),
        }
    }

    /// Notes a read of `count` bytes into a space of `room` bytes, and what it reveals about the
    /// socket.
    fn note_read(&mut self, count: usize, room: usize, shared: &mut Shared) {
        // An event comes only once, so reads go on until the socket is empty. A short read has
        // emptied it, and bytes that arrive later cause a new event. This saves the read that would
        // return `WouldBlock`, a third of all system calls. For the exceptions see
        // `Readiness::read_to_end`.
        if count == 0 {
            self.read_state = ReadState::Ended;
        } else if count < room && self.read_state == ReadState::Readable {
            self.read_state = ReadState::Empty;
        }
        self.last_received = shared.clock.now();
        shared.moved_bytes += count as u64;
    }

    /// Counts `count` bytes of the client, and shows the connection in the log. The line of an
    /// encrypted one waits for the end of its handshake, which it names.
    pub(super) fn count_received(&mut self, count: usize, shared: &mut Shared) {
        self.received_bytes += count as u64;
        shared
            .status
            .count(self.peer.listener(), |counters| counters.received_bytes += count as u64);
        let is_shaking_hands = self.phase == Phase::Opening && self.conversation.layer().is_some();
        if count > 0 && !is_shaking_hands {
            self.announce(shared);
        }
    }

    /// Begins the lingering close: shuts the write side down once the kernel has all answers, and
    /// the `close_notify` after them if they are encrypted. Returns false if the connection need
    /// not linger, because the peer has ended its input or is gone.
    pub(super) fn finish_output(&mut self, reason: CloseReason, shared: &mut Shared) -> bool {
        if self.finish_layer(shared) {
            return true;
        }
        if self.read_state == ReadState::Ended || self.socket.shutdown_write().is_err() {
            return false;
        }
        self.phase = Phase::Lingering(reason);
        self.grace_bytes = 0;
        self.last_sent = shared.clock.now();
        true
    }

    /// Reads once and discards the bytes. Returns false if nothing has arrived.
    pub(super) fn discard(&mut self, shared: &mut Shared) -> io::Result<bool> {
        let mut block = shared.pool.lend(BLOCK_LEN);
        let received = receive(&mut self.socket, block.spare(), shared.read_bytes_max);
        shared.pool.take_back(block);
        let Some((count, room)) = received? else {
            self.read_state = ReadState::Empty;
            return Ok(false);
        };
        self.note_read(count, room, shared);
        self.count_received(count, shared);
        self.note_grace(count);
        Ok(true)
    }

    fn note_grace(&mut self, count: usize) {
        self.grace_bytes =
            self.grace_bytes.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    }
}

/// Reads once, at most `bytes_max` bytes. Returns how many bytes came and for how many there was
/// room, or `None` if nothing has arrived.
pub(super) fn receive<S: Socket>(
    socket: &mut S,
    spare: &mut [u8],
    bytes_max: usize,
) -> io::Result<Option<(usize, usize)>> {
    let room = spare.len().min(bytes_max);
    match socket.receive(spare.split_at_mut(room).0) {
        Ok(count) => Ok(Some((count, room))),
        Err(error) if would_block(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
