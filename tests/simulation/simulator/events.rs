//! Waiting: time passes, peers act, and the server is told of it, sooner or later.

use std::time::Duration;

use tinytcp_core::os::mailbox::Mail;
use tinytcp_core::os::moment::Moment;
use tinytcp_core::os::system::{Event, Readiness};
use tinytcp_core::os::table::Token;

use super::faults::Fault;
use super::network::{Link, Network};
use super::trace::LISTENER_EVENT;

/// An event that is told later.
pub struct Withheld {
    pub event: Event,
    released_at: Moment,
}

impl Network {
    /// Waits until there are events, but not longer than `timeout`.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Vec<Event> {
        self.check_sleep(timeout);
        self.begin_round();
        let events = self.pass_time(timeout);
        self.events += events.len() as u64;
        events
    }

    fn pass_time(&mut self, timeout: Option<Duration>) -> Vec<Event> {
        let mut ends = timeout.map_or(Moment::NEVER, |timeout| self.now.after(timeout));
        if self.strikes(Fault::Stall) {
            let until = self.now.after(self.choices.duration(Duration::from_secs(20)));
            self.pass_until(until);
        }
        if timeout != Some(Duration::ZERO) && self.strikes(Fault::EarlyReturn) {
            let most = timeout.unwrap_or(Duration::from_secs(1)).min(Duration::from_secs(1));
            ends = self.now.after(self.choices.duration(most));
        }
        loop {
            self.act_all();
            let events = self.fetch_events();
            if !events.is_empty() || self.now >= ends {
                return events;
            }
            let next = ends.min(self.next_act()).min(self.next_release());
            if next == Moment::NEVER {
                self.is_dead_quiet = true;
                return events;
            }
            self.now = self.now.max(next);
        }
    }

    /// The process stands still while everybody else goes on.
    fn pass_until(&mut self, until: Moment) {
        self.trace.note(self.now, None, "the process stands still", (0, 0), b"");
        for _ in 0..200 {
            self.act_all();
            let next = self.next_act().min(until);
            if next >= until {
                break;
            }
            self.now = self.now.max(next);
        }
        self.now = until;
    }

    fn begin_round(&mut self) {
        self.rounds += 1;
        self.calls_in_round = 0;
        for id in self.open_ids() {
            let link = &mut self.links[id];
            (link.account.calls_in_round, link.account.bytes_in_round) = (0, 0);
            // Room that was refused, or that the network has made, is there by now.
            link.wire.make_room();
        }
    }

    fn next_release(&self) -> Moment {
        self.withheld.iter().map(|withheld| withheld.released_at).min().unwrap_or(Moment::NEVER)
    }

    /// What the poller has to tell, as the faults let it.
    fn fetch_events(&mut self) -> Vec<Event> {
        let mut events = self.released_events();
        for _ in 0..std::mem::take(&mut self.stops) {
            events.push(Event::Mail(Mail::Stop));
        }
        for listener in 0..self.queues.len() {
            let has_edge = std::mem::take(&mut self.queues[listener].has_edge) && self.is_listening;
            if has_edge || self.strikes(Fault::SpuriousEvent) {
                self.tell(Event::Listener(listener), &mut events);
            }
        }
        for id in self.open_ids() {
            let Some(token) = self.links[id].account.token else { continue };
            if let Some(readiness) = self.links[id].wire.take_edge() {
                self.tell_in_parts(token, readiness, &mut events);
            }
            if self.strikes(Fault::SpuriousEvent) {
                let readiness = self.any_readiness();
                events.push(Event::Connection(token, readiness));
            }
            self.remind_of_the_dead(token, &mut events);
        }
        if self.strikes(Fault::ReorderedEvents) {
            self.choices.shuffle(&mut events);
        }
        if events.len() > 1 && self.strikes(Fault::CutBatch) {
            let rest = events.split_off(1 + self.choices.below(events.len() - 1));
            self.withheld
                .extend(rest.into_iter().map(|event| Withheld { event, released_at: self.now }));
        }
        events.iter().for_each(|event| self.note_event(event));
        events
    }

    fn released_events(&mut self) -> Vec<Event> {
        let (now, is_calm) = (self.now, self.faults.are_over());
        let is_due = |withheld: &Withheld| is_calm || withheld.released_at <= now;
        let (due, rest) =
            std::mem::take(&mut self.withheld).into_iter().partition::<Vec<_>, _>(is_due);
        self.withheld = rest;
        due.into_iter().map(|withheld| withheld.event).collect()
    }

    /// Some pollers tell of each direction by itself.
    fn tell_in_parts(&mut self, token: Token, readiness: Readiness, events: &mut Vec<Event>) {
        if !self.strikes(Fault::SplitEvent) {
            return self.tell(Event::Connection(token, readiness), events);
        }
        let Readiness { readable, writable, read_to_end } = readiness;
        let parts = [
            Readiness { readable, writable: false, read_to_end },
            Readiness { readable: false, writable, read_to_end: false },
        ];
        parts.into_iter().for_each(|part| self.tell(Event::Connection(token, part), events));
    }

    fn tell(&mut self, event: Event, events: &mut Vec<Event>) {
        if self.strikes(Fault::DelayedEvent) {
            let delay = self.choices.duration(Duration::from_millis(50));
            self.withheld.push(Withheld { event, released_at: self.now.after(delay) });
            return;
        }
        if self.strikes(Fault::DuplicatedEvent) {
            events.push(event.clone());
        }
        events.push(event);
    }

    /// An event for whoever had the place of `token` before.
    fn remind_of_the_dead(&mut self, token: Token, events: &mut Vec<Event>) {
        let stale = self
            .stale
            .iter()
            .rev()
            .find(|stale| stale.key() == token.key() && **stale != token)
            .copied();
        if let Some(stale) = stale
            && self.strikes(Fault::StaleEvent)
        {
            let readiness = self.any_readiness();
            events.push(Event::Connection(stale, readiness));
        }
    }

    fn any_readiness(&mut self) -> Readiness {
        let mut any = || self.choices.chance(700);
        Readiness { readable: any(), writable: any(), read_to_end: any() }
    }

    /// Notes an event that the server is told of, and that a read may now give something.
    fn note_event(&mut self, event: &Event) {
        match event {
            Event::Connection(token, readiness) => {
                let told: Vec<u8> = [
                    (readiness.readable, b'r'),
                    (readiness.writable, b'w'),
                    (readiness.read_to_end, b'e'),
                ]
                .into_iter()
                .filter_map(|(is_told, letter)| is_told.then_some(letter))
                .collect();
                let id =
                    (0..self.links.len()).find(|id| self.links[*id].account.token == Some(*token));
                self.trace.note(self.now, id, "event for place", (token.key(), 0), &told);
                if let Some(id) = id {
                    let Link { wire, account, .. } = &mut self.links[id];
                    account.may_read |= readiness.readable || readiness.read_to_end;
                    account.reads_to_end |= readiness.read_to_end;
                    let is_served =
                        !account.is_paused && !account.is_session_over && !account.end_was_read;
                    if readiness.readable
                        && wire.is_readable()
                        && is_served
                        && self.stopped_at.is_none()
                    {
                        self.movable.insert(id);
                    }
                }
            }
            Event::Listener(index) => {
                self.trace.note(self.now, None, LISTENER_EVENT, (*index, 0), b"")
            }
            Event::Mail(Mail::Stop) => {
                self.stopped_at.get_or_insert(self.now);
                self.trace.note(self.now, None, "told to stop", (0, 0), b"");
            }
            Event::Mail(Mail::Status(_)) => {
                self.trace.note(self.now, None, "asked for its state", (0, 0), b"")
            }
        }
    }

    /// True exactly when the server has not been told yet of something that happened to this
    /// connection.
    pub fn is_event_due(&self, id: usize) -> bool {
        let Some(token) = self.links[id].account.token else { return false };
        let is_about =
            |withheld: &Withheld| matches!(withheld.event, Event::Connection(it, _) if it == token);
        self.links[id].wire.has_edge() || self.withheld.iter().any(is_about)
    }
}
