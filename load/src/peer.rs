//! One connection of the generator: requests out, replies in, and how long each took.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::mem;
use std::time::Duration;

use mio::net::TcpStream;
use socket2::SockRef;
use tinytcp_core::os::moment::Moment;
use tinytcp_core::os::system::{interrupted, would_block};

use super::causes::{Ending, ReplyError};
use super::plan::{Lifetime, Plan};
use super::reader::{Finding, Reader};
use super::script::Script;
use super::shared::{BLOCK_LEN, Shared};

/// Requests that were sent by one call and have no reply yet.
#[derive(Clone, Copy, Debug)]
struct Flight {
    /// The number of the first of them in this thread's schedule; without a schedule it means
    /// nothing.
    first: u64,
    count: usize,
    sent: Moment,
    /// How long the generator kept them, at most, though a connection was free.
    lag: Duration,
}

/// Reads of one connection before the others have their turn: a server that floods must not keep
/// the thread to itself.
const READS_PER_TURN: usize = 16;

/// How far a connection was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Until there was nothing more: the next byte is an event.
    Drained,
    /// As far as one turn goes: there may be more, and no event will say so.
    Yielded,
}

/// Why a connection is of no use any more.
#[derive(Debug)]
pub enum Loss {
    /// It did not open.
    Refused(io::Error),
    /// The server said that it is full.
    Busy,
    /// It ended, or was given up.
    Ended(Ending),
}

/// How long a connection is to live.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    begun: Moment,
    /// How many requests may still be begun.
    requests: u64,
    /// When it is time to close it.
    ends: Moment,
}

impl Life {
    /// The life of a connection whose opening begins at `begun`.
    #[must_use]
    pub fn new(lifetime: Option<Lifetime>, begun: Moment) -> Self {
        let (requests, ends) = match lifetime {
            Some(Lifetime::Requests(count)) => (count, Moment::NEVER),
            Some(Lifetime::Time(time)) => (u64::MAX, begun.after(time)),
            None => (u64::MAX, Moment::NEVER),
        };
        Self { begun, requests, ends }
    }
}

/// One connection.
#[derive(Debug)]
pub struct Peer {
    /// The place among the connections asked for that it fills.
    pub slot: usize,
    /// Which of the server's addresses it was opened to.
    pub address: usize,
    /// True exactly when it stands in a queue of the thread, waiting for something to send.
    pub is_queued: bool,
    stream: TcpStream,
    is_open: bool,
    has_received: bool,
    /// When bytes came last.
    last_received: Moment,
    is_of_use: bool,
    /// How long it was open and nothing was to be sent, before the first request: until all
    /// connections were open.
    unused: Duration,
    opened: Moment,
    life: Life,
    reader: Reader,
    flights: VecDeque<Flight>,
    /// The sum of the flights' counts.
    in_flight: usize,
    /// The place in the script of the first request that the kernel has not taken whole.
    place: usize,
    /// How many of its bytes the kernel has.
    offset: usize,
    /// Requests in flight that the kernel has not taken whole.
    unwritten: usize,
}

impl Peer {
    /// A connection that is being opened, and that begins the script at `place`.
    #[must_use]
    pub fn new(
        stream: TcpStream,
        slot: usize,
        address: usize,
        script: &Script,
        place: usize,
        life: Life,
    ) -> Self {
        Self {
            slot,
            address,
            is_queued: false,
            stream,
            is_open: false,
            has_received: false,
            last_received: Moment::START,
            is_of_use: false,
            unused: Duration::ZERO,
            opened: Moment::NEVER,
            life,
            reader: Reader::new(script, place),
            flights: VecDeque::new(),
            in_flight: 0,
            place,
            offset: 0,
            unwritten: 0,
        }
    }

    /// True exactly when requests can be sent.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.is_open
    }

    /// True exactly when no request waits for a reply.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.in_flight == 0
    }

    /// True exactly when some request has been done as it should be.
    #[must_use]
    pub const fn is_of_use(&self) -> bool {
        self.is_of_use
    }

    /// True exactly when a request has been begun on the open connection.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.is_open && self.opened == Moment::NEVER
    }

    /// The connection, to be closed in its own way.
    #[must_use]
    pub const fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// The connection, to be registered anew.
    pub const fn stream_mut(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// How many more requests may be begun at `now` with at most `depth` in flight.
    #[must_use]
    pub fn room(&self, depth: usize, now: Moment) -> usize {
        if !self.is_open || self.life.ends <= now {
            return 0;
        }
        depth
            .saturating_sub(self.in_flight)
            .min(usize::try_from(self.life.requests).unwrap_or(usize::MAX))
    }

    /// True exactly when it has done what a connection is to do in its lifetime.
    #[must_use]
    pub fn is_over(&self, now: Moment) -> bool {
        self.is_open && self.in_flight == 0 && (self.life.requests == 0 || self.life.ends <= now)
    }

    /// How a connection ends whose oldest request has waited for the timeout: silent, or late if
    /// bytes came since it was sent.
    #[must_use]
    pub fn overdue(&self) -> Ending {
        let is_late = self.flights.front().is_some_and(|oldest| oldest.sent < self.last_received);
        if is_late { Ending::Late } else { Ending::Silent }
    }

    /// When the thread has to look at it though nothing happens: a reply that is late by then, or
    /// the end of its lifetime.
    #[must_use]
    pub fn deadline(&self, plan: &Plan) -> Moment {
        if !self.is_open {
            return self.life.begun.after(plan.connect_timeout());
        }
        self.flights.front().map_or(self.life.ends, |oldest| oldest.sent.after(plan.asked.timeout))
    }

    /// Whether the connection is open by now. Says so once.
    ///
    /// # Errors
    /// When it never will be.
    pub fn open(&mut self, shared: &mut Shared) -> Result<bool, Loss> {
        let refused = |error| Err(Loss::Refused(error));
        if let Some(error) = self.stream.take_error().map_err(Loss::Refused)? {
            return refused(error);
        }
        // Of either kind: the standard library knows only the addresses of TCP.
        let socket = SockRef::from(&self.stream);
        match (socket.peer_addr(), socket.local_addr()) {
            // A port that nobody listens on can be picked for our own end: the connection is then
            // one with itself.
            (Ok(peer), Ok(local)) if peer == local => {
                return refused(io::ErrorKind::ConnectionRefused.into());
            }
            (Ok(_), Ok(_)) => {}
            (Err(error), _) | (_, Err(error)) if error.kind() == io::ErrorKind::NotConnected => {
                return Ok(false);
            }
            (Err(error), _) | (_, Err(error)) => return refused(error),
        }
        self.is_open = true;
        shared.tally.opened += 1;
        let now = shared.read_clock();
        self.opened = now;
        shared.tally.connect.record(now.since(self.life.begun), 1);
        Ok(true)
    }

    /// Takes `count` requests into flight, which [`flush`](Self::flush) then sends; `first` is
    /// their number in the schedule, and the generator kept them for at most `lag`.
    pub fn begin(&mut self, count: usize, first: u64, lag: Duration, shared: &mut Shared) {
        // Only the first time: from then on it is never.
        self.unused += shared.now.since(mem::replace(&mut self.opened, Moment::NEVER));
        self.flights.push_back(Flight { first, count, sent: shared.now, lag });
        self.in_flight += count;
        self.unwritten += count;
        self.life.requests = self.life.requests.saturating_sub(count as u64);
        shared.in_flight += count;
    }

    /// Sends what the kernel takes.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn flush(&mut self, plan: &Plan, shared: &mut Shared) -> Result<(), Loss> {
        while self.unwritten > 0 {
            let bytes = &plan.script.requests(self.place, self.unwritten)[self.offset..];
            match self.stream.write(bytes) {
                Ok(written) => {
                    self.written(written, plan, shared);
                    // Less than was offered: the socket is full, and an event says when it is not.
                    if written < bytes.len() {
                        return Ok(());
                    }
                }
                Err(error) if would_block(&error) => return Ok(()),
                Err(error) if interrupted(&error) => {}
                // Replies to what was sent before may still be there: they are read first, and
                // reading meets the end.
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
            // There is no reply that could wait for the generator.
            self.complete(whole, Duration::ZERO, shared);
        }
    }

    /// Reads and judges what has come. An event that said that the peer has ended its side demands
    /// to read up to that end.
    ///
    /// # Errors
    /// When the connection has ended or cannot be followed any further.
    pub fn receive(
        &mut self,
        is_read_closed: bool,
        plan: &Plan,
        shared: &mut Shared,
    ) -> Result<Progress, Loss> {
        for _ in 0..READS_PER_TURN {
            // The block is taken out so that the rest of `shared` can be used beside it, and put
            // back in either case.
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
                // A short read has emptied the socket (but for an urgent mark, which no server of
                // ours sets), and the next byte is an event.
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

    /// The oldest `count` requests were answered, and rightly; the generator kept the replies for
    /// `lag`.
    fn complete(&mut self, count: usize, lag: Duration, shared: &mut Shared) {
        self.is_of_use |= count > 0;
        self.land(count, shared, |flight, count, shared| {
            shared.count_correct(flight.first, count, flight.sent, (flight.lag, lag));
        });
    }

    /// The oldest `count` requests will not be answered any more, or were not as they should have
    /// been.
    fn fail(&mut self, error: ReplyError, count: usize, shared: &mut Shared) {
        shared.tally.errors.add(error, count as u64);
        self.land(count, shared, |_, _, _| {});
    }

    /// Takes the oldest `count` requests out of flight, and has `record` look at each part of them
    /// that was sent together.
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

    /// Counts what is in flight as lost: `oldest` for the first request, and all behind it as
    /// missing.
    pub fn give_up(&mut self, oldest: ReplyError, script: &Script, shared: &mut Shared) {
        let first = self.in_flight.min(1);
        if first > 0 && matches!(oldest, ReplyError::Truncated | ReplyError::Late) {
            self.reader.keep_unfinished(oldest, script, &mut shared.tally.exchanges);
        }
        self.fail(oldest, first, shared);
        self.fail(ReplyError::Missing, self.in_flight, shared);
    }

    /// What the oldest request in flight suffers when the connection ends now.
    #[must_use]
    pub const fn loss_of_oldest(&self) -> ReplyError {
        if self.reader.is_inside_reply() { ReplyError::Truncated } else { ReplyError::Missing }
    }

    /// Takes what is in flight out of the count without an outcome: the run was interrupted, or the
    /// server turned it away.
    pub fn forget(&mut self, shared: &mut Shared) {
        self.land(self.in_flight, shared, |_, _, _| {});
    }
}
