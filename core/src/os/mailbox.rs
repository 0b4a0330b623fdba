//! What reaches the loop from outside it: mail from any thread.
//!
//! ```text
//!   any thread: Handle ---> queue ---> loop: Event::Mail
//!                  '------> waker ------^
//! ```

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};

use mio::Waker;

use crate::status::Status;

/// How many mails wait at most. A sender beyond it waits until the loop has taken one.
const MAILS_MAX: usize = 1024;

/// What the loop is asked for from outside.
#[derive(Clone, Debug)]
pub enum Mail {
    /// To stop. The first time it answers what has arrived; a second one, some time later, ends it
    /// at once.
    Stop,
    /// To send its state back.
    Status(SyncSender<Status>),
}

/// Reaches the loop of a server from any thread.
#[derive(Clone, Debug)]
pub struct Handle {
    mails: SyncSender<Mail>,
    waker: Arc<Waker>,
}

impl Handle {
    /// A handle, and the end of the queue at which the loop that `waker` wakes takes the mail.
    pub(super) fn new(waker: Waker) -> (Self, Receiver<Mail>) {
        let (mails, mailbox) = mpsc::sync_channel(MAILS_MAX);
        (Self { mails, waker: Arc::new(waker) }, mailbox)
    }

    /// Asks the server to stop: the first time it answers what has arrived, a second time, at least
    /// 200 ms later, it ends at once. A server that has ended is not asked any more.
    ///
    /// It waits while 1,024 others wait for the loop: a session never calls it.
    pub fn stop(&self) {
        self.send(Mail::Stop);
    }

    /// The state of the server; `None` once it has ended.
    ///
    /// It waits for the loop, at most for the rest of one round: a session asks its context
    /// instead.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.send(Mail::Status(reply));
        answer.recv().ok()
    }

    fn send(&self, mail: Mail) {
        if self.mails.send(mail).is_ok() {
            // It fails only when the poller is gone, and then the loop has ended.
            let _ = self.waker.wake();
        }
    }
}
