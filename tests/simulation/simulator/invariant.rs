//! What must hold at all times, by name, and what is told of it when it does not.

use std::fmt;

use super::trace::Trace;

macro_rules! invariants {
    ($($name:ident $number:literal $said:literal,)*) => {
        /// One thing that must always hold.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Invariant { $(#[doc = $said] $name,)* }

        impl fmt::Display for Invariant {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let (number, said) = match self { $(Self::$name => ($number, $said),)* };
                write!(f, "({number}) {said}")
            }
        }
    };
}

invariants! {
    NoPanic 0 "nothing that a peer or the kernel does makes the server panic or give up",
    AnswersInOrder 1 "the output is the answers to the input, in order, and all of it arrives",
    OwnBytesOnly 2 "a session sees the bytes and the events of its own connection only",
    BoundedMemory 3 "what is held stays under its bounds, and a header alone takes nothing",
    Accounted 4 "what was accepted is open or closed",
    NothingAfterClose 5 "after a close is decided nothing is run or appended",
    AtMostOnce 6 "a message runs once, whole, and never behind the last one",
    Backpressure 7 "who is paused is not read from, and who is not paused goes on",
    ReadinessKept 8 "readiness is forgotten only when the kernel says that there is none",
    BoundedTurn 9 "a turn moves no more than its share",
    TimeFromTheSeam 10 "nothing falls due early",
    EverythingAnswered 11 "whatever was read from a peer that takes its answers is answered",
    DeadlinesHold 12 "who has closed or stalled is freed by a deadline",
    AcceptRecovers 13 "a waiting connection is accepted within a second once that is possible",
    Fairness 14 "nobody has more than a few turns while another one who can move waits",
    NoSpinning 15 "the loop sleeps until the next deadline when nothing is ready, and no longer",
    ShutdownEnds 16 "a shutdown answers what had arrived and ends in time",
}

/// An invariant that did not hold.
#[derive(Debug)]
pub struct Failure {
    pub invariant: Invariant,
    /// What was seen instead.
    pub what: String,
    /// The connection concerned.
    pub connection: Option<usize>,
    /// All that happened.
    pub trace: Trace,
}

/// How much of a connection's past a failure tells.
const TOLD_ENTRIES_MAX: usize = 60;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "invariant {} does not hold: {}", self.invariant, self.what)?;
        match self.connection {
            Some(connection) => writeln!(f, "the last events of connection c{connection}:")?,
            None => writeln!(f, "the last events:")?,
        }
        self.trace
            .last(self.connection, TOLD_ENTRIES_MAX)
            .iter()
            .try_for_each(|line| writeln!(f, "  {line}"))
    }
}
