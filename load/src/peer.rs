//! One connection of the generator: it sends requests, checks replies and measures latencies.

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

/// Requests sent by one system call that have no reply yet.
#[derive(Clone, Copy, Debug)]
struct Flight {
    /// Number of the first request in this thread's schedule; unused without a schedule.
    first: u64,
    count: usize,
    sent: Moment,
    /// Upper bound of the delay that the generator caused while a connection was free.
    lag: Duration,
}

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

/// Why a connection is lost.
#[derive(Debug)]
pub enum Loss {
    /// The connection attempt failed.
    Refused(io::Error),
    /// The server rejected it with `SERVER_BUSY`.
    Busy,
    /// It ended, or the generator closed it.
    Ended(Ending),
}

/// The remaining lifetime of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    begun: Moment,
    /// Number of requests that may still be sent.
    requests: u64,
    /// When to close it.
    ends: Moment,
}

impl Life {
    /// Returns the lifetime of a connection whose attempt starts at `begun`.
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
    /// Its slot among the requested connections.
    pub slot: usize,
    /// Index of the server address.
    pub address: usize,
    /// True if it is in a queue of the thread, waiting for requests to send.
    pub is_queued: bool,
    stream: TcpStream,
    is_open: bool,
    has_received: bool,
    /// When bytes last arrived.
    last_received: Moment,
    is_of_use: bool,
    /// Time that it was open before the first request, while other connections were opening.
    unused: Duration,
    opened: Moment,
    life: Life,
    reader: Reader,
    flights: VecDeque<Flight>,
    /// Sum of the counts in `flights`.
    in_flight: usize,
    /// Script position of the first request that is not completely sent.
    place: usize,
    /// Number of its bytes that are sent.
    offset: usize,
    /// Requests in flight that are not completely sent.
    unwritten: usize,
}

impl Peer {
    /// Creates a connection that is opening and starts the script at `place`.
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

    /// Returns true if requests can be sent.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Returns true if no request is in flight.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.in_flight == 0
    }

    /// Returns true if a request was completed.
    #[must_use]
    pub const fn is_of_use(&self) -> bool {
        self.is_of_use
    }

    /// Returns true if a request was started on the open connection.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.is_open && self.opened == Moment::NEVER
    }

    /// Returns the stream.
    #[must_use]
    pub const fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Returns the stream, to register it again.
    pub const fn stream_mut(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Returns how many more requests can start at `now` with at most `depth` in flight.
    #[must_use]
    pub fn room(&self, depth: usize, now: Moment) -> usize {
        if !self.is_open || self.life.ends <= now {
            return 0;
        }
        depth
            .saturating_sub(self.in_flight)
            .min(usize::try_from(self.life.requests).unwrap_or(usize::MAX))
    }

    /// Returns true if its lifetime is over and no request is in flight.
    #[must_use]
    pub fn is_over(&self, now: Moment) -> bool {
        self.is_open && self.in_flight == 0 && (self.life.requests == 0 || self.life.ends <= now)
    }

    /// Returns how the connection ends when its oldest request has reached the timeout: late if
    /// bytes arrived since the request was sent, else silent.
    #[must_use]
    pub fn overdue(&self) -> Ending {
        let is_late = self.flights.front().is_some_and(|oldest| oldest.sent < self.last_received);
        if is_late { Ending::Late } else { Ending::Silent }
    }

    /// Returns when to check the connection without an event: the timeout of its oldest request, or
    /// the end of its lifetime.
    #[must_use]
    pub fn deadline(&self, plan: &Plan) -> Moment {
        if !self.is_open {
            return self.life.begun.after(plan.connect_timeout());
        }
        self.flights.front().map_or(self.life.ends, |oldest| oldest.sent.after(plan.asked.timeout))
    }

    /// Checks whether the connection attempt has succeeded, and records the opening once.
    ///
    /// # Errors
    /// Fails if the attempt has failed.
    pub fn open(&mut self, shared: &mut Shared) -> Result<bool, Loss> {
        let refused = |error| Err(Loss::Refused(error));
        if let Some(error) = self.stream.take_error().map_err(Loss::Refused)? {
            return refused(error);
        }
        // This works for TCP and unix sockets; the standard library supports addresses of TCP only.
        let socket = SockRef::from(&self.stream);
        match (socket.peer_addr(), socket.local_addr()) {
            // The system can pick an unused target port for our own end: the connection is then one
            // with itself.
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

    /// Adds `count` requests in flight, which [`flush`](Self::flush) then sends. `first` is their
    /// number in the schedule, and the generator delayed them by at most `lag`.
    pub fn begin(&mut self, count: usize, first: u64, lag: Duration, shared: &mut Shared) {
        // This adds time only once: `opened` is never from here on.
        self.unused += shared.now.since(mem::replace(&mut self.opened, Moment::NEVER));
        self.flights.push_back(Flight { first, count, sent: shared.now, lag });
        self.in_flight += count;
        self.unwritten += count;
        self.life.requests = self.life.requests.saturating_sub(count as u64);
        shared.in_flight += count;
    }

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
