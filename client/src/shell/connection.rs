//! The connection of a shell: it may be lost, and the next command opens another one.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;

use tinytcp_cli::target::Target;

use crate::connect::{Patience, connect};
use crate::failure::{Failure, reason};
use crate::listener::{Heard, listen};
use crate::worker;

/// The connection to `target`, and what is needed to open another one.
pub struct Connection<'a, Event> {
    pub target: &'a Target,
    pub patience: Patience,
    /// `None` when the server has gone away.
    server: Option<TcpStream>,
    /// For the listener of the next connection.
    events: SyncSender<Event>,
    /// Connections that were given up here, whose end is still to be heard.
    ends_to_ignore: usize,
    /// True while Ctrl-C ends the process at once.
    may_end: Arc<AtomicBool>,
}

impl<'a, Event: From<Heard> + Send + 'static> Connection<'a, Event> {
    /// The connection `server`, of which `events` hears.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub fn new(
        target: &'a Target,
        patience: Patience,
        server: TcpStream,
        events: SyncSender<Event>,
        may_end: Arc<AtomicBool>,
    ) -> Result<Self, Failure> {
        let mut connection =
            Self { target, patience, server: None, events, ends_to_ignore: 0, may_end };
        connection.adopt(server)?;
        Ok(connection)
    }

    /// Connects again. Meanwhile Ctrl-C ends the process, and the terminal is in the state in which
    /// it was found.
    ///
    /// # Errors
    /// As [`Failure`] says.
    pub fn reopen(&mut self) -> Result<(), Failure> {
        self.may_end.store(true, Ordering::Relaxed);
        let connected = connect(self.target, self.patience);
        self.may_end.store(false, Ordering::Relaxed);
        self.adopt(connected?)
    }

    fn adopt(&mut self, server: TcpStream) -> Result<(), Failure> {
        let prepared =
            server.set_write_timeout(self.patience.timeout).and_then(|()| server.try_clone());
        let from_server =
            prepared.map_err(|error| Failure::broken(self.target, &reason(&error)))?;
        let events = self.events.clone();
        worker::start("listener", move || listen(from_server, &events))
            .map_err(|error| Failure::broken(self.target, &error))?;
        self.server = Some(server);
        Ok(())
    }

    /// True exactly when the server has gone away, or was given up.
    pub fn is_lost(&self) -> bool {
        self.server.is_none()
    }

    /// True when `heard` comes from a connection that was given up. Each event is asked about once.
    pub fn is_stale(&mut self, heard: &Heard) -> bool {
        match heard {
            Heard::Received(_) => self.is_lost(),
            Heard::Ended(_) if self.ends_to_ignore > 0 => {
                self.ends_to_ignore -= 1;
                true
            }
            Heard::Ended(_) => false,
        }
    }

    /// Sends `request`; false when the connection is broken. The listener meets the same broken
    /// connection, after what the server said before it broke.
    ///
    /// # Errors
    /// When the server takes no more.
    pub fn send(&mut self, request: &[u8]) -> Result<bool, Failure> {
        match self.server.as_mut().map(|server| server.write_all(request)) {
            Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(Failure::broken(self.target, "the server takes no more; look at its log"))
            }
            sent => Ok(matches!(sent, Some(Ok(())))),
        }
    }

    /// The server has ended the connection.
    pub fn ended(&mut self) {
        self.server = None;
    }

    /// Gives up a connection that is of no more use.
    pub fn give_up(&mut self) {
        if let Some(server) = self.server.take() {
            // Its listener then ends too, if the server has not ended it already.
            self.ends_to_ignore += usize::from(server.shutdown(Shutdown::Both).is_ok());
        }
    }
}
