//! What may go wrong by itself, how often it does in one run, and how often it did.

use super::choices::Choices;

macro_rules! faults {
    ($($name:ident $said:literal,)*) => {
        /// One kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault { $($name,)* }

        /// Each kind and what a report calls it.
        pub const FAULTS: [(Fault, &str); [$($said),*].len()] = [$((Fault::$name, $said),)*];
    };
}

faults! {
    SpuriousEvent "events about nothing",
    SplitEvent "events split in two",
    DuplicatedEvent "events told twice",
    DelayedEvent "events delayed",
    ReorderedEvents "batches of events reordered",
    StaleEvent "events for a connection whose place is taken by another",
    CutBatch "batches of events cut",
    EarlyReturn "waits that return early",
    Interleaving "peers that act between two calls of a turn",
    UrgentMark "urgent marks",
    ShortRead "reads cut short at an urgent mark",
    ShortWrite "writes cut short",
    RefusedWrite "writes refused though there is room",
    NetworkReset "resets",
    NetworkError "errors of the network",
    AcceptLost "connections lost before accept",
    AcceptExhausted "accepts without memory or descriptors",
    AcceptUnknown "accepts that fail for no known reason",
    RegisterError "registrations refused",
    WallStep "steps of the wall clock",
    Stall "stalls of the whole process",
}

/// The faults of one run.
#[derive(Debug)]
pub struct Faults {
    /// How often each kind strikes where it can, in a thousand cases.
    rates: [u32; FAULTS.len()],
    /// How often each kind struck.
    counts: [u64; FAULTS.len()],
    is_over: bool,
}

impl Faults {
    /// Some runs have no faults; in the others about half of the kinds strike, rarely or often.
    pub fn new(choices: &mut Choices) -> Self {
        let has_faults = choices.chance(850);
        let rates = std::array::from_fn(|_| match has_faults && choices.chance(500) {
            true => choices.pick(&[3, 20, 100, 300]),
            false => 0,
        });
        Self { rates, counts: [0; FAULTS.len()], is_over: false }
    }

    /// True exactly when `fault` is to strike now.
    pub fn strikes(&mut self, fault: Fault, choices: &mut Choices) -> bool {
        let strikes = !self.is_over && choices.chance(self.rates[fault as usize]);
        self.counts[fault as usize] += u64::from(strikes);
        strikes
    }

    /// From here on nothing goes wrong by itself.
    pub fn stop(&mut self) {
        self.is_over = true;
    }

    /// True exactly when faults have stopped.
    pub fn are_over(&self) -> bool {
        self.is_over
    }

    /// How often each kind struck.
    pub fn counts(&self) -> [u64; FAULTS.len()] {
        self.counts
    }
}
