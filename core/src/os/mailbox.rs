//! The mailbox of the loop: requests that other threads send to it.
//!
//! ```text
//!   any thread: Handle ---> queue ---> loop: Event::Mail
//!                  '------> waker ------^
//! ```

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};

use mio::Waker;

use crate::limits::Settings;
use crate::status::Status;
use crate::tls::TlsSettings;

/// The capacity of the queue. A sender waits while the queue is full.
const MAILS_MAX: usize = 1024;

/// A request to the loop.
#[derive(Clone, Debug)]
pub enum Mail {
    /// Stop. The first request lets the server answer what has arrived; a later second one ends it
    /// at once.
    Stop,
    /// Report that the server should get no new connections. After
    /// [`Timeouts::drain_delay`](crate::limits::Timeouts::drain_delay), close them one by one.
    Drain,
    /// Log the state of the server.
    LogStatus,
    /// Replace the settings that can change while the server runs.
    Reload(Box<Settings>),
    /// Replace TLS settings: each pair has the present ones and the new ones.
    ReloadTls(Vec<(TlsSettings, TlsSettings)>),
    /// Count a failed attempt to make new TLS settings.
    CountTlsReloadFailure,
    /// Send the state of the server back.
    Status(SyncSender<Status>),
    /// The addresses of the host that the loop has asked for, or why there are none.
    Addresses(Result<Vec<SocketAddr>, Arc<io::Error>>),
}

/// A handle to a running server, which any thread can use.
///
/// Its methods block while 1,024 requests are queued, so a session must not call them.
#[derive(Clone, Debug)]
pub struct Handle {
    mails: SyncSender<Mail>,
    waker: Arc<Waker>,
}

impl Handle {
    /// Creates a handle, and the receiver for the loop that `waker` wakes.
    pub(super) fn new(waker: Waker) -> (Self, Receiver<Mail>) {
        let (mails, mailbox) = mpsc::sync_channel(MAILS_MAX);
        (Self { mails, waker: Arc::new(waker) }, mailbox)
    }

    /// Requests a stop. After the first request the server answers what has arrived and ends; after
    /// a second request, at least 200 ms later, it ends at once. A server that has ended ignores
    /// it.
    pub fn stop(&self) {
        self.send(Mail::Stop);
    }

    /// Requests a drain: the server serves, and reports that it should get no new connections.
    /// After [`Timeouts::drain_delay`](crate::limits::Timeouts::drain_delay) it accepts no more and
    /// closes its connections one by one, spread over
    /// [`Timeouts::drain`](crate::limits::Timeouts::drain). Then it ends.
    pub fn drain(&self) {
        self.send(Mail::Drain);
    }

    /// Replaces the settings that can change while the server runs.
    ///
    /// Open connections stay, even over a lower limit of connections. The new limits and timeouts
    /// hold for their messages and waits too, those in progress included. A drain or a stop that
    /// has begun keeps its times.
    pub fn reload(&self, settings: Settings) {
        self.send(Mail::Reload(Box::new(settings)));
    }

    /// Replaces the TLS settings of listeners: each pair has the present settings, or a clone of
    /// them, and the new ones. All pairs take effect together. Open connections keep theirs, and so
    /// do connections whose handshake has begun.
    pub fn reload_tls(&self, replacements: impl IntoIterator<Item = (TlsSettings, TlsSettings)>) {
        self.send(Mail::ReloadTls(replacements.into_iter().collect()));
    }

    /// Counts a failed attempt to make new TLS settings in
    /// [`Status::tls_reload_failures`](crate::status::Status::tls_reload_failures).
    pub fn count_tls_reload_failure(&self) {
        self.send(Mail::CountTlsReloadFailure);
    }

    /// Returns the state of the server; `None` once it has ended.
    ///
    /// It blocks until the loop replies, at most for the rest of a round. A session reads the state
    /// from its context instead.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.send(Mail::Status(reply));
        answer.recv().ok()
    }

    pub(super) fn send(&self, mail: Mail) {
        if self.mails.send(mail).is_ok() {
            // Waking fails only if the poller is gone: then the loop has ended.
            let _ = self.waker.wake();
        }
    }
}
