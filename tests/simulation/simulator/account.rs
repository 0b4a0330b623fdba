//! The acts of the server on one connection, as the kernel and the session observe them.

use std::collections::BTreeMap;

use tinytcp_core::limits::{
    HIGH_WATER_BYTES, LINGER_TIMEOUT, LOW_WATER_BYTES, Timeouts, write_time,
};
use tinytcp_core::os::moment::Moment;
use tinytcp_core::os::peer;
use tinytcp_core::os::table::Token;

use super::oracle::{Oracle, Unasked};
use super::proxy::Opening;
use super::tls::Place;

/// The acts of the server on one connection.
pub struct Account {
    pub oracle: Oracle,
    /// The token of its events.
    pub token: Option<Token>,
    pub is_accepted: bool,
    /// True if the kernel refused to watch it.
    pub is_unwatched: bool,
    /// True if it has a place: it was not turned away.
    pub is_admitted: bool,
    /// True if there were too many connections when it was accepted.
    pub is_over_limit: bool,
    /// The state of the limits when the server decided whether to admit it, if it is encrypted.
    pub place: Option<Place>,
    /// True if it has a session.
    pub has_session: bool,
    /// True until its handshake is complete or has failed.
    pub is_shaking_hands: bool,
    /// The network of its peer, once it has a session to which the limits per address apply.
    pub network: Option<peer::Network>,
    /// The progress of its header, until its peer is known.
    pub opening: Option<Opening>,
    /// The bytes that were read and not consumed.
    pub stream: Vec<u8>,
    /// How many bytes its session has consumed.
    pub consumed_len: usize,
    /// True if an event has reported that a read may return something, and no read has refuted it
    /// since.
    pub may_read: bool,
    /// True if an event has required reads until `WouldBlock`, and no read has returned that since.
    pub reads_to_end: bool,
    pub end_was_read: bool,
    /// True if a call has returned an error.
    pub has_failed: bool,
    /// True if the last session call ended because the output was full.
    pub has_paused: bool,
    /// True if no session call may follow.
    pub is_session_over: bool,
    /// The farewell that the server has sent unasked.
    pub unasked: Option<Unasked>,
    /// When the server ended its output.
    pub shut_at: Option<Moment>,
    pub resets_on_close: bool,
    /// The deadline that the loop has entered. Before it, the loop need not expire the connection.
    pub entered_deadline: Moment,
    pub opened: Moment,
    /// When it was accepted, or its header was whole.
    pub greeted: Moment,
    pub last_received: Moment,
    pub last_sent: Moment,
    /// The moment up to which the client has read its answers at the minimum rate.
    pub on_time: Moment,
    pub last_session_call: Moment,
    /// True if its bytes are records of TLS.
    is_encrypted: bool,
    /// When the incomplete record began; [`Moment::NEVER`] if there is none.
    pub record_began: Moment,
    /// True if the server has read the announcement of the end of its input.
    pub has_said_goodbye: bool,
    /// True if whole records that the server has read are not in the input of the session.
    pub has_unopened: bool,
    /// True if the server has read bytes that are no records of its client.
    pub has_read_wrong: bool,
    /// True if everything that its session has said was sent.
    is_flushed: bool,
    /// How many bytes of its session no record has carried to the kernel, if it is encrypted.
    pub unheard_len: usize,
    /// The bytes of the last write that the kernel has not accepted.
    unsent_len: usize,
    pub received_bytes: u64,
    pub sent_bytes: u64,
    /// The bytes of answers that wait in the server.
    pub output_len: usize,
    pub is_paused: bool,
    /// When its last backpressure ended.
    pub resumed: Moment,
    /// True if the message rate of its address delays it.
    pub is_delayed: bool,
    /// When its last delay ended.
    pub delayed_until: Moment,
    /// How many bytes had arrived when the server was stopped.
    pub arrived_at_stop: u64,
    /// True if a gradual close has not read it to its end yet.
    pub has_last_read: bool,
    pub calls_in_round: usize,
    pub bytes_in_round: usize,
    /// For how many rounds its deadline has passed without effect.
    pub overdue_rounds: usize,
    /// How many turns each other connection has had while this one waited for a turn.
    pub passed_by: BTreeMap<usize, usize>,
}

impl Account {
    /// Creates the account of a connection that is not accepted yet.
    pub fn new(oracle: Oracle, opening: Option<Opening>) -> Self {
        Self {
            oracle,
            token: None,
            is_accepted: false,
            is_unwatched: false,
            is_admitted: false,
            is_over_limit: false,
            place: None,
            has_session: false,
            is_shaking_hands: false,
            network: None,
            opening,
            stream: Vec::new(),
            consumed_len: 0,
            may_read: false,
            reads_to_end: false,
            end_was_read: false,
            has_failed: false,
            has_paused: false,
            is_session_over: false,
            unasked: None,
            shut_at: None,
            resets_on_close: false,
            entered_deadline: Moment::NEVER,
            opened: Moment::START,
            greeted: Moment::START,
            last_received: Moment::START,
            last_sent: Moment::START,
            on_time: Moment::START,
            last_session_call: Moment::START,
            is_encrypted: false,
            record_began: Moment::NEVER,
            has_said_goodbye: false,
            has_unopened: false,
            has_read_wrong: false,
            is_flushed: false,
            unheard_len: 0,
            unsent_len: 0,
            received_bytes: 0,
            sent_bytes: 0,
            output_len: 0,
            is_paused: false,
            resumed: Moment::START,
            is_delayed: false,
            delayed_until: Moment::START,
            arrived_at_stop: 0,
            has_last_read: false,
            calls_in_round: 0,
            bytes_in_round: 0,
            overdue_rounds: 0,
            passed_by: BTreeMap::new(),
        }
    }

    /// The same, of a connection whose bytes are records of TLS.
    pub fn encrypted(self) -> Self {
        Self { is_encrypted: true, is_shaking_hands: true, ..self }
    }

    /// Notes whether the last record that was read is incomplete, and whether one was complete
    /// before it.
    pub fn note_records(&mut self, is_incomplete: bool, has_ended_one: bool, now: Moment) {
        self.record_began = match is_incomplete {
            true if has_ended_one || self.record_began == Moment::NEVER => now,
            true => self.record_began,
            false => Moment::NEVER,
        };
    }

    /// When the incomplete message or record began; [`Moment::NEVER`] if there is neither.
    pub fn incomplete_since(&self) -> Moment {
        self.oracle.began().min(self.record_began)
    }

    /// True if its input has ended: by the kernel, or by a record that announces it.
    pub fn has_input_ended(&self) -> bool {
        self.end_was_read || self.has_said_goodbye
    }

    /// True if all answers and news are sent. Before a handshake is complete there are none, and
    /// after a wrong record none are due.
    pub fn is_all_sent(&self) -> bool {
        let is_all_heard = !self.is_encrypted || self.unheard_len == 0;
        self.oracle.is_all_sent() && is_all_heard
            || self.is_encrypted && !self.has_session
            || self.has_read_wrong
    }

    /// True if bytes wait in the server for the client to read.
    pub fn has_output(&self) -> bool {
        match self.is_encrypted {
            true => self.unsent_len > 0 || !self.is_all_sent(),
            false => self.output_len > 0,
        }
    }

    /// True if the deadline that the loop has entered has passed.
    pub fn is_late(&self, now: Moment) -> bool {
        self.entered_deadline <= now
    }

    /// Notes that it was accepted.
    pub fn open(&mut self, now: Moment) {
        self.is_accepted = true;
        (self.opened, self.last_received, self.last_sent, self.last_session_call) =
            (now, now, now, now);
        (self.on_time, self.greeted) = (now, now);
    }

    /// Notes a read of `count` bytes into a space of `room` bytes. Returns how many of them belong
    /// to the client: those after its header.
    pub fn note_received(&mut self, count: usize, room: usize, now: Moment) -> usize {
        self.end_was_read = count == 0;
        self.may_read = count > 0 && (count == room || self.reads_to_end);
        self.last_received = now;
        self.bytes_in_round += count;
        let own_count = match &mut self.opening {
            Some(opening) => {
                let after_header = opening.note_received(count);
                self.greeted = now;
                self.opening = self.opening.filter(|_| after_header.is_none());
                after_header.unwrap_or(0)
            }
            None => count,
        };
        self.received_bytes += own_count as u64;
        own_count
    }

    /// Notes a write of `count` bytes, after which `left` bytes wait that were in it too.
    pub fn note_sent(&mut self, count: usize, left: usize, now: Moment) {
        self.unsent_len = left;
        self.last_sent = now;
        self.sent_bytes += count as u64;
        self.bytes_in_round += count;
        self.output_len = self.output_len.saturating_sub(count);
        self.is_flushed = !self.has_output();
        self.on_time = match self.has_output() {
            false => now,
            true => now.min(self.on_time.after(write_time(count))),
        };
        if self.is_paused && self.output_len <= LOW_WATER_BYTES && !self.is_encrypted {
            (self.is_paused, self.resumed) = (false, now);
        }
    }

    /// Notes that the kernel has accepted records with `count` bytes of the session.
    pub fn note_heard(&mut self, count: usize) {
        self.unheard_len = self.unheard_len.saturating_sub(count);
    }

    /// Notes that the kernel has accepted none of `len` bytes.
    pub fn note_unsent(&mut self, len: usize, now: Moment) {
        self.unsent_len = len;
        // They can be records without an answer in them, such as tickets.
        if std::mem::take(&mut self.is_flushed) {
            self.on_time = now;
        }
    }

    /// Notes that a session call has left `output_len` bytes of output, of which there were
    /// `before`.
    pub fn note_output(&mut self, before: usize, output_len: usize, now: Moment) {
        self.unheard_len += output_len.saturating_sub(before);
        let was_empty = if self.is_encrypted { self.is_flushed } else { self.output_len == 0 };
        if was_empty {
            self.on_time = now;
        }
        self.is_flushed &= output_len == 0;
        self.output_len = output_len;
        self.is_paused |= output_len >= HIGH_WATER_BYTES;
        self.last_session_call = now;
        self.calls_in_round += 1;
    }

    /// When its last byte was moved or its session was called.
    pub fn last_moved(&self) -> Moment {
        self.last_received.max(self.last_sent).max(self.last_session_call)
    }

    /// The latest moment at which the server must expire it if no event comes.
    pub fn latest_deadline(&self, timeouts: &Timeouts, ends_messages_by_quiet: bool) -> Moment {
        if let Some(shut_at) = self.shut_at {
            return shut_at.after(LINGER_TIMEOUT);
        }
        if self.opening.is_some() {
            return self.opened.deadline(timeouts.proxy_header);
        }
        if self.is_shaking_hands {
            return self.greeted.deadline(timeouts.handshake);
        }
        let last_moved = self.last_moved();
        // Half a message is not a message once its client has ended its output.
        let may_go_on = !self.has_input_ended() && !self.is_session_over;
        let is_within_message = self.oracle.is_within_message() && may_go_on;
        let is_within_record = self.record_began != Moment::NEVER && may_go_on;
        if !self.has_output() && !is_within_message && !is_within_record {
            return last_moved.deadline(timeouts.idle);
        }
        let mut latest = Moment::NEVER;
        if self.has_output() {
            latest = last_moved.deadline(timeouts.write);
        }
        if is_within_record && !self.is_paused {
            let began = self.record_began.max(self.last_sent).max(self.delayed_until);
            latest = latest.min(began.deadline(timeouts.message));
        }
        if is_within_message && !self.is_paused {
            // The time of a message that backpressure or its address has delayed starts with the
            // end of the delay.
            let began = self.oracle.began().max(self.last_sent).max(self.delayed_until);
            latest = latest.min(began.deadline(timeouts.message));
            if ends_messages_by_quiet {
                latest = latest.min(self.last_received.deadline(timeouts.quiet));
            }
        }
        latest
    }
}
