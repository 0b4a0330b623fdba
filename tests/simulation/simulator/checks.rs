//! What is checked between the calls: when the server goes to sleep, and after each round.

use std::time::Duration;

use tinytcp_core::buffers::pool::BLOCK_LEN;
use tinytcp_core::connection::Phase;
use tinytcp_core::connection::TURN_BYTES_MAX;
use tinytcp_core::connection::inspection::Inspection as State;
use tinytcp_core::limits::{HIGH_WATER_BYTES, LINGER_BYTES_MAX, LOW_WATER_BYTES};
use tinytcp_core::os::moment::Moment;
use tinytcp_core::server::EXPIRED_MAX;
use tinytcp_core::server::Inspection;

use super::invariant::Invariant;
use super::network::Network;
use super::sights::Sight;

/// How many rounds in a row may find nothing to do: what is queued is looked at once, and so is a
/// deadline that was put off.
const IDLE_ROUNDS_MAX: usize = 4;

/// The longest answer beside the bytes of its message.
const ANSWER_OVERHEAD_MAX: usize = 256;

/// How long a connection waits for a server that can accept it.
const ACCEPT_WITHIN: Duration = Duration::from_secs(1);

/// When the server goes to sleep.
impl Network {
    /// The server waits, not longer than `timeout`: then there is nothing left that it could do.
    pub fn check_sleep(&mut self, timeout: Option<Duration>) {
        let is_idle = timeout == Some(Duration::ZERO) && self.calls_in_round == 0;
        self.idle_rounds = if is_idle { self.idle_rounds + 1 } else { 0 };
        if self.idle_rounds > IDLE_ROUNDS_MAX {
            self.fail(Invariant::NoSpinning, None, "it looks again and again, and does nothing");
        }
        if timeout == Some(Duration::ZERO) {
            return;
        }
        self.see(Sight::Wait);
        if let Some(id) = self.movable.first().copied() {
            self.fail(
                Invariant::Fairness,
                Some(id),
                "the server sleeps though this connection can move",
            );
        }
        for id in self.open_ids() {
            self.check_left_over(id);
            let due = self.latest_deadline(id);
            if timeout.is_none_or(|timeout| self.now.after(timeout) > due) && due != Moment::NEVER {
                self.fail(
                    Invariant::NoSpinning,
                    Some(id),
                    "the server sleeps longer than until its deadline",
                );
            }
        }
    }

    /// Of a connection whose kernel has nothing more to tell, all that was read is answered.
    fn check_left_over(&mut self, id: usize) {
        let link = &self.links[id];
        if self.is_event_due(id) || !link.wire.is_writable() || link.account.is_unwatched {
            return;
        }
        if link.account.output_len > 0 || !link.account.oracle.is_all_given() {
            self.fail(
                Invariant::EverythingAnswered,
                Some(id),
                "answers are left over though there is room for them",
            );
        } else if link.account.shut_at.is_none() && link.wire.is_readable() {
            self.fail(
                Invariant::EverythingAnswered,
                Some(id),
                "bytes are left unread though nothing is in their way",
            );
        }
    }

    /// The latest moment at which the server must look at a connection though nothing happens.
    pub fn latest_deadline(&self, id: usize) -> Moment {
        let link = &self.links[id];
        let language = self.plan.languages[link.client.listener()];
        link.account.latest_deadline(&self.plan.config.timeouts, language.ends_messages_by_quiet())
    }

    /// Who waits to be accepted, and whether anything but the server is in their way.
    pub fn update_queues(&mut self) {
        let is_possible =
            self.is_listening && self.faults.are_over() && !self.is_out_of_descriptors();
        for queue in &mut self.queues {
            let is_kept = is_possible && !queue.waiting.is_empty();
            queue.acceptable_since = is_kept.then(|| queue.acceptable_since.unwrap_or(self.now));
        }
    }
}

/// After each round.
impl Network {
    /// The server has done a round.
    pub fn check_round(&mut self, inspection: &Inspection<'_>) {
        self.check_accounts(inspection);
        self.check_movers();
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
            self.check_turn(id, &open.state);
            self.check_readiness(id, &open.state);
            self.check_storage(id, &open.state);
            self.check_deadline(id, &open.state);
            let account = &mut self.links[id].account;
            if (account.is_late(self.now) || open.state.is_overdue) && open.state.is_readable {
                // It was to be read to its end, and that was not possible yet.
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
                "{open} sockets are open, {table} connections are, of {} accepted",
                counters.accepted
            );
            self.fail(Invariant::Accounted, None, what);
        }
        let (served, served_max) = (self.served_ids().len(), self.plan.config.connections_max);
        if served > served_max {
            self.fail(
                Invariant::Accounted,
                None,
                format!("{served} connections are served, and {served_max} may be"),
            );
        }
        if inspection.lent_bytes > self.plan.config.limits.memory_bytes_max {
            self.fail(
                Invariant::BoundedMemory,
                None,
                format!("{} bytes are held", inspection.lent_bytes),
            );
        }
    }

    /// Who could move when the last round ended, or was told so since, has had a turn in this one,
    /// or waits for it: then nobody has had too many turns meanwhile.
    fn check_movers(&mut self) {
        let movable = std::mem::take(&mut self.movable);
        let is_passer = |id: &usize| {
            let account = &self.links[*id].account;
            // Who is late has a turn out of its turn, and so has who gives up what it holds.
            movable.contains(id)
                && account.calls_in_round > 0
                && !account.is_late(self.now)
                && !self.plan.is_memory_short()
        };
        let passers: Vec<usize> = self.open_ids().into_iter().filter(is_passer).collect();
        // Each bulk connection ahead of it, and it itself, waits for eight interactive turns at
        // most.
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
                let what = format!("it could move and had no turn, while c{passer} had {count}");
                self.fail(Invariant::Fairness, Some(id), what);
            }
        }
    }

    /// Readiness that is forgotten comes back only with an event; and whoever has readiness and
    /// something to do is queued.
    fn check_readiness(&mut self, id: usize, state: &State) {
        let (is_told, wire) = (!self.is_event_due(id), &self.links[id].wire);
        let forgets_input =
            !state.is_readable && !state.input_ended && wire.is_readable() && is_told;
        let forgets_room = !state.is_writable && wire.is_writable() && is_told;
        if forgets_input {
            self.fail(
                Invariant::ReadinessKept,
                Some(id),
                "no event will tell that there is something to read",
            );
        }
        if forgets_room {
            self.fail(Invariant::ReadinessKept, Some(id), "no event will tell that there is room");
        }
        let is_open = state.phase == Phase::Open && !state.is_paused;
        let can_write = state.is_writable && state.output_len > 0;
        let can_read = state.is_readable && !state.input_ended && is_open && !state.reads_no_more;
        let can_run = state.is_runnable && is_open;
        let can_discard = state.is_readable
            && matches!(state.phase, Phase::Lingering(_))
            && state.grace_bytes <= LINGER_BYTES_MAX;
        if can_write || can_read || can_run || can_discard || state.is_overdue {
            self.movable.insert(id);
            self.see(Sight::Yield);
        }
        if state.is_paused {
            self.see(Sight::Pause);
        }
        if state.grace_bytes > LINGER_BYTES_MAX {
            self.see(Sight::LingerBound);
        }
        let is_wrongly_paused = state.is_paused && state.output_len <= LOW_WATER_BYTES;
        let is_wrongly_not =
            !state.is_paused && state.output_len >= HIGH_WATER_BYTES && state.phase == Phase::Open;
        if is_wrongly_paused || is_wrongly_not {
            let what =
                format!("with {} bytes waiting, paused is {}", state.output_len, state.is_paused);
            self.fail(Invariant::Backpressure, Some(id), what);
        }
    }

    fn check_storage(&mut self, id: usize, state: &State) {
        let bounds = self.plan.bounds();
        let message_max = bounds.line_max.max(bounds.frame_max) + 5;
        let held_max = |len: usize| if len == 0 { 0 } else { 4 * len.max(64) };
        if state.input_len > message_max + BLOCK_LEN
            || state.output_len > HIGH_WATER_BYTES + message_max + ANSWER_OVERHEAD_MAX
        {
            let what = format!(
                "{} bytes wait to be run, and {} to be sent",
                state.input_len, state.output_len
            );
            self.fail(Invariant::BoundedMemory, Some(id), what);
        }
        if state.input_held > held_max(state.input_len)
            || state.output_held > held_max(state.output_len)
        {
            let (input, output) =
                ((state.input_len, state.input_held), (state.output_len, state.output_held));
            let what = format!(
                "{} bytes are held in {}, and {} in {}",
                input.0, input.1, output.0, output.1
            );
            self.fail(Invariant::BoundedMemory, Some(id), what);
        }
        if state.output_len != self.links[id].account.output_len {
            self.fail(
                Invariant::NothingAfterClose,
                Some(id),
                "the output is not what the session left there",
            );
        }
    }

    /// A connection has one turn a round, one more for every eight turns of others, and more when
    /// it is late. Each may pass its share by one read and one write.
    fn check_turn(&mut self, id: usize, state: &State) {
        if state.grace_bytes as usize > LINGER_BYTES_MAX as usize + BLOCK_LEN {
            let what = format!("{} bytes were dropped behind the end", state.grace_bytes);
            self.fail(Invariant::BoundedTurn, Some(id), what);
        }
        let message_max = self.plan.bounds().frame_max.max(self.plan.bounds().line_max);
        let (largest_write, largest_read) =
            (HIGH_WATER_BYTES + message_max + ANSWER_OVERHEAD_MAX, message_max + BLOCK_LEN);
        let bytes = self.links[id].account.bytes_in_round;
        let is_catching_up = self.links[id].account.is_late(self.now) || !self.is_listening;
        let turns_max = 1 + self.open_ids().len() / 8;
        if bytes > turns_max * (TURN_BYTES_MAX + largest_write + largest_read) && !is_catching_up {
            let what = format!("{bytes} bytes were moved in one round, in {:?}", state.phase);
            self.fail(Invariant::BoundedTurn, Some(id), what);
        }
    }

    /// Whoever waits for a turn in which it runs what it has read cannot know yet for what else it
    /// waits. Of many that are late at once, `EXPIRED_MAX` are looked at in a round.
    fn check_deadline(&mut self, id: usize, state: &State) {
        let waits_for_its_turn = (state.is_runnable && !state.is_paused) || state.is_overdue;
        let is_overdue = self.latest_deadline(id) <= self.now && !waits_for_its_turn;
        let rounds_until_its_turn = self.links.len() / EXPIRED_MAX;
        let account = &mut self.links[id].account;
        account.overdue_rounds = if is_overdue { account.overdue_rounds + 1 } else { 0 };
        if account.overdue_rounds > rounds_until_its_turn {
            self.fail(
                Invariant::DeadlinesHold,
                Some(id),
                "its deadline has passed and nothing came of it",
            );
        }
    }

    fn check_queues(&mut self) {
        self.update_queues();
        let since = self.queues.iter().filter_map(|queue| queue.acceptable_since).min();
        if since.is_some_and(|since| self.now > since.after(ACCEPT_WITHIN)) {
            self.fail(
                Invariant::AcceptRecovers,
                None,
                "somebody could be accepted for more than a second",
            );
        }
    }

    fn check_shutdown(&mut self, inspection: &Inspection<'_>) {
        let drain = self.plan.config.timeouts.drain;
        let is_late = self.stopped_at.is_some_and(|at| self.now >= at.deadline(drain));
        if is_late && !inspection.is_over {
            self.fail(Invariant::ShutdownEnds, None, "the shutdown goes on behind its deadline");
        }
    }
}
