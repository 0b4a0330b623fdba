//! The loop of one generating thread.
//!
//! ```text
//!   wait -> events -> peer.receive, peer.flush -> settle: what next?  closed loop: refill at once
//!     ^                                                               open loop:   stand in the queue of those with room
//!     |                                                               hold:        wait for the next heartbeat
//!     +-- open what is due -- send what is due -- give up what is late -- cut a slice
//! ```

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Interest, Poll};

use super::connect::{self, Attempt};
use super::muster::Muster;
use super::outcome::Pace;
use super::peer::{Loss, Peer, Shared};
use super::plan::{Lifetime, Opening, Plan};
use super::processor::Usage;
use super::schedule::Schedule;
use super::tally::{ConnectError, Ending, ReplyError, Tally};
use super::timer::Timer;
use crate::base::deadlines::Deadlines;
use crate::base::moment::Moment;
use crate::base::table::{Table, Token};

const EVENTS_MAX: usize = 1024;

/// Connections that are opened in one round: each costs the kernel tens of microseconds, for which replies would wait.
const OPENED_PER_ROUND_MAX: usize = 32;

/// Connections that are being opened at once: a server that is slow to accept is not swamped beyond its backlog.
const OPENING_MAX: usize = 256;

/// A wait ends after that long in any case, to see whether the run was stopped.
const WAIT_MAX: Duration = Duration::from_millis(50);

/// How long to wait for a connection after one has failed; twice as long after each further one, up to the longest.
const RETRY_MIN: Duration = Duration::from_millis(10);
const RETRY_MAX: Duration = Duration::from_secs(1);

const TIMER: mio::Token = mio::Token(usize::MAX);

/// What a thread has counted since it last said something.
#[derive(Debug)]
pub struct Part {
    /// The thread.
    pub worker: usize,
    /// When it begins and ends.
    pub span: (Moment, Moment),
    /// What was counted.
    pub tally: Tally,
    /// The thread's connections that are open at its end.
    pub open: usize,
    /// Of the connections that the thread was asked for, how many were open at some time.
    pub reached: usize,
    /// The last moment at which a reply was right, as far as this part knows.
    pub last_correct: Option<Moment>,
}

/// The place of one of the connections asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// True exactly when an attempt to open it has been made, and has succeeded or failed.
    was_tried: bool,
    /// True exactly when it was open, and not refused, at some time.
    was_reached: bool,
    /// Connections one after the other that were of no use, however they failed.
    failures: u32,
    /// Attempts one after the other that opened no connection.
    refusals: u32,
}

/// One generating thread.
pub struct Worker {
    plan: Arc<Plan>,
    muster: Arc<Muster>,
    parts: Sender<Part>,
    index: usize,
    poll: Poll,
    timer: Timer,
    timer_set_for: Moment,
    peers: Table<Peer>,
    shared: Shared,
    slots: Vec<Slot>,
    /// When which slot is to be opened.
    openings: Deadlines,
    /// Connections that are being opened.
    opening: usize,
    /// Slots that have not been tried.
    untried: usize,
    reached: usize,
    open: usize,
    /// When which connection has to be looked at.
    deadlines: Deadlines,
    /// Under an open loop: connections with room, those that have had it longest first.
    free: VecDeque<Token>,
    /// Whether there was one when the loop last looked: what was due since then has waited for the loop alone.
    had_free: bool,
    /// Connections that are held, and when their next heartbeat is due; in that order.
    heartbeats: VecDeque<(Moment, Token)>,
    /// The next request of the schedule.
    next: u64,
    start: Moment,
    now: Moment,
    cut: Moment,
    cut_before: Moment,
    correct_before: u64,
    last_correct: Option<Moment>,
    usage: Usage,
}

impl Worker {
    /// Thread `index` of the run.
    ///
    /// # Errors
    /// When no descriptor is left for a poller.
    pub fn new(index: usize, plan: Arc<Plan>, muster: Arc<Muster>, parts: Sender<Part>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let timer = Timer::new(poll.registry(), TIMER)?;
        let schedule = match plan.asked.pace {
            Pace::Open { from, to } => Some(Schedule::new(from, to, plan.asked.duration)),
            _ => None,
        };
        let threads = plan.asked.threads;
        // Connections are dealt out in turn: each thread has its share, to within one.
        let slots = plan.asked.connections.saturating_sub(index).div_ceil(threads);
        let mut openings = Deadlines::default();
        for slot in 0..slots {
            openings.set(slot, opening_of(&plan, slot * threads + index));
        }
        Ok(Self {
            shared: Shared::new(schedule, threads, index, muster.epoch()),
            plan,
            muster,
            parts,
            index,
            poll,
            timer,
            timer_set_for: Moment::NEVER,
            peers: Table::default(),
            slots: vec![Slot::default(); slots],
            openings,
            opening: 0,
            untried: slots,
            reached: 0,
            open: 0,
            deadlines: Deadlines::default(),
            free: VecDeque::new(),
            had_free: false,
            heartbeats: VecDeque::new(),
            next: 0,
            start: Moment::NEVER,
            now: Moment::START,
            cut: Moment::START,
            cut_before: Moment::START,
            correct_before: 0,
            last_correct: None,
            usage: Usage::default(),
        })
    }

    /// Generates until the run is over.
    ///
    /// # Errors
    /// When waiting for events is impossible.
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        self.usage = Usage::of_this_thread();
        self.now = self.shared.now();
        self.cut_before = self.now;
        self.cut = self.next_cut();
        while !self.is_over() {
            self.wait(&mut events)?;
            for event in &events {
                self.handle(event);
            }
            self.now = self.shared.now();
            self.expire();
            self.open_due();
            self.start_when_ready();
            self.send_due()?;
            self.cut_when_due();
        }
        self.finish();
        Ok(())
    }

    fn is_over(&self) -> bool {
        if self.muster.is_stopped() || self.now >= self.hard_end() {
            return true;
        }
        let is_done = self.now >= self.end() && self.shared.in_flight == 0 && self.unsent() == 0;
        is_done || self.muster.is_hopeless()
    }

    /// No request is sent from here on, unless it is due since before.
    fn end(&self) -> Moment {
        self.start.after(self.plan.asked.duration)
    }

    /// Nothing is waited for from here on, whatever the server does.
    fn hard_end(&self) -> Moment {
        Moment::START.after(self.plan.asked.duration).after(self.plan.asked.timeout)
    }

    /// Requests that are due by the schedule and have not been begun.
    fn unsent(&self) -> u64 {
        self.shared.due_by(self.now.min(self.end())).saturating_sub(self.next)
    }

    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let timeout = self.wake_up().since(self.shared.now()).min(WAIT_MAX);
        match self.poll.poll(events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => events.clear(),
            result => result?,
        }
        self.now = self.shared.now();
        Ok(())
    }

    /// When the next thing is to be done though nothing happens. What the schedule has due wakes by a timer of its own.
    fn wake_up(&self) -> Moment {
        let openings = if self.opening < OPENING_MAX { self.openings.next() } else { Moment::NEVER };
        let heartbeat = self.heartbeats.front().map_or(Moment::NEVER, |(due, _)| *due);
        let end = if self.now < self.end() { self.end() } else { self.hard_end() };
        let due = if self.timer_set_for == Moment::NEVER { Moment::NEVER } else { self.polled_timer() };
        let muster = if self.start == Moment::NEVER { self.now.after(Duration::from_millis(1)) } else { Moment::NEVER };
        [self.deadlines.next(), heartbeat, end, openings, self.cut, due, muster]
            .into_iter()
            .min()
            .unwrap_or(Moment::NEVER)
    }

    fn polled_timer(&self) -> Moment {
        Timer::poll_timeout(self.timer_set_for.since(self.now)).map_or(Moment::NEVER, |delay| self.now.after(delay))
    }

    fn handle(&mut self, event: &Event) {
        let token = Token::from_usize(event.token().0);
        let Some(peer) = self.peers.get_mut(token) else { return };
        let lag = self.shared.now().since(self.now);
        self.shared.tally.lag.record(lag, 1);
        match react(peer, event, &self.plan, &mut self.shared) {
            Ok(Reaction::Moved) => self.settle(token),
            Ok(Reaction::Opened) => self.opened(token),
            Err(loss) => self.lose(token, loss),
        }
    }

    fn opened(&mut self, token: Token) {
        self.opening -= 1;
        self.open += 1;
        if let Some(peer) = self.peers.get_mut(token) {
            let slot = peer.slot;
            let attempt = self.attempt(slot);
            self.muster.prefer_address(attempt.address(&self.plan, &self.muster));
            self.slots[slot].refusals = 0;
            self.tried(slot);
            self.reached += usize::from(!self.slots[slot].was_reached);
            self.slots[slot].was_reached = true;
        }
        self.settle(token);
    }

    fn tried(&mut self, slot: usize) {
        self.untried -= usize::from(!self.slots[slot].was_tried);
        self.slots[slot].was_tried = true;
    }

    /// Decides what a connection does next.
    fn settle(&mut self, token: Token) {
        let now = self.now;
        let Some(peer) = self.peers.get_mut(token) else { return };
        if peer.is_over(now) {
            return self.retire(token);
        }
        let is_sending = self.start <= now && now < self.start.after(self.plan.asked.duration);
        let depth = self.plan.asked.depth;
        match self.plan.asked.pace {
            Pace::Closed if is_sending => {
                let room = peer.room(depth, now);
                if room > 0 {
                    return self.send(token, room, 0);
                }
            }
            Pace::Hold(pause) if is_sending && !peer.is_queued && peer.is_idle() && peer.is_open() => {
                peer.is_queued = true;
                // The first heartbeat is due at once, and shows that the connection works.
                let due = if peer.is_trusted() { now.after(pause) } else { now };
                let place = self.heartbeats.partition_point(|(other, _)| *other <= due);
                self.heartbeats.insert(place, (due, token));
            }
            Pace::Open { .. } if !peer.is_queued && peer.room(depth, now) > 0 => {
                peer.is_queued = true;
                self.free.push_back(token);
            }
            _ => {}
        }
        self.arm(token);
    }

    /// Sees to it that the connection is looked at when its deadline falls due. A deadline that has only moved is found out then.
    fn arm(&mut self, token: Token) {
        let Some(peer) = self.peers.get_mut(token).filter(|peer| !peer.is_armed) else { return };
        let deadline = peer.deadline(self.plan.asked.timeout);
        if deadline < Moment::NEVER {
            peer.is_armed = true;
            self.deadlines.set(token.key(), deadline);
        }
    }

    fn send(&mut self, token: Token, count: usize, first: u64) {
        let Some(peer) = self.peers.get_mut(token) else { return };
        let sent = self.shared.now();
        peer.begin(count, first, sent, &mut self.shared);
        match peer.flush(&self.plan, &mut self.shared) {
            // Requests that get no reply are done when they are sent, and the next ones wait for the next round.
            Ok(()) if peer.is_idle() => self.heartbeats_or_free(token),
            Ok(()) => self.arm(token),
            Err(loss) => self.lose(token, loss),
        }
    }

    /// A connection whose requests get no reply goes on in the next round, so that others have their turn.
    fn heartbeats_or_free(&mut self, token: Token) {
        match (self.plan.asked.pace, self.peers.get_mut(token)) {
            (Pace::Closed, Some(peer)) if !peer.is_queued => {
                peer.is_queued = true;
                self.heartbeats.push_front((self.now, token));
            }
            _ => self.settle(token),
        }
    }

    /// Opens what is due to be opened, a share a round.
    fn open_due(&mut self) {
        if self.now >= self.end() {
            return;
        }
        for _ in 0..OPENED_PER_ROUND_MAX {
            if self.opening >= OPENING_MAX {
                return;
            }
            let Some(slot) = self.openings.pop_due(self.now) else { return };
            self.connect(slot);
        }
    }

    fn connect(&mut self, slot: usize) {
        let attempt = self.attempt(slot);
        self.shared.tally.connects += 1;
        let begun = self.shared.now();
        let token = self.peers.next_token();
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered = connect::start(&self.plan, &self.muster, attempt).and_then(|mut stream| {
            self.poll.registry().register(&mut stream, mio::Token(token.to_usize()), interest)?;
            Ok(stream)
        });
        match registered {
            Ok(stream) => {
                let (left, retires) = match self.plan.lifetime {
                    Some(Lifetime::Requests(count)) => (count, Moment::NEVER),
                    Some(Lifetime::Time(time)) => (u64::MAX, begun.after(time)),
                    None => (u64::MAX, Moment::NEVER),
                };
                // A large step that shares no divisor with the usual lengths of a round: neighbours begin far apart.
                let place = attempt.number.wrapping_mul(7919) % self.plan.script.len();
                self.peers.insert(Peer::new(stream, slot, &self.plan, place, begun, left, retires));
                self.opening += 1;
                self.arm(token);
            }
            Err(error) => self.failed(slot, connect::cause(&error)),
        }
    }

    fn attempt(&self, slot: usize) -> Attempt {
        Attempt { number: slot * self.plan.asked.threads + self.index, refusals: self.slots[slot].refusals }
    }

    /// The connection of `slot` did not open: another attempt is made later.
    fn failed(&mut self, slot: usize, cause: ConnectError) {
        self.shared.tally.connect_errors.add(cause, 1);
        self.tried(slot);
        self.slots[slot].refusals = self.slots[slot].refusals.saturating_add(1);
        self.reopen_later(slot);
    }

    fn reopen_later(&mut self, slot: usize) {
        let failures = &mut self.slots[slot].failures;
        let pause = RETRY_MIN.saturating_mul(1 << (*failures).min(10)).min(RETRY_MAX);
        *failures = failures.saturating_add(1);
        self.openings.set(slot, self.now.after(pause));
    }

    /// Closes a connection that has done its work, and opens the next one in its place.
    fn retire(&mut self, token: Token) {
        let Some(peer) = self.remove(token) else { return };
        self.open -= 1;
        self.slots[peer.slot].failures = 0;
        self.openings.set(peer.slot, self.now);
    }

    fn lose(&mut self, token: Token, loss: Loss) {
        let Some(mut peer) = self.remove(token) else { return };
        if peer.is_open() {
            self.open -= 1;
        } else {
            self.opening -= 1;
        }
        match loss {
            Loss::Refused(error) => self.failed(peer.slot, connect::cause(&error)),
            Loss::Busy => {
                peer.forget(&mut self.shared);
                self.reached -= usize::from(self.slots[peer.slot].was_reached);
                self.slots[peer.slot].was_reached = false;
                self.failed(peer.slot, ConnectError::Busy);
            }
            Loss::Ended(ending) => {
                let oldest = if ending == Ending::Silent { ReplyError::Late } else { peer.loss_of_oldest() };
                peer.give_up(oldest, &mut self.shared);
                self.shared.tally.endings.add(ending, 1);
                self.reopen_after(&peer);
            }
        }
    }

    /// A connection that has ended is opened anew, at once if it was of use; one that is held is not, since its end is the result.
    fn reopen_after(&mut self, peer: &Peer) {
        if matches!(self.plan.asked.pace, Pace::Hold(_)) {
            return;
        }
        if peer.is_trusted() {
            self.slots[peer.slot].failures = 0;
            self.openings.set(peer.slot, self.now);
        } else {
            self.reopen_later(peer.slot);
        }
    }

    fn remove(&mut self, token: Token) -> Option<Peer> {
        self.deadlines.remove(token.key());
        let mut peer = self.peers.remove(token)?;
        if self.plan.reset {
            connect::reset_on_close(peer.stream());
        }
        Some(peer)
    }

    fn expire(&mut self) {
        while let Some(key) = self.deadlines.pop_due(self.now) {
            let Some(token) = self.peers.token_of(key) else { continue };
            let Some(peer) = self.peers.get_mut(token) else { continue };
            peer.is_armed = false;
            if peer.deadline(self.plan.asked.timeout) > self.now {
                self.arm(token);
            } else if !peer.is_open() {
                self.lose(token, Loss::Refused(io::ErrorKind::TimedOut.into()));
            } else if peer.is_idle() {
                self.settle(token);
            } else {
                self.lose(token, Loss::Ended(Ending::Silent));
            }
        }
    }

    /// The load begins when all threads have tried to open all their connections; with a rate of opening, at once.
    fn start_when_ready(&mut self) {
        if self.start != Moment::NEVER {
            return;
        }
        let is_ready = self.untried == 0 || self.plan.opening != Opening::AtOnce || self.now >= self.opening_end();
        let Some(start) = self.muster.start(self.index, is_ready, self.reached, self.now) else { return };
        if self.plan.opening == Opening::AtOnce && self.untried == 0 && self.muster.reached() == 0 {
            self.muster.give_up();
        }
        // What was counted so far belongs to the opening, and the first request to the load.
        self.cut_slice();
        self.start = start;
        self.shared.begin(start);
        self.cut = self.next_cut();
        for token in self.peers.tokens().collect::<Vec<_>>() {
            self.settle(token);
        }
    }

    /// Connections that are not open by then are not waited for: the other half of the timeout is for the last replies.
    fn opening_end(&self) -> Moment {
        Moment::START.after(self.plan.asked.timeout / 2)
    }

    /// Sends the requests and heartbeats that are due.
    fn send_due(&mut self) -> io::Result<()> {
        while let Some((_, token)) = self.heartbeats.pop_front_if(|(due, _)| *due <= self.now) {
            let Some(peer) = self.peers.get_mut(token) else { continue };
            peer.is_queued = false;
            let has_room = peer.room(1, self.now) > 0;
            match self.plan.asked.pace {
                Pace::Hold(_) if has_room && self.now < self.end() => self.send(token, 1, 0),
                _ => self.settle(token),
            }
        }
        self.send_scheduled();
        let next = if self.free.is_empty() { Moment::NEVER } else { self.shared.due(self.next) };
        if next != self.timer_set_for && next != Moment::NEVER {
            self.timer.set(next.since(self.shared.now()))?;
        }
        self.timer_set_for = next;
        Ok(())
    }

    fn send_scheduled(&mut self) {
        let mut unsent = usize::try_from(self.unsent()).unwrap_or(usize::MAX);
        if unsent > 0 && self.had_free {
            let lag = self.now.since(self.shared.due(self.next));
            self.shared.tally.lag.record(lag, 1);
        }
        while unsent > 0
            && let Some(token) = self.free.pop_front()
        {
            // What is due is dealt out evenly over those that have room.
            let share = unsent.div_ceil(self.free.len() + 1);
            let Some(peer) = self.peers.get_mut(token) else { continue };
            peer.is_queued = false;
            let count = share.min(peer.room(self.plan.asked.depth, self.now));
            if count > 0 {
                self.send(token, count, self.next);
                self.next += count as u64;
                unsent -= count;
            }
            self.settle(token);
        }
        self.had_free = !self.free.is_empty();
    }

    fn cut_when_due(&mut self) {
        if self.shared.tally.correct > 0 && self.shared.tally.correct != self.correct_before {
            self.correct_before = self.shared.tally.correct;
            self.last_correct = Some(self.now);
        }
        if self.now >= self.cut {
            self.cut_slice();
            self.cut = self.next_cut();
        }
    }

    /// The next boundary: of a slice while counting, of the warm-up before it.
    fn next_cut(&self) -> Moment {
        let slice = self.plan.slice();
        let base = self.start.after(self.plan.asked.warmup);
        if self.now < base {
            return self.now.after(slice).min(base);
        }
        let passed = self.now.since(base).as_nanos() / slice.as_nanos().max(1) + 1;
        base.after(slice.saturating_mul(u32::try_from(passed).unwrap_or(u32::MAX)))
    }

    /// Hands over what was counted since the last time.
    fn cut_slice(&mut self) {
        let usage = Usage::of_this_thread();
        let used = usage.since(self.usage);
        self.usage = usage;
        let mut tally = std::mem::take(&mut self.shared.tally);
        (tally.cpu, tally.starved) = (used.busy, used.starved);
        self.correct_before = 0;
        // Nobody listens any more when the program is about to end.
        let _ = self.parts.send(Part {
            worker: self.index,
            span: (self.cut_before, self.now),
            tally,
            open: self.open,
            reached: self.reached,
            last_correct: self.last_correct.take(),
        });
        self.cut_before = self.now;
    }

    /// Counts what was not answered in time, and closes everything.
    fn finish(&mut self) {
        let is_interrupted = self.muster.is_stopped();
        self.shared.tally.errors.add(ReplyError::Unsent, self.unsent());
        let open = self.open;
        for token in self.peers.tokens().collect::<Vec<_>>() {
            let Some(mut peer) = self.remove(token) else { continue };
            if is_interrupted {
                peer.forget(&mut self.shared);
            } else {
                peer.give_up(peer.loss_of_oldest(), &mut self.shared);
            }
        }
        self.open = open;
        self.cut_slice();
    }
}

/// When the connection with this number, counted over all threads, is to be opened.
fn opening_of(plan: &Plan, number: usize) -> Moment {
    match plan.opening {
        Opening::AtOnce => Moment::START,
        Opening::Rate(per_second) => {
            Moment::START.after(Duration::try_from_secs_f64(number as f64 / per_second).unwrap_or(Duration::MAX))
        }
    }
}

/// What an event has led to.
enum Reaction {
    Moved,
    Opened,
}

fn react(peer: &mut Peer, event: &Event, plan: &Plan, shared: &mut Shared) -> Result<Reaction, Loss> {
    let mut reaction = Reaction::Moved;
    if !peer.is_open() {
        if !peer.open(shared)? {
            return Ok(Reaction::Moved);
        }
        reaction = Reaction::Opened;
    }
    if event.is_writable() {
        peer.flush(plan, shared)?;
    }
    if event.is_readable() || event.is_read_closed() || event.is_error() {
        peer.receive(event.is_read_closed() || event.is_error(), plan, shared)?;
    }
    Ok(reaction)
}
