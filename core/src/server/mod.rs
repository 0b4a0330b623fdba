//! The server: listeners, the event loop, and the shutdown.

mod accept;
mod admission;
mod bind_error;
mod builder;
mod bus;
mod bus_channel;
mod bus_failure;
mod config;
mod event_loop;
mod eviction;
mod gradual_close;
#[cfg(any(test, feature = "testing"))]
mod inspection;
mod listening;
#[cfg(test)]
mod loop_tests;
mod memory_limit;
mod newcomers;
mod observer;
mod reload;
mod shutdown;
mod stopping;
mod turn_budget;

use std::io;
use std::time::Duration;

pub use crate::os::endpoint::{Bound, Endpoint};
use crate::os::kernel::Kernel;
pub use crate::os::mailbox::Handle;
use crate::os::mailbox::Mail;
use crate::status::Status;
pub use bind_error::BindError;
pub use builder::Builder;
pub use config::{Config, Listener, Service};
#[cfg(any(test, feature = "testing"))]
pub use event_loop::EventLoop;
#[cfg(not(any(test, feature = "testing")))]
use event_loop::EventLoop;
#[cfg(any(test, feature = "testing"))]
pub use inspection::{Inspection, OpenConnection};
use listening::Listening;
pub use listening::refuse_clashes;
use observer::Observer;
pub use turn_budget::EXPIRED_MAX;

/// Descriptors that must be free at the start: one for a connection, one for a rejected connection.
const DESCRIPTORS_MIN: usize = 2;

/// A server whose listeners are open and that is ready to run.
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
    /// The usual signals for [`Builder::stop_on_signals`]: an interrupt from the keyboard, a
    /// termination request, and the end of the terminal.
    pub const STOP_SIGNALS: [i32; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];
    /// The usual signal for [`Builder::log_status_on_signal`].
    pub const STATUS_SIGNAL: i32 = libc::SIGUSR1;
    /// The usual signal for [`Builder::drain_on_signal`].
    pub const DRAIN_SIGNAL: i32 = libc::SIGUSR2;

    /// Starts to build a server with the default configuration.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Opens all listeners, and catches `signals`, each of which sends its mail.
    fn start(config: &Config, signals: Vec<(i32, Mail)>) -> Result<Self, BindError> {
        let Listening { sockets, services, addresses, .. } = Listening::open(config)?;
        let build = || {
            let mut kernel = Kernel::new(sockets)?;
            kernel.catch(signals)?;
            kernel.check_descriptors(DESCRIPTORS_MIN)?;
            Ok(kernel)
        };
        let kernel = build().map_err(|error| BindError { listener: None, error })?;
        let handle = kernel.handle();
        let mut event_loop = EventLoop::new(kernel, services, config);
        event_loop.shared.status.descriptors_at_start = open_descriptors();
        let urls: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let listeners = event_loop.shared.status.listeners.iter_mut();
        listeners.zip(&urls).for_each(|(listener, url)| listener.url.clone_from(url));
        event_loop.shared.activity.set_urls(urls);
        Ok(Self { event_loop, addresses, handle })
    }

    /// Returns the protocol and the actual endpoint of each listener, in the order of the
    /// configuration. A port 0 is replaced by the port that was chosen.
    #[must_use]
    pub fn addresses(&self) -> &[Bound] {
        &self.addresses
    }

    /// Returns a handle with which other threads stop the server or read its state.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Calls `observe` in the loop with the state of the server: before each wait for events, and
    /// once at the end. `observe` returns after which time it must be called again even if no event
    /// comes; `None` is never. It must not block, because every connection waits for it.
    ///
    /// A call proves that the loop runs: a watchdog can rely on it.
    #[must_use]
    pub fn observed_by(
        mut self,
        observe: impl FnMut(&Status) -> Option<Duration> + Send + 'static,
    ) -> Self {
        self.event_loop.observer = Observer::new(observe);
        self
    }

    /// Serves until the server is stopped. Returns its final state.
    ///
    /// # Errors
    /// When waiting for events is impossible. No client can cause an error.
    pub fn run(self) -> io::Result<Status> {
        self.event_loop.run()
    }
}

/// How many descriptors this process has open; 0 where the system has no list of them.
fn open_descriptors() -> usize {
    // One of them is that of the list.
    std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_a_listener_is_an_error() {
        let failure = Server::builder().build().expect_err("it has no listener");
        assert_eq!(failure.error.kind(), io::ErrorKind::InvalidInput);
    }
}
