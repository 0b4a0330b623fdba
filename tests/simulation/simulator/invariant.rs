//! The invariants, by name and number, and the failure of one.

use std::fmt;

use super::trace::Trace;

macro_rules! invariants {
    ($($name:ident $number:literal $label:literal,)*) => {
        /// A rule that must always hold.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Invariant { $(#[doc = $label] $name,)* }

        impl fmt::Display for Invariant {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let (number, label) = match self { $(Self::$name => ($number, $label),)* };
                write!(f, "({number}) {label}")
            }
        }
    };
}

invariants! {
    NoPanic 0 "no act of a client or of the kernel makes the server panic or end",
    AnswersInOrder 1 "the output is the answers to the input, complete and in order",
    OwnBytesOnly 2 "a session gets only the bytes and events of its own connection",
    BoundedMemory 3 "held memory stays under its bounds, and a header alone takes none",
    Accounted 4 "each accepted connection is open or counted as closed",
    NothingAfterClose 5 "after a close is decided no message is run and no byte appended",
    AtMostOnce 6 "a message runs once, whole, and not after the last one",
    Backpressure 7 "a connection is not read under backpressure, and goes on without it",
    ReadinessKept 8 "readiness is forgotten only after a call has returned WouldBlock",
    BoundedTurn 9 "a turn moves no more bytes than its budget",
    TimeFromTheSeam 10 "no deadline is enforced early",
    EverythingAnswered 11 "all that was read from a client that reads its answers is answered",
    DeadlinesHold 12 "a closed or stalled connection is freed by a deadline",
    AcceptRecovers 13 "a waiting connection is accepted within a second once it is possible",
    Fairness 14 "no connection has more than a few turns while another one waits",
    NoSpinning 15 "the loop sleeps exactly until the next deadline when no connection is ready",
    ShutdownEnds 16 "a shutdown answers all that had arrived and ends in time",
    GradualClose 17 "a drain spreads its closes evenly over its time",
    PeerKnown 18 "a proxied connection is served once its header is whole, for the peer it names",
    RecordsMeanAnswers 20 "each record of the server is one that its client can open",
    EndsAnnounced 21 "the output of an encrypted session ends with a close_notify",
    RoomsAgree 22 "each member receives the log of its room since its join, but announced gaps",
    BusAgrees 23 "the broker receives each message once and in order, and no more than is due",
    AddressLimits 19 "an address has what its limits allow, and no less",
}

/// An invariant that did not hold.
#[derive(Debug)]
pub struct Failure {
    pub invariant: Invariant,
    /// What was observed instead.
    pub what: String,
    /// The connection concerned.
    pub connection: Option<usize>,
    pub trace: Trace,
}

/// How many entries of the trace a failure shows.
const SHOWN_ENTRIES_MAX: usize = 60;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "invariant {} does not hold: {}", self.invariant, self.what)?;
        match self.connection {
            Some(connection) => writeln!(f, "the last events of connection c{connection}:")?,
            None => writeln!(f, "the last events:")?,
        }
        self.trace
            .last(self.connection, SHOWN_ENTRIES_MAX)
            .iter()
            .try_for_each(|line| writeln!(f, "  {line}"))
    }
}
