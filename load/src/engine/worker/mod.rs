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
use super::connection::transfer::Progress;
use super::connection::{Loss, Peer};
use super::free_connections::{Backlog, PAUSE_MIN};
use super::slice_recorder::{Ledger, Part};
use super::slots::Roster;
use super::start_barrier::Muster;
use super::thread_state::Shared;
use super::timer::Timer;
use crate::measurement::causes::ReplyError;
use crate::measurement::settings::{Opening, Pace};
use crate::traffic::plan::Plan;
use crate::traffic::schedule::Schedule;

const EVENTS_MAX: usize = 1024;

/// Longest wait, so that a stopped run is noticed.
const WAIT_MAX: Duration = Duration::from_millis(50);

/// Interval at which a thread checks whether all threads have opened their connections. With more
/// than [`MUSTER_THREADS`] threads the interval grows, because the checks of a thousand threads
/// would leave no time to open connections.
const MUSTER_WAIT: Duration = Duration::from_millis(1);
const MUSTER_THREADS: usize = 16;

/// The events that every connection is registered for, once.
const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE);

const TIMER: mio::Token = mio::Token(usize::MAX);

/// One generator thread.
pub struct Worker {
    plan: Arc<Plan>,
    muster: Arc<Muster>,
    index: usize,
    poll: Poll,
    timer: Timer,
    /// The moment that the timer is set to.
    alarm: Moment,
    peers: Table<Peer>,
    roster: Roster,
    shared: Shared,
    ledger: Ledger,
    /// When to check which connection even without an event.
    deadlines: Deadlines,
    /// Open loop: the free connections, and what delays requests.
    backlog: Backlog,
    /// Pausing connections with the end of their pause, in that order.
    pausing: VecDeque<(Moment, Token)>,
    /// Number of the next request of the schedule.
    next: u64,
    /// Start of the load; [`Moment::NEVER`] before it.
    start: Moment,
}

impl Worker {
    /// Creates thread `index` of the run.
    ///
    /// # Errors
    /// Fails if no descriptor is left for a poller.
    pub fn new(
        index: usize,
        plan: Arc<Plan>,
        muster: Arc<Muster>,
        parts: Sender<Part>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let timer = Timer::new(poll.registry(), TIMER)?;
        let schedule = match plan.asked.pace {
            Pace::Open { from, to } => Some(Schedule::new(from, to, plan.asked.duration)),
            Pace::Closed | Pace::Hold(_) => None,
        };
        Ok(Self {
            roster: Roster::new(&plan, index),
            shared: Shared::new(schedule, plan.asked.threads, index, muster.epoch()),
            ledger: Ledger::new(index, parts),
            plan,
            muster,
            index,
            poll,
            timer,
            alarm: Moment::NEVER,
            peers: Table::default(),
            deadlines: Deadlines::default(),
            backlog: Backlog::default(),
            pausing: VecDeque::new(),
            next: 0,
            start: Moment::NEVER,
        })
    }

    /// Generates load until the run is over.
    ///
    /// # Errors
    /// Fails if waiting for events is impossible.
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let now = self.shared.read_clock();
        self.ledger.begin(&self.plan, self.start, now);
        while !self.is_over() {
            self.wait(&mut events)?;
            for event in &events {
                self.handle(event);
            }
            self.shared.read_clock();
            self.expire();
            self.open_due();
            self.start_when_ready();
            self.send_due()?;
            let (now, unsent) = (self.shared.now, self.unsent());
            self.ledger.round(
                &self.plan,
                self.start,
                now,
                &mut self.shared.tally,
                &mut self.roster,
                unsent,
            );
        }
        self.finish();
        Ok(())
    }

    fn is_over(&self) -> bool {
        let can_send = self.shared.has_schedule() && !self.backlog.was_closed(self.end());
        let is_done = self.shared.now >= self.end() && self.shared.in_flight == 0 && !can_send;
        is_done
            || self.shared.now >= self.hard_end()
            || self.muster.is_stopped()
            || self.muster.is_hopeless()
    }

    /// The end of the load: no request is due at or after it.
    fn end(&self) -> Moment {
        self.start.after(self.plan.asked.duration)
    }

    /// The end of the run, whatever the server does. It counts from the start of the run, not of
    /// the load: the time for opening connections is taken from the wait for the last replies.
    fn hard_end(&self) -> Moment {
        Moment::START.after(self.plan.asked.duration).after(self.plan.asked.timeout)
    }

    /// Returns true while a reply is followed by the next request.
    fn is_loading(&self) -> bool {
        self.start <= self.shared.now && self.shared.now < self.end()
    }

    /// Returns the number of requests that are due and not sent.
    fn unsent(&self) -> u64 {
        self.shared.due_by(self.shared.now.min(self.end())).saturating_sub(self.next)
    }

    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let timeout = self.wake_up().since(self.shared.now).min(WAIT_MAX);
        // The poller rounds up to whole milliseconds.
        let wake_up = self.shared.now.after(timeout + Duration::from_millis(1)).min(self.alarm);
        let (woken_last, begun) = (self.shared.woken, self.shared.read_clock());
        match self.poll.poll(events, Some(timeout)) {
            Err(error) if interrupted(&error) => events.clear(),
            result => result?,
        }
        let returned = self.shared.read_clock();
        let woken = returned.min(wake_up);
        self.shared.tally.waited += woken.since(begun);
        // After a pause in the middle of a round, an event that is ready at once may have been
        // ready since that round began.
        let was_paused = begun.since(woken_last) >= PAUSE_MIN && returned.since(begun) < PAUSE_MIN;
        self.shared.woken = if was_paused { woken_last } else { woken };
        Ok(())
    }

    /// Returns the next moment to act without an event. Scheduled requests wake the poller by the
    /// timer instead.
    fn wake_up(&self) -> Moment {
        let now = self.shared.now;
        let pause = self.pausing.front().map_or(Moment::NEVER, |(over, _)| *over);
        // No connection is opened after the end.
        let (end, opening) = if now < self.end() {
            (self.end(), self.roster.next())
        } else {
            (self.hard_end(), Moment::NEVER)
        };
        let looks =
            u32::try_from(self.plan.asked.threads.div_ceil(MUSTER_THREADS)).unwrap_or(u32::MAX);
        let muster = if self.start == Moment::NEVER {
            now.after(MUSTER_WAIT.saturating_mul(looks))
        } else {
            Moment::NEVER
        };
        let alarm = Timer::poll_timeout(self.alarm.since(now))
            .map_or(Moment::NEVER, |delay| now.after(delay));
        [self.deadlines.next(), pause, end, muster, alarm, opening, self.ledger.next()]
            .into_iter()
            .min()
            .unwrap_or(Moment::NEVER)
    }

    fn handle(&mut self, event: &Event) {
        let token = Token::from_usize(event.token().0);
        let Some(peer) = self.peers.get_mut(token) else { return };
        let was_open = peer.is_open();
        let result = react(peer, event, &self.plan, &mut self.shared);
        if !was_open && peer.is_open() {
            self.muster.prefer_address(peer.address);
            self.roster.opened(peer.slot);
        }
        match result {
            Ok(progress) => {
                if progress == Progress::Yielded {
                    self.look_again(token);
                }
                self.settle(token);
            }
            Err(loss) => self.lose(token, loss),
        }
    }

    /// Registers a connection again, so that the kernel reports its readiness after the other ready
    /// connections.
    fn look_again(&mut self, token: Token) {
        let Some(peer) = self.peers.get_mut(token) else { return };
        let registered = self.poll.registry().reregister(
            peer.stream_mut(),
            mio::Token(token.to_usize()),
            INTEREST,
        );
        if let Err(error) = registered {
            self.lose(token, Loss::Refused(error));
        }
    }

    /// Starts the load when all threads have tried to open all their connections; with an opening
    /// rate, at once.
    fn start_when_ready(&mut self) {
        if self.start != Moment::NEVER {
            return;
        }
        let now = self.shared.now;
        let is_at_once = self.plan.opening == Opening::AtOnce;
        let is_ready = !is_at_once || self.roster.all_were_tried() || now >= self.opening_end();
        let Some(start) = self.muster.start(self.index, is_ready, self.roster.reached(), now)
        else {
            return;
        };
        if is_at_once && self.roster.all_were_tried() && self.muster.reached() == 0 {
            self.muster.give_up();
        }
        // The counts so far belong to the opening phase. Another thread may have set the start
        // slightly after this thread's clock reading.
        let (now, unsent) = (now.max(start), self.unsent());
        self.ledger.cut(&self.plan, start, now, &mut self.shared.tally, &mut self.roster, unsent);
        self.start = start;
        self.shared.begin(start, self.plan.counted(start));
        for token in self.peers.tokens().collect::<Vec<_>>() {
            self.shared.read_clock();
            self.settle(token);
        }
    }

    /// Connections that are not open by then are not waited for: the other half of the timeout is
    /// for the last replies.
    fn opening_end(&self) -> Moment {
        Moment::START.after(self.plan.asked.timeout / 2)
    }

    /// Counts the requests without a reply, and closes all connections.
    fn finish(&mut self) {
        let is_interrupted = self.muster.is_stopped();
        let unsent = self.unsent();
        self.shared.tally.errors.add(ReplyError::Unsent, unsent);
        let waited = self.shared.now.min(self.end()).since(self.shared.due(self.next));
        if self.backlog.lag() * 2 >= waited {
            self.shared.tally.unsent_by_generator += unsent;
        }
        for token in self.peers.tokens().collect::<Vec<_>>() {
            let Some(mut peer) = self.peers.remove(token) else { continue };
            if is_interrupted {
                peer.forget(&mut self.shared);
            } else {
                peer.give_up(peer.loss_of_oldest(), &self.plan.script, &mut self.shared);
            }
            if self.plan.reset {
                connect::reset_on_close(peer.stream());
            }
        }
        // The slots still list the connections that were open at the end: they are a result.
        self.ledger.cut(
            &self.plan,
            self.start,
            self.shared.now,
            &mut self.shared.tally,
            &mut self.roster,
            unsent,
        );
    }
}

/// Handles one event of a connection.
fn react(
    peer: &mut Peer,
    event: &Event,
    plan: &Plan,
    shared: &mut Shared,
) -> Result<Progress, Loss> {
    if !peer.is_open() && !peer.open(shared)? {
        return Ok(Progress::Drained);
    }
    let is_ending = event.is_read_closed() || event.is_error();
    if event.is_writable() {
        peer.flush(plan, shared)?;
    }
    if event.is_readable() || is_ending {
        return peer.receive(is_ending, plan, shared);
    }
    Ok(Progress::Drained)
}
