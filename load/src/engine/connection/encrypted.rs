//! The handshake of an encrypted connection, and the way of its bytes through the TLS layer.

use super::tls_layer::{Failure, TlsLayer};
use super::{LoadConnection, Loss};
use crate::engine::thread_state::ThreadState;
use crate::measurement::causes::{ConnectError, ConnectionEnd};
use crate::traffic::plan::TlsPlan;

impl LoadConnection {
    /// Begins the handshake, and sends its first record.
    ///
    /// # Errors
    /// Fails if the system has no random bytes.
    pub(super) fn begin_handshake(
        &mut self,
        plan: &TlsPlan,
        state: &mut ThreadState,
    ) -> Result<(), Loss> {
        let layer = TlsLayer::new(plan, self.address, state.now).map_err(Loss::Refused)?;
        // Reading meets the end of a broken connection.
        let _ = self.tls.insert(layer).send(&mut self.stream);
        Ok(())
    }

    /// Decrypts and checks bytes of the kernel, to the last one.
    ///
    /// # Errors
    /// Fails if the handshake fails, the connection has ended, or its replies cannot be parsed any
    /// further.
    #[inline(never)]
    pub(super) fn open(
        &mut self,
        bytes: &[u8],
        plan: &TlsPlan,
        state: &mut ThreadState,
    ) -> Result<(), Loss> {
        // The layer is taken out so that the rest of the connection can be used, and put back in
        // either case: it sends the end of TLS.
        let Some(mut layer) = self.tls.take() else { return Ok(()) };
        let result = self.open_by(&mut layer, bytes, plan, state);
        self.tls = Some(layer);
        result
    }

    fn open_by(
        &mut self,
        layer: &mut TlsLayer,
        mut bytes: &[u8],
        plan: &TlsPlan,
        state: &mut ThreadState,
    ) -> Result<(), Loss> {
        while !bytes.is_empty() {
            let opened = layer.open(&mut bytes);
            if opened.is_ok() && !self.is_open && layer.is_established() {
                self.established(layer, state);
            }
            loop {
                let received = layer.received();
                let len = received.len();
                if len == 0 {
                    break;
                }
                self.received(received, state)?;
                layer.consume(len);
            }
            opened.map_err(|failure| self.failed(&failure, plan, state))?;
            if layer.is_ended() {
                return Err(self.end_of_stream(true));
            }
        }
        // Answers of the layer itself: the last records of the handshake, and updates of keys. An
        // event reports when a full socket has room again.
        let _ = layer.send(&mut self.stream);
        Ok(())
    }

    /// Records the end of the handshake, after its last records are sent.
    fn established(&mut self, layer: &mut TlsLayer, state: &mut ThreadState) {
        // Reading meets the end of a broken connection.
        let _ = layer.send(&mut self.stream);
        let now = state.read_clock();
        let tls = &mut state.counts.tls;
        tls.handshake.record(now.since(layer.begun()), 1);
        tls.all.add(layer.is_resumed());
        tls.inside.add(layer.is_resumed());
        tls.add_suite(layer.suite(), 1);
        self.opened(state);
    }

    /// Returns the loss of a connection whose stream has ended. `is_whole` is true if TLS has ended
    /// before it.
    pub(super) const fn end_of_stream(&self, is_whole: bool) -> Loss {
        match self.is_open {
            false => Loss::Refused(ConnectError::TlsClosed),
            true if is_whole => Loss::Ended(ConnectionEnd::Closed),
            true => Loss::Ended(ConnectionEnd::TlsTruncated),
        }
    }

    /// Returns the loss of a connection that the server or the network has reset.
    pub(super) const fn reset(&self) -> Loss {
        match self.is_open {
            false => Loss::Refused(ConnectError::TlsClosed),
            true => Loss::Ended(ConnectionEnd::Reset),
        }
    }

    /// Returns the loss of a connection whose TLS has failed, and keeps the text of the first one.
    fn failed(&self, failure: &Failure, plan: &TlsPlan, state: &mut ThreadState) -> Loss {
        state.counts.tls.failure.get_or_insert_with(|| failure.text(plan));
        match failure.cause() {
            cause if !self.is_open => Loss::Refused(cause),
            // With TLS 1.3, a server checks the certificate of its client after the handshake of
            // that client is complete.
            ConnectError::TlsAlert if !self.has_received => Loss::Rejected(ConnectError::TlsAlert),
            _ => Loss::Ended(ConnectionEnd::TlsFailed),
        }
    }
}
