//! One connection of the generator: it sends requests, checks replies and measures latencies.

mod encrypted;
mod login;
#[cfg_attr(not(feature = "tls"), path = "tls_layer_absent.rs")]
pub(crate) mod tls_layer;
pub mod transfer;

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::time::Duration;

use mio::net::TcpStream;
use socket2::SockRef;
use tinytcp_core::os::moment::Moment;

use self::login::Login;
use self::tls_layer::TlsLayer;
use super::connect;
use super::thread_state::ThreadState;
use crate::measurement::causes::{ConnectError, ConnectionEnd};
use crate::measurement::settings::Lifetime;
use crate::traffic::plan::Plan;
use crate::traffic::reply_checker::ReplyChecker;
use crate::traffic::script::{ConnectionScript, RunScript};

/// Requests sent by one system call that have no reply yet.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    /// Number of the first request among those of this thread.
    first: u64,
    count: usize,
    sent: Moment,
    /// Upper bound of the delay that the generator caused while a connection was free.
    lag: Duration,
}

/// The reason why a connection is lost.
#[derive(Debug)]
pub enum Loss {
    /// The connection attempt failed.
    Refused(ConnectError),
    /// The server rejected it after it was open: with `SERVER_BUSY`, for instance.
    Rejected(ConnectError),
    /// It ended, or the generator closed it.
    Ended(ConnectionEnd),
}

/// The remaining lifetime of a connection.
#[derive(Clone, Copy, Debug)]
pub struct RemainingLife {
    begun: Moment,
    /// Number of requests that may still be sent.
    requests: u64,
    /// When to close it.
    ends: Moment,
}

impl RemainingLife {
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
pub struct LoadConnection {
    /// Its slot among the requested connections of the thread.
    pub slot: usize,
    /// Its number among the requested connections of all threads.
    number: usize,
    /// Index of the server address.
    pub address: usize,
    /// True if it is in a queue of the thread, waiting for requests to send.
    pub is_queued: bool,
    stream: TcpStream,
    /// The TLS layer, from the begin of the handshake; `None` without TLS.
    tls: Option<Box<TlsLayer>>,
    is_open: bool,
    has_received: bool,
    /// When bytes last arrived.
    last_received: Moment,
    has_completed: bool,
    /// Time that it was open before the first request, while other connections were opening.
    idle_before_first: Duration,
    opened: Moment,
    life: RemainingLife,
    script: ConnectionScript,
    checker: ReplyChecker,
    login: Login,
    batches: VecDeque<InFlight>,
    /// Sum of the counts in `batches`.
    in_flight: usize,
    /// Script position of the first request that is not completely sent.
    place: usize,
    /// Number of its bytes that are sent.
    offset: usize,
    /// Requests in flight that are not completely sent.
    unwritten: usize,
}

impl LoadConnection {
    /// Creates the connection of a slot, with the number of that slot in the run, that is
    /// opening and starts its own part of `script`.
    #[must_use]
    pub fn new(
        stream: TcpStream,
        (slot, number): (usize, usize),
        address: usize,
        script: &RunScript,
        life: RemainingLife,
    ) -> Self {
        let (script, place) = script.begin(number);
        Self {
            slot,
            number,
            address,
            is_queued: false,
            stream,
            tls: None,
            is_open: false,
            has_received: false,
            last_received: Moment::START,
            has_completed: false,
            idle_before_first: Duration::ZERO,
            opened: Moment::NEVER,
            life,
            checker: ReplyChecker::new(script.dialogue(), place),
            login: Login::next(&script),
            script,
            batches: VecDeque::new(),
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

    /// Returns true if it is open, or only the handshake of TLS is missing.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.is_open || self.tls.is_some()
    }

    /// Returns true if it is encrypted and open, and the server has sent nothing since: with TLS
    /// 1.3, the server can still reject its handshake.
    #[must_use]
    pub const fn is_unanswered(&self) -> bool {
        self.is_open && self.tls.is_some() && !self.has_received
    }

    /// Returns true if no request is in flight.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.in_flight == 0
    }

    /// Returns true if a request was completed.
    #[must_use]
    pub const fn has_completed(&self) -> bool {
        self.has_completed
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

    /// Returns the pause that the script has before the next request.
    #[must_use]
    pub fn pause(&self) -> Duration {
        match &self.script {
            ConnectionScript::Constant(_) => Duration::ZERO,
            ConnectionScript::Rendered(dialogue) => dialogue.next_step().pause,
        }
    }

    /// Returns how many more requests can start at `now` with at most `depth` in flight.
    #[must_use]
    pub fn room(&self, depth: usize, now: Moment) -> usize {
        if !self.is_open || self.login != Login::Done || self.life.ends <= now {
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
    pub fn overdue(&self) -> ConnectionEnd {
        let is_late = self.batches.front().is_some_and(|oldest| oldest.sent < self.last_received);
        if is_late { ConnectionEnd::Late } else { ConnectionEnd::Silent }
    }

    /// Returns when to check the connection without an event: the timeout of its oldest request, or
    /// the end of its lifetime.
    #[must_use]
    pub fn deadline(&self, plan: &Plan) -> Moment {
        if !self.is_open {
            return self.life.begun.after(plan.connect_timeout());
        }
        self.batches
            .front()
            .map_or(self.life.ends, |oldest| oldest.sent.after(plan.settings.timeout))
    }

    /// Returns how the connection is lost if it does not open in time.
    #[must_use]
    pub const fn timed_out(&self) -> Loss {
        Loss::Refused(if self.tls.is_some() {
            ConnectError::TlsTimedOut
        } else {
            ConnectError::TimedOut
        })
    }

    /// Checks whether the connection attempt has succeeded. Records it once, sends the header of a
    /// proxy if the plan has one, and begins the handshake of TLS; without TLS, the connection is
    /// open.
    ///
    /// # Errors
    /// Fails if the attempt has failed.
    pub fn check_connected(&mut self, plan: &Plan, state: &mut ThreadState) -> Result<bool, Loss> {
        let refused = |error: io::Error| Loss::Refused(connect::cause(&error));
        if let Some(error) = self.stream.take_error().map_err(refused)? {
            return Err(refused(error));
        }
        // This works for TCP and unix sockets; the standard library supports addresses of TCP only.
        let socket = SockRef::from(&self.stream);
        match (socket.peer_addr(), socket.local_addr()) {
            // The system can pick an unused target port for our own end: the connection is then one
            // with itself.
            (Ok(remote), Ok(local)) if remote == local => {
                return Err(Loss::Refused(ConnectError::Refused));
            }
            (Ok(_), Ok(_)) => {}
            (Err(error), _) | (_, Err(error)) if error.kind() == io::ErrorKind::NotConnected => {
                return Ok(false);
            }
            (Err(error), _) | (_, Err(error)) => return Err(refused(error)),
        }
        if let Some(header) = &plan.proxy_header {
            header.send(&self.stream).map_err(refused)?;
        }
        let now = state.read_clock();
        state.counts.connect.record(now.since(self.life.begun), 1);
        match &plan.tls {
            None => self.opened(state),
            Some(tls) => self.begin_handshake(tls, state)?,
        }
        Ok(true)
    }

    /// Records that the connection is open.
    fn opened(&mut self, state: &mut ThreadState) {
        self.is_open = true;
        state.counts.opened += 1;
        if state.is_spread {
            state.counts.by_address.of(self.address).opened += 1;
        }
        self.opened = state.now;
    }

    /// Prepares the connection for its end: the kernel resets it if the plan wants that, and
    /// otherwise the end of TLS is sent.
    pub fn end(&mut self, plan: &Plan) {
        if plan.reset {
            connect::reset_on_close(&self.stream);
        } else if let Some(layer) = &mut self.tls {
            layer.close(&mut self.stream);
        }
    }

    /// Adds `count` requests in flight, which [`flush`](Self::flush) then sends. `first` is their
    /// number in the schedule, and the generator delayed them by at most `lag`.
    pub fn start_requests(
        &mut self,
        count: usize,
        first: u64,
        lag: Duration,
        state: &mut ThreadState,
    ) {
        // This adds time only once: `opened` is never from here on.
        self.idle_before_first += state.now.since(mem::replace(&mut self.opened, Moment::NEVER));
        if let ConnectionScript::Rendered(dialogue) = &mut self.script {
            let oldest = self.place.min(self.checker.next_place());
            for number in first..first + count as u64 {
                dialogue.render_next(state.number_in_run(number), oldest);
            }
        }
        self.batches.push_back(InFlight { first, count, sent: state.now, lag });
        self.in_flight += count;
        self.unwritten += count;
        self.life.requests = self.life.requests.saturating_sub(count as u64);
        state.in_flight += count;
    }
}
