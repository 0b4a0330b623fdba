//! New settings for a running server.

use super::event_loop::EventLoop;
use crate::connection::Shared;
use crate::limits::Settings;
use crate::os::system::System;
use crate::tls::TlsSettings;

impl<S: System> EventLoop<S> {
    /// Replaces the settings that can change while the server runs. It costs one comparison per
    /// connection, and one heap operation where a deadline comes earlier now.
    pub(super) fn reload(&mut self, settings: &Settings) {
        let limits = settings.limits.clamped();
        self.acceptor.set_limits(settings);
        let Shared { pool, status, activity, timeouts, address_limits, rooms, .. } =
            &mut self.shared;
        (status.connections_max, status.limits) = (settings.connections_max, limits);
        activity.set_limits(settings.activity_lines_max, settings.activity_shows_messages);
        pool.set_memory_max(limits.memory_bytes_max);
        *timeouts = settings.timeouts;
        address_limits.set_limits(&limits);
        rooms.set_limits(&limits);
        self.count_addresses();
        // A deadline that comes later now is found when its entry falls due.
        for (token, connection) in self.table.iter() {
            self.deadlines.bring_forward(token.key(), connection.deadline(&self.shared));
        }
        self.enforce_memory_limit();
    }

    /// Replaces TLS settings. Each pair is an old and a new setting: the listeners with the old one
    /// get the new one, and all other listeners keep theirs. Connections that have begun their
    /// handshake keep the old one.
    pub(super) fn reload_tls(&mut self, replacements: &[(TlsSettings, TlsSettings)]) {
        let listeners = self.shared.status.listeners.iter_mut();
        for (service, listener) in self.acceptor.services_mut().zip(listeners) {
            let present = |(old, _): &&(TlsSettings, _)| service.tls.as_ref() == Some(old);
            let new = replacements.iter().find(present).map(|(_, new)| new);
            if new.is_some() {
                service.tls = new.cloned();
                listener.certificates = service.certificates();
            }
        }
    }
}
