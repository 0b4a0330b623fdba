//! One connection in the kernel: two queues of bytes, and the edges that the poller reports.
//!
//! ```text
//!   peer --push--> inbound --receive--> server     an edge: new bytes, FIN, an error
//!   peer <-take--- outbound <---send--- server     an edge: room again after a short write
//! ```
//!
//! It behaves as Linux (`tcp_poll`, `tcp_recvmsg`, `tcp_sendmsg`): an edge only marks the socket,
//! and the event reports the state at the time of the wait. `model.rs` compares it with the real
//! kernel.

use tinytcp_core::os::system::Readiness;

/// Why a call on a socket fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    WouldBlock,
    Errno(i32),
}

/// How the input of a client has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    NotYet,
    Orderly,
    Reset,
}

/// The sizes of the kernel's buffers, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub receive_max: usize,
    pub send_max: usize,
}

/// One connection.
#[derive(Debug)]
pub struct Channel {
    sizes: Sizes,
    inbound: Vec<u8>,
    /// The client has ended its output.
    inbound_ended: bool,
    /// The server has read that end.
    end_was_read: bool,
    /// Reads may be short although more bytes wait.
    is_urgent: bool,
    outbound: Vec<u8>,
    outbound_ended: bool,
    /// A write was not accepted in whole: new room is an edge.
    wants_room: bool,
    /// The error that the next call returns.
    error: Option<i32>,
    /// The connection was reset by one of its sides.
    is_reset: bool,
    /// The client has closed its socket: bytes that reach it from now on cause a reset.
    peer_closed: bool,
    server_closed: bool,
    /// The state has changed since the last event.
    has_edge: bool,
}

impl Channel {
    /// Creates an established connection.
    pub fn new(sizes: Sizes) -> Self {
        Self {
            sizes,
            inbound: Vec::new(),
            inbound_ended: false,
            end_was_read: false,
            is_urgent: false,
            outbound: Vec::new(),
            outbound_ended: false,
            wants_room: false,
            error: None,
            is_reset: false,
            peer_closed: false,
            server_closed: false,
            has_edge: false,
        }
    }
}

/// The calls of the server.
impl Channel {
    /// Reads at most `len` bytes; an empty result is the end of input.
    pub fn receive(&mut self, len: usize) -> Result<Vec<u8>, Refusal> {
        if !self.inbound.is_empty() {
            let count = len.min(self.inbound.len());
            return Ok(take_front(&mut self.inbound, count));
        }
        if let Some(errno) = self.error.take() {
            return Err(Refusal::Errno(errno));
        }
        if self.inbound_ended || self.is_reset {
            self.end_was_read = true;
            return Ok(Vec::new());
        }
        self.is_urgent = false;
        Err(Refusal::WouldBlock)
    }

    /// Accepts at most `most` of `bytes`, and returns how many.
    pub fn send(&mut self, bytes: &[u8], most: usize) -> Result<usize, Refusal> {
        if let Some(errno) = self.error.take() {
            return Err(Refusal::Errno(errno));
        }
        if self.is_reset || self.outbound_ended {
            return Err(Refusal::Errno(libc::EPIPE));
        }
        let room = self.sizes.send_max.saturating_sub(self.outbound.len());
        let count = bytes.len().min(room).min(most);
        self.wants_room |= count < bytes.len();
        if count == 0 {
            return Err(Refusal::WouldBlock);
        }
        self.outbound.extend_from_slice(&bytes[..count]);
        if self.peer_closed {
            self.fail(libc::EPIPE);
        }
        Ok(count)
    }

    /// Ends the server's output.
    pub fn shutdown_write(&mut self) -> Result<(), Refusal> {
        if self.is_reset {
            return Err(Refusal::Errno(libc::ENOTCONN));
        }
        self.outbound_ended = true;
        Ok(())
    }

    /// Closes the server's socket. With unread input, or on request, this is a reset, and bytes
    /// that the client has not read are lost.
    pub fn close(&mut self, by_reset: bool) {
        self.server_closed = true;
        self.outbound_ended = true;
        if by_reset || !self.inbound.is_empty() {
            self.is_reset = true;
            self.outbound.clear();
        }
        self.inbound.clear();
        self.has_edge = false;
    }

    /// The present state, as an event reports it.
    pub fn readiness(&mut self) -> Readiness {
        let is_over =
            self.error.is_some() || self.is_reset || (self.inbound_ended && self.outbound_ended);
        let has_room = self.is_a_third_free();
        self.wants_room |= !has_room;
        Readiness {
            readable: !self.inbound.is_empty() || self.inbound_ended || is_over,
            writable: has_room || self.outbound_ended || is_over,
            read_to_end: self.inbound_ended || is_over || self.is_urgent,
        }
    }

    /// Returns and clears the edge, if there is one.
    pub fn take_edge(&mut self) -> Option<Readiness> {
        if !std::mem::take(&mut self.has_edge) {
            return None;
        }
        let readiness = self.readiness();
        (readiness.readable || readiness.writable).then_some(readiness)
    }

    /// Registers the socket with the poller: its present state is an edge.
    pub fn register(&mut self) {
        self.has_edge = true;
    }
}

/// The calls of the client, and the network.
impl Channel {
    /// Sends as many of `bytes` as the server's buffer accepts, and returns how many.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        if self.inbound_ended || self.is_reset {
            return bytes.len();
        }
        if self.server_closed {
            // The server's kernel answers with a reset, and bytes in transit are lost.
            self.is_reset = true;
            self.outbound.clear();
            return bytes.len();
        }
        let count = bytes.len().min(self.sizes.receive_max.saturating_sub(self.inbound.len()));
        self.inbound.extend_from_slice(&bytes[..count]);
        self.has_edge |= count > 0;
        count
    }

    /// Reads at most `len` bytes.
    pub fn take(&mut self, len: usize) -> Vec<u8> {
        let count = len.min(self.outbound.len());
        let bytes = take_front(&mut self.outbound, count);
        self.make_room();
        bytes
    }

    /// Makes room for a waiting write, which is an edge.
    pub fn make_room(&mut self) {
        if self.wants_room && self.is_a_third_free() && !self.server_closed {
            self.wants_room = false;
            self.has_edge = true;
        }
    }

    /// Ends the client's output.
    pub fn end(&mut self) {
        if !self.inbound_ended && !self.is_reset {
            self.inbound_ended = true;
            self.has_edge = !self.server_closed;
        }
    }

    /// Closes the client's socket: in order if it has read everything, with a reset otherwise.
    pub fn peer_close(&mut self) {
        self.peer_closed = true;
        if !self.outbound.is_empty() {
            self.fail(if self.inbound_ended { libc::EPIPE } else { libc::ECONNRESET });
        }
        self.end();
    }

    /// Breaks the connection: the next call of the server returns `errno`.
    pub fn fail(&mut self, errno: i32) {
        if self.is_reset {
            return;
        }
        self.is_reset = true;
        self.outbound.clear();
        if !self.server_closed {
            self.error = Some(errno);
            self.has_edge = true;
        }
    }

    /// Simulates an urgent mark: reads may be short until one returns `WouldBlock`.
    pub fn mark_urgent(&mut self) {
        if !self.inbound.is_empty() && !self.server_closed {
            (self.is_urgent, self.has_edge) = (true, true);
        }
    }

    /// How the client's input has ended, once it has read everything.
    pub fn end_seen_by_peer(&self) -> End {
        match (self.is_reset, self.outbound_ended && self.outbound.is_empty()) {
            (true, _) => End::Reset,
            (false, true) => End::Orderly,
            (false, false) => End::NotYet,
        }
    }
}

/// Queries of the checks.
impl Channel {
    /// True if a read would not block.
    pub fn is_readable(&self) -> bool {
        !self.inbound.is_empty()
            || self.error.is_some()
            || ((self.inbound_ended || self.is_reset) && !self.end_was_read)
    }

    /// True if new room would not be an edge.
    pub fn is_writable(&self) -> bool {
        !self.wants_room
    }

    /// True if the server's buffer has room for bytes of the client.
    pub fn accepts_input(&self) -> bool {
        self.inbound.len() < self.sizes.receive_max
    }

    pub fn unread_len(&self) -> usize {
        self.inbound.len()
    }

    pub fn unread_output_len(&self) -> usize {
        self.outbound.len()
    }

    pub fn is_urgent(&self) -> bool {
        self.is_urgent
    }

    pub fn is_reset(&self) -> bool {
        self.is_reset
    }

    pub fn has_edge(&self) -> bool {
        self.has_edge
    }

    pub fn is_closed_by_server(&self) -> bool {
        self.server_closed
    }

    pub fn is_closed_by_peer(&self) -> bool {
        self.peer_closed
    }

    /// True if a third of the buffer is free: Linux reports room only then.
    fn is_a_third_free(&self) -> bool {
        (self.sizes.send_max.saturating_sub(self.outbound.len())) * 3 >= self.sizes.send_max
    }
}

/// Splits the first `count` bytes off. A plain vector is fast in unoptimized builds too.
fn take_front(bytes: &mut Vec<u8>, count: usize) -> Vec<u8> {
    let rest = bytes.split_off(count);
    std::mem::replace(bytes, rest)
}
