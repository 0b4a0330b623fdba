//! The faults: their kinds, their rates in a run, and how often they struck.

use super::choices::Choices;

macro_rules! faults {
    ($($name:ident $label:literal,)*) => {
        /// One kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault { $($name,)* }

        /// All kinds and their names in a report.
        pub const FAULTS: [(Fault, &str); [$($label),*].len()] = [$((Fault::$name, $label),)*];
    };
}

faults! {
    SpuriousEvent "spurious events",
    SplitEvent "events split in two",
    DuplicatedEvent "events reported twice",
    DelayedEvent "events delayed",
    ReorderedEvents "batches of events reordered",
    StaleEvent "events of a closed connection whose key is reused",
    CutBatch "batches of events cut",
    EarlyReturn "waits that return early",
    Interleaving "peers that act between two calls of a turn",
    UrgentMark "urgent marks",
    ShortRead "reads cut short at an urgent mark",
    ShortWrite "writes cut short",
    RefusedWrite "writes refused while there is room",
    NetworkReset "resets",
    NetworkError "errors of the network",
    AcceptLost "connections lost before accept",
    AcceptExhausted "accepts without memory or descriptors",
    AcceptUnknown "accepts with an unknown error",
    RegisterError "registrations refused",
    WallStep "steps of the wall clock",
    Stall "stalls of the whole process",
}

/// The faults of one run.
#[derive(Debug)]
pub struct Faults {
    /// The rate of each kind in a thousand cases.
    rates: [u32; FAULTS.len()],
    /// How often each kind has struck.
    counts: [u64; FAULTS.len()],
    is_over: bool,
}

impl Faults {
    /// Chooses the rates: no faults in some runs, and about half of the kinds in the others.
    pub fn new(choices: &mut Choices) -> Self {
        let has_faults = choices.chance(850);
        let rates = std::array::from_fn(|_| match has_faults && choices.chance(500) {
            true => choices.pick(&[3, 20, 100, 300]),
            false => 0,
        });
        Self { rates, counts: [0; FAULTS.len()], is_over: false }
    }

    /// True if `fault` strikes now.
    pub fn strikes(&mut self, fault: Fault, choices: &mut Choices) -> bool {
        let strikes = !self.is_over && choices.chance(self.rates[fault as usize]);
        self.counts[fault as usize] += u64::from(strikes);
        strikes
    }

    /// Ends all faults.
    pub fn stop(&mut self) {
        self.is_over = true;
    }

    /// True if the faults have ended.
    pub fn are_over(&self) -> bool {
        self.is_over
    }

    /// How often each kind has struck.
    pub fn counts(&self) -> [u64; FAULTS.len()] {
        self.counts
    }
}
