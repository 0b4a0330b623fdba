//! Sending requests, and receiving and checking replies.

use std::io::{Read, Write};
use std::mem;
use std::time::Duration;

use tinytcp_core::os::system::{interrupted, would_block};

use super::{Flight, Loss, Peer};
use crate::engine::thread_state::{BLOCK_LEN, Shared};
use crate::measurement::causes::{Ending, ReplyError};
use crate::traffic::plan::Plan;
use crate::traffic::reply_checker::Finding;
use crate::traffic::script::Script;

/// Maximum number of reads per turn: a flooding server must not occupy the thread.
const READS_PER_TURN: usize = 16;

/// How far a connection was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// To the last byte: the next byte triggers an event.
    Drained,
    /// To the limit of one turn: more bytes may be there without another event.
    Yielded,
}

impl Peer {
    /// Sends as many bytes as the kernel accepts.
    ///
    /// # Errors
    /// Fails if the connection is broken.
    pub fn flush(&mut self, plan: &Plan, shared: &mut Shared) -> Result<(), Loss> {
        while self.unwritten > 0 {
            let bytes = &plan.script.requests(self.place, self.unwritten)[self.offset..];
            match self.stream.write(bytes) {
                Ok(written) => {
                    self.written(written, plan, shared);
                    // A short write: the socket is full, and an event reports when it has room.
                    if written < bytes.len() {
                        return Ok(());
                    }
                }
                Err(error) if would_block(&error) => return Ok(()),
                Err(error) if interrupted(&error) => {}
                // Replies to earlier requests may still be readable. They are read first, and
                // reading then meets the end.
                Err(_) => return self.receive(true, plan, shared).map(drop),
            }
        }
        Ok(())
    }

    fn written(&mut self, len: usize, plan: &Plan, shared: &mut Shared) {
        let (whole, whole_bytes) = plan.script.requests_within(self.place, self.offset + len);
        self.offset = self.offset + len - whole_bytes;
        self.place = plan.script.behind(self.place, whole);
        self.unwritten -= whole;
        shared.tally.sent += whole as u64;
        shared.tally.sent_bytes += len as u64;
        if !plan.script.is_answered() {
            shared.read_clock();
            // No reply can wait for the generator.
            self.complete(whole, Duration::ZERO, shared);
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
        shared: &mut Shared,
    ) -> Result<Progress, Loss> {
        for _ in 0..READS_PER_TURN {
            // The block is taken out so that the rest of `shared` can be used, and put back in
            // either case.
            let mut block = mem::take(&mut shared.block);
            let read = self.stream.read(&mut block);
            let result = match &read {
                Ok(len) => self.received(&block[..*len], plan, shared),
                Err(_) => Ok(()),
            };
            shared.block = block;
            result?;
            match read {
                Ok(0) => return Err(Loss::Ended(Ending::Closed)),
                // A short read has emptied the socket, and the next byte triggers an event. (Urgent
                // data would be an exception, and our servers send none.)
                Ok(len) if len < BLOCK_LEN && !is_read_closed => return Ok(Progress::Drained),
                Ok(_) => {}
                Err(error) if would_block(&error) => return Ok(Progress::Drained),
                Err(error) if interrupted(&error) => {}
                Err(_) => return Err(Loss::Ended(Ending::Reset)),
            }
        }
        Ok(Progress::Yielded)
    }

    fn received(&mut self, mut bytes: &[u8], plan: &Plan, shared: &mut Shared) -> Result<(), Loss> {
        let now = shared.read_clock();
        let lag = shared.lag();
        self.last_received = now;
        shared.tally.received_bytes +=
            bytes.len().saturating_sub(self.reader.greeting_due(&plan.script)) as u64;
        if !self.has_received && !bytes.is_empty() {
            self.has_received = true;
            shared
                .tally
                .first_byte
                .record(now.since(self.life.begun).saturating_sub(self.unused), 1);
        }
        loop {
            match self.reader.next(
                &plan.script,
                &mut bytes,
                self.in_flight,
                &mut shared.tally.exchanges,
            ) {
                Finding::Incomplete => return Ok(()),
                Finding::Correct(count) => self.complete(count, lag, shared),
                Finding::Overtaking(passed) => {
                    self.fail(ReplyError::Missing, passed, shared);
                    self.complete(1, lag, shared);
                }
                Finding::Wrong => self.fail(ReplyError::Wrong, 1, shared),
                Finding::Foreign => self.fail(ReplyError::Foreign, 1, shared),
                Finding::Repeated => shared.tally.errors.add(ReplyError::Surplus, 1),
                Finding::Surplus => {
                    shared.tally.errors.add(ReplyError::Surplus, 1);
                    return Err(Loss::Ended(Ending::Unreadable));
                }
                Finding::Unreadable => {
                    self.fail(ReplyError::Wrong, self.in_flight.min(1), shared);
                    return Err(Loss::Ended(Ending::Unreadable));
                }
                Finding::Busy => return Err(Loss::Busy),
                Finding::Farewell(ending) => return Err(Loss::Ended(ending)),
            }
        }
    }

    /// Completes the oldest `count` requests with correct replies, which the generator delayed by
    /// `lag`.
    fn complete(&mut self, count: usize, lag: Duration, shared: &mut Shared) {
        self.is_of_use |= count > 0;
        self.land(count, shared, |flight, count, shared| {
            shared.count_correct(flight.first, count, flight.sent, (flight.lag, lag));
        });
    }

    /// Completes the oldest `count` requests as failed with `error`.
    fn fail(&mut self, error: ReplyError, count: usize, shared: &mut Shared) {
        shared.tally.errors.add(error, count as u64);
        self.land(count, shared, |_, _, _| {});
    }

    /// Removes the oldest `count` requests in flight, and calls `record` for each part of them that
    /// was sent together.
    fn land(
        &mut self,
        mut count: usize,
        shared: &mut Shared,
        record: impl Fn(&Flight, usize, &mut Shared),
    ) {
        shared.in_flight -= count;
        self.in_flight -= count;
        while count > 0
            && let Some(oldest) = self.flights.front_mut()
        {
            let landed = count.min(oldest.count);
            record(oldest, landed, shared);
            oldest.first += landed as u64;
            oldest.count -= landed;
            if oldest.count == 0 {
                self.flights.pop_front();
            }
            count -= landed;
        }
    }

    /// Counts the requests in flight as failed: the oldest with `oldest`, all others as missing.
    pub fn give_up(&mut self, oldest: ReplyError, script: &Script, shared: &mut Shared) {
        let first = self.in_flight.min(1);
        if first > 0 && matches!(oldest, ReplyError::Truncated | ReplyError::Late) {
            self.reader.keep_unfinished(oldest, script, &mut shared.tally.exchanges);
        }
        self.fail(oldest, first, shared);
        self.fail(ReplyError::Missing, self.in_flight, shared);
    }

    /// Returns the error of the oldest request in flight if the connection ends now.
    #[must_use]
    pub const fn loss_of_oldest(&self) -> ReplyError {
        if self.reader.is_inside_reply() { ReplyError::Truncated } else { ReplyError::Missing }
    }

    /// Removes the requests in flight without an outcome: the run was interrupted, or the server
    /// rejected the connection.
    pub fn forget(&mut self, shared: &mut Shared) {
        self.land(self.in_flight, shared, |_, _, _| {});
    }
}
