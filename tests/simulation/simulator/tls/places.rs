//! The admission of encrypted connections: the server decides before a handshake, and a later call
//! shows the decision.

use tinytcp_core::close_reason::CloseReason;
use tinytcp_core::connection::Phase;
use tinytcp_core::server::Inspection;
use tinytcp_core::tls::layer::BUSY_ALERT;

use super::super::addresses::Bucket;
use super::super::invariant::Invariant;
use super::super::network::Network;
use super::super::oracle::Unasked;

/// The state of the limits when the server decided about a connection.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// True if no limit of connections was reached.
    is_free: bool,
    /// True if only the limit of its address was reached.
    is_limited_by_address: bool,
    /// False if its address opened too many connections.
    is_within_rate: bool,
    /// The tokens that its address had before.
    before: Bucket,
}

/// The decision about a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Decision {
    Admitted,
    Rejected,
    TurnedAway,
}

impl Network {
    /// Notes that a connection is accepted. About one with a header of a proxy the server decides
    /// when that is whole, unless there are too many connections already.
    pub fn enter(&mut self, id: usize) {
        self.links[id].account.is_over_limit =
            self.served_ids().len() > self.settings().connections_max;
        let account = &self.links[id].account;
        if account.opening.is_none() || account.is_over_limit {
            self.take_place(id);
        }
    }

    /// Notes that the server decides now about a connection whose peer is known.
    pub fn take_place(&mut self, id: usize) {
        if !self.is_encrypted(id) || self.links[id].account.place.is_some() {
            return;
        }
        // A connection that is rejected before its header counts for no address.
        let (before, is_within_rate) = match self.links[id].account.opening {
            Some(_) => (Bucket::default(), true),
            None => self.take_token(id, self.peer(id)),
        };
        let account = &self.links[id].account;
        let is_full = account.is_over_limit;
        let is_free = !is_full && !self.is_address_full(id);
        let is_limited_by_address = !is_full;
        self.links[id].account.place =
            Some(Place { is_free, is_limited_by_address, is_within_rate, before });
    }

    /// Notes that a call shows the decision about a connection: `bytes` are the first that it
    /// sends.
    pub fn settle_by_call(&mut self, id: usize, bytes: &[u8]) {
        let is_rejected = bytes.starts_with(&BUSY_ALERT);
        self.settle(id, if is_rejected { Decision::Rejected } else { Decision::Admitted });
    }

    /// Notes that a connection is closed.
    pub fn settle_by_close(&mut self, id: usize) {
        let account = &self.links[id].account;
        let Some(place) = account.place else { return };
        self.settle(
            id,
            match account.resets_on_close {
                true => Decision::TurnedAway,
                false if place.is_free => Decision::Admitted,
                false => Decision::Rejected,
            },
        );
    }

    /// Notes the decisions about the connections that were accepted in the last round.
    pub fn settle_by_round(&mut self, inspection: &Inspection<'_>) {
        for open in &inspection.connections {
            let is_it = |id: &usize| self.links[*id].account.token == Some(open.token);
            let Some(id) = (0..self.links.len()).find(is_it) else { continue };
            if open.state.phase == Phase::Opening && self.links[id].account.opening.is_some() {
                continue;
            }
            let is_rejected = matches!(
                open.state.phase,
                Phase::Flushing(reason) | Phase::Lingering(reason)
                    if matches!(reason, CloseReason::ServerBusy | CloseReason::AddressConnections)
            );
            self.settle(id, if is_rejected { Decision::Rejected } else { Decision::Admitted });
        }
    }

    fn settle(&mut self, id: usize, decision: Decision) {
        if !self.is_encrypted(id) {
            return;
        }
        if decision == Decision::Rejected {
            // It may be rejected before its header.
            self.take_place(id);
            self.links[id].account.opening = None;
        }
        let account = &mut self.links[id].account;
        let Some(place) = account.place.filter(|_| !account.is_admitted) else { return };
        let network = account.network;
        if decision == Decision::TurnedAway {
            account.network = None;
            return self.return_token(network, place.before);
        }
        account.is_admitted = true;
        if decision == Decision::Rejected {
            account.unasked = Some(Unasked::Busy);
            account.is_session_over = true;
            self.note_rejection(place.is_limited_by_address);
        }
        if decision == Decision::Rejected && place.is_free {
            let what = "it is rejected before its handshake although there is a place for it";
            self.fail(Invariant::AcceptRecovers, Some(id), what);
        }
        if !place.is_within_rate {
            let what = "it is accepted over the rate of its address";
            self.fail(Invariant::AddressLimits, Some(id), what);
        }
    }
}
