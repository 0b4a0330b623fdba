//! What can go wrong in a run, by cause: requests, connections that were to be opened, and
//! connections that were open.

/// A request that was not answered as it should have been. None of them counts as throughput.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// A whole reply whose content is that of no request of ours: `ERROR ...`, or other bytes than
    /// expected.
    Wrong,
    /// A whole and well-made reply to another request, another connection's for instance, in place
    /// of the one that is due.
    Foreign,
    /// Bytes, or a reply a second time, that no request was waiting for: the one kind that is no
    /// request's outcome.
    Surplus,
    /// The connection ended inside the reply.
    Truncated,
    /// The connection, or the run, ended before the first byte of the reply.
    Missing,
    /// The reply was not complete within the timeout; the connection is given up.
    Late,
    /// The schedule had the request due before the end of the run, and it was never sent: no
    /// connection was free, or the run was interrupted.
    Unsent,
}

/// A connection that could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// Nobody listens there.
    Refused,
    /// Not open within the timeout: a full backlog, or packets that are dropped.
    TimedOut,
    /// The server ended it while it was being opened.
    Reset,
    /// The server said that it is full.
    Busy,
    /// This machine has no port left for the source address (`EADDRNOTAVAIL`).
    NoPort,
    /// This process has no descriptor left (`EMFILE`, `ENFILE`).
    NoDescriptor,
    /// No way to the host.
    Unreachable,
    /// Anything else.
    Other,
}

/// How an open connection ended that the generator did not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The server closed it without a word.
    Closed,
    /// The server ended it with `IDLE_TIMEOUT`: nothing was sent or received for too long.
    IdleTimeout,
    /// The server ended it with `MESSAGE_TIMEOUT`: a request took too long to arrive whole.
    MessageTimeout,
    /// The server ended it with `BYE`: it is shutting down.
    Shutdown,
    /// The server, or something between, reset it.
    Reset,
    /// Nothing came for the timeout though a reply was due.
    Silent,
    /// Bytes came, and the reply that was due was not complete within the timeout all the same.
    Late,
    /// Its stream of replies could not be followed any further, so the generator gave it up.
    Unreadable,
}

/// The causes that one [`Counts`](super::tally::Counts) tells apart.
pub trait Cause: Copy + 'static {
    /// All of them, in the order in which reports show them.
    const ALL: &'static [Self];

    /// Its name in reports, in lower case.
    fn name(self) -> &'static str;

    /// Its place in [`Self::ALL`].
    fn index(self) -> usize;
}

macro_rules! causes {
    ($type:ident: $($variant:ident $name:literal),+) => {
        impl Cause for $type {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

causes!(ReplyError: Wrong "wrong", Foreign "foreign", Surplus "surplus", Truncated "truncated", Missing "missing", Late "late",
    Unsent "unsent");
causes!(ConnectError: Refused "refused", TimedOut "timed_out", Reset "reset", Busy "busy", NoPort "no_port",
    NoDescriptor "no_descriptor", Unreachable "unreachable", Other "other");
causes!(Ending: Closed "closed", IdleTimeout "idle_timeout", MessageTimeout "message_timeout", Shutdown "shutdown", Reset "reset",
    Silent "silent", Late "late", Unreadable "unreadable");
