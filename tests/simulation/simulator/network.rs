//! Everything that is not the server: its kernel, the network, and the peers; what they share is
//! one clock.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, SystemTime};

use tinytcp_core::os::clock::{Clock, Reading};
use tinytcp_core::os::moment::Moment;
use tinytcp_core::os::table::Token;

use super::account::Account;
use super::choices::Choices;
use super::client::Client;
use super::events::Withheld;
use super::faults::{Fault, Faults};
use super::invariant::{Failure, Invariant};
use super::oracle::{Oracle, Unasked};
use super::plan::Plan;
use super::sights::{SIGHTS, Sight};
use super::trace::Trace;
use super::wire::Wire;

/// One connection, from three sides. They are told apart by their place in [`Network::links`].
pub struct Link {
    pub client: Client,
    pub wire: Wire,
    pub account: Account,
}

/// One listener's queue of connections that wait to be accepted.
#[derive(Default)]
pub struct Queue {
    pub waiting: VecDeque<usize>,
    pub has_edge: bool,
    /// Since when nothing but the server keeps somebody waiting here.
    pub acceptable_since: Option<Moment>,
}

/// The kernel, the network, and the peers.
pub struct Network {
    pub choices: Choices,
    pub faults: Faults,
    pub plan: Plan,
    pub now: Moment,
    wall: SystemTime,
    /// Every time of day that the wall clock has shown.
    pub shown_times: BTreeSet<String>,
    shown_second: u64,
    pub links: Vec<Link>,
    pub queues: Vec<Queue>,
    pub is_listening: bool,
    pub withheld: Vec<Withheld>,
    /// Tokens of connections that are gone.
    pub stale: Vec<Token>,
    /// Requests to stop that have not been told.
    pub stops: usize,
    /// When the first of them was told.
    pub stopped_at: Option<Moment>,
    /// The connection for which the next session is made.
    pub last_accepted: usize,
    /// Who could move at the end of the last round, or was told so since.
    pub movable: BTreeSet<usize>,
    /// Calls on the seam in this round, other than to wait.
    pub calls_in_round: usize,
    pub idle_rounds: usize,
    pub rounds: u64,
    pub events: u64,
    /// The server is closing what is left.
    pub is_finishing: bool,
    /// Nothing would ever happen again.
    pub is_dead_quiet: bool,
    pub sights: [u64; SIGHTS.len()],
    pub trace: Trace,
    pub failure: Option<Failure>,
}

impl Network {
    /// A network in which nobody has connected yet.
    pub fn new(mut choices: Choices, plan: Plan, clients: Vec<Client>) -> Self {
        let faults = Faults::new(&mut choices);
        let bounds = plan.bounds();
        let links = clients.into_iter().map(|client| Link {
            wire: Wire::new(client.sizes()),
            account: Account::new(Oracle::new(plan.languages[client.listener()], bounds)),
            client,
        });
        Self {
            links: links.collect(),
            queues: plan.languages.iter().map(|_| Queue::default()).collect(),
            choices,
            faults,
            plan,
            now: Moment::START,
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_757_715_853),
            shown_times: BTreeSet::new(),
            shown_second: 0,
            is_listening: true,
            withheld: Vec::new(),
            stale: Vec::new(),
            stops: 0,
            stopped_at: None,
            last_accepted: 0,
            movable: BTreeSet::new(),
            calls_in_round: 0,
            idle_rounds: 0,
            rounds: 0,
            events: 0,
            is_finishing: false,
            is_dead_quiet: false,
            sights: [0; SIGHTS.len()],
            trace: Trace::default(),
            failure: None,
        }
    }

    /// What both clocks say.
    pub fn read_clocks(&mut self) -> Reading {
        if self.strikes(Fault::WallStep) {
            let step = Duration::from_secs(self.choices.below(10_000) as u64);
            self.wall = if self.choices.chance(500) { self.wall + step } else { self.wall - step };
        }
        let reading = Reading { moment: self.now, wall: self.wall + self.now.since(Moment::START) };
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

    /// Lets `fault` happen, or not.
    pub fn strikes(&mut self, fault: Fault) -> bool {
        self.faults.strikes(fault, &mut self.choices)
    }

    /// Counts something that was seen.
    pub fn see(&mut self, sight: Sight) {
        self.sights[sight as usize] += 1;
    }

    /// Notes that something happened to `connection`.
    pub fn note(
        &mut self,
        connection: usize,
        what: &'static str,
        numbers: (usize, usize),
        bytes: &[u8],
    ) {
        self.trace.note(self.now, Some(connection), what, numbers, bytes);
    }

    /// An invariant does not hold; the first one counts.
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

    /// The connections that the server has open.
    pub fn open_ids(&self) -> Vec<usize> {
        let is_open = |link: &Link| link.account.is_accepted && !link.wire.is_closed_by_server();
        (0..self.links.len()).filter(|id| is_open(&self.links[*id])).collect()
    }

    /// Those of them that were not turned away.
    pub fn served_ids(&self) -> Vec<usize> {
        self.open_ids()
            .into_iter()
            .filter(|id| self.links[*id].account.unasked != Some(Unasked::Busy))
            .collect()
    }

    /// True exactly when every descriptor is taken.
    pub fn is_out_of_descriptors(&self) -> bool {
        self.open_ids().len() >= self.plan.descriptors_max
    }

    /// True exactly when every peer has done all that it had to do.
    pub fn are_clients_done(&self) -> bool {
        self.links.iter().all(|link| link.client.is_done())
    }

    /// What the network itself does to a connection at any time.
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
            self.links[id].wire.mark_urgent();
        }
    }

    fn break_off(&mut self, id: usize, errno: i32) {
        self.note(id, "the network breaks it with errno", (errno as usize, 0), b"");
        self.links[id].wire.fail(errno);
        self.links[id].client.wake(self.now);
    }

    /// Between two calls of the server a peer may act.
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

    /// Everybody whose time has come acts once.
    pub fn act_all(&mut self) {
        let mut due: Vec<usize> =
            (0..self.links.len()).filter(|id| self.links[*id].client.is_due(self.now)).collect();
        self.choices.shuffle(&mut due);
        for id in due {
            self.act(id);
            if !self.links[id].wire.is_closed_by_server() && self.links[id].account.is_accepted {
                self.disturb(id);
            }
        }
    }

    /// When the next peer acts by itself.
    pub fn next_act(&self) -> Moment {
        self.links.iter().map(|link| link.client.next_at()).min().unwrap_or(Moment::NEVER)
    }
}
