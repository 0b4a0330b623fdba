//! One run: a server, a network, and peers; first with faults, then without, until everybody is
//! gone and the server stops.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use tinytcp_core::close_reason::CloseReason;
use tinytcp_core::protocol::{BUILT_IN, Protocol};
use tinytcp_core::server::EventLoop;
use tinytcp_core::status::Counters;

use super::cast;
use super::choices::Choices;
use super::faults::FAULTS;
use super::invariant::{Failure, Invariant};
use super::kernel::{Shared, SimulatedKernel};
use super::network::Network;
use super::oracle::Language;
use super::plan::Plan;
use super::sights::SIGHTS;
use super::trace::Trace;
use super::witness::Witness;

/// More rounds than any run needs that comes to an end.
const ROUNDS_MAX: u64 = 50_000;

/// What happened in one run in which every invariant held.
#[derive(Debug)]
pub struct Report {
    pub rounds: u64,
    pub events: u64,
    /// How often each fault struck.
    pub faults: [u64; FAULTS.len()],
    /// How often each thing was seen that is worth seeing.
    pub sights: [u64; SIGHTS.len()],
    /// What kinds of peers there were.
    pub kinds: Vec<&'static str>,
    pub counters: Counters,
    /// All that happened.
    pub trace: Trace,
}

/// Runs a server through what `choices` make of its world.
pub fn run(choices: Choices) -> Result<Report, Failure> {
    let mut choices = choices;
    let plan = Plan::new(&mut choices);
    let clients = cast::cast(&plan, &mut choices);
    let network = Shared::new(Network::new(choices, plan, clients));
    let world = network.clone();
    let played = panic::catch_unwind(AssertUnwindSafe(move || play(&world)));
    let mut network = network.lock();
    let counters = match played {
        Ok(counters) => counters,
        Err(panic) => {
            let said = panic.downcast_ref::<String>().cloned();
            let said = said
                .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
                .unwrap_or_default();
            network.fail(Invariant::NoPanic, None, said);
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
        sights: network.sights,
        kinds: network.links.iter().map(|link| link.client.kind).collect(),
        counters,
        trace: std::mem::take(&mut network.trace),
    })
}

/// Plays until the server has ended, or an invariant does not hold.
fn play(network: &Shared) -> Counters {
    let (config, languages) = {
        let network = network.lock();
        (network.plan.config.clone(), network.plan.languages.clone())
    };
    let watched = |language: &Language| -> Arc<dyn Protocol> {
        Arc::new(Witness { protocol: protocol_of(*language), network: network.clone() })
    };
    let protocols = languages.iter().map(watched).collect();
    let mut event_loop = EventLoop::new(SimulatedKernel(network.clone()), protocols, &config);
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
    let counters = event_loop.run().map(|status| status.total()).unwrap_or_default();
    network.lock().check_end(&counters);
    counters
}

fn protocol_of(language: Language) -> Arc<dyn Protocol> {
    let place = match language {
        Language::Text => 0,
        Language::Binary => 1,
        Language::Echo => 2,
        Language::Chat => 3,
    };
    (BUILT_IN[place].build)()
}

impl Network {
    /// Goes on to the next part when it is time.
    fn advance_plan(&mut self) {
        let is_quiet = self.are_clients_done() && self.open_ids().is_empty();
        if !self.faults.are_over()
            && (is_quiet || self.now >= self.plan.calm_at || self.rounds >= self.plan.calm_round)
        {
            self.trace.note(self.now, None, "faults stop", (0, 0), b"");
            self.faults.stop();
            // Somebody else gave descriptors back, of which nobody tells the server.
            self.plan.descriptors_max = usize::MAX;
        }
        let is_told = self.stops > 0 || self.stopped_at.is_some();
        if !is_told && (is_quiet || self.plan.stop_at.is_some_and(|at| self.now >= at)) {
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
                "connections are open long after everything should be over",
            );
        }
    }

    /// Nothing would ever happen again: only where a timeout is off, until those who wait have
    /// enough of it.
    fn end_endless_waits(&mut self) {
        let waiting = self.links.iter().position(|link| !link.client.is_done());
        if !self.plan.has_endless_waits() {
            self.fail(Invariant::DeadlinesHold, waiting, "a peer waits for ever");
        }
        match waiting {
            Some(id) => self.leave(id),
            None => self.fail(
                Invariant::DeadlinesHold,
                None,
                "connections are open though every peer has left",
            ),
        }
    }

    /// Everything is over: nothing may be left.
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
                "{counted:?} were counted, and there were {accepted} connections, {received} \
                 bytes in, {sent} out"
            );
            self.fail(Invariant::Accounted, None, what);
        }
        if counters.closed_for(CloseReason::SystemError) > 0 {
            self.fail(
                Invariant::Accounted,
                None,
                "an error of a peer is counted as one of the system",
            );
        }
        self.check_taken();
    }

    /// What was sent has been taken, by those whose connection ended in order and who read.
    fn check_taken(&mut self) {
        for id in 0..self.links.len() {
            let link = &self.links[id];
            let is_exempt = link.wire.is_reset() || !link.client.is_done();
            if !is_exempt && link.client.taken != link.account.sent_bytes {
                self.fail(
                    Invariant::AnswersInOrder,
                    Some(id),
                    "what was sent in order has not arrived",
                );
            }
        }
    }
}
