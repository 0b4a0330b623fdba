//! The event loop: the whole server is one thread that runs one round after another.
//!
//! A round has eight steps. [`EventLoop::round`] calls them in this order:
//!
//! ```text
//!   1  wait       the kernel reports events; each one only marks its connection as ready
//!   2  read mail  requests of other threads: stop, drain, reload, or report the state
//!   3  accept     a batch of new connections from each listener: in `admission`
//!   4  run ready  each connection in the run queue gets a turn: read, run messages, write
//!   5  tell news  messages from and to other servers; a batch of members with news gets a turn
//!   6  evict      over the memory limit, one connection is evicted: in `memory_limit`
//!   7  expire     connections with a passed deadline get a turn, in which it is enforced
//!   8  shut down  after a request to drain or to stop, the next stage: in `stopping`
//!
//!   event ------> readiness is remembered ------> run queue ------> turn
//!   deadline ----------------------------------------^               |
//!                                                    ^---- Yield ----+---- Idle: wait for an event
//!                                                                    '---- Close
//! ```
//!
//! Three rules make this correct and fair:
//!
//! - An event does no work. It sets a flag in its connection, and that flag stays set until a read
//!   or a write reports `WouldBlock`. An edge-triggered event comes only once: a connection that
//!   forgot one would wait for ever.
//! - A turn is bounded, and a connection is in the run queue at most once. A connection that has
//!   used its turn up goes to the end of the queue.
//! - A round is bounded too. When its turns have moved enough bytes, it ends before the queue is
//!   empty. The loop then sees new events, so that a small request does not wait until all large
//!   transfers have had a turn.

use std::fmt;
use std::io;
use std::time::Duration;

use super::accept::Acceptor;
use super::bus::{Bus, Surroundings};
use super::config::{Config, Service};
use super::eviction::Eviction;
use super::gradual_close::GradualClose;
use super::newcomers::Newcomers;
use super::observer::Observer;
use super::shutdown::Shutdown;
use super::turn_budget::{self, TurnBudget};
use crate::address_limits::AddressLimits;
use crate::buffers::pool::Pool;
use crate::close_reason::CloseReason;
use crate::connection::{Connection, Opened, Shared, Turn};
use crate::limits::Settings;
use crate::logging::activity::Activity;
use crate::os::clock::{Clock, Reading};
use crate::os::mailbox::Mail;
use crate::os::moment::Moment;
use crate::os::system::{Event, System};
use crate::os::table::{Table, Token};
use crate::queues::deadlines::Deadlines;
use crate::queues::run_queue::{Class, RunQueue};
use crate::rooms::Rooms;
use crate::status::Status;

/// The event loop of a server, on any implementation of [`System`].
///
/// [`Server`](super::Server) runs it on the operating system. On a [`System`] of your own, the
/// whole server runs on a simulated network with a simulated clock: `benches/million.rs` lets it
/// serve a million connections without a kernel.
pub struct EventLoop<S: System> {
    pub(super) system: S,
    pub(super) table: Table<Connection<S::Socket>>,
    /// Connections with work to do; some of them may have been closed since.
    pub(super) run_queue: RunQueue,
    budget: TurnBudget,
    pub(super) deadlines: Deadlines,
    pub(super) shared: Shared,
    pub(super) acceptor: Acceptor,
    pub(super) newcomers: Newcomers,
    pub(super) shutdown: Shutdown,
    pub(super) gradual_close: GradualClose,
    pub(super) eviction: Eviction,
    /// The connection to the broker, if there is one.
    pub(super) bus: Option<Box<Bus<S::Socket>>>,
    pub(super) observer: Observer,
    /// Mail that the loop has not acted on.
    inbox: Vec<Mail>,
}

impl<S: System> fmt::Debug for EventLoop<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop").field("status", &self.shared.status).finish_non_exhaustive()
    }
}

impl<S: System> EventLoop<S> {
    /// Creates a loop over `system`, whose listeners have the indices of `services`.
    pub fn new(
        mut system: S,
        services: impl IntoIterator<Item = impl Into<Service>>,
        config: &Config,
    ) -> Self {
        let clock = Clock::new(system.read_clocks());
        let services: Vec<Service> = services.into_iter().map(Into::into).collect();
        let names: Vec<_> = services.iter().map(|service| service.protocol.name()).collect();
        let settings = &config.settings;
        let limits = settings.limits.clamped();
        let mut status = Status::new(&names, limits, settings.connections_max, clock.wall());
        for (listener, service) in status.listeners.iter_mut().zip(&services) {
            listener.certificates = service.certificates();
        }
        let mut rooms = Rooms::new(&limits);
        let bus = config.bus.clone().map(|settings| {
            status.bus = Some(Bus::<S::Socket>::first_status(&settings));
            rooms.set_relay(true);
            Box::new(Bus::new(settings, clock.now()))
        });
        Self {
            system,
            table: Table::default(),
            run_queue: RunQueue::default(),
            budget: TurnBudget::default(),
            deadlines: Deadlines::default(),
            shared: Shared {
                pool: Pool::new(limits.memory_bytes_max),
                status,
                turn_of: Token::from_usize(0),
                moved_bytes: 0,
                read_bytes_max: usize::MAX,
                clock,
                activity: activity(names, &services, settings),
                timeouts: settings.timeouts,
                address_limits: AddressLimits::new(&limits),
                rooms,
            },
            acceptor: Acceptor::new(services, config),
            newcomers: Newcomers::default(),
            shutdown: Shutdown::default(),
            gradual_close: GradualClose::default(),
            eviction: Eviction::default(),
            bus,
            observer: Observer::default(),
            inbox: Vec::new(),
        }
    }

    /// Serves until a stop or a drain is complete: all messages are answered, or the drain timeout
    /// is over. Returns the final state.
    ///
    /// # Errors
    /// When waiting for events is impossible. No client can cause an error.
    pub fn run(mut self) -> io::Result<Status> {
        while !self.is_over() {
            self.round()?;
        }
        Ok(self.finish())
    }

    /// Runs one round: waits until there is work, does a bounded part of it, and returns.
    ///
    /// # Errors
    /// When waiting for events is impossible. No client can cause an error.
    pub fn round(&mut self) -> io::Result<()> {
        self.wait()?;
        self.read_mail();
        self.accept();
        self.run_ready();
        self.tell_news();
        self.continue_eviction();
        self.expire();
        self.shut_down();
        debug_assert_eq!(self.shared.status.total().open(), self.table.len() as u64);
        Ok(())
    }

    /// Waits for events and remembers the readiness that they report. Then reads the clock for the
    /// whole round, and logs what is due.
    fn wait(&mut self) -> io::Result<()> {
        let timeout = self.timeout();
        let Self { system, table, run_queue, acceptor, bus, inbox, .. } = self;
        system.wait(timeout, |event| match event {
            Event::Connection(Token::BUS, readiness) => {
                bus.iter_mut().for_each(|bus| bus.remember(readiness));
            }
            Event::Connection(token, readiness) => {
                // The token of a connection that has been closed since finds nothing, even if a new
                // one has its place in the slab.
                if let Some(connection) = table.get_mut(token) {
                    connection.remember(readiness);
                    run_queue.push(token.key(), connection.class());
                }
            }
            Event::Listener(index) => acceptor.set_ready(index),
            Event::Mail(mail) => inbox.push(mail),
        })?;
        let before = self.shared.clock.now();
        let reading = self.read_clocks();
        self.shared.clock.set(reading);
        self.update_gauges();
        if timeout == Some(Duration::ZERO) {
            self.count_round(before);
        }
        self.shared.activity.tick(self.shared.clock.now());
        for token in self.newcomers.take_due(self.shared.clock.now()) {
            if let Some(connection) = self.table.get_mut(token) {
                connection.announce(&mut self.shared);
            }
        }
        Ok(())
    }

    /// How long the loop can sleep unless an event comes; `None` is for ever. Shows the state to
    /// the observer first.
    fn timeout(&mut self) -> Option<Duration> {
        let now = self.shared.clock.now();
        let observation = now.deadline(self.observer.observe(&self.shared.status));
        let has_work = !self.run_queue.is_empty()
            || self.acceptor.is_ready(now)
            || self.shared.rooms.has_wave()
            || self.shared.rooms.has_outgoing()
            || self.bus.as_ref().is_some_and(|bus| bus.is_ready())
            || self.eviction.is_active();
        if has_work {
            return Some(Duration::ZERO);
        }
        let deadline = self
            .deadlines
            .next()
            .min(self.acceptor.deadline())
            .min(self.newcomers.deadline())
            .min(self.shutdown.deadline())
            .min(self.gradual_close.deadline())
            .min(self.shared.activity.deadline())
            .min(self.bus.as_ref().map_or(Moment::NEVER, |bus| bus.deadline()));
        let wake = deadline.min(observation);
        (wake != Moment::NEVER).then(|| wake.since(now))
    }

    /// Reads the clocks, and counts a stall of the process.
    pub(super) fn read_clocks(&mut self) -> Reading {
        let reading = self.system.read_clocks();
        if let Some(stall) = reading.stall {
            self.shared.status.stalls.add(stall);
        }
        reading
    }

    /// Updates the gauges, and copies the counters that are kept elsewhere.
    pub(super) fn update_gauges(&mut self) {
        let Shared { status, clock, pool, address_limits, rooms, .. } = &mut self.shared;
        status.connections_counted = self.acceptor.counted(self.table.len());
        status.is_accepting_paused = self.acceptor.is_paused();
        status.address_overflows = address_limits.overflows();
        status.rooms = *rooms.status();
        status.uptime = clock.now().since(Moment::START);
        status.ready = self.run_queue.len();
        status.held_bytes = pool.lent_bytes();
        status.held_bytes_most = pool.lent_bytes_most();
    }

    /// Counts a round that began at `before` and did not sleep: it was as long as the time between
    /// two readings of the clock.
    fn count_round(&mut self, before: Moment) {
        let Shared { status, clock, .. } = &mut self.shared;
        let round = clock.now().since(before);
        status.longest_round = status.longest_round.max(round);
        status.rounds.add(round);
    }

    /// Does what other threads and signals have requested.
    fn read_mail(&mut self) {
        for mail in std::mem::take(&mut self.inbox) {
            match mail {
                Mail::Stop => self.request_stop(),
                Mail::Drain => self.drain(),
                Mail::Reload(settings) => self.reload(&settings),
                Mail::ReloadTls(replacements) => self.reload_tls(&replacements),
                Mail::CountTlsReloadFailure => self.shared.status.tls_reload_failures += 1,
                Mail::LogStatus => self.shared.status.log("status"),
                Mail::Status(reply) => {
                    // Sending fails when the thread no longer waits for the reply.
                    let _ = reply.try_send(self.shared.status.clone());
                }
                Mail::Addresses(result) => {
                    self.with_bus(|bus, _, around| bus.note_addresses(result, around));
                }
            }
        }
    }

    /// Runs the turns of connections in the run queue, within the budget of the round. A
    /// connection that yields, or that is not reached, has its turn in a later round.
    fn run_ready(&mut self) {
        let before = self.shared.moved_bytes;
        for _ in 0..self.run_queue.len().min(turn_budget::TURNS_MAX) {
            if self.has_spent_round(before) {
                break;
            }
            if let Some(token) = self.run_queue.pop().and_then(|key| self.table.token_of(key)) {
                self.drive(token);
            }
        }
    }

    /// Exchanges messages with other servers. Then runs the turns of members that wait for a
    /// message of their room, within the budget of the round. The members that are left follow in
    /// the next round.
    fn tell_news(&mut self) {
        self.with_bus(Bus::advance);
        let before = self.shared.moved_bytes;
        for _ in 0..turn_budget::TOLD_MAX {
            if self.has_spent_round(before) || !self.shared.rooms.has_wave() {
                break;
            }
            let Some(token) = self.shared.rooms.wake_next() else { continue };
            if let Some(connection) = self.table.get_mut(token) {
                connection.note_news();
                self.drive(token);
            }
        }
    }

    /// True if as many bytes as the budget of a round allows were moved since `moved_bytes` was
    /// `before`.
    fn has_spent_round(&self, before: u64) -> bool {
        let moved = self.shared.moved_bytes - before;
        moved >= self.budget.round_bytes_max(self.shared.clock.now())
    }

    /// Calls `act` with the bus, the system and what the bus uses of the loop, if there is a bus.
    pub(super) fn with_bus(
        &mut self,
        act: impl FnOnce(&mut Bus<S::Socket>, &mut S, Surroundings<'_>),
    ) {
        let Some(bus) = &mut self.bus else { return };
        let Shared { rooms, status, clock, .. } = &mut self.shared;
        let Some(status) = &mut status.bus else { return };
        act(bus, &mut self.system, Surroundings { rooms, status, now: clock.now() });
    }

    /// Expires connections whose deadline has passed, at most
    /// [`EXPIRED_MAX`](turn_budget::EXPIRED_MAX) of them: see [`Connection::expire`]. The others
    /// follow in the next round.
    fn expire(&mut self) {
        let now = self.shared.clock.now();
        for _ in 0..turn_budget::EXPIRED_MAX {
            let Some(token) = self.deadlines.pop_due(now).and_then(|key| self.table.token_of(key))
            else {
                break;
            };
            let Some(connection) = self.table.get_mut(token) else { continue };
            let turn = connection.expire(&self.shared);
            self.finish_turn(token, turn);
        }
    }

    /// Runs the turn of one connection.
    pub(super) fn drive(&mut self, token: Token) {
        let now = self.shared.clock.now();
        self.shared.read_bytes_max = self.budget.read_bytes_max(now);
        self.shared.turn_of = token;
        let Some(connection) = self.table.get_mut(token) else { return };
        let before = self.shared.moved_bytes;
        let turn = connection.drive(&mut self.shared);
        if connection.class() == Class::Interactive && self.shared.moved_bytes > before {
            self.budget.note_interactive(now);
        }
        self.finish_turn(token, turn);
        self.enforce_memory_limit();
    }

    /// Acts on the result of a turn: closes the connection, or queues it and enters its deadline.
    pub(super) fn finish_turn(&mut self, token: Token, turn: Turn) {
        match turn {
            Turn::Close(reason) => return self.close(token, reason),
            // As after an accept, the greeting is sent now and not after an event.
            Turn::Opened(opened) => {
                match opened {
                    Opened::Peer => self.open(token, false),
                    Opened::Encrypted => self.start_session(token),
                    Opened::Unencrypted => self.require_tls(token),
                }
                self.drive(token);
                return self.bound_rejected(token);
            }
            Turn::Idle | Turn::Yield => {}
        }
        let Some(connection) = self.table.get_mut(token) else { return };
        if turn == Turn::Yield {
            self.run_queue.push(token.key(), connection.class());
        }
        // A deadline that has moved to a later time is not entered again: when the old entry falls
        // due, `expire` finds the later one.
        self.deadlines.bring_forward(token.key(), connection.deadline(&self.shared));
    }

    /// Closes a connection: removes it, counts it, and logs it. No other function closes one.
    pub(super) fn close(&mut self, token: Token, reason: CloseReason) {
        let Some(mut connection) = self.table.remove(token) else { return };
        self.deadlines.remove(token.key());
        self.shared.turn_of = token;
        let summary = connection.close(reason, &mut self.shared);
        let listener = connection.peer().listener();
        self.shared.status.count(listener, |counters| {
            counters.closed[reason as usize] += 1;
            counters.failed_handshakes += u64::from(reason.is_failed_handshake());
        });
        self.acceptor.note_closed(listener, connection.is_rejected());
        if connection.is_probe(reason) {
            self.shared.status.count(listener, |counters| counters.probes += 1);
            self.shared.activity.probed(connection.peer(), &summary);
        } else {
            connection.announce(&mut self.shared);
            self.shared.activity.closed(connection.peer(), &summary);
        }
    }
}

/// Creates the activity log. It hides the listeners whose protocol reserves places of its own.
fn activity(names: Vec<&'static str>, services: &[Service], settings: &Settings) -> Activity {
    let is_hidden = |index: &usize| services[*index].protocol.own_places().is_some();
    let hidden = (0..services.len()).filter(is_hidden).collect();
    let mut activity = Activity::new(None, names).hiding(hidden);
    activity.set_limits(settings.activity_lines_max, settings.activity_shows_messages);
    activity
}
