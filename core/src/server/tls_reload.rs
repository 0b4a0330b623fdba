//! New TLS settings for the listeners of a running server.

use super::event_loop::EventLoop;
use crate::os::system::System;
use crate::tls::TlsSettings;

impl<S: System> EventLoop<S> {
    /// Replaces the settings of each listener that has the first ones of a pair by the second ones.
    /// Connections that have begun their handshake keep theirs.
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
