//! The checks before the server sleeps and after each round.

use std::time::Duration;

use tinytcp_core::buffers::pool::BLOCK_LEN;
use tinytcp_core::connection::Phase;
use tinytcp_core::connection::TURN_BYTES_MAX;
use tinytcp_core::connection::inspection::Inspection as State;
use tinytcp_core::limits::{HIGH_WATER_BYTES, LINGER_BYTES_MAX, LOW_WATER_BYTES};
use tinytcp_core::os::moment::Moment;
use tinytcp_core::server::EXPIRED_MAX;
use tinytcp_core::server::Inspection;

use super::coverage::Behaviour;
use super::invariant::Invariant;
use super::network::Network;
use super::oracle::http::HEAD_BYTES_MAX;

/// How many rounds in a row may have nothing to do: a queued key of a closed connection costs one,
/// and so does an entry whose deadline has moved.
const IDLE_ROUNDS_MAX: usize = 4;

/// How many bytes longer than its message an answer may be.
const ANSWER_OVERHEAD_MAX: usize = 256;

/// How long a connection waits for a server that can accept it.
const ACCEPT_WITHIN: Duration = Duration::from_secs(1);

/// The checks before a sleep.
impl Network {
    /// Checks a wait of at most `timeout`: a server that sleeps must have nothing to do.
    pub fn check_sleep(&mut self, timeout: Option<Duration>) {
        let is_idle = timeout == Some(Duration::ZERO) && self.calls_in_round == 0;
        self.idle_rounds = if is_idle { self.idle_rounds + 1 } else { 0 };
        // A wave continues after a portion of 32 members.
        if self.idle_rounds > IDLE_ROUNDS_MAX + self.links.len() / 32 {
            self.fail(Invariant::NoSpinning, None, "the loop spins without work");
        }
        if timeout == Some(Duration::ZERO) {
            return;
        }
        self.cover(Behaviour::Wait);
        if let Some(id) = self.movable.first().copied() {
            self.fail(
                Invariant::Fairness,
                Some(id),
                "the server sleeps while this connection has work to do",
            );
        }
        self.check_bus_at_rest();
        for id in self.open_ids() {
            self.check_left_over(id);
            let due = self.latest_deadline(id);
            if timeout.is_none_or(|timeout| self.now.after(timeout) > due) && due != Moment::NEVER {
                self.fail(Invariant::NoSpinning, Some(id), "the server sleeps beyond its deadline");
            }
        }
    }

    /// Checks that all bytes of a connection are answered, if no more events of it are due.
    fn check_left_over(&mut self, id: usize) {
        let link = &self.links[id];
        if self.is_event_due(id) || !link.channel.is_writable() || link.account.is_unwatched {
            return;
        }
        let is_open = link.account.opening.is_none();
        // A stop ends all delays.
        let is_delayed = link.account.is_delayed && self.stopped_at.is_none();
        if self.sleeps_on_records(id) && !is_delayed {
            let what = "records are not opened though their session could have them";
            self.fail(Invariant::EverythingAnswered, Some(id), what);
        } else if link.account.has_output() || is_open && !link.account.is_all_sent() {
            self.fail(
                Invariant::EverythingAnswered,
                Some(id),
                "answers wait while there is room for them",
            );
        } else if link.account.shut_at.is_none() && link.channel.is_readable() && !is_delayed {
            self.fail(
                Invariant::EverythingAnswered,
                Some(id),
                "bytes are not read though they could be",
            );
        } else if self.rooms.has(id) && !link.account.oracle.has_heard_all(id, &self.rooms) {
            let what = "messages of its room wait though it could receive them";
            self.fail(Invariant::RoomsAgree, Some(id), what);
        }
    }

    /// The latest moment at which the server must expire a connection if no event comes.
    pub fn latest_deadline(&self, id: usize) -> Moment {
        let link = &self.links[id];
        let language = self.plan.languages[link.client.listener()];
        let timeouts = &self.settings().timeouts;
        if link.account.is_delayed {
            let other = if link.account.has_output() { timeouts.write } else { timeouts.idle };
            return self.delay_ends(id).min(link.account.last_moved().deadline(other));
        }
        link.account.latest_deadline(timeouts, language.ends_messages_by_quiet())
    }

    /// Notes since when the server alone delays the connections in the accept queues.
    pub fn update_queues(&mut self) {
        let is_possible =
            self.is_listening && self.faults.are_over() && !self.is_out_of_descriptors();
        for queue in &mut self.queues {
            let is_kept = is_possible && !queue.waiting.is_empty();
            queue.acceptable_since = is_kept.then(|| queue.acceptable_since.unwrap_or(self.now));
        }
    }
}

/// The checks after a round.
impl Network {
    /// Checks the state after a round.
    pub fn check_round(&mut self, inspection: &Inspection<'_>) {
        self.settle_by_round(inspection);
        self.check_accounts(inspection);
        self.check_movers();
        self.check_own_places();
        for open in &inspection.connections {
            let id =
                (0..self.links.len()).find(|id| self.links[*id].account.token == Some(open.token));
            let Some(id) = id else {
                self.fail(
                    Invariant::Accounted,
                    None,
                    "a connection is open that was never accepted",
                );
                continue;
            };
            self.check_opening(id, &open.state);
            self.check_turn(id, &open.state);
            self.check_readiness(id, &open.state);
            self.check_storage(id, &open.state);
            self.check_address(id, &open.state);
            self.check_deadline(id, &open.state);
            let account = &mut self.links[id].account;
            if (account.is_late(self.now) || open.state.is_overdue) && open.state.is_readable {
                // It must be read to its end, which was not possible before.
                (account.may_read, account.reads_to_end) = (true, true);
            }
            account.entered_deadline = open.entered_deadline;
        }
        self.check_queues();
        self.check_shutdown(inspection);
    }

    fn check_accounts(&mut self, inspection: &Inspection<'_>) {
        let (open, table) = (self.open_ids().len(), inspection.connections.len());
        let counters = inspection.status.total();
        if open != table || counters.accepted != table as u64 + counters.closed_in_all() {
            let what = format!(
                "{open} open sockets, {table} open connections, {} accepted",
                counters.accepted
            );
            self.fail(Invariant::Accounted, None, what);
        }
        let (served, served_max) = (self.served_ids().len(), self.settings().connections_max);
        // A reload may have lowered the limit below the number of open connections.
        if served > served_max.max(std::mem::replace(&mut self.served_before, served)) {
            self.fail(
                Invariant::Accounted,
                None,
                format!("{served} connections are served, over the limit of {served_max}"),
            );
        }
        if inspection.lent_bytes > self.settings().limits.memory_bytes_max {
            self.fail(
                Invariant::BoundedMemory,
                None,
                format!("{} bytes are held", inspection.lent_bytes),
            );
        }
    }

    /// Checks fairness: while a connection with work to do waits for its turn, no other connection
    /// gets too many turns.
    fn check_movers(&mut self) {
        let movable = std::mem::take(&mut self.movable);
        let is_passer = |id: &usize| {
            let account = &self.links[*id].account;
            // Late and evicted connections have extra turns.
            movable.contains(id)
                && account.calls_in_round > 0
                && !account.is_late(self.now)
                && !self.plan.is_memory_short()
        };
        let passers: Vec<usize> = self.open_ids().into_iter().filter(is_passer).collect();
        // Each bulk connection ahead of it, and the connection itself, waits for at most eight
        // interactive turns.
        let passes_max = 8 * (self.open_ids().len() + 1);
        for id in self.open_ids() {
            let account = &mut self.links[id].account;
            if !movable.contains(&id) || account.calls_in_round > 0 {
                account.passed_by.clear();
                continue;
            }
            for passer in &passers {
                *account.passed_by.entry(*passer).or_default() += 1;
            }
            if let Some((passer, count)) =
                account.passed_by.iter().find(|(_, count)| **count > passes_max)
            {
                let what = format!("it waited for a turn while c{passer} had {count} turns");
                self.fail(Invariant::Fairness, Some(id), what);
            }
        }
    }

    /// Checks that no readiness is lost: without it, the server relies on an event that will come.
    /// Also collects the connections that must be in the run queue.
    fn check_readiness(&mut self, id: usize, state: &State) {
        let (is_told, channel) = (!self.is_event_due(id), &self.links[id].channel);
        let forgets_input =
            !state.is_readable && !state.input_ended && channel.is_readable() && is_told;
        let forgets_room = !state.is_writable && channel.is_writable() && is_told;
        if forgets_input {
            self.fail(
                Invariant::ReadinessKept,
                Some(id),
                "no event will report that there are bytes to read",
            );
        }
        if forgets_room {
            self.fail(Invariant::ReadinessKept, Some(id), "no event will report room");
        }
        let is_open = matches!(state.phase, Phase::Opening | Phase::Open) && !state.is_paused;
        let can_write = state.is_writable && state.output_len > 0;
        let can_read = state.is_readable
            && !state.input_ended
            && is_open
            && !state.reads_no_more
            && !state.is_delayed;
        let can_run = state.is_runnable && is_open;
        let can_discard = state.is_readable
            && matches!(state.phase, Phase::Lingering(_))
            && state.grace_bytes <= LINGER_BYTES_MAX;
        if can_write || can_read || can_run || can_discard || state.is_overdue {
            self.movable.insert(id);
            self.cover(Behaviour::Yield);
        }
        if state.is_paused {
            self.cover(Behaviour::Pause);
        }
        if state.grace_bytes > LINGER_BYTES_MAX {
            self.cover(Behaviour::LingerBound);
        }
        let is_wrongly_paused = state.is_paused && state.output_len <= LOW_WATER_BYTES;
        let is_wrongly_not =
            !state.is_paused && state.output_len >= HIGH_WATER_BYTES && state.phase == Phase::Open;
        if is_wrongly_paused || is_wrongly_not {
            let what =
                format!("{} bytes wait, and backpressure is {}", state.output_len, state.is_paused);
            self.fail(Invariant::Backpressure, Some(id), what);
        }
    }

    /// Checks that a connection waits for its header exactly until that is whole or hopeless.
    fn check_opening(&mut self, id: usize, state: &State) {
        let opening = self.links[id].account.opening;
        let waits = opening.is_some_and(|opening| !opening.is_hopeless());
        if opening.is_some() {
            self.cover(Behaviour::Opening);
        }
        if self.is_encrypted(id) && opening.is_none() {
            return self.check_handshake(id, state);
        }
        if (state.phase == Phase::Opening) != waits || opening.is_some() != waits {
            let what = format!("it is in {:?}, and its header is {opening:?}", state.phase);
            self.fail(Invariant::PeerKnown, Some(id), what);
        }
    }

    fn check_storage(&mut self, id: usize, state: &State) {
        let bounds = self.plan.bounds();
        let is_admin = self.is_admin(id);
        let head_max = if is_admin { HEAD_BYTES_MAX } else { 0 };
        let message_max = bounds.line_max.max(bounds.frame_max).max(head_max) + 5;
        // A working block is 17/16 of a power of two, and a kept block up to four of them.
        let held_max = |len: usize| if len == 0 { 0 } else { 17 * len.max(64) / 4 };
        if state.input_len > message_max + BLOCK_LEN
            || state.output_len > HIGH_WATER_BYTES + message_max + ANSWER_OVERHEAD_MAX
        {
            let what = format!(
                "{} bytes of input and {} bytes of output wait",
                state.input_len, state.output_len
            );
            self.fail(Invariant::BoundedMemory, Some(id), what);
        }
        // An answer of `http` has room for the longest one.
        if state.input_held > held_max(state.input_len)
            || state.output_held > held_max(state.output_len) && !is_admin
        {
            let (input, output) =
                ((state.input_len, state.input_held), (state.output_len, state.output_held));
            let what = format!(
                "{} bytes of input in {}, {} bytes of output in {}",
                input.0, input.1, output.0, output.1
            );
            self.fail(Invariant::BoundedMemory, Some(id), what);
        }
        if state.output_len != self.links[id].account.output_len && !self.is_encrypted(id) {
            self.fail(
                Invariant::NothingAfterClose,
                Some(id),
                "the output differs from that which the session has left",
            );
        }
    }

    /// Checks the bytes of a connection in a round: one turn, one more for each eight turns of
    /// others, and more when it is late. A turn may exceed its budget by one read and one write.
    fn check_turn(&mut self, id: usize, state: &State) {
        if state.grace_bytes as usize > LINGER_BYTES_MAX as usize + BLOCK_LEN {
            let what = format!("{} bytes were discarded while lingering", state.grace_bytes);
            self.fail(Invariant::BoundedTurn, Some(id), what);
        }
        let message_max = self.plan.bounds().frame_max.max(self.plan.bounds().line_max);
        let (largest_write, largest_read) =
            (HIGH_WATER_BYTES + message_max + ANSWER_OVERHEAD_MAX, message_max + BLOCK_LEN);
        let bytes = self.links[id].account.bytes_in_round;
        let is_catching_up = self.links[id].account.is_late(self.now) || !self.is_listening;
        // A session begins in the round in which a header or a handshake ends: a turn more.
        let has_opening = self.links[id].client.header.is_some() || self.is_encrypted(id);
        let turns_max = 1 + self.open_ids().len() / 8 + usize::from(has_opening);
        if bytes > turns_max * (TURN_BYTES_MAX + largest_write + largest_read) && !is_catching_up {
            let what = format!("{bytes} bytes were moved in one round, in {:?}", state.phase);
            self.fail(Invariant::BoundedTurn, Some(id), what);
        }
    }

    /// Checks that deadlines take effect. A connection that waits for a turn cannot know yet what
    /// else it waits for. Of many late connections, `EXPIRED_MAX` expire in a round.
    fn check_deadline(&mut self, id: usize, state: &State) {
        // The budget of a turn can end between the last answer and the end of the output.
        let has_output_to_end = matches!(state.phase, Phase::Flushing(_)) && state.output_len == 0;
        let waits_for_its_turn =
            (state.is_runnable && !state.is_paused) || state.is_overdue || has_output_to_end;
        // When a delay ends, the other deadlines of the connection may have passed.
        let account = &self.links[id].account;
        let has_just_gone_on = !account.is_delayed && account.delayed_until == self.now;
        let is_held = waits_for_its_turn || has_just_gone_on;
        let is_overdue = self.latest_deadline(id) <= self.now && !is_held;
        let rounds_until_its_turn = self.links.len() / EXPIRED_MAX;
        let account = &mut self.links[id].account;
        account.overdue_rounds = if is_overdue { account.overdue_rounds + 1 } else { 0 };
        if account.overdue_rounds > rounds_until_its_turn {
            self.fail(Invariant::DeadlinesHold, Some(id), "its deadline has passed without effect");
        }
    }

    fn check_queues(&mut self) {
        self.update_queues();
        let since = self.queues.iter().filter_map(|queue| queue.acceptable_since).min();
        if since.is_some_and(|since| self.now > since.after(ACCEPT_WITHIN)) {
            self.fail(
                Invariant::AcceptRecovers,
                None,
                "a connection waits to be accepted for more than a second",
            );
        }
    }

    fn check_shutdown(&mut self, inspection: &Inspection<'_>) {
        let drain = self.settings().timeouts.drain;
        let is_late = self.stopped_at.is_some_and(|at| self.now >= at.deadline(drain));
        if is_late && !inspection.is_over {
            self.fail(Invariant::ShutdownEnds, None, "the shutdown goes on after its deadline");
        }
    }
}
