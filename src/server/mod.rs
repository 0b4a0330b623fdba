//! The server: it owns the sockets and the clock.

mod accept;
#[cfg(test)]
mod admission_tests;
mod config;
mod counters;
#[cfg(test)]
mod ending_tests;
mod event_loop;
mod inspection;
#[cfg(test)]
mod loop_tests;
mod pace;
mod relief;
#[cfg(test)]
mod schedule_tests;
#[cfg(test)]
mod scripted;
mod shutdown;
pub mod sink;
mod warnings;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::base::kernel::{self, Kernel, Stopper};
use crate::protocol::Protocol;
pub use config::{Config, Listener};
pub use counters::Counters;
pub use event_loop::EventLoop;
pub use inspection::{Inspection, OpenConnection};
pub use pace::EXPIRED_MAX;

/// A server that listens and is ready to run.
pub struct Server {
    event_loop: EventLoop<Kernel>,
    addresses: Vec<(&'static str, SocketAddr)>,
    stopper: Stopper,
}

/// Why a server could not be built.
#[derive(Debug)]
pub struct BindError {
    /// The protocol whose listener failed, and where; `None` when it was not a listener.
    pub listener: Option<(&'static str, SocketAddr)>,
    /// What the operating system said.
    pub error: io::Error,
}

impl std::fmt::Display for BindError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.listener {
            Some((protocol, addr)) => write!(f, "cannot listen on {protocol}://{addr}"),
            None => f.write_str("cannot serve"),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Server {
    /// Listens on every address of `config`. From here on clients can connect; they are served by [`Server::run`].
    ///
    /// # Errors
    /// When there is no address; when one is in use, forbidden, or not of this machine (unless its listener is optional), and when the
    /// kernel has no descriptors left.
    pub fn bind(config: &Config) -> Result<Self, BindError> {
        Self::bind_stopping_on(config, &[])
    }

    /// As [`Server::bind`], and each arrival of one of `signals` is a request to stop.
    ///
    /// # Errors
    /// As [`Server::bind`], and when a signal cannot be caught.
    pub fn bind_stopping_on(config: &Config, signals: &[i32]) -> Result<Self, BindError> {
        let mut sockets = Vec::new();
        let mut protocols: Vec<Arc<dyn Protocol>> = Vec::new();
        let mut addresses = Vec::new();
        for Listener { addr, protocol, optional } in &config.listeners {
            let failed = |error| BindError { listener: Some((protocol.name(), *addr)), error };
            match kernel::listen(*addr, config.backlog, config.timeouts.write) {
                Ok(socket) => {
                    addresses.push((protocol.name(), socket.local_addr().map_err(failed)?));
                    protocols.push(Arc::clone(protocol));
                    sockets.push(socket);
                }
                Err(error) if *optional && is_missing(&error) => {
                    log::debug!("not listening on {}://{addr}: {error}", protocol.name());
                }
                Err(error) => return Err(failed(error)),
            }
        }
        let build = || {
            if sockets.is_empty() {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no address to listen on"));
            }
            let mut kernel = Kernel::new(sockets)?;
            kernel.stop_on(signals)?;
            Ok(kernel)
        };
        let kernel = build().map_err(|error| BindError { listener: None, error })?;
        let stopper = kernel.stopper();
        Ok(Self { event_loop: EventLoop::new(kernel, protocols, config), addresses, stopper })
    }

    /// The protocol and the real address of each listener, in the order of the config.
    #[must_use]
    pub fn addresses(&self) -> &[(&'static str, SocketAddr)] {
        &self.addresses
    }

    /// A way to stop the server from another thread. The first stop answers what has arrived, a second one ends at
    /// once.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Serves until it is stopped.
    ///
    /// # Errors
    /// When waiting for events is impossible; never for what a peer does.
    pub fn run(self) -> io::Result<Counters> {
        self.event_loop.run()
    }
}

/// True exactly when the machine does not have the address at all, as one without IPv6.
fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_an_address_is_an_error() {
        let failure = Server::bind(&Config::default()).expect_err("there is nothing to listen on");
        assert_eq!(failure.error.kind(), io::ErrorKind::InvalidInput);
    }
}
