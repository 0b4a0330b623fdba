//! Connections of `http`, which are served in places of their own.

use tinytcp_core::protocol::Step;

use super::coverage::Behaviour;
use super::invariant::Invariant;
use super::network::Network;
use super::oracle::{Language, Unasked};

impl Network {
    /// True if a connection is one of `http`.
    pub fn is_admin(&self, id: usize) -> bool {
        self.plan.languages[self.links[id].client.listener()] == Language::Admin
    }

    /// The connections that are served in places of their own.
    fn admin_ids(&self) -> Vec<usize> {
        let is_served = |id: &usize| self.links[*id].account.unasked != Some(Unasked::Busy);
        self.open_ids().into_iter().filter(|id| self.is_admin(*id) && is_served(id)).collect()
    }

    /// True if the places of `http` suffice for all its connections.
    pub fn has_own_place(&self) -> bool {
        self.admin_ids().len() <= self.plan.admin_places.unwrap_or(0)
    }

    /// Checks that `http` has no more connections than it has places.
    pub fn check_own_places(&mut self) {
        if !self.has_own_place() {
            let what = format!("{} connections have places of their own", self.admin_ids().len());
            self.fail(Invariant::Accounted, None, what);
        }
    }

    /// Notes a step of a session, whose end the oracle does not foresee.
    pub fn note_admin_step(&mut self, id: usize, step: Step) {
        if !self.is_admin(id) {
            return;
        }
        let is_full = self.served_ids().len() >= self.settings().connections_max;
        if is_full && matches!(step, Step::Close(_)) {
            self.cover(Behaviour::AdminWhileFull);
        }
        if let Err(what) = self.links[id].account.oracle.note_step(step, self.now) {
            self.fail(Invariant::EverythingAnswered, Some(id), what);
        }
    }

    /// Notes the output of a connection, of which nothing was sent before.
    pub fn note_admin_output(&mut self, id: usize, output: &[u8]) {
        let account = &mut self.links[id].account;
        if account.sent_bytes > 0 || !account.oracle.is_all_sent() {
            return;
        }
        if let Err(what) = account.oracle.note_answer(output) {
            self.fail(Invariant::AnswersInOrder, Some(id), what);
        }
    }
}
