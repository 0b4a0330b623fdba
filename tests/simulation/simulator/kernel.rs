//! The implementation of the seam on the simulated network.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tinytcp_core::os::clock::Reading;
use tinytcp_core::os::peer::PeerAddr;
use tinytcp_core::os::system::{Event, Socket, System};
use tinytcp_core::os::table::Token;

use super::network::Network;

/// The network, shared with the server.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<Network>>);

impl Shared {
    /// Shares `network`.
    pub fn new(network: Network) -> Self {
        Self(Arc::new(Mutex::new(network)))
    }

    /// Locks the network, even after a panic: the failure must still be reported.
    pub fn lock(&self) -> MutexGuard<'_, Network> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The simulated kernel.
pub struct SimulatedKernel(pub Shared);

/// The simulated socket of a connection.
pub struct SimulatedSocket {
    network: Shared,
    peer: Peer,
}

/// The other end of a socket.
#[derive(Clone, Copy)]
enum Peer {
    Client(usize),
    Broker,
}

impl System for SimulatedKernel {
    type Socket = SimulatedSocket;

    fn read_clocks(&mut self) -> Reading {
        self.0.lock().read_clocks()
    }

    fn wait(&mut self, timeout: Option<Duration>, handle: impl FnMut(Event)) -> io::Result<()> {
        let events = self.0.lock().wait(timeout);
        events.into_iter().for_each(handle);
        Ok(())
    }

    fn accept(&mut self, listener: usize) -> io::Result<(SimulatedSocket, PeerAddr)> {
        let mut network = self.0.lock();
        let id = network.accept(listener)?;
        let socket = SimulatedSocket { network: self.0.clone(), peer: Peer::Client(id) };
        Ok((socket, network.address(id)))
    }

    fn connect(&mut self, _addr: SocketAddr) -> io::Result<SimulatedSocket> {
        self.0.lock().connect_to_broker()?;
        Ok(SimulatedSocket { network: self.0.clone(), peer: Peer::Broker })
    }

    fn register(&mut self, socket: &mut SimulatedSocket, token: Token) -> io::Result<()> {
        match socket.peer {
            Peer::Client(id) => self.0.lock().register(id, token),
            Peer::Broker => self.0.lock().register_bus(token),
        }
    }

    fn close_listeners(&mut self) {
        self.0.lock().close_listeners();
    }
}

impl Socket for SimulatedSocket {
    fn receive(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.peer {
            Peer::Client(id) => self.network.lock().receive(id, buf),
            Peer::Broker => self.network.lock().receive_from_broker(buf),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.peer {
            Peer::Client(id) => self.network.lock().send(id, bytes),
            Peer::Broker => self.network.lock().send_to_broker(bytes),
        }
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        match self.peer {
            Peer::Client(id) => self.network.lock().shutdown_write(id),
            Peer::Broker => Ok(()),
        }
    }

    fn reset_on_close(&mut self) {
        if let Peer::Client(id) = self.peer {
            self.network.lock().links[id].account.resets_on_close = true;
        }
    }
}

impl Drop for SimulatedSocket {
    fn drop(&mut self) {
        match self.peer {
            Peer::Client(id) => self.network.lock().close(id),
            Peer::Broker => self.network.lock().close_bus(),
        }
    }
}
