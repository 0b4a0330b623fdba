//! The event loop of one generator thread.
//!
//! ```text
//!   wait -> events -> receive, flush -> schedule_next:  closed loop: send at once
//!     ^                                              open loop:   queue as free connection
//!     |                                              hold:        wait for the next heartbeat
//!     +-- record slice <- send due requests <- open connections <- check deadlines
//! ```

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

use super::backlog::{Backlog, PAUSE_MIN};
use super::causes::{ConnectError, Ending, ReplyError};
use super::connect;
use super::ledger::{Ledger, Part};
use super::muster::Muster;
use super::outcome::Pace;
use super::peer::{Life, Loss, Peer, Progress};
use super::plan::{Opening, Plan};
use super::roster::Roster;
use super::schedule::Schedule;
use super::shared::Shared;
use super::timer::Timer;

const EVENTS_MAX: usize = 1024;

/// Maximum number of connections opened per round. Each costs the kernel tens of microseconds,
/// during which replies wait.
const OPENED_PER_ROUND_MAX: usize = 32;

/// Longest wait, so that a stopped run is noticed.
const WAIT_MAX: Duration = Duration::from_millis(50);

/// Interval at which a thread checks whether all threads have opened their connections. With more
/// than [`MUSTER_THREADS`] threads the interval grows, because the checks of a thousand threads
/// would leave no time to open connections.
const MUSTER_WAIT: Duration = Duration::from_millis(1);
const MUSTER_THREADS: usize = 16;

/// The events that every connection is registered for, once.
const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// Number of tokens of ended connections that a queue may hold in any case.
const FREE_SLACK: usize = 64;

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

    /// Decides the next action of a connection.
    fn settle(&mut self, token: Token) {
        let (now, is_loading, depth) = (self.shared.now, self.is_loading(), self.plan.asked.depth);
        let Some(peer) = self.peers.get_mut(token) else { return };
        if peer.is_over(now) {
            return self.retire(token);
        }
        let room = if peer.is_queued { 0 } else { peer.room(depth, now) };
        match self.plan.asked.pace {
            Pace::Closed if is_loading && room > 0 => {
                return self.send(token, room, 0, Duration::ZERO);
            }
            Pace::Hold(pause) if is_loading && room == depth => {
                // The first heartbeats are spread over one interval; otherwise they would stay a
                // burst forever.
                let place =
                    self.roster.number(peer.slot) as f64 / self.plan.asked.connections as f64;
                let first = pause.min(self.plan.asked.duration).mul_f64(place);
                let pause = if peer.has_begun() { pause } else { first };
                self.pause(token, now.after(pause));
            }
            Pace::Open { .. } if room > 0 => {
                peer.is_queued = true;
                self.backlog.push(token);
                // Ended connections leave their tokens in the queue, which must not grow without
                // bound.
                if self.backlog.len() > 2 * self.peers.len() + FREE_SLACK {
                    self.backlog.retain(|token| self.peers.get_mut(*token).is_some());
                }
            }
            _ => {}
        }
        self.arm(token);
    }

    /// Pauses a connection until `over`.
    fn pause(&mut self, token: Token, over: Moment) {
        let Some(peer) = self.peers.get_mut(token) else { return };
        peer.is_queued = true;
        // All pauses except the first have the same length, so the place is at or near the end.
        let place = self.pausing.partition_point(|(other, _)| *other <= over);
        self.pausing.insert(place, (over, token));
    }

    /// Sets the deadline of a connection. A deadline that moved later is corrected when the old one
    /// is due.
    fn arm(&mut self, token: Token) {
        let Some(peer) = self.peers.get_mut(token) else { return };
        self.deadlines.bring_forward(token.key(), peer.deadline(&self.plan));
    }

    /// Sends `count` requests, of which `number` is the first in the schedule. The generator
    /// delayed them by at most `lag`.
    fn send(&mut self, token: Token, count: usize, number: u64, lag: Duration) {
        let Some(peer) = self.peers.get_mut(token) else { return };
        peer.begin(count, number, lag, &mut self.shared);
        match peer.flush(&self.plan, &mut self.shared) {
            // Requests without replies are complete when sent. The next ones wait for the next
            // round, so that all connections have a turn.
            Ok(()) if peer.is_idle() && self.plan.asked.pace == Pace::Closed => {
                self.pause(token, self.shared.now)
            }
            Ok(()) if peer.is_idle() => self.settle(token),
            Ok(()) => self.arm(token),
            Err(loss) => self.lose(token, loss),
        }
    }

    /// Opens the connections that are due, a limited number per round.
    fn open_due(&mut self) {
        for _ in 0..OPENED_PER_ROUND_MAX {
            if self.shared.now >= self.end() {
                return;
            }
            let Some(slot) = self.roster.pop_due(self.shared.now) else { return };
            self.connect(slot);
        }
    }

    fn connect(&mut self, slot: usize) {
        let attempt = self.roster.attempt(slot, self.muster.address());
        let begun = self.shared.read_clock();
        self.shared.tally.connects += u64::from(attempt.is_first);
        let token = self.peers.next_token();
        let started = connect::start(&self.plan, attempt, &mut self.shared.tally.connects);
        let registered = started.and_then(|mut stream| {
            self.poll.registry().register(&mut stream, mio::Token(token.to_usize()), INTEREST)?;
            Ok(stream)
        });
        match registered {
            Ok(stream) => {
                let life = Life::new(self.plan.lifetime, begun);
                // A large step that shares no divisor with usual script lengths: neighbouring
                // connections start far apart.
                let place = attempt.number.wrapping_mul(7919) % self.plan.script.len();
                self.peers.insert(Peer::new(
                    stream,
                    slot,
                    attempt.address,
                    &self.plan.script,
                    place,
                    life,
                ));
                self.roster.begun();
                self.arm(token);
            }
            Err(error) => self.refuse(slot, &error, begun),
        }
    }

    /// Tries the next address if `error` belongs to this one; counts a failure after all addresses.
    fn refuse(&mut self, slot: usize, error: &io::Error, now: Moment) {
        let cause = connect::cause(error);
        // Missing ports or descriptors affect every address.
        let is_ours = matches!(cause, ConnectError::NoPort | ConnectError::NoDescriptor);
        if is_ours || !self.roster.try_next_address(slot, now) {
            self.shared.tally.connect_errors.add(cause, 1);
            self.roster.failed(slot, now);
        }
    }

    /// Closes a connection at the end of its lifetime, and opens the next one in its slot.
    fn retire(&mut self, token: Token) {
        if let Some(peer) = self.remove(token) {
            self.roster.reopen(peer.slot, self.shared.now);
        }
    }

    fn lose(&mut self, token: Token, loss: Loss) {
        let Some(mut peer) = self.remove(token) else { return };
        let now = self.shared.now;
        match loss {
            Loss::Refused(error) => self.refuse(peer.slot, &error, now),
            Loss::Busy => {
                // Scheduled requests must appear in some count; a closed loop sends them again.
                if self.shared.has_schedule() {
                    peer.give_up(ReplyError::Missing, &self.plan.script, &mut self.shared);
                } else {
                    peer.forget(&mut self.shared);
                }
                self.shared.tally.connect_errors.add(ConnectError::Busy, 1);
                self.roster.turned_away(peer.slot, now);
            }
            Loss::Ended(ending) => {
                let oldest = match ending {
                    Ending::Silent | Ending::Late => ReplyError::Late,
                    // An unreadable reply is already counted; a closing message is not a part of a
                    // reply.
                    Ending::Unreadable
                    | Ending::IdleTimeout
                    | Ending::MessageTimeout
                    | Ending::Shutdown => ReplyError::Missing,
                    Ending::Closed | Ending::Reset => peer.loss_of_oldest(),
                };
                peer.give_up(oldest, &self.plan.script, &mut self.shared);
                self.shared.tally.endings.add(ending, 1);
                match self.plan.asked.pace {
                    // The end of a held connection is the result; a new one in its place would hide
                    // it.
                    Pace::Hold(_) => {}
                    _ if peer.is_of_use() => self.roster.reopen(peer.slot, now),
                    _ => self.roster.reopen_later(peer.slot, now),
                }
            }
        }
    }

    fn remove(&mut self, token: Token) -> Option<Peer> {
        self.deadlines.remove(token.key());
        let peer = self.peers.remove(token)?;
        self.roster.closed(peer.is_open(), self.shared.now);
        if self.plan.reset {
            connect::reset_on_close(peer.stream());
        }
        Some(peer)
    }

    /// Checks the connections whose deadlines are due.
    fn expire(&mut self) {
        let now = self.shared.now;
        while let Some(key) = self.deadlines.pop_due(now) {
            let Some(token) = self.peers.token_of(key) else { continue };
            let Some(peer) = self.peers.get_mut(token) else { continue };
            if peer.deadline(&self.plan) > now {
                self.arm(token);
            } else if !peer.is_open() {
                self.lose(token, Loss::Refused(io::ErrorKind::TimedOut.into()));
            } else if peer.is_idle() {
                self.settle(token);
            } else {
                let ending = peer.overdue();
                self.lose(token, Loss::Ended(ending));
            }
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

    /// Sends the requests that are due by the schedule or by the end of a pause.
    fn send_due(&mut self) -> io::Result<()> {
        let now = self.shared.now;
        while let Some((_, token)) = self.pausing.pop_front_if(|(over, _)| *over <= now) {
            let is_loading = self.is_loading();
            let Some(peer) = self.peers.get_mut(token) else { continue };
            peer.is_queued = false;
            let has_room = peer.room(1, now) > 0;
            match self.plan.asked.pace {
                Pace::Hold(_) if has_room && is_loading => self.send(token, 1, 0, Duration::ZERO),
                _ => self.settle(token),
            }
            self.shared.read_clock();
        }
        self.send_scheduled();
        let is_waiting = !self.backlog.is_empty() && self.backlog.may_send(now, self.end());
        let next = if !is_waiting { Moment::NEVER } else { self.shared.due(self.next) };
        if next != self.alarm && next != Moment::NEVER {
            self.timer.set(next.since(self.shared.read_clock()))?;
        }
        self.alarm = next;
        Ok(())
    }

    fn send_scheduled(&mut self) {
        let (now, mut unsent) =
            (self.shared.now, usize::try_from(self.unsent()).unwrap_or(usize::MAX));
        if unsent > 0 {
            self.backlog.begin_look(now, self.shared.due(self.next), self.shared.woken);
        }
        while unsent > 0
            && self.backlog.may_send(now, self.end())
            && let Some(token) = self.backlog.pop()
        {
            // The due requests are spread evenly over the free connections.
            let share = unsent.div_ceil(self.backlog.len() + 1);
            let Some(peer) = self.peers.get_mut(token) else { continue };
            peer.is_queued = false;
            let count = share.min(peer.room(self.plan.asked.depth, self.shared.now));
            if count > 0 {
                let lag = self.backlog.lag() + self.shared.read_clock().since(now);
                self.send(token, count, self.next, lag);
                self.next += count as u64;
                unsent -= count;
            }
            self.settle(token);
        }
        self.backlog.end_look(now, unsent > 0);
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
