//! Sending requests, and receiving and checking replies.

use std::io::{Read, Write};
use std::mem;
use std::time::Duration;

use tinytcp_core::os::system::{interrupted, would_block};

use super::{InFlight, LoadConnection, Loss};
use crate::engine::thread_state::{BLOCK_LEN, ThreadState};
use crate::measurement::causes::{ConnectionEnd, ReplyError};
use crate::traffic::plan::Plan;
use crate::traffic::reply_checker::Finding;
use crate::traffic::script::ConnectionScript;

/// Maximum number of reads per turn: a flooding server must not occupy the thread.
const READS_PER_TURN: usize = 16;

/// The progress of reading a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadProgress {
    /// To the last byte: the next byte triggers an event.
    Drained,
    /// To the limit of one turn: more bytes may be there without another event.
    Yielded,
}

impl LoadConnection {
    /// Sends as many bytes as the kernel accepts.
    ///
    /// # Errors
    /// Fails if the connection is broken.
    pub fn flush(&mut self, plan: &Plan, state: &mut ThreadState) -> Result<(), Loss> {
        if let Some(layer) = &mut self.tls {
            // Records of the layer itself. Reading meets a broken connection too.
            let _ = layer.send(&mut self.stream);
        }
        while self.unwritten > 0 {
            let bytes = &self.script.requests(self.place, self.unwritten)[self.offset..];
            let len = bytes.len();
            let written = match &mut self.tls {
                None => self.stream.write(bytes),
                Some(layer) => layer.write(&mut self.stream, bytes),
            };
            match written {
                Ok(written) => {
                    self.written(written, plan, state);
                    // A short write: the socket is full, and an event reports when it has room.
                    if written < len {
                        return Ok(());
                    }
                }
                Err(error) if would_block(&error) => return Ok(()),
                Err(error) if interrupted(&error) => {}
                // Replies to earlier requests may still be readable. They are read first, and
                // reading then meets the end.
                Err(_) => return self.receive(true, plan, state).map(drop),
            }
        }
        Ok(())
    }

    fn written(&mut self, len: usize, plan: &Plan, state: &mut ThreadState) {
        let (whole, whole_bytes) = self.script.requests_within(self.place, self.offset + len);
        self.offset = self.offset + len - whole_bytes;
        self.place = self.script.after(self.place, whole);
        self.unwritten -= whole;
        if self.is_logging_in() {
            return;
        }
        state.counts.sent += whole as u64;
        state.counts.sent_bytes += len as u64;
        if !plan.script.is_answered() {
            state.read_clock();
            self.checker.skip(self.script.dialogue(), whole);
            // No reply can wait for the generator.
            self.complete(whole, Duration::ZERO, state);
        }
    }

    /// Reads and checks the received bytes. If an event reported the end of the server's side, it
    /// reads to that end.
    ///
    /// # Errors
    /// Fails if the connection has ended or its replies cannot be parsed any further.
    pub fn receive(
        &mut self,
        is_read_closed: bool,
        plan: &Plan,
        state: &mut ThreadState,
    ) -> Result<ReadProgress, Loss> {
        for _ in 0..READS_PER_TURN {
            // The block is taken out so that the rest of `state` can be used, and put back in
            // either case.
            let mut block = mem::take(&mut state.block);
            let read = self.stream.read(&mut block);
            let result = match &read {
                Ok(len) => match &plan.tls {
                    None => self.received(&block[..*len], state),
                    Some(tls) => self.open(&block[..*len], tls, state),
                },
                Err(_) => Ok(()),
            };
            state.block = block;
            result?;
            match read {
                Ok(0) => return Err(self.end_of_stream(self.tls.is_none())),
                // A short read has emptied the socket, and the next byte triggers an event. (Urgent
                // data would be an exception, and our servers send none.)
                Ok(len) if len < BLOCK_LEN && !is_read_closed => return Ok(ReadProgress::Drained),
                Ok(_) => {}
                Err(error) if would_block(&error) => return Ok(ReadProgress::Drained),
                Err(error) if interrupted(&error) => {}
                Err(_) => return Err(self.reset()),
            }
        }
        Ok(ReadProgress::Yielded)
    }

    /// Checks bytes of the protocol.
    ///
    /// # Errors
    /// Fails if the connection has ended or its replies cannot be parsed any further.
    // A call costs a reply of a plain connection 80 instructions more than the body in its place.
    #[inline(always)]
    pub(super) fn received(
        &mut self,
        mut bytes: &[u8],
        state: &mut ThreadState,
    ) -> Result<(), Loss> {
        let now = state.read_clock();
        let lag = state.lag();
        self.last_received = now;
        if !self.is_logging_in() {
            let greeting = self.checker.greeting_due(self.script.dialogue());
            state.counts.received_bytes += bytes.len().saturating_sub(greeting) as u64;
        }
        if !self.has_received && !bytes.is_empty() {
            self.has_received = true;
            state
                .counts
                .first_byte
                .record(now.since(self.life.begun).saturating_sub(self.idle_before_first), 1);
        }
        loop {
            match self.check(&mut bytes, state) {
                Finding::Incomplete => return Ok(()),
                Finding::Correct(1..) if self.is_logging_in() => self.complete_login(state),
                Finding::Correct(count) => self.complete(count, lag, state),
                Finding::Overtaking(passed) => {
                    self.fail(ReplyError::Missing, passed, state);
                    self.complete(1, lag, state);
                }
                Finding::Wrong | Finding::Foreign if self.is_logging_in() => {
                    self.fail(ReplyError::Wrong, 1, state);
                    return Err(Loss::Ended(ConnectionEnd::Unreadable));
                }
                Finding::Wrong => self.fail(ReplyError::Wrong, 1, state),
                Finding::Foreign => self.fail(ReplyError::Foreign, 1, state),
                Finding::Repeated => state.counts.errors.add(ReplyError::Surplus, 1),
                Finding::Surplus => {
                    state.counts.errors.add(ReplyError::Surplus, 1);
                    return Err(Loss::Ended(ConnectionEnd::Unreadable));
                }
                Finding::Unreadable => {
                    self.fail(ReplyError::Wrong, self.in_flight.min(1), state);
                    return Err(Loss::Ended(ConnectionEnd::Unreadable));
                }
                Finding::Rejected(error) => return Err(Loss::Rejected(error)),
                Finding::Closing(ending) => return Err(Loss::Ended(ending)),
            }
        }
    }

    /// Checks the start of the received bytes.
    fn check(&mut self, bytes: &mut &[u8], state: &mut ThreadState) -> Finding {
        let log = &mut state.exchange_log(self.number);
        match &self.script {
            ConnectionScript::Constant(script) => {
                self.checker.next(&**script, bytes, self.in_flight, log)
            }
            ConnectionScript::Rendered(dialogue) => {
                self.checker.next(&**dialogue, bytes, self.in_flight, log)
            }
        }
    }

    /// Completes the oldest `count` requests with correct replies, which the generator delayed by
    /// `lag`.
    fn complete(&mut self, count: usize, lag: Duration, state: &mut ThreadState) {
        self.has_completed |= count > 0;
        let connection = (self.number, self.address);
        self.remove_oldest(count, state, |flight, count, state| {
            state.count_correct(flight.first, count, flight.sent, (flight.lag, lag));
            if state.has_records() {
                state.record(connection, (flight.first, count), flight.sent, None);
            }
        });
    }

    /// Completes the oldest `count` requests as failed with `error`.
    fn fail(&mut self, error: ReplyError, count: usize, state: &mut ThreadState) {
        state.counts.errors.add(error, count as u64);
        // A login is no request of the load, and its error has no number.
        let connection = (self.number, self.address);
        let is_login = self.is_logging_in();
        self.remove_oldest(count, state, |flight, count, state| {
            if !is_login && state.has_records() {
                state.record(connection, (flight.first, count), flight.sent, Some(error));
            }
        });
    }

    /// Removes the oldest `count` requests in flight, and calls `record` for each part of them that
    /// was sent together.
    pub(super) fn remove_oldest(
        &mut self,
        mut count: usize,
        state: &mut ThreadState,
        record: impl Fn(&InFlight, usize, &mut ThreadState),
    ) {
        state.in_flight -= count;
        self.in_flight -= count;
        while count > 0
            && let Some(oldest) = self.batches.front_mut()
        {
            let removed = count.min(oldest.count);
            record(oldest, removed, state);
            oldest.first += removed as u64;
            oldest.count -= removed;
            if oldest.count == 0 {
                self.batches.pop_front();
            }
            count -= removed;
        }
    }

    /// Counts the requests in flight as failed: the oldest with `oldest`, all others as missing.
    pub fn fail_all(&mut self, oldest: ReplyError, state: &mut ThreadState) {
        let first = self.in_flight.min(1);
        // Bytes that could not be parsed are kept already.
        let is_kept = oldest == ReplyError::Missing && self.checker.is_inside_reply();
        if first > 0 && !is_kept {
            let log = &mut state.exchange_log(self.number);
            self.checker.keep_unfinished(oldest, self.script.dialogue(), log);
        }
        self.fail(oldest, first, state);
        self.fail(ReplyError::Missing, self.in_flight, state);
    }

    /// Returns the error of the oldest request in flight if the connection ends now.
    #[must_use]
    pub const fn error_of_oldest(&self) -> ReplyError {
        if self.checker.is_inside_reply() { ReplyError::Truncated } else { ReplyError::Missing }
    }

    /// Removes the requests in flight without an outcome: the run was interrupted, or the server
    /// rejected the connection. Returns how many of them belong to the load.
    pub fn discard_in_flight(&mut self, state: &mut ThreadState) -> u64 {
        let discarded = self.in_flight;
        self.remove_oldest(discarded, state, |_, _, _| {});
        if self.is_logging_in() { 0 } else { discarded as u64 }
    }
}
