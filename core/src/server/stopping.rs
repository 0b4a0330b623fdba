//! Draining and stopping: what the loop does in each [`Stage`].

use super::bus::Bus;
use super::event_loop::EventLoop;
use super::shutdown::Stage;
use super::turn_budget;
use crate::close_reason::CloseReason;
use crate::connection::Connection;
use crate::display::plural::plural;
use crate::os::system::System;
use crate::os::table::Token;
use crate::status::{State, Status};

impl<S: System> EventLoop<S> {
    /// Begins a shutdown. A second request ends one that has begun.
    pub(super) fn request_stop(&mut self) {
        self.hold_back();
        self.shutdown.request();
    }

    /// Begins to leave the ports that other processes share, if there are any.
    fn hold_back(&mut self) {
        if let Some(time) = self.system.hold_back() {
            self.shutdown.leave_shared_ports(self.shared.clock.now(), time);
        }
    }

    /// Begins a drain: the server still serves, and reports that it should get no new connections.
    pub(super) fn drain(&mut self) {
        if self.shared.status.state != State::Serving {
            return;
        }
        self.shared.status.state = State::Draining;
        let delay = self.shared.timeouts.drain_delay;
        self.shutdown.drain(self.shared.clock.now(), delay);
        self.hold_back();
        match delay {
            Some(delay) => log::info!(
                event = "draining", delay_seconds = delay.as_secs_f64();
                "draining: not ready any more; accepting connections for {delay:?}"
            ),
            None => log::info!(
                event = "draining";
                "draining: not ready any more; serving until a request to stop"
            ),
        }
    }

    /// True when the server is to end: a stop or a drain is complete, or its time is over.
    pub(super) fn is_over(&self) -> bool {
        self.shutdown.is_over(self.table.len(), self.shared.clock.now())
    }

    /// Begins the next stage of a drain or a shutdown, when one is due.
    pub(super) fn shut_down(&mut self) {
        match self.shutdown.next_stage(self.shared.clock.now(), self.shared.timeouts.drain) {
            None => self.continue_gradual_close(),
            Some(Stage::LeaveSharedPorts) => self.leave_shared_ports(),
            Some(Stage::CloseGradually) => self.begin_gradual_close(),
            Some(Stage::StopAccepting) => self.stop(),
            Some(Stage::StopReading) => self.enqueue_all(Connection::stop_reading),
        }
    }

    fn leave_shared_ports(&mut self) {
        self.accept_all();
        self.system.leave_shared_ports();
        log::info!(
            event = "shared_ports_left";
            "left the shared ports: other processes get their new connections"
        );
    }

    /// Accepts the connections in the kernel's queues, because closing a listener resets them.
    fn accept_all(&mut self) {
        (0..self.acceptor.set_all_ready()).for_each(|_| self.accept());
    }

    fn begin_gradual_close(&mut self) {
        self.stop_accepting();
        let (open, length) = (self.table.len() as u64, self.shared.timeouts.drain);
        let length = length.unwrap_or_default();
        log::info!(
            event = "gradual_close", connections_open = open, length_seconds = length.as_secs_f64();
            "draining: accepting no more; closing {} within {length:?}", plural(open, "connection")
        );
        self.gradual_close.begin(self.table.tokens().collect(), self.shared.clock.now(), length);
    }

    /// Lets the connections that are due answer what has arrived and close, at most
    /// [`EXPIRED_MAX`](turn_budget::EXPIRED_MAX) of them. The others follow in the next round.
    fn continue_gradual_close(&mut self) {
        let now = self.shared.clock.now();
        for _ in 0..turn_budget::EXPIRED_MAX {
            let Some(token) = self.gradual_close.pop_due(now) else { break };
            let Some(connection) = self.table.get_mut(token) else { continue };
            // A client that is still sending keeps its connection until the shutdown that follows.
            if !connection.has_incomplete_message() {
                connection.stop();
                self.run_queue.push(token.key(), connection.class());
            }
        }
    }

    /// Begins the shutdown: accepts the queued connections, and stops each open one.
    fn stop(&mut self) {
        self.shared.status.state = State::Stopping;
        let open = self.table.len() as u64;
        log::info!(
            event = "stopping", connections_open = open;
            "stopping with {} open", plural(open, "connection")
        );
        self.gradual_close.end();
        self.stop_accepting();
        self.enqueue_all(Connection::stop);
        let now = self.read_clocks().moment;
        self.shutdown.stopped_accepting(now);
    }

    /// Accepts the queued connections and closes the listeners, unless that is done.
    fn stop_accepting(&mut self) {
        if self.acceptor.is_stopped() {
            return;
        }
        self.accept_all();
        self.acceptor.stop();
        self.system.close_listeners();
    }

    /// Calls `prepare` for every connection and puts it into the run queue.
    fn enqueue_all(&mut self, mut prepare: impl FnMut(&mut Connection<S::Socket>)) {
        let tokens: Vec<Token> = self.table.tokens().collect();
        for token in tokens {
            if let Some(connection) = self.table.get_mut(token) {
                prepare(connection);
                self.run_queue.push(token.key(), connection.class());
            }
        }
    }

    /// Closes all open connections and returns the final state.
    pub(super) fn finish(mut self) -> Status {
        // A drain ends here too, when its last connection is closed.
        self.shared.status.state = State::Stopping;
        self.observer.observe(&self.shared.status);
        let tokens: Vec<Token> = self.table.tokens().collect();
        for token in tokens {
            self.close(token, CloseReason::Shutdown);
        }
        self.with_bus(Bus::finish);
        // The last round has counted what no wait has copied.
        self.update_gauges();
        self.shared.activity.log_suppressed();
        debug_assert_eq!(
            self.shared.pool.lent_bytes(),
            0,
            "a closed connection still holds storage"
        );
        let mut status = self.shared.status;
        debug_assert_eq!(status.total().open(), 0, "a connection was not counted as closed");
        status.ready = 0;
        status
    }
}
