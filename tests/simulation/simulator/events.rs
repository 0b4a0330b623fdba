//! The wait for events: time passes, clients act, and events are reported, with faults.

use std::time::Duration;

use tinytcp_core::os::mailbox::Mail;
use tinytcp_core::os::moment::Moment;
use tinytcp_core::os::system::{Event, Readiness};
use tinytcp_core::os::table::Token;

use super::faults::Fault;
use super::network::{Link, Network};
use super::trace::LISTENER_EVENT;

/// The round before which a drain is requested, in worlds with an early stop.
const DRAIN_ROUND: u64 = 5;

/// An event that is reported later.
pub struct Withheld {
    pub event: Event,
    released_at: Moment,
}

impl Network {
    /// Waits until there are events, at most for `timeout`.
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

    /// Stops the server process until `until`; the clients go on.
    fn pass_until(&mut self, until: Moment) {
        self.trace.note(self.now, None, "the process is stopped", (0, 0), b"");
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
        self.make_room_for_bus();
        for id in self.open_ids() {
            let link = &mut self.links[id];
            (link.account.calls_in_round, link.account.bytes_in_round) = (0, 0);
            // Room that a fault has refused, or that the network has made, exists by now.
            link.channel.make_room();
        }
    }

    fn next_release(&self) -> Moment {
        self.withheld.iter().map(|withheld| withheld.released_at).min().unwrap_or(Moment::NEVER)
    }

    /// Returns the events of the poller, changed by faults.
    fn fetch_events(&mut self) -> Vec<Event> {
        let mut events = self.released_events();
        for _ in 0..std::mem::take(&mut self.stops) {
            events.push(Event::Mail(Mail::Stop));
        }
        // Until its delay is over, a drain changes nothing that a client can see.
        if self.plan.stop_at.is_some() && self.rounds == DRAIN_ROUND {
            events.push(Event::Mail(Mail::Drain));
        }
        self.request_reload(&mut events);
        self.fetch_bus_events(&mut events);
        for listener in 0..self.queues.len() {
            let has_edge = std::mem::take(&mut self.queues[listener].has_edge) && self.is_listening;
            if has_edge || self.strikes(Fault::SpuriousEvent) {
                self.report(Event::Listener(listener), &mut events);
            }
        }
        for id in self.open_ids() {
            let Some(token) = self.links[id].account.token else { continue };
            if let Some(readiness) = self.links[id].channel.take_edge() {
                self.report_in_parts(token, readiness, &mut events);
            }
            if self.strikes(Fault::SpuriousEvent) {
                let readiness = self.any_readiness();
                events.push(Event::Connection(token, readiness));
            }
            self.report_stale(token, &mut events);
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

    /// Reports an event, or one event per direction, as some pollers do.
    pub fn report_in_parts(&mut self, token: Token, readiness: Readiness, events: &mut Vec<Event>) {
        if !self.strikes(Fault::SplitEvent) {
            return self.report(Event::Connection(token, readiness), events);
        }
        let Readiness { readable, writable, read_to_end } = readiness;
        let parts = [
            Readiness { readable, writable: false, read_to_end },
            Readiness { readable: false, writable, read_to_end: false },
        ];
        parts.into_iter().for_each(|part| self.report(Event::Connection(token, part), events));
    }

    fn report(&mut self, event: Event, events: &mut Vec<Event>) {
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

    /// Reports an event of a closed connection whose key `token` reuses.
    fn report_stale(&mut self, token: Token, events: &mut Vec<Event>) {
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

    /// Notes an event that is reported to the server, and that it may read now.
    fn note_event(&mut self, event: &Event) {
        match event {
            Event::Connection(token, readiness) => {
                let flags: Vec<u8> = [
                    (readiness.readable, b'r'),
                    (readiness.writable, b'w'),
                    (readiness.read_to_end, b'e'),
                ]
                .into_iter()
                .filter_map(|(is_set, letter)| is_set.then_some(letter))
                .collect();
                let id =
                    (0..self.links.len()).find(|id| self.links[*id].account.token == Some(*token));
                self.trace.note(self.now, id, "event for key", (token.key(), 0), &flags);
                if let Some(id) = id {
                    let Link { channel, account, .. } = &mut self.links[id];
                    account.may_read |= readiness.readable || readiness.read_to_end;
                    account.reads_to_end |= readiness.read_to_end;
                    let is_served = !account.is_paused
                        && !account.is_session_over
                        && !account.end_was_read
                        && !account.is_delayed;
                    if readiness.readable
                        && channel.is_readable()
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
                self.is_stopped_twice = self.stopped_at.is_some();
                self.stopped_at.get_or_insert(self.now);
                self.trace.note(self.now, None, "a stop is requested", (0, 0), b"");
            }
            Event::Mail(Mail::Drain) => {
                self.trace.note(self.now, None, "a drain is requested", (0, 0), b"")
            }
            Event::Mail(Mail::Reload(settings)) => self.note_reload(settings),
            Event::Mail(Mail::ReloadTls(_) | Mail::CountTlsReloadFailure) => {
                self.trace.note(self.now, None, "certificates are reloaded", (0, 0), b"")
            }
            Event::Mail(Mail::Status(_) | Mail::LogStatus) => {
                self.trace.note(self.now, None, "the state is requested", (0, 0), b"")
            }
            Event::Mail(Mail::Addresses(_)) => {
                self.trace.note(self.now, None, "a lookup has ended", (0, 0), b"")
            }
        }
    }

    /// True if an event of this connection is not reported yet.
    pub fn is_event_due(&self, id: usize) -> bool {
        let Some(token) = self.links[id].account.token else { return false };
        self.links[id].channel.has_edge() || self.is_withheld(token)
    }

    /// True if an event for `token` is reported later.
    pub fn is_withheld(&self, token: Token) -> bool {
        let is_about =
            |withheld: &Withheld| matches!(withheld.event, Event::Connection(it, _) if it == token);
        self.withheld.iter().any(is_about)
    }
}
