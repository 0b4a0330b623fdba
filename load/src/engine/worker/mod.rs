//! The event loop of one generator thread.
//!
//! ```text
//!   wait -> events -> receive, flush -> schedule_next:  closed loop: send at once
//!     ^                                              open loop:   queue as free connection
//!     |                                              hold:        wait for the next heartbeat
//!     +-- record slice <- send due requests <- open connections <- check deadlines
//! ```

mod connections;
mod sending;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Interest, Poll};
use tinytcp_core::os::moment::Moment;
use tinytcp_core::os::system::interrupted;
use tinytcp_core::os::table::{Table, Token};
use tinytcp_core::queues::deadlines::Deadlines;

use super::connect;
use super::connection::transfer::ReadProgress;
use super::connection::{LoadConnection, Loss};
use super::free_connections::{FreeConnections, PAUSE_MIN};
use super::slice_recorder::{SlicePart, SliceRecorder};
use super::slots::ConnectionSlots;
use super::start_barrier::StartBarrier;
use super::thread_state::ThreadState;
use super::timer::Timer;
use crate::measurement::causes::ReplyError;
use crate::measurement::logged_request::RequestLog;
use crate::measurement::settings::Opening;
use crate::traffic::plan::Plan;

const EVENTS_MAX: usize = 1024;

/// Longest wait, so that a stopped run is noticed.
const WAIT_MAX: Duration = Duration::from_millis(50);

/// Interval at which a thread checks whether all threads have opened their connections. With more
/// than [`BARRIER_THREADS`] threads the interval grows, because the checks of a thousand threads
/// would leave no time to open connections.
const BARRIER_WAIT: Duration = Duration::from_millis(1);
const BARRIER_THREADS: usize = 16;

/// The events that every connection is registered for, once.
const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE);

const TIMER: mio::Token = mio::Token(usize::MAX);

/// One generator thread.
pub struct Worker {
    plan: Arc<Plan>,
    barrier: Arc<StartBarrier>,
    index: usize,
    poll: Poll,
    timer: Timer,
    /// The moment that the timer is set to.
    alarm: Moment,
    connections: Table<LoadConnection>,
    slots: ConnectionSlots,
    state: ThreadState,
    recorder: SliceRecorder,
    /// When to check which connection even without an event.
    deadlines: Deadlines,
    /// Open loop: the free connections, and what delays requests.
    free_connections: FreeConnections,
    /// Pausing connections with the end of their pause, in that order.
    pausing: VecDeque<(Moment, Token)>,
    /// Number of the next request of this thread.
    next: u64,
    /// Closed loop: how many requests this thread may still send.
    quota: u64,
    /// Start of the load; [`Moment::NEVER`] before it.
    start: Moment,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("index", &self.index).finish_non_exhaustive()
    }
}

impl Worker {
    /// Creates thread `index` of the run.
    ///
    /// # Errors
    /// Fails if no descriptor is left for a poller.
    pub fn new(
        index: usize,
        plan: Arc<Plan>,
        barrier: Arc<StartBarrier>,
        parts: Sender<SlicePart>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let timer = Timer::new(poll.registry(), TIMER)?;
        let quota = plan.share_of_requests(index);
        let threads = plan.settings.threads;
        let mut state = ThreadState::new(plan.schedule(), threads, index, barrier.epoch());
        state.is_spread = plan.is_spread;
        state.log = plan.share_of_log(index).map(RequestLog::with_room);
        Ok(Self {
            slots: ConnectionSlots::new(&plan, index),
            state,
            recorder: SliceRecorder::new(index, parts),
            plan,
            barrier,
            index,
            poll,
            timer,
            alarm: Moment::NEVER,
            connections: Table::default(),
            deadlines: Deadlines::default(),
            free_connections: FreeConnections::default(),
            pausing: VecDeque::new(),
            next: 0,
            quota,
            start: Moment::NEVER,
        })
    }

    /// Generates load until the run is over.
    ///
    /// # Errors
    /// Fails if waiting for events is impossible.
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let now = self.state.read_clock();
        self.recorder.begin(&self.plan, self.start, now);
        while !self.is_over() {
            self.wait(&mut events)?;
            for event in &events {
                self.handle_event(event);
            }
            self.state.read_clock();
            self.expire();
            self.open_due();
            self.start_when_ready();
            self.send_due()?;
            let (now, unsent) = (self.state.now, self.unsent());
            self.recorder.round(
                &self.plan,
                self.start,
                now,
                &mut self.state,
                &mut self.slots,
                unsent,
            );
        }
        self.finish();
        Ok(())
    }

    fn is_over(&self) -> bool {
        let can_send = self.state.has_schedule() && !self.free_connections.was_closed(self.end());
        let is_after_end = self.state.now >= self.end() && !can_send;
        let is_done = self.state.in_flight == 0 && (is_after_end || self.all_were_sent());
        is_done
            || self.is_abandoned()
            || self.state.now >= self.hard_end()
            || self.barrier.is_stopped()
            || self.barrier.is_hopeless()
    }

    /// Returns true if a run of a given number of requests has sent those of this thread.
    fn all_were_sent(&self) -> bool {
        self.plan.settings.requests.is_some()
            && self.start != Moment::NEVER
            && match self.state.has_schedule() {
                true => self.state.due(self.next) == Moment::NEVER,
                false => self.quota == 0,
            }
    }

    /// Returns true if a run of a given number of requests has had no connection for the timeout:
    /// it has no other end.
    fn is_abandoned(&self) -> bool {
        let since = self.slots.last_closed().unwrap_or(Moment::START);
        self.plan.settings.requests.is_some()
            && self.slots.open() == 0
            && self.slots.all_were_tried()
            && self.state.now.since(since) >= self.plan.settings.timeout
    }

    /// The end of the load: no request is due at or after it.
    fn end(&self) -> Moment {
        self.start.after(self.plan.settings.duration)
    }

    /// The end of the run, whatever the server does. It counts from the start of the run, not of
    /// the load: the time for opening connections is taken from the wait for the last replies.
    fn hard_end(&self) -> Moment {
        Moment::START.after(self.plan.settings.duration).after(self.plan.settings.timeout)
    }

    /// Returns true while a reply is followed by the next request.
    fn is_loading(&self) -> bool {
        self.start <= self.state.now && self.state.now < self.end()
    }

    /// Returns the number of requests that are due and not sent.
    fn unsent(&self) -> u64 {
        self.state.due_by(self.state.now.min(self.end())).saturating_sub(self.next)
    }

    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let timeout = self.wake_up().since(self.state.now).min(WAIT_MAX);
        // The poller rounds up to whole milliseconds.
        let wake_up = self.state.now.after(timeout + Duration::from_millis(1)).min(self.alarm);
        let (woken_last, begun) = (self.state.woken, self.state.read_clock());
        match self.poll.poll(events, Some(timeout)) {
            Err(error) if interrupted(&error) => events.clear(),
            result => result?,
        }
        let returned = self.state.read_clock();
        let woken = returned.min(wake_up);
        self.state.counts.waited += woken.since(begun);
        // After a pause in the middle of a round, an event that is ready at once may have been
        // ready since that round began.
        let was_paused = begun.since(woken_last) >= PAUSE_MIN && returned.since(begun) < PAUSE_MIN;
        self.state.woken = if was_paused { woken_last } else { woken };
        Ok(())
    }

    /// Returns the next moment to act without an event. Scheduled requests wake the poller by the
    /// timer instead.
    fn wake_up(&self) -> Moment {
        let now = self.state.now;
        let pause = self.pausing.front().map_or(Moment::NEVER, |(over, _)| *over);
        // No connection is opened after the end.
        let (end, opening) = if now < self.end() {
            (self.end(), self.slots.next())
        } else {
            (self.hard_end(), Moment::NEVER)
        };
        let looks =
            u32::try_from(self.plan.settings.threads.div_ceil(BARRIER_THREADS)).unwrap_or(u32::MAX);
        let barrier = if self.start == Moment::NEVER {
            now.after(BARRIER_WAIT.saturating_mul(looks))
        } else {
            Moment::NEVER
        };
        let alarm = Timer::poll_timeout(self.alarm.since(now))
            .map_or(Moment::NEVER, |delay| now.after(delay));
        [self.deadlines.next(), pause, end, barrier, alarm, opening, self.recorder.next()]
            .into_iter()
            .min()
            .unwrap_or(Moment::NEVER)
    }

    fn handle_event(&mut self, event: &Event) {
        let token = Token::from_usize(event.token().0);
        let Some(connection) = self.connections.get_mut(token) else { return };
        let was_open = connection.is_open();
        let result = process_event(connection, event, &self.plan, &mut self.state);
        if !was_open && connection.is_open() {
            self.barrier.prefer_address(connection.address);
            self.slots.opened(connection.slot);
        }
        match result {
            Ok(progress) => {
                if progress == ReadProgress::Yielded {
                    self.reregister_connection(token);
                }
                self.schedule_next(token);
            }
            Err(loss) => self.handle_loss(token, loss),
        }
    }

    /// Registers a connection again, so that the kernel reports its readiness after the other ready
    /// connections.
    fn reregister_connection(&mut self, token: Token) {
        let Some(connection) = self.connections.get_mut(token) else { return };
        let registered = self.poll.registry().reregister(
            connection.stream_mut(),
            mio::Token(token.to_usize()),
            INTEREST,
        );
        if let Err(error) = registered {
            self.handle_loss(token, Loss::Refused(connect::cause(&error)));
        }
    }

    /// Starts the load when all threads have tried to open all their connections; with an opening
    /// rate, at once.
    fn start_when_ready(&mut self) {
        if self.start != Moment::NEVER {
            return;
        }
        let now = self.state.now;
        let is_at_once = self.plan.opening == Opening::AtOnce;
        let is_ready = !is_at_once || self.slots.all_were_tried() || now >= self.opening_end();
        let Some(start) = self.barrier.start(self.index, is_ready, self.slots.reached(), now)
        else {
            return;
        };
        if is_at_once && self.slots.all_were_tried() && self.barrier.reached() == 0 {
            self.barrier.mark_hopeless();
        }
        // The counts so far belong to the opening phase. Another thread may have set the start
        // slightly after this thread's clock reading.
        let (now, unsent) = (now.max(start), self.unsent());
        self.recorder.cut(&self.plan, start, now, &mut self.state, &mut self.slots, unsent);
        self.start = start;
        self.state.begin(start, self.plan.counted(start));
        for token in self.connections.tokens().collect::<Vec<_>>() {
            self.state.read_clock();
            self.schedule_next(token);
        }
    }

    /// Connections that are not open by then are not waited for: the other half of the timeout is
    /// for the last replies.
    fn opening_end(&self) -> Moment {
        Moment::START.after(self.plan.settings.timeout / 2)
    }

    /// Counts the requests without a reply, and closes all connections.
    fn finish(&mut self) {
        let is_interrupted = self.barrier.is_stopped();
        let unsent = self.unsent();
        // Without a number of requests, a closed loop owes none.
        let owed = if self.quota == u64::MAX { 0 } else { self.quota };
        self.state.counts.errors.add(ReplyError::Unsent, unsent + owed);
        let waited = self.state.now.min(self.end()).since(self.state.due(self.next));
        if self.free_connections.lag() * 2 >= waited {
            self.state.counts.unsent_by_generator += unsent;
        }
        for token in self.connections.tokens().collect::<Vec<_>>() {
            let Some(mut connection) = self.connections.remove(token) else { continue };
            if is_interrupted {
                connection.discard_in_flight(&mut self.state);
            } else {
                connection.fail_all(connection.error_of_oldest(), &mut self.state);
            }
            if connection.is_unanswered() {
                self.slots.ended_unanswered(connection.slot, self.state.now);
            }
            connection.end(&self.plan);
        }
        // The slots still list the connections that were open at the end: they are a result.
        self.recorder.cut(
            &self.plan,
            self.start,
            self.state.now,
            &mut self.state,
            &mut self.slots,
            unsent,
        );
    }
}

/// Handles one event of a connection.
fn process_event(
    connection: &mut LoadConnection,
    event: &Event,
    plan: &Plan,
    state: &mut ThreadState,
) -> Result<ReadProgress, Loss> {
    if !connection.is_connected() && !connection.check_connected(plan, state)? {
        return Ok(ReadProgress::Drained);
    }
    let is_ending = event.is_read_closed() || event.is_error();
    if event.is_writable() {
        connection.flush(plan, state)?;
    }
    if event.is_readable() || is_ending {
        return connection.receive(is_ending, plan, state);
    }
    Ok(ReadProgress::Drained)
}
