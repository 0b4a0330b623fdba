//! Builds a server step by step.

use std::sync::Arc;

use super::config::{Config, Listener};
use super::{BindError, Server};
use crate::bus::settings::BusSettings;
use crate::limits::{Limits, Settings, Timeouts};
use crate::os::endpoint::Endpoint;
use crate::os::mailbox::Mail;
use crate::protocol::Protocol;

/// Builds a [`Server`]: where it listens, what it allows, and which signals stop it.
///
/// ```
/// use tinytcp::protocol::Text;
/// use tinytcp::{Limits, Server};
///
/// # fn main() -> Result<(), tinytcp::BindError> {
/// let server = Server::builder()
///     .listen(([127, 0, 0, 1], 0), Text::new())
///     .limits(Limits::default().with_line_bytes_max(1024))
///     .stop_on_signals(Server::STOP_SIGNALS)
///     .build()?;
/// assert_eq!(server.addresses()[0].protocol, "text");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct Builder {
    config: Config,
    signals: Vec<(i32, Mail)>,
}

impl Builder {
    /// Adds a listener on a TCP address, such as `([127, 0, 0, 1], 40000)`, or on the path of a
    /// unix socket. Port 0 chooses a free port. The file of a unix socket is created at the start
    /// and removed at the end.
    pub fn listen(self, endpoint: impl Into<Endpoint>, protocol: impl Protocol + 'static) -> Self {
        self.listener(Listener::new([endpoint.into()], Arc::new(protocol)))
    }

    /// Adds a listener, such as an encrypted one.
    pub fn listener(mut self, listener: Listener) -> Self {
        self.config.listeners.push(listener);
        self
    }

    /// Sets everything that [`Handle::reload`](super::Handle::reload) can change later: limits,
    /// timeouts, and what the activity log shows.
    pub const fn settings(mut self, settings: Settings) -> Self {
        self.config.settings = settings;
        self
    }

    /// Sets how many connections are served at a time: [`Settings::connections_max`].
    pub const fn connections_max(mut self, count: usize) -> Self {
        self.config.settings.connections_max = count;
        self
    }

    /// Sets the limits on messages, memory, addresses and rooms.
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.config.settings.limits = limits;
        self
    }

    /// Sets the timeouts of connections, and the times of a drain and a stop.
    pub const fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.config.settings.timeouts = timeouts;
        self
    }

    /// Sets how many connections the kernel queues for each listener before they are accepted; by
    /// default 1,024. The kernel has its own limit too (`net.core.somaxconn`); the smaller one
    /// applies.
    pub const fn backlog(mut self, count: u32) -> Self {
        self.config.backlog = count;
        self
    }

    /// Sets the permissions of unix socket files, such as `0o660`. By default the umask decides.
    pub const fn unix_mode(mut self, mode: u32) -> Self {
        self.config.unix_mode = Some(mode);
        self
    }

    /// Shares the rooms of the server with other servers through a broker.
    pub fn bus(mut self, settings: BusSettings) -> Self {
        self.config.bus = Some(settings);
        self
    }

    /// Stops the server at each arrival of one of `signals`, as [`Handle::stop`] does. Usual are
    /// [`Server::STOP_SIGNALS`].
    ///
    /// The signals are caught for the whole process. SIGHUP stays ignored where the parent process
    /// ignores it, as `nohup` does. A signal that every thread blocks does not arrive.
    ///
    /// [`Handle::stop`]: super::Handle::stop
    pub fn stop_on_signals(mut self, signals: impl IntoIterator<Item = i32>) -> Self {
        self.signals.extend(signals.into_iter().map(|signal| (signal, Mail::Stop)));
        self
    }

    /// Begins a drain when `signal` arrives, as [`Handle::drain`] does. Usual is
    /// [`Server::DRAIN_SIGNAL`].
    ///
    /// [`Handle::drain`]: super::Handle::drain
    pub fn drain_on_signal(mut self, signal: i32) -> Self {
        self.signals.push((signal, Mail::Drain));
        self
    }

    /// Logs the state when `signal` arrives. Usual is [`Server::STATUS_SIGNAL`].
    pub fn log_status_on_signal(mut self, signal: i32) -> Self {
        self.signals.push((signal, Mail::LogStatus));
        self
    }

    /// Opens all listeners. From now on clients can connect; [`Server::run`] serves them.
    ///
    /// # Errors
    /// When there is no listener; when an address of a required listener is in use, forbidden, not
    /// of this machine, or given twice; when no descriptor is free for a connection; and when a
    /// signal cannot be caught.
    pub fn build(self) -> Result<Server, BindError> {
        Server::start(&self.config, self.signals)
    }
}

#[doc(hidden)] // for the program, which reads its configuration as a whole
impl From<Config> for Builder {
    fn from(config: Config) -> Self {
        Self { config, signals: Vec::new() }
    }
}
