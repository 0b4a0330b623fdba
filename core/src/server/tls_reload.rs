//! New TLS settings for the listeners of a running server.

use super::event_loop::EventLoop;
use crate::os::system::System;
use crate::tls::TlsSettings;

impl<S: System> EventLoop<S> {
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
