//! The loop: wait, accept, give every ready connection a turn, expire what is late.
//!
//! ```text
//!   events ----> remembered readiness ----> run queue ----> drive ----> Turn
//!   deadlines -------------------------------------------------^          |
//!                                      ^--------- Yield ------------------+---> Close
//! ```
//!
//! Events only set what a connection remembers; nothing runs while they are looked at. A connection
//! stands in the run queue at most once, and one that has spent its turn goes to the back. A round
//! ends before the queue does when its turns have moved enough: who asks for little meanwhile is
//! then in front.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::accept::{Acceptor, Incoming};
use super::config::Config;
use super::eviction::Eviction;
#[cfg(any(test, feature = "testing"))]
use super::inspection::{Inspection, OpenConnection};
use super::newcomers::Newcomers;
use super::shutdown::{Shutdown, Step};
use super::turn_budget::{self, TurnBudget};
use crate::buffers::pool::Pool;
use crate::close_reason::CloseReason;
use crate::connection::{Connection, Shared, Turn};
use crate::display::plural::plural;
use crate::logging::activity::Activity;
use crate::os::clock::Clock;
use crate::os::mailbox::Mail;
use crate::os::moment::Moment;
use crate::os::peer::Peer;
use crate::os::system::{Event, System};
use crate::os::table::{Table, Token};
use crate::protocol::Protocol;
use crate::queues::deadlines::Deadlines;
use crate::queues::run_queue::{Class, RunQueue};
use crate::status::Status;

/// The event loop of a server, on any implementation of the seam: [`Server`](super::Server) runs it
/// on the operating system. On a [`System`] of your own the whole server runs on a network of your
/// own, with a clock of your own: `benches/million.rs` has it serve a million connections that no
/// kernel knows of.
pub struct EventLoop<S: System> {
    system: S,
    table: Table<Connection<S::Socket>>,
    /// Connections that can move; some may have been closed since.
    run_queue: RunQueue,
    budget: TurnBudget,
    deadlines: Deadlines,
    pub(super) shared: Shared,
    acceptor: Acceptor,
    newcomers: Newcomers,
    shutdown: Shutdown,
    eviction: Eviction,
    /// Mail that the loop has not acted on.
    inbox: Vec<Mail>,
}

impl<S: System> EventLoop<S> {
    /// A loop over `system`, whose listeners have the indices of `protocols`.
    pub fn new(mut system: S, protocols: Vec<Arc<dyn Protocol>>, config: &Config) -> Self {
        let clock = Clock::new(system.read_clocks());
        let names: Vec<_> = protocols.iter().map(|protocol| protocol.name()).collect();
        let limits = config.limits.clamped();
        let status = Status::new(&names, limits, config.connections_max, clock.wall());
        let activity = Activity::new(config.activity_lines_max, names);
        let activity =
            if config.activity_shows_messages { activity } else { activity.without_messages() };
        Self {
            system,
            table: Table::default(),
            run_queue: RunQueue::default(),
            budget: TurnBudget::default(),
            deadlines: Deadlines::default(),
            shared: Shared {
                pool: Pool::new(limits.memory_bytes_max),
                status,
                turn_of: 0,
                moved_bytes: 0,
                read_bytes_max: usize::MAX,
                clock,
                activity,
                timeouts: config.timeouts,
            },
            acceptor: Acceptor::new(protocols, config),
            newcomers: Newcomers::default(),
            shutdown: Shutdown::default(),
            eviction: Eviction::default(),
            inbox: Vec::new(),
        }
    }

    /// True exactly when it was told to stop and nothing is left to serve.
    pub(super) fn is_over(&self) -> bool {
        self.shutdown.is_over(self.table.len(), self.shared.clock.now())
    }

    /// Serves until it is asked to stop and everything is answered, or the time for that is over.
    ///
    /// # Errors
    /// When waiting for events is impossible; never for what a peer does.
    pub fn run(mut self) -> io::Result<Status> {
        while !self.is_over() {
            self.round()?;
        }
        Ok(self.finish())
    }

    /// One round of the loop: waits until there is something to do, does a bounded share of it, and
    /// returns. [`EventLoop::run`] is nothing but rounds.
    ///
    /// # Errors
    /// When waiting for events is impossible; never for what a peer does.
    pub fn round(&mut self) -> io::Result<()> {
        self.wait()?;
        self.read_mail();
        self.accept();
        self.run_ready();
        self.evict_further();
        self.expire();
        self.shut_down();
        debug_assert_eq!(self.shared.status.total().open(), self.table.len() as u64);
        Ok(())
    }

    /// Turns events into remembered readiness, and reads the clock once for all that follows.
    fn wait(&mut self) -> io::Result<()> {
        let timeout = self.timeout();
        let Self { system, table, run_queue, acceptor, inbox, .. } = self;
        system.wait(timeout, |event| match event {
            Event::Connection(token, readiness) => {
                if let Some(connection) = table.get_mut(token) {
                    connection.remember(readiness);
                    run_queue.push(token.key(), connection.class());
                }
            }
            Event::Listener(index) => acceptor.remember(index),
            Event::Mail(mail) => inbox.push(mail),
        })?;
        let before = self.shared.clock.now();
        self.shared.clock.set(self.system.read_clocks());
        self.note_round(timeout, before);
        self.shared.activity.round(self.shared.clock.now());
        for token in self.newcomers.take_due(self.shared.clock.now()) {
            if let Some(connection) = self.table.get_mut(token) {
                connection.announce(&mut self.shared);
            }
        }
        Ok(())
    }

    /// Brings the gauges up to date. Without a sleep in between, two readings of the clock are a
    /// round apart.
    fn note_round(&mut self, timeout: Option<Duration>, before: Moment) {
        let Shared { status, clock, pool, .. } = &mut self.shared;
        status.uptime = clock.now().since(Moment::START);
        status.ready = self.run_queue.len();
        status.held_bytes = pool.lent_bytes();
        status.held_bytes_most = pool.lent_bytes_most();
        if timeout == Some(Duration::ZERO) {
            status.longest_round = status.longest_round.max(clock.now().since(before));
        }
    }

    /// Does what the loop was asked for from outside.
    fn read_mail(&mut self) {
        for mail in std::mem::take(&mut self.inbox) {
            match mail {
                Mail::Stop => {
                    self.shutdown.request();
                    self.shared.status.is_stopping = true;
                }
                Mail::Status(reply) => {
                    self.shared.status.stalls = self.system.stalls();
                    // A thread that waits no longer has lost its interest.
                    let _ = reply.try_send(self.shared.status.clone());
                }
            }
        }
    }

    /// How long nothing will happen unless there is an event.
    fn timeout(&self) -> Option<Duration> {
        let now = self.shared.clock.now();
        if !self.run_queue.is_empty() || self.acceptor.is_ready(now) || self.eviction.goes_on() {
            return Some(Duration::ZERO);
        }
        let deadline = self
            .deadlines
            .next()
            .min(self.acceptor.deadline())
            .min(self.newcomers.deadline())
            .min(self.shutdown.deadline())
            .min(self.shared.activity.deadline());
        (deadline != Moment::NEVER).then(|| deadline.since(now))
    }

    /// Accepts a batch of connections from every listener that is ready.
    fn accept(&mut self) {
        let now = self.shared.clock.now();
        if !self.acceptor.is_ready(now) {
            return;
        }
        self.acceptor.begin_round();
        while let Some(incoming) =
            self.acceptor.next(&mut self.system, now, &mut self.shared.status)
        {
            self.admit(incoming, now);
        }
    }

    /// Takes a new connection in, or turns it away.
    fn admit(&mut self, incoming: Incoming<S::Socket>, now: Moment) {
        let Incoming { mut socket, addr, listener } = incoming;
        let token = self.table.next_token();
        if let Err(error) = self.system.register(&mut socket, token) {
            let what = "a new connection cannot be watched and is closed";
            return self.acceptor.note_lost(what, &error, now, &mut self.shared.status);
        }
        let peer = Peer::new(addr, listener);
        self.shared.turn_of = token.number();
        let protocol = self.acceptor.protocol(listener);
        let mut connection = Connection::new(socket, peer, protocol, &mut self.shared);
        if self.acceptor.turns_away(self.table.len(), now) {
            connection.reject(&mut self.shared);
        } else {
            self.newcomers.add(token, now);
        }
        self.shared.status.count(peer.listener(), |counters| counters.accepted += 1);
        self.table.insert(connection);
        // What it is greeted with is sent now, not when an event says that it may.
        self.drive(token);
        if self.acceptor.has_too_many_rejected() {
            self.close(token, CloseReason::ServerBusy);
        }
    }

    /// Gives connections in the run queue their turns; those that yield, and those that are left,
    /// have theirs in a later round.
    fn run_ready(&mut self) {
        let before = self.shared.moved_bytes;
        for _ in 0..self.run_queue.len().min(turn_budget::TURNS_MAX) {
            if self.shared.moved_bytes - before
                >= self.budget.round_bytes_max(self.shared.clock.now())
            {
                break;
            }
            if let Some(token) = self.run_queue.pop().and_then(|key| self.table.token_of(key)) {
                self.drive(token);
            }
        }
    }

    /// Gives one connection its turn.
    fn drive(&mut self, token: Token) {
        let now = self.shared.clock.now();
        self.shared.read_bytes_max = self.budget.read_bytes_max(now);
        self.shared.turn_of = token.number();
        let Some(connection) = self.table.get_mut(token) else { return };
        let before = self.shared.moved_bytes;
        let turn = connection.drive(&mut self.shared);
        if connection.class() == Class::Interactive && self.shared.moved_bytes > before {
            self.budget.note_interactive(now);
        }
        self.after(token, turn);
        self.hold_memory_limit();
    }

    /// Looks at connections whose deadline has passed; those that are left are looked at in the
    /// next round.
    fn expire(&mut self) {
        let now = self.shared.clock.now();
        for _ in 0..turn_budget::EXPIRED_MAX {
            let Some(token) = self.deadlines.pop_due(now).and_then(|key| self.table.token_of(key))
            else {
                break;
            };
            let Some(connection) = self.table.get_mut(token) else { continue };
            let turn = connection.expire(&self.shared);
            self.after(token, turn);
        }
    }

    /// After each turn: no more is held than may be.
    #[inline]
    fn hold_memory_limit(&mut self) {
        if !self.shared.pool.is_over_limit() && !self.shared.pool.is_short() {
            return;
        }
        self.eviction.begin(&mut self.shared.pool, self.shared.clock.now());
        while self.shared.pool.is_over_limit() && self.evict() {}
    }

    /// Each round, until enough is free for what comes. To reset a connection with all that the
    /// kernel holds for it may take 100 microseconds, and nothing hurries once the limit holds.
    fn evict_further(&mut self) {
        if self.eviction.goes_on() {
            self.evict();
        }
    }

    /// Has one connection give up what it holds. Returns false when none is to.
    fn evict(&mut self) -> bool {
        let now = self.shared.clock.now();
        let Some(token) = self.eviction.next(&self.table, &mut self.shared.pool, now) else {
            return false;
        };
        self.shared.turn_of = token.number();
        if let Some(connection) = self.table.get_mut(token) {
            let turn = connection.give_up(&mut self.shared);
            self.after(token, turn);
        }
        true
    }

    /// Does what a connection's turn came to.
    fn after(&mut self, token: Token, turn: Turn) {
        if let Turn::Close(reason) = turn {
            return self.close(token, reason);
        }
        let Some(connection) = self.table.get_mut(token) else { return };
        if turn == Turn::Yield {
            self.run_queue.push(token.key(), connection.class());
        }
        // A deadline that moved away is not entered again: when the old one falls due, `expire`
        // finds out.
        self.deadlines.bring_forward(token.key(), connection.deadline(&self.shared.timeouts));
    }

    /// The one place where a connection ends.
    pub(super) fn close(&mut self, token: Token, reason: CloseReason) {
        let Some(mut connection) = self.table.remove(token) else { return };
        self.deadlines.remove(token.key());
        let summary = connection.close(reason, &mut self.shared);
        let listener = connection.peer().listener();
        self.shared.status.count(listener, |counters| counters.closed[reason as usize] += 1);
        self.acceptor.closed(connection.is_rejected());
        if connection.is_probe(reason) {
            self.shared.status.count(listener, |counters| counters.probes += 1);
            self.shared.activity.probed(connection.peer(), &summary);
        } else {
            connection.announce(&mut self.shared);
            self.shared.activity.closed(connection.peer(), &summary);
        }
    }

    /// Takes the next step of a shutdown, when one is due.
    fn shut_down(&mut self) {
        match self.shutdown.next_step(self.shared.clock.now(), self.shared.timeouts.drain) {
            None => {}
            Some(Step::StopAccepting) => self.stop_accepting(),
            Some(Step::StopReading) => self.enqueue_all(Connection::stop_reading),
        }
    }

    fn stop_accepting(&mut self) {
        log::info!("stopping with {} open", plural(self.table.len() as u64, "connection"));
        (0..self.acceptor.accept_all()).for_each(|_| self.accept());
        self.acceptor.stop();
        self.system.close_listeners();
        self.enqueue_all(Connection::stop);
        self.shutdown.stopped_accepting(self.system.read_clocks().moment);
    }

    /// Puts every connection into the run queue.
    fn enqueue_all(&mut self, mut prepare: impl FnMut(&mut Connection<S::Socket>)) {
        let tokens: Vec<Token> = self.table.tokens().collect();
        for token in tokens {
            if let Some(connection) = self.table.get_mut(token) {
                prepare(connection);
                self.run_queue.push(token.key(), connection.class());
            }
        }
    }

    /// What it holds now. The cost grows with the number of connections.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn inspect(&self) -> Inspection<'_> {
        let open = |(token, connection): (Token, &Connection<S::Socket>)| OpenConnection {
            token,
            entered_deadline: self.deadlines.of(token.key()),
            state: connection.inspect(),
        };
        Inspection {
            status: &self.shared.status,
            lent_bytes: self.shared.pool.lent_bytes(),
            is_over: self.is_over(),
            connections: self.table.iter().map(open).collect(),
        }
    }

    /// Closes what is still open.
    fn finish(mut self) -> Status {
        let tokens: Vec<Token> = self.table.tokens().collect();
        for token in tokens {
            self.close(token, CloseReason::Shutdown);
        }
        self.shared.activity.sum_up();
        debug_assert_eq!(self.shared.pool.lent_bytes(), 0, "a closed connection holds storage");
        let mut status = self.shared.status;
        debug_assert_eq!(status.total().open(), 0, "a connection is counted wrong");
        (status.ready, status.held_bytes) = (0, 0);
        status.held_bytes_most = self.shared.pool.lent_bytes_most();
        status.stalls = self.system.stalls();
        status
    }
}
