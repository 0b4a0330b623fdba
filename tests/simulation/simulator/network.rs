//! The simulated kernel, the network and the clients: everything except the server. They share one
//! clock.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, SystemTime};

use tinytcp_core::os::clock::{Clock, Reading};
use tinytcp_core::os::moment::Moment;
use tinytcp_core::os::peer::PeerAddr;
use tinytcp_core::os::table::Token;

use super::account::Account;
use super::addresses::{Addresses, own_address};
use super::broker::Broker;
use super::channel::Channel;
use super::choices::Choices;
use super::client::Client;
use super::coverage::{BEHAVIOURS, Behaviour};
use super::events::Withheld;
use super::faults::{Fault, Faults};
use super::invariant::{Failure, Invariant};
use super::oracle::rooms::Rooms;
use super::oracle::{Oracle, Unasked};
use super::plan::Plan;
use super::proxy::{Fate, Opening, PROXY, STRANGER};
use super::tls;
use super::trace::Trace;

/// One connection, from three sides. Its id is its index in [`Network::links`].
pub struct Link {
    pub client: Client,
    pub channel: Channel,
    pub account: Account,
}

/// The accept queue of one listener.
#[derive(Default)]
pub struct Queue {
    pub waiting: VecDeque<usize>,
    pub has_edge: bool,
    /// Since when the server alone delays the first connection of the queue.
    pub acceptable_since: Option<Moment>,
}

/// The gradual close of a drain.
#[derive(Clone, Copy, Debug)]
pub struct GradualClose {
    pub began: Moment,
    /// How many connections were open then.
    pub open: usize,
    /// The number of them that have received the farewell.
    pub dismissed: usize,
}

/// The kernel, the network, and the clients.
pub struct Network {
    pub choices: Choices,
    pub faults: Faults,
    pub plan: Plan,
    pub now: Moment,
    /// The time that the server has read last.
    pub read_at: Moment,
    wall: SystemTime,
    /// All times that the wall clock has shown.
    pub shown_times: BTreeSet<String>,
    shown_second: u64,
    pub links: Vec<Link>,
    pub queues: Vec<Queue>,
    pub is_listening: bool,
    pub withheld: Vec<Withheld>,
    /// Tokens of closed connections.
    pub stale: Vec<Token>,
    /// Requests to stop that were not reported yet.
    pub stops: usize,
    /// When the first request was reported.
    pub stopped_at: Option<Moment>,
    /// True once a second request was reported.
    pub is_stopped_twice: bool,
    /// The gradual close, while it lasts and after it.
    pub gradual_close: Option<GradualClose>,
    /// The connections that had work to do at the end of the last round, or that have had an event
    /// since.
    pub movable: BTreeSet<usize>,
    /// Calls of the server in this round, waits excluded.
    pub calls_in_round: usize,
    pub idle_rounds: usize,
    pub rounds: u64,
    pub events: u64,
    /// The server is closing the last connections.
    pub is_finishing: bool,
    /// No event can ever happen again.
    pub is_dead_quiet: bool,
    /// How many connections were served at the end of the last round.
    pub served_before: usize,
    pub addresses: Addresses,
    pub rooms: Rooms,
    pub broker: Option<Broker>,
    pub behaviours: [u64; BEHAVIOURS.len()],
    pub trace: Trace,
    pub failure: Option<Failure>,
}

impl Network {
    /// Creates a network without connections.
    pub fn new(mut choices: Choices, mut plan: Plan, clients: Vec<Client>) -> Self {
        let broker = plan.broker.take().map(Broker::new);
        let faults = Faults::new(&mut choices);
        let (bounds, limits) = (plan.bounds(), plan.config.settings.limits);
        let links = clients.into_iter().map(|client| {
            let oracle = Oracle::new(plan.languages[client.listener()], bounds);
            let opening = client.header.as_ref().map(Opening::new);
            let account = match client.tls.is_some() {
                true => Account::new(oracle.over_tls(), opening).encrypted(),
                false => Account::new(oracle, opening),
            };
            Link { channel: Channel::new(client.sizes()), account, client }
        });
        Self {
            links: links.collect(),
            queues: plan.languages.iter().map(|_| Queue::default()).collect(),
            choices,
            faults,
            plan,
            now: Moment::START,
            read_at: Moment::START,
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_757_715_853),
            shown_times: BTreeSet::new(),
            shown_second: 0,
            is_listening: true,
            withheld: Vec::new(),
            stale: Vec::new(),
            stops: 0,
            stopped_at: None,
            is_stopped_twice: false,
            gradual_close: None,
            movable: BTreeSet::new(),
            calls_in_round: 0,
            idle_rounds: 0,
            rounds: 0,
            events: 0,
            is_finishing: false,
            is_dead_quiet: false,
            served_before: 0,
            addresses: Addresses::default(),
            rooms: Rooms::new(limits),
            broker,
            behaviours: [0; BEHAVIOURS.len()],
            trace: Trace::default(),
            failure: None,
        }
    }

    /// Reads both clocks.
    pub fn read_clocks(&mut self) -> Reading {
        if self.strikes(Fault::WallStep) {
            let step = Duration::from_secs(self.choices.below(10_000) as u64);
            self.wall = if self.choices.chance(500) { self.wall + step } else { self.wall - step };
        }
        self.read_at = self.now;
        self.note_end_of_gradual_close();
        let wall = self.wall + self.now.since(Moment::START);
        tls::set_time(wall);
        let reading = Reading { moment: self.now, wall, stall: None };
        let second =
            reading.wall.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if self.shown_second != second {
            self.shown_second = second;
            let mut clock = Clock::new(reading);
            self.shown_times
                .extend([clock.time_of_day().to_owned(), clock.date_and_time().to_owned()]);
        }
        reading
    }

    /// After the time of the gradual close the server stops, as if it had been requested.
    fn note_end_of_gradual_close(&mut self) {
        let length = self.settings().timeouts.drain.unwrap_or_default();
        let is_over = |closing: GradualClose| self.now >= closing.began.after(length);
        if self.stopped_at.is_none() && self.gradual_close.is_some_and(is_over) {
            self.stopped_at = Some(self.now);
        }
    }

    /// Decides whether `fault` strikes now.
    pub fn strikes(&mut self, fault: Fault) -> bool {
        self.faults.strikes(fault, &mut self.choices)
    }

    /// Counts a behaviour of the server.
    pub fn cover(&mut self, behaviour: Behaviour) {
        self.behaviours[behaviour as usize] += 1;
    }

    /// Adds an entry about `connection` to the trace.
    pub fn note(
        &mut self,
        connection: usize,
        what: &'static str,
        numbers: (usize, usize),
        bytes: &[u8],
    ) {
        self.trace.note(self.now, Some(connection), what, numbers, bytes);
    }

    /// Notes that an invariant does not hold. The first call counts.
    pub fn fail(
        &mut self,
        invariant: Invariant,
        connection: Option<usize>,
        what: impl Into<String>,
    ) {
        if self.failure.is_none() {
            let trace = std::mem::take(&mut self.trace);
            self.failure = Some(Failure { invariant, what: what.into(), connection, trace });
        }
    }

    /// The address from which a client connects.
    pub fn address(&self, id: usize) -> PeerAddr {
        let client = &self.links[id].client;
        if client.header.is_none() {
            return own_address(id);
        }
        let ip = if client.is_untrusted() { STRANGER } else { PROXY };
        (ip, u16::try_from(10_000 + id).unwrap_or(u16::MAX)).into()
    }

    /// The peer of a connection: the client that its header names, once the header is whole.
    pub fn peer(&self, id: usize) -> PeerAddr {
        let link = &self.links[id];
        match link.client.header.as_ref().map(|header| header.fate) {
            Some(Fate::Opens(Some(source))) if link.account.opening.is_none() => source.into(),
            _ => self.address(id),
        }
    }

    /// The connections that are open in the server.
    pub fn open_ids(&self) -> Vec<usize> {
        let is_open = |link: &Link| link.account.is_accepted && !link.channel.is_closed_by_server();
        (0..self.links.len()).filter(|id| is_open(&self.links[*id])).collect()
    }

    /// The open connections that were not rejected, without those in places of their own.
    pub fn served_ids(&self) -> Vec<usize> {
        self.open_ids()
            .into_iter()
            .filter(|id| self.links[*id].account.unasked != Some(Unasked::Busy))
            .filter(|id| !self.is_admin(*id))
            .collect()
    }

    /// True if all descriptors are in use.
    pub fn is_out_of_descriptors(&self) -> bool {
        self.open_ids().len() >= self.plan.descriptors_max
    }

    /// True if all clients have finished their acts.
    pub fn are_clients_done(&self) -> bool {
        self.links.iter().all(|link| link.client.is_done())
    }

    /// Lets faults of the network strike a connection.
    pub fn disturb(&mut self, id: usize) {
        if self.strikes(Fault::NetworkReset) {
            self.break_off(id, libc::ECONNRESET);
        }
        if self.strikes(Fault::NetworkError) {
            let errno =
                self.choices.pick(&[libc::ETIMEDOUT, libc::EHOSTUNREACH, libc::ENETUNREACH]);
            self.break_off(id, errno);
        }
        if self.strikes(Fault::UrgentMark) {
            self.links[id].channel.mark_urgent();
        }
    }

    fn break_off(&mut self, id: usize, errno: i32) {
        self.note(id, "the network breaks it with errno", (errno as usize, 0), b"");
        self.links[id].channel.fail(errno);
        self.links[id].client.wake(self.now);
    }

    /// Lets a client act between two calls of the server.
    pub fn interleave(&mut self) {
        if self.strikes(Fault::Interleaving) {
            let due: Vec<usize> = (0..self.links.len())
                .filter(|id| self.links[*id].client.is_due(self.now))
                .collect();
            if !due.is_empty() {
                let id = self.choices.pick(&due);
                self.act(id);
            }
        }
    }

    /// Lets each client that is due act once, and the broker.
    pub fn act_all(&mut self) {
        self.act_as_broker();
        let mut due: Vec<usize> =
            (0..self.links.len()).filter(|id| self.links[*id].client.is_due(self.now)).collect();
        self.choices.shuffle(&mut due);
        for id in due {
            self.act(id);
            if !self.links[id].channel.is_closed_by_server() && self.links[id].account.is_accepted {
                self.disturb(id);
            }
        }
    }

    /// When the next client, or the broker, acts by itself.
    pub fn next_act(&self) -> Moment {
        let clients = self.links.iter().map(|link| link.client.next_at());
        clients.chain([self.next_act_of_broker()]).min().unwrap_or(Moment::NEVER)
    }
}
