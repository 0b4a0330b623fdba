//! The server: it owns the sockets and the clock.

mod accept;
#[cfg(test)]
mod admission_tests;
mod config;
#[cfg(test)]
mod ending_tests;
mod event_loop;
mod eviction;
#[cfg(any(test, feature = "testing"))]
mod inspection;
mod listening;
#[cfg(test)]
mod loop_tests;
mod newcomers;
#[cfg(test)]
mod schedule_tests;
#[cfg(test)]
mod scripted;
mod shutdown;
mod turn_budget;

use std::io;

pub use crate::os::endpoint::{Bound, Endpoint};
use crate::os::kernel::Kernel;
pub use crate::os::mailbox::Handle;
use crate::status::Status;
pub use config::{Config, Listener};
#[cfg(any(test, feature = "testing"))]
pub use event_loop::EventLoop;
#[cfg(not(any(test, feature = "testing")))]
use event_loop::EventLoop;
#[cfg(any(test, feature = "testing"))]
pub use inspection::{Inspection, OpenConnection};
pub use listening::BindError;
use listening::Listening;
pub use turn_budget::EXPIRED_MAX;

/// What asks a server to stop: an interrupt from the keyboard, a request to end, and the end of the
/// terminal.
pub const STOP_SIGNALS: [i32; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// Descriptors that must be left at the start: for one connection, and for one that is turned away.
const DESCRIPTORS_MIN: usize = 2;

/// A server that listens and is ready to run.
pub struct Server {
    event_loop: EventLoop<Kernel>,
    addresses: Vec<Bound>,
    handle: Handle,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Server {
    /// Listens on every address of `config`. From here on clients can connect; they are served by
    /// [`Server::run`].
    ///
    /// # Errors
    /// When there is no address; when one is in use, forbidden, not of this machine, or given twice
    /// (unless its listener is not required); and when no descriptor is left for a connection.
    pub fn bind(config: &Config) -> Result<Self, BindError> {
        Self::bind_stopping_on(config, &[])
    }

    /// As [`Server::bind`], and each arrival of one of `signals` is a request to stop.
    ///
    /// # Errors
    /// As [`Server::bind`], and when a signal cannot be caught.
    pub fn bind_stopping_on(config: &Config, signals: &[i32]) -> Result<Self, BindError> {
        let Listening { sockets, protocols, addresses, .. } = Listening::open(config)?;
        let build = || {
            let mut kernel = Kernel::new(sockets)?;
            kernel.stop_on(signals)?;
            kernel.check_room(DESCRIPTORS_MIN)?;
            Ok(kernel)
        };
        let kernel = build().map_err(|error| BindError { listener: None, error })?;
        let handle = kernel.handle();
        let mut event_loop = EventLoop::new(kernel, protocols, config);
        let listeners = event_loop.shared.status.listeners.iter_mut();
        listeners.zip(&addresses).for_each(|(listener, bound)| listener.url = bound.to_string());
        Ok(Self { event_loop, addresses, handle })
    }

    /// The protocol and the real endpoint of each listener, in the order of the config.
    #[must_use]
    pub fn addresses(&self) -> &[Bound] {
        &self.addresses
    }

    /// Reaches the server from other threads once it runs: to stop it, and to ask for its state.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves until it is stopped, and returns what has happened.
    ///
    /// # Errors
    /// When waiting for events is impossible; never for what a peer does.
    pub fn run(self) -> io::Result<Status> {
        self.event_loop.run()
    }
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
