//! The connection of a shell. It may be lost; the next command then opens another one.

use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;

use tinytcp_cli::target::Target;

use crate::connect::ConnectOptions;
use crate::error::{ClientError, reason};
use crate::greeting::connect_greeted;
use crate::receiver::{Received, receive_all};
use crate::stream::Stream;
use crate::threads;

/// The connection to `target`, with everything that opening another one needs.
pub struct ShellConnection<'a, E> {
    pub target: &'a Target,
    pub options: ConnectOptions<'a>,
    /// `None` when the connection is lost.
    server: Option<Stream>,
    /// For the receiver of the next connection.
    events: SyncSender<E>,
    /// Connections that were abandoned here, whose end the receiver has not reported yet.
    ends_to_ignore: usize,
    /// Ctrl-C ends the process at once.
    may_end: Arc<AtomicBool>,
}

impl<'a, E: From<Received> + Send + 'static> ShellConnection<'a, E> {
    /// The connection `server`, whose bytes go to `events`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn new(
        target: &'a Target,
        options: ConnectOptions<'a>,
        server: Stream,
        events: SyncSender<E>,
        may_end: Arc<AtomicBool>,
    ) -> Result<Self, ClientError> {
        let mut connection =
            Self { target, options, server: None, events, ends_to_ignore: 0, may_end };
        connection.adopt(server)?;
        Ok(connection)
    }

    /// Connects again. Meanwhile Ctrl-C ends the process: the terminal has its original modes.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn reopen(&mut self) -> Result<(), ClientError> {
        self.may_end.store(true, Ordering::Relaxed);
        let connected = connect_greeted(self.target, self.options);
        self.may_end.store(false, Ordering::Relaxed);
        self.adopt(connected?)
    }

    fn adopt(&mut self, server: Stream) -> Result<(), ClientError> {
        server
            .set_write_timeout(self.options.timeout)
            .map_err(|error| ClientError::broken(self.target, reason(&error)))?;
        let (from_server, events) = (server.handle(), self.events.clone());
        threads::start("receiver", move || receive_all(from_server, &events))
            .map_err(|error| ClientError::broken(self.target, error))?;
        self.server = Some(server);
        Ok(())
    }

    /// Returns true if the connection has ended or was abandoned.
    pub fn is_lost(&self) -> bool {
        self.server.is_none()
    }

    /// Returns true if `received` comes from a connection that was abandoned. It is called once per
    /// event.
    pub fn is_stale(&mut self, received: &Received) -> bool {
        match received {
            Received::Bytes(_) => self.is_lost(),
            Received::Ended(_) if self.ends_to_ignore > 0 => {
                self.ends_to_ignore -= 1;
                true
            }
            Received::Ended(_) => false,
        }
    }

    /// Sends `request`. Returns false when the connection is broken; the receiver reports the same,
    /// after the last bytes of the server.
    ///
    /// # Errors
    /// When the server has stopped reading.
    pub fn send(&mut self, request: &[u8]) -> Result<bool, ClientError> {
        match self.server.as_mut().map(|server| server.send(request)) {
            Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(ClientError::broken(self.target, "the server stopped reading; look at its log"))
            }
            sent => Ok(matches!(sent, Some(Ok(())))),
        }
    }

    /// Notes that the server has ended the connection.
    pub fn ended(&mut self) {
        self.server = None;
    }

    /// Closes a connection that is useless now.
    pub fn abandon(&mut self) {
        if let Some(server) = self.server.take() {
            // Its receiver then ends too, unless the server has ended the connection already.
            self.ends_to_ignore += usize::from(server.shutdown(Shutdown::Both).is_ok());
        }
    }
}
