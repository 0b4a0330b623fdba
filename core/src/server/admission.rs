//! Admission: what becomes of a connection that was accepted. It is served, rejected with an
//! answer, or reset.

use super::accept::Incoming;
use super::event_loop::EventLoop;
use crate::close_reason::CloseReason;
use crate::connection::Connection;
use crate::os::moment::Moment;
use crate::os::peer::Peer;
use crate::os::system::System;
use crate::os::table::Token;

impl<S: System> EventLoop<S> {
    /// Accepts a batch of connections from every listener that is ready.
    pub(super) fn accept(&mut self) {
        let now = self.shared.clock.now();
        if !self.acceptor.is_ready(now) {
            return;
        }
        self.acceptor.begin_round();
        while let Some(incoming) =
            self.acceptor.next(&mut self.system, now, &mut self.shared.status)
        {
            self.admit(incoming, now);
        }
    }

    /// Adds a new connection to the table, opens it if its peer is known, and sends its greeting.
    /// A connection over the limit is rejected without waiting for the header of a proxy.
    fn admit(&mut self, incoming: Incoming<S::Socket>, now: Moment) {
        let Incoming { mut socket, addr, listener } = incoming;
        let token = self.table.next_token();
        if let Err(error) = self.system.register(&mut socket, token) {
            let what = "new connection closed, because the poller cannot watch it";
            return self.acceptor.note_lost(what, &error, now, &mut self.shared.status);
        }
        let peer = Peer::new(addr, listener);
        self.shared.turn_of = token;
        let is_full = !self.acceptor.take_place(listener, self.table.len(), now);
        self.shared.status.count(peer.listener(), |counters| counters.accepted += 1);
        self.table.insert(Connection::new(socket, peer, &self.shared));
        if is_full || !self.acceptor.service(listener).is_for_proxies() {
            self.open(token, is_full);
        }
        if !self.acceptor.service(listener).trusts(addr) {
            return self.close(token, CloseReason::UntrustedProxy);
        }
        // A new socket is writable: the greeting is sent now and not after an event.
        self.drive(token);
        self.bound_rejected(token);
    }

    /// Serves or rejects a connection whose peer is known now. `is_full` is true if there is no
    /// place for it. A connection over the accept rate of its address is reset before a session is
    /// created or a handshake begins.
    pub(super) fn open(&mut self, token: Token, is_full: bool) {
        let Self { table, acceptor, shared, newcomers, .. } = self;
        let Some(connection) = table.get_mut(token) else { return };
        let (peer, now) = (*connection.peer(), shared.clock.now());
        let service = acceptor.service(peer.listener());
        // Of a connection that is rejected before its header, only the proxy is known.
        let is_proxy = is_full && service.is_for_proxies();
        let is_limited = service.has_limits_per_address() && !is_proxy;
        if is_limited && !shared.address_limits.accept(&peer, now) {
            connection.reject_with_reset();
            acceptor.note_rejected();
            return self.close(token, CloseReason::AddressAcceptRate);
        }
        let admission = match (is_full, is_limited) {
            (true, _) => Err(service.reason_when_full()),
            (false, true) => shared.address_limits.enter(&peer, now),
            (false, false) => Ok(false),
        };
        match admission {
            Ok(is_counted) => {
                connection.count_for_address(is_counted);
                newcomers.add(token, now);
                match &service.tls {
                    None => connection.open(&*service.protocol, shared),
                    Some(settings) => {
                        if connection.begin_handshake(settings, shared).is_err() {
                            self.close(token, CloseReason::SystemError);
                        }
                    }
                }
            }
            Err(reason) => {
                match &service.tls {
                    None => connection.reject(&*service.protocol, reason, shared),
                    Some(_) => connection.reject_handshake(reason, shared),
                }
                acceptor.note_rejected();
            }
        }
    }

    /// Creates the session of a connection whose handshake is complete.
    pub(super) fn start_session(&mut self, token: Token) {
        let Some(connection) = self.table.get_mut(token) else { return };
        let service = self.acceptor.service(connection.peer().listener());
        connection.open(&*service.protocol, &mut self.shared);
    }

    /// Answers a connection to an encrypted listener that has begun without TLS.
    pub(super) fn require_tls(&mut self, token: Token) {
        let Some(connection) = self.table.get_mut(token) else { return };
        let service = self.acceptor.service(connection.peer().listener());
        connection.require_tls(&*service.protocol, &mut self.shared);
    }

    /// Counts open connections for their addresses. Connections from the time when the limits per
    /// address were off are not counted yet.
    pub(super) fn count_addresses(&mut self) {
        let Self { table, shared, acceptor, .. } = self;
        for connection in table.values_mut().filter(|it| it.may_count_for_address()) {
            let peer = *connection.peer();
            if acceptor.service(peer.listener()).has_limits_per_address() {
                let is_counted = shared.address_limits.count(&peer, shared.clock.now());
                connection.count_for_address(is_counted);
            }
        }
    }

    /// Closes a connection that was just rejected if too many rejected ones linger.
    pub(super) fn bound_rejected(&mut self, token: Token) {
        let rejection = self.table.get_mut(token).and_then(|it| it.rejection());
        if let Some(reason) = rejection
            && self.acceptor.has_too_many_rejected()
        {
            self.close(token, reason);
        }
    }
}
