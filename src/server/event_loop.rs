//! The loop: wait, accept, give every ready connection a turn, expire what is late.
//!
//! ```text
//!   events ----> remembered readiness ----> run queue ----> drive ----> Turn
//!   deadlines -------------------------------------------------^          |
//!                                      ^--------- Yield ------------------+---> Close
//! ```
//!
//! Events only set what a connection remembers; nothing runs while they are looked at. A connection stands in the run
//! queue at most once, and one that has spent its turn goes to the back. A round ends before the queue does when its turns
//! have moved enough: who asks for little meanwhile is then in front.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::accept::{Accepted, Acceptor};
use super::config::Config;
use super::counters::Counters;
use super::eviction::Eviction;
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
use crate::os::moment::Moment;
use crate::os::peer::Peer;
use crate::os::system::{Event, System};
use crate::os::table::{Table, Token};
use crate::protocol::Protocol;
use crate::queues::deadlines::Deadlines;
use crate::queues::run_queue::{Class, RunQueue};

/// The event loop of a server, on any implementation of the seam: [`Server`](super::Server) runs it on the operating
/// system. On a [`System`] of your own the whole server runs on a network of your own, with a clock of your own:
/// `benches/million.rs` has it serve a million connections that no kernel knows of.
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
    pub(super) counters: Counters,
    eviction: Eviction,
}

impl<S: System> EventLoop<S> {
    /// A loop over `system`, whose listeners have the indices of `protocols`.
    pub fn new(mut system: S, protocols: Vec<Arc<dyn Protocol>>, config: &Config) -> Self {
        let clock = Clock::new(system.read_clocks());
        let names = protocols.iter().map(|protocol| protocol.name()).collect();
        let activity = Activity::new(config.activity_lines_max, names);
        let activity = if config.activity_shows_messages { activity } else { activity.without_messages() };
        Self {
            system,
            table: Table::default(),
            run_queue: RunQueue::default(),
            budget: TurnBudget::default(),
            deadlines: Deadlines::default(),
            shared: Shared {
                pool: Pool::new(config.limits.clamped().memory_bytes_max),
                moved_bytes: 0,
                read_bytes_max: usize::MAX,
                clock,
                activity,
                timeouts: config.timeouts,
            },
            acceptor: Acceptor::new(protocols, config),
            newcomers: Newcomers::default(),
            shutdown: Shutdown::default(),
            counters: Counters::default(),
            eviction: Eviction::default(),
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
    pub fn run(mut self) -> io::Result<Counters> {
        while !self.is_over() {
            self.round()?;
        }
        Ok(self.finish())
    }

    /// One round of the loop: waits until there is something to do, does a bounded share of it, and returns. [`EventLoop::run`]
    /// is nothing but rounds.
    ///
    /// # Errors
    /// When waiting for events is impossible; never for what a peer does.
    pub fn round(&mut self) -> io::Result<()> {
        self.wait()?;
        self.accept();
        self.run_ready();
        self.evict_further();
        self.expire();
        self.shut_down();
        debug_assert_eq!(self.counters.accepted, self.table.len() as u64 + self.counters.closed_in_all());
        Ok(())
    }

    /// Turns events into remembered readiness, and reads the clock once for all that follows.
    fn wait(&mut self) -> io::Result<()> {
        let timeout = self.timeout();
        let Self { system, table, run_queue, acceptor, shutdown, .. } = self;
        system.wait(timeout, |event| match event {
            Event::Connection(token, readiness) => {
                if let Some(connection) = table.get_mut(token) {
                    connection.remember(readiness);
                    run_queue.push(token.key(), connection.class());
                }
            }
            Event::Listener(index) => acceptor.remember(index),
            Event::Stop => shutdown.request(),
        })?;
        self.shared.clock.set(self.system.read_clocks());
        self.shared.activity.round(self.shared.clock.now());
        for token in self.newcomers.take_due(self.shared.clock.now()) {
            if let Some(connection) = self.table.get_mut(token) {
                connection.announce(&mut self.shared);
            }
        }
        Ok(())
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
        while let Some(accepted) = self.acceptor.next(&mut self.system, now, &mut self.counters) {
            self.admit(accepted, now);
        }
    }

    /// Takes a new connection in, or turns it away.
    fn admit(&mut self, accepted: Accepted<S::Socket>, now: Moment) {
        let Accepted { mut socket, addr, listener } = accepted;
        let token = self.table.next_token();
        if let Err(error) = self.system.register(&mut socket, token) {
            let what = "a new connection cannot be watched and is closed";
            return self.acceptor.note_lost(what, &error, now, &mut self.counters);
        }
        let (peer, protocol) = (Peer::new(addr, listener), self.acceptor.protocol(listener));
        let mut connection = Connection::new(socket, peer, protocol, self.acceptor.limits(), &mut self.shared);
        if self.acceptor.turns_away(self.table.len(), now) {
            connection.reject(&mut self.shared);
        } else {
            self.newcomers.add(token, now);
        }
        self.counters.accepted += 1;
        self.table.insert(connection);
        // What it is greeted with is sent now, not when an event says that it may.
        self.drive(token);
        if self.acceptor.has_too_many_rejected() {
            self.close(token, CloseReason::ServerBusy);
        }
    }

    /// Gives connections in the run queue their turns; those that yield, and those that are left, have theirs in a later round.
    fn run_ready(&mut self) {
        let before = self.shared.moved_bytes;
        for _ in 0..self.run_queue.len().min(turn_budget::TURNS_MAX) {
            if self.shared.moved_bytes - before >= self.budget.round_bytes_max(self.shared.clock.now()) {
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
        let Some(connection) = self.table.get_mut(token) else { return };
        let before = self.shared.moved_bytes;
        let turn = connection.drive(&mut self.shared);
        if connection.class() == Class::Interactive && self.shared.moved_bytes > before {
            self.budget.note_interactive(now);
        }
        self.after(token, turn);
        self.hold_memory_limit();
    }

    /// Looks at connections whose deadline has passed; those that are left are looked at in the next round.
    fn expire(&mut self) {
        let now = self.shared.clock.now();
        for _ in 0..turn_budget::EXPIRED_MAX {
            let Some(token) = self.deadlines.pop_due(now).and_then(|key| self.table.token_of(key)) else { break };
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

    /// Each round, until enough is free for what comes. To reset a connection with all that the kernel holds for it may
    /// take 100 microseconds, and nothing hurries once the limit holds.
    fn evict_further(&mut self) {
        if self.eviction.goes_on() {
            self.evict();
        }
    }

    /// Has one connection give up what it holds. Returns false when none is to.
    fn evict(&mut self) -> bool {
        let now = self.shared.clock.now();
        let Some(token) = self.eviction.next(&self.table, &mut self.shared.pool, now) else { return false };
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
        // A deadline that moved away is not entered again: when the old one falls due, `expire` finds out.
        self.deadlines.bring_forward(token.key(), connection.deadline(&self.shared.timeouts));
    }

    /// The one place where a connection ends.
    pub(super) fn close(&mut self, token: Token, reason: CloseReason) {
        let Some(mut connection) = self.table.remove(token) else { return };
        self.deadlines.remove(token.key());
        let summary = connection.close(reason, &mut self.shared);
        self.counters.add(&summary);
        self.acceptor.closed(connection.is_rejected());
        if connection.is_probe(reason) {
            self.counters.probes += 1;
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
    #[must_use]
    pub fn inspect(&self) -> Inspection<'_> {
        let open = |(token, connection): (Token, &Connection<S::Socket>)| OpenConnection {
            token,
            entered_deadline: self.deadlines.of(token.key()),
            state: connection.inspect(),
        };
        Inspection {
            counters: &self.counters,
            lent_bytes: self.shared.pool.lent_bytes(),
            is_over: self.is_over(),
            connections: self.table.iter().map(open).collect(),
        }
    }

    /// Closes what is still open.
    fn finish(mut self) -> Counters {
        let tokens: Vec<Token> = self.table.tokens().collect();
        for token in tokens {
            self.close(token, CloseReason::Shutdown);
        }
        self.shared.activity.sum_up();
        debug_assert_eq!(self.counters.accepted, self.counters.closed_in_all(), "a connection is counted wrong");
        self.counters.held_bytes_most = self.shared.pool.lent_bytes_most();
        debug_assert_eq!(self.shared.pool.lent_bytes(), 0, "a closed connection holds storage");
        self.counters
    }
}
