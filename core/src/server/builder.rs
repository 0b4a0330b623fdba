//! Builds a server step by step.

use super::config::Config;
use super::{BindError, Server};
use crate::limits::{Limits, Timeouts};
use crate::os::endpoint::Endpoint;
use crate::os::mailbox::Mail;
use crate::protocol::Protocol;

/// Builds a [`Server`]: where it listens, what it allows, and which signals stop it.
///
/// A setting without a method here is a field of [`Config`]: `Builder::from(config)`.
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
    /// Adds a listener: see [`Config::listen`].
    pub fn listen(
        mut self,
        endpoint: impl Into<Endpoint>,
        protocol: impl Protocol + 'static,
    ) -> Self {
        self.config = self.config.listen(endpoint, protocol);
        self
    }

    /// Sets how many connections are served at a time: [`Config::connections_max`].
    pub const fn connections_max(mut self, count: usize) -> Self {
        self.config.connections_max = count;
        self
    }

    /// Sets the limits of a line, of a frame, and of the memory that all connections may hold.
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.config.limits = limits;
        self
    }

    /// Sets how long a connection may take.
    pub const fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.config.timeouts = timeouts;
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
    /// Those of [`Server::bind`], and when a signal cannot be caught.
    pub fn build(self) -> Result<Server, BindError> {
        Server::start(&self.config, self.signals)
    }
}

impl From<Config> for Builder {
    fn from(config: Config) -> Self {
        Self { config, signals: Vec::new() }
    }
}
