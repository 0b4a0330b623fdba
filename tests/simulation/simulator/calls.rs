//! The calls of the server on the simulated kernel, and the checks in each call.

use std::io;

use tinytcp_core::limits::LINGER_TIMEOUT;
use tinytcp_core::os::table::Token;

use super::channel::Refusal;
use super::coverage::Behaviour;
use super::faults::Fault;
use super::invariant::Invariant;
use super::network::{GradualClose, Network};
use super::oracle::Unasked;

/// Errors of `accept` without descriptors or memory; the connection stays in the queue.
const EXHAUSTED: [i32; 4] = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
/// Errors of `accept` that report the loss of one connection.
const LOST: [i32; 6] = [
    libc::ECONNABORTED,
    libc::EPROTO,
    libc::EPERM,
    libc::ENETDOWN,
    libc::EHOSTUNREACH,
    libc::ETIMEDOUT,
];
const UNKNOWN: [i32; 3] = [libc::EINVAL, libc::EOPNOTSUPP, libc::EIO];

impl Network {
    /// Accepts the first connection of a queue.
    pub fn accept(&mut self, listener: usize) -> io::Result<usize> {
        self.calls_in_round += 1;
        self.interleave();
        if self.strikes(Fault::AcceptExhausted) {
            return Err(self.accept_fails(listener, &EXHAUSTED));
        }
        if self.strikes(Fault::AcceptUnknown) {
            return Err(self.accept_fails(listener, &UNKNOWN));
        }
        if self.is_out_of_descriptors() {
            // The kernel allocates a descriptor before it checks the queue.
            return Err(self.accept_fails(listener, &[libc::EMFILE]));
        }
        let id = self.queues[listener].waiting.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        self.update_queues();
        if self.strikes(Fault::AcceptLost) {
            self.links[id].channel.fail(libc::ECONNRESET);
            self.links[id].client.wake(self.now);
            self.note(id, "lost before it is accepted", (0, 0), b"");
            return Err(self.accept_fails(listener, &LOST));
        }
        self.note(id, "accepted by listener", (listener, 0), b"");
        self.links[id].account.open(self.now);
        Ok(id)
    }

    fn accept_fails(&mut self, listener: usize, errnos: &[i32]) -> io::Error {
        let errno = self.choices.pick(errnos);
        self.trace.note(
            self.now,
            None,
            "accept fails with errno",
            (errno as usize, 0),
            &[b'0' + listener as u8],
        );
        io::Error::from_raw_os_error(errno)
    }

    /// Watches a socket.
    pub fn register(&mut self, id: usize, token: Token) -> io::Result<()> {
        if self.strikes(Fault::RegisterError) {
            self.links[id].account.is_unwatched = true;
            self.note(id, "registration fails", (0, 0), b"");
            return Err(io::Error::from_raw_os_error(
                self.choices.pick(&[libc::ENOSPC, libc::ENOMEM]),
            ));
        }
        if self.stale.iter().any(|stale| stale.key() == token.key()) {
            self.cover(Behaviour::StaleReuse);
        }
        self.links[id].account.token = Some(token);
        self.links[id].channel.register();
        self.enter(id);
        Ok(())
    }

    /// Closes all listeners, which resets the connections in their queues. From now on the server
    /// reads each open connection to its end once, in a gradual close at any time.
    pub fn close_listeners(&mut self) {
        self.is_listening = false;
        if self.stopped_at.is_none() {
            let open = self.open_ids().len();
            self.gradual_close = Some(GradualClose { began: self.read_at, open, dismissed: 0 });
            self.trace.note(self.now, None, "the gradual close begins", (open, 0), b"");
        }
        let waiting: Vec<usize> =
            self.queues.iter_mut().flat_map(|queue| queue.waiting.drain(..)).collect();
        for id in waiting {
            self.links[id].channel.fail(libc::ECONNRESET);
            self.links[id].client.wake(self.now);
        }
        let is_gradual = self.stopped_at.is_none();
        for id in self.open_ids() {
            let link = &mut self.links[id];
            (link.account.may_read, link.account.reads_to_end) = (true, true);
            link.account.has_last_read = is_gradual;
            let header_left = link.account.opening.map_or(0, |opening| opening.left());
            let unread_len = link.channel.unread_len().saturating_sub(header_left);
            link.account.arrived_at_stop = link.account.received_bytes + unread_len as u64;
        }
    }

    /// Reads.
    pub fn receive(&mut self, id: usize, buf: &mut [u8]) -> io::Result<usize> {
        self.begin_call(id);
        self.settle_by_call(id, b"");
        self.check_may_read(id);
        let unread_len = self.links[id].channel.unread_len();
        let mut len = buf.len();
        if self.links[id].channel.is_urgent() && unread_len > 1 && self.strikes(Fault::ShortRead) {
            len = 1 + self.choices.below(len.min(unread_len));
        }
        let (now, link) = (self.now, &mut self.links[id]);
        match link.channel.receive(len) {
            Ok(bytes) => {
                buf[..bytes.len()].copy_from_slice(&bytes);
                let own_count = link.account.note_received(bytes.len(), buf.len(), now);
                let own_bytes = &bytes[bytes.len() - own_count..];
                link.client.wake(now);
                if self.links[id].account.opening.is_none() {
                    self.note_own_bytes(id, own_bytes);
                    self.links[id].account.is_over_limit = false;
                    self.take_place(id);
                }
                self.note(id, "read", (bytes.len(), buf.len()), &bytes);
                Ok(bytes.len())
            }
            Err(refusal) => {
                if refusal == Refusal::WouldBlock {
                    (link.account.may_read, link.account.reads_to_end) = (false, false);
                }
                Err(self.refuse(id, "a read fails with errno", refusal))
            }
        }
    }

    fn check_may_read(&mut self, id: usize) {
        let is_due = self.latest_deadline(id) <= self.now;
        let account = &mut self.links[id].account;
        if is_due || account.is_late(self.now) {
            // Before a deadline is enforced, the socket is read to its end.
            (account.may_read, account.reads_to_end) = (true, true);
        }
        if !account.may_read && std::mem::take(&mut account.has_last_read) {
            (account.may_read, account.reads_to_end) = (true, true);
        }
        let may_read = account.may_read;
        let is_served = !account.is_session_over && account.has_session && self.is_listening;
        let is_hopeless = account.opening.is_some_and(|opening| opening.is_hopeless());
        let is_over = account.end_was_read || account.has_failed;
        // What the layer has taken from the output can end backpressure unseen.
        let is_held_up = account.is_paused
            && !account.is_session_over
            && !account.oracle.is_within_frame()
            && !self.is_encrypted(id);
        let is_over_rate = is_served && self.is_over_message_rate(id);
        if is_hopeless {
            self.fail(Invariant::PeerKnown, Some(id), "it is read though its header is refused");
        }
        if !may_read {
            self.fail(Invariant::OwnBytesOnly, Some(id), "it is read without an event");
        }
        if is_over {
            self.fail(Invariant::ReadinessKept, Some(id), "it is read after its end");
        }
        if is_over_rate {
            self.fail(Invariant::AddressLimits, Some(id), "it is read over its message rate");
        }
        if is_held_up {
            self.fail(Invariant::Backpressure, Some(id), "it is read under backpressure");
        }
    }

    /// Writes.
    pub fn send(&mut self, id: usize, bytes: &[u8]) -> io::Result<usize> {
        self.begin_call(id);
        self.settle_by_call(id, bytes);
        if self.links[id].account.opening.is_some() {
            self.fail(Invariant::PeerKnown, Some(id), "bytes are sent before the header");
        }
        let output_len = self.links[id].account.output_len;
        if bytes.len() != output_len && !self.is_encrypted(id) {
            let what = format!("{} bytes are sent; the session has left {output_len}", bytes.len());
            self.fail(Invariant::NothingAfterClose, Some(id), what);
        }
        if self.is_admin(id) {
            self.note_admin_output(id, bytes);
        }
        let most = match self.strikes(Fault::ShortWrite) {
            true => 1 + self.choices.below(bytes.len()),
            false => bytes.len(),
        };
        let most = if self.strikes(Fault::RefusedWrite) { 0 } else { most };
        match self.links[id].channel.send(bytes, most) {
            Ok(count) => {
                self.note(id, "sent", (count, bytes.len()), &bytes[..count]);
                let plaintext = self.hear(id, &bytes[..count]);
                self.check_sent(id, &plaintext);
                self.links[id].account.note_heard(plaintext.len());
                self.links[id].account.note_sent(count, bytes.len() - count, self.now);
                self.links[id].client.wake(self.now);
                Ok(count)
            }
            Err(refusal) => {
                self.links[id].account.note_unsent(bytes.len(), self.now);
                Err(self.refuse(id, "a write fails with errno", refusal))
            }
        }
    }

    fn check_sent(&mut self, id: usize, bytes: &[u8]) {
        let Self { links, shown_times, rooms, .. } = self;
        let is_time = |time: &str| shown_times.contains(time);
        match links[id].account.oracle.check_sent(bytes, id, rooms, is_time) {
            Ok(told) => told.iter().for_each(|news| self.cover_news(news)),
            Err(what) => self.fail(Invariant::AnswersInOrder, Some(id), what),
        }
    }

    /// Ends the output.
    pub fn shutdown_write(&mut self, id: usize) -> io::Result<()> {
        self.begin_call(id);
        self.note(id, "ends its output", (0, 0), b"");
        self.check_goodbye(id);
        let link = &mut self.links[id];
        let is_all_sent = link.account.is_all_sent();
        link.account.shut_at = Some(self.now);
        link.account.is_session_over = true;
        link.client.wake(self.now);
        let shut = link.channel.shutdown_write();
        if !is_all_sent {
            self.fail(
                Invariant::AnswersInOrder,
                Some(id),
                "the output ends before the last answer",
            );
        }
        shut.map_err(|refusal| self.refuse(id, "ending the output fails with errno", refusal))
    }

    /// The server drops a socket.
    pub fn close(&mut self, id: usize) {
        self.calls_in_round += 1;
        self.settle_by_close(id);
        self.check_close(id);
        self.check_goodbye(id);
        let link = &mut self.links[id];
        link.channel.close(link.account.resets_on_close);
        link.client.wake(self.now);
        let (is_reset, token) = (link.channel.is_reset(), link.account.token);
        self.stale.extend(token);
        self.note(id, if is_reset { "closed by a reset" } else { "closed" }, (0, 0), b"");
        self.update_queues();
    }

    /// A connection may be closed when all answers are sent and the end of input was read, when a
    /// timeout has passed, when it has failed, or when there is no place for it.
    fn check_close(&mut self, id: usize) {
        let (now, account) = (self.now, &self.links[id].account);
        if !account.is_admitted && account.resets_on_close {
            return self.check_turned_away(id);
        }
        let is_expected = account.is_unwatched
            || account.has_failed
            || self.may_fail_handshake(id)
            || account.has_read_wrong
            || self.links[id].client.is_untrusted()
            || self.is_rejected_at_once(id);
        if is_expected
            || self.is_finishing
            || (self.plan.is_memory_short() && account.resets_on_close)
        {
            return;
        }
        if let Some(opening) = account.opening {
            let is_due = opening.is_hopeless() || now >= self.latest_deadline(id);
            let is_over = account.has_input_ended() || !self.is_listening;
            if !is_due && !is_over && !self.plan.is_memory_short() {
                self.fail(Invariant::PeerKnown, Some(id), "it is closed before its header is due");
            }
            return;
        }
        if account.resets_on_close {
            if !account.has_output()
                || now < account.on_time.deadline(self.settings().timeouts.write)
            {
                self.fail(Invariant::TimeFromTheSeam, Some(id), "it is reset before its timeout");
            }
            return;
        }
        let has_lingered =
            account.shut_at.is_some_and(|shut_at| now >= shut_at.after(LINGER_TIMEOUT));
        let has_ended = account.has_input_ended();
        if !account.is_all_sent() || account.has_output() {
            self.fail(Invariant::AnswersInOrder, Some(id), "it is closed before the last answer");
        } else if !has_ended && !has_lingered {
            self.fail(
                Invariant::AnswersInOrder,
                Some(id),
                "it is closed before its client can have read the last answer",
            );
        } else if account.unasked == Some(Unasked::Shutdown)
            && account.received_bytes < account.arrived_at_stop
            && self
                .stopped_at
                .is_none_or(|at| now < at.deadline(self.settings().timeouts.drain.map(|it| it / 2)))
        {
            self.fail(
                Invariant::ShutdownEnds,
                Some(id),
                "it is closed before all that had arrived is read",
            );
        }
    }

    /// True if a rejected connection is closed without lingering, because too many others linger.
    fn is_rejected_at_once(&self, id: usize) -> bool {
        let is_rejected = |id: &usize| self.links[*id].account.unasked == Some(Unasked::Busy);
        let count = self.open_ids().iter().filter(|id| is_rejected(id)).count();
        is_rejected(&id) && count > self.settings().rejected_max
    }

    fn begin_call(&mut self, id: usize) {
        self.calls_in_round += 1;
        self.links[id].account.calls_in_round += 1;
        self.interleave();
        self.disturb(id);
    }

    fn refuse(&mut self, id: usize, what: &'static str, refusal: Refusal) -> io::Error {
        match refusal {
            Refusal::WouldBlock => {
                self.note(id, "would block", (0, 0), b"");
                io::ErrorKind::WouldBlock.into()
            }
            Refusal::Errno(errno) => {
                self.links[id].account.has_failed = true;
                self.note(id, what, (errno as usize, 0), b"");
                io::Error::from_raw_os_error(errno)
            }
        }
    }
}
