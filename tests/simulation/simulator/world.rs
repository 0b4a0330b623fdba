//! One run of a world: a server, a network, and clients. First with faults, then without, until all
//! clients have left and the server has stopped.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use tinytcp_core::close_reason::CloseReason;
use tinytcp_core::protocol::admin::Admin;
use tinytcp_core::protocol::{BUILT_IN, Protocol};
use tinytcp_core::server::{EventLoop, Listener};
use tinytcp_core::status::Counters;
use tinytcp_core::tls::TlsSettings;

use super::choices::Choices;
use super::clients;
use super::coverage::BEHAVIOURS;
use super::faults::FAULTS;
use super::invariant::{Failure, Invariant};
use super::kernel::{Shared, SimulatedKernel};
use super::network::Network;
use super::observer::Observer;
use super::oracle::Language;
use super::plan::Plan;
use super::trace::Trace;

/// More rounds than a run needs.
const ROUNDS_MAX: u64 = 50_000;

/// The report of a run in which all invariants held.
#[derive(Debug)]
pub struct Report {
    pub rounds: u64,
    pub events: u64,
    /// How often each fault struck.
    pub faults: [u64; FAULTS.len()],
    /// How often each kind of behaviour occurred.
    pub behaviours: [u64; BEHAVIOURS.len()],
    /// The kinds of the clients.
    pub kinds: Vec<&'static str>,
    pub counters: Counters,
    pub trace: Trace,
}

/// Runs the world that `choices` generate.
pub fn run(choices: Choices) -> Result<Report, Failure> {
    let mut choices = choices;
    let plan = Plan::new(&mut choices);
    let clients = clients::choose(&plan, &mut choices);
    let network = Shared::new(Network::new(choices, plan, clients));
    let world = network.clone();
    let result = panic::catch_unwind(AssertUnwindSafe(move || drive(&world)));
    let mut network = network.lock();
    let counters = match result {
        Ok(counters) => counters,
        Err(panic) => {
            let message = panic.downcast_ref::<String>().cloned();
            let message = message
                .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
                .unwrap_or_default();
            network.fail(Invariant::NoPanic, None, message);
            Counters::default()
        }
    };
    if let Some(failure) = network.failure.take() {
        return Err(failure);
    }
    Ok(Report {
        rounds: network.rounds,
        events: network.events,
        faults: network.faults.counts(),
        behaviours: network.behaviours,
        kinds: network.links.iter().map(|link| link.client.kind).collect(),
        counters,
        trace: std::mem::take(&mut network.trace),
    })
}

/// Runs rounds until the server has ended or an invariant does not hold.
fn drive(network: &Shared) -> Counters {
    let (config, listeners) = {
        let network = network.lock();
        let Plan { config, languages, for_proxies, .. } = &network.plan;
        let listener =
            |index| (languages[index], for_proxies[index], network.plan.settings_of_tls(index));
        (config.clone(), (0..languages.len()).map(listener).collect::<Vec<_>>())
    };
    let admin_places = network.lock().plan.admin_places;
    let watched = |(language, is_for_proxies, tls): (Language, bool, Option<TlsSettings>)| {
        let own_places = admin_places.filter(|_| language == Language::Admin);
        let observer =
            Observer { protocol: protocol_of(language), own_places, network: network.clone() };
        let listener = Listener::new([], Arc::new(observer));
        let proxies = "127.0.0.1".parse().expect("an address");
        let listener = if is_for_proxies { listener.for_proxies([proxies]) } else { listener };
        match tls {
            Some(settings) => listener.encrypted(settings),
            None => listener,
        }
    };
    let services = listeners.into_iter().map(watched);
    let mut event_loop = EventLoop::new(SimulatedKernel(network.clone()), services, &config);
    loop {
        if let Err(error) = event_loop.round() {
            network.lock().fail(Invariant::NoPanic, None, error.to_string());
        }
        let inspection = event_loop.inspect();
        let mut network = network.lock();
        network.check_round(&inspection);
        network.advance_plan();
        if network.failure.is_some() {
            drop(network);
            return Counters::default();
        }
        if inspection.is_over {
            network.is_finishing = true;
            break;
        }
    }
    let status = event_loop.run().expect("the loop is over");
    let counters = status.total();
    let mut network = network.lock();
    network.check_end(&counters);
    network.check_refused(&status.rooms);
    if let Some(bus) = &status.bus {
        network.check_bus_counters(bus);
    }
    counters
}

fn protocol_of(language: Language) -> Arc<dyn Protocol> {
    let place = match language {
        Language::Text => 0,
        Language::Binary => 1,
        Language::Echo => 2,
        Language::Chat => 3,
        Language::Admin => return Arc::new(Admin::new()),
    };
    (BUILT_IN[place].build)()
}

impl Network {
    /// Ends the faults, and requests stops, when it is time.
    fn advance_plan(&mut self) {
        let is_quiet = self.are_clients_done() && self.open_ids().is_empty();
        if !self.faults.are_over()
            && (is_quiet || self.now >= self.plan.calm_at || self.rounds >= self.plan.calm_round)
        {
            self.trace.note(self.now, None, "faults stop", (0, 0), b"");
            self.faults.stop();
            // Another process has freed descriptors, which no event reports.
            self.plan.descriptors_max = usize::MAX;
        }
        let is_requested = self.stops > 0 || self.stopped_at.is_some();
        if !is_requested && (is_quiet || self.plan.stop_at.is_some_and(|at| self.now >= at)) {
            self.stops = 1;
        }
        if let Some((after, at)) = self.plan.second_stop_after.zip(self.stopped_at)
            && self.now >= at.after(after)
        {
            self.plan.second_stop_after = None;
            self.stops = 1;
        }
        if std::mem::take(&mut self.is_dead_quiet) && !is_quiet {
            self.end_endless_waits();
        }
        let ends = self.plan.calm_at.after(self.plan.horizon());
        if self.now > ends || self.rounds > ROUNDS_MAX {
            self.fail(
                Invariant::DeadlinesHold,
                None,
                "connections are open long after the expected end",
            );
        }
    }

    /// Called when no event can ever happen again, which is correct only if a timeout is off. Lets
    /// a waiting client leave.
    fn end_endless_waits(&mut self) {
        let waiting = self.links.iter().position(|link| !link.client.is_done());
        if !self.plan.has_endless_waits() {
            self.fail(Invariant::DeadlinesHold, waiting, "a client waits for ever");
        }
        match waiting {
            Some(id) => self.leave(id),
            None => self.fail(
                Invariant::DeadlinesHold,
                None,
                "connections are open although all clients have left",
            ),
        }
    }

    /// Checks the end: all sockets are closed and all counters are right.
    fn check_end(&mut self, counters: &Counters) {
        let left = self.open_ids();
        if let Some(id) = left.first() {
            self.fail(Invariant::Accounted, Some(*id), "its socket was never closed");
        }
        let watched = || {
            self.links.iter().filter(|link| link.account.is_accepted && !link.account.is_unwatched)
        };
        let accepted = watched().count() as u64;
        let received: u64 = watched().map(|link| link.account.received_bytes).sum();
        let sent: u64 = watched().map(|link| link.account.sent_bytes).sum();
        let counted = (
            counters.accepted,
            counters.closed_in_all(),
            counters.received_bytes,
            counters.sent_bytes,
        );
        if counted != (accepted, accepted, received, sent) {
            let what = format!(
                "counted {counted:?}, expected {accepted} connections, {received} bytes in, \
                 {sent} out"
            );
            self.fail(Invariant::Accounted, None, what);
        }
        if counters.closed_for(CloseReason::SystemError) > 0 {
            self.fail(
                Invariant::Accounted,
                None,
                "an error of a client is counted as a system error",
            );
        }
        self.check_address_counters(counters);
        self.check_taken();
    }

    /// Checks that clients have read all that was sent, if their connections ended in order.
    fn check_taken(&mut self) {
        for id in 0..self.links.len() {
            let link = &self.links[id];
            let is_exempt = link.channel.is_reset() || !link.client.is_done();
            if !is_exempt && link.client.taken != link.account.sent_bytes {
                self.fail(
                    Invariant::AnswersInOrder,
                    Some(id),
                    "answers were sent and did not arrive",
                );
            }
        }
    }
}
