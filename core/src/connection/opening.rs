//! The phase before a session exists. On a listener for proxies, a connection waits for the header
//! that names its peer; an encrypted one then shakes hands, in `handshake`.
//!
//! Nothing is sent before the header is complete, because the greeting may depend on the peer. The
//! bytes after the header are those of the client. Only they are counted and logged.

use std::io;

use super::conversation::Conversation;
use super::{Connection, Opened, Pending, Phase, ReadState, Shared, Stopping, Turn};
use crate::close_reason::CloseReason;
use crate::os::peer::{Peer, PeerAddr};
use crate::os::system::Socket;
use crate::protocol::{Accepted, Output, Protocol};
use crate::wire::proxy::{self, Header, Malformed};

impl<S: Socket> Connection<S> {
    /// Continues with the header of a proxy, or with the handshake.
    pub(super) fn continue_opening(&mut self, shared: &mut Shared) -> io::Result<Turn> {
        match self.conversation {
            Conversation::Plain(_) => self.read_header(shared),
            Conversation::Encrypted(_) => self.shake_hands(shared),
        }
    }

    /// Reads until the header is complete, or nothing more has arrived. The header is bounded, and
    /// so is the number of reads.
    fn read_header(&mut self, shared: &mut Shared) -> io::Result<Turn> {
        while self.is_readable() && self.stopping != Stopping::Answering {
            let Some(_count) = self.receive_input(shared)? else { break };
            match proxy::parse(self.input.bytes()) {
                Err(Malformed) => return Ok(Turn::Close(CloseReason::BadProxyHeader)),
                Ok(Some(header)) => {
                    self.finish_opening(header, shared);
                    return Ok(Turn::Opened(Opened::Peer));
                }
                Ok(None) => {}
            }
        }
        Ok(match self.read_state {
            // A peer that closes without a byte is a probe.
            ReadState::Ended if self.input.is_empty() => Turn::Close(CloseReason::PeerClosed),
            ReadState::Ended => Turn::Close(CloseReason::BadProxyHeader),
            _ if self.stopping != Stopping::No => Turn::Close(CloseReason::Shutdown),
            _ => Turn::Idle,
        })
    }

    /// Removes the header from the input and takes over the peer that it names.
    fn finish_opening(&mut self, header: Header, shared: &mut Shared) {
        self.input.consume(header.len);
        if let Some(source) = header.source {
            let proxy = self.peer;
            self.peer = Peer::new(PeerAddr::Ip(source), proxy.listener());
            self.announced = true;
            let age = shared.clock.now().since(self.opened);
            shared.activity.opened_by_proxy(&self.peer, &proxy, age);
        }
        self.count_received(self.input.len(), shared);
    }

    /// Creates the session of a connection whose peer is known, and whose handshake, if it has one,
    /// is complete. The greeting is then in the output and not yet sent.
    pub fn open(&mut self, protocol: &dyn Protocol, shared: &mut Shared) {
        let accepted = Accepted::new(self.peer, shared.turn_of.number(), shared.status.limits);
        self.end_handshake(shared);
        self.conversation.set_session(protocol.session(&accepted));
        self.ends_messages_by_quiet = protocol.ends_messages_by_quiet();
        self.phase = Phase::Open;
        // A session may send something unasked, so it is called once without input.
        self.pending = Pending::Messages;
        // The greeting has the whole write timeout, however long the header took.
        self.last_sent = shared.clock.now();
        self.conversation.session().greet(&mut Output::new(&mut self.output, &mut shared.pool));
    }
}
