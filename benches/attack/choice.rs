//! What the command line chooses.

use std::time::Duration;

use tinytcp_cli::{UsageError, units};

/// How long each part of a run takes.
///
/// Machines stall, for milliseconds at a time: another program, a thread of the kernel, or the host
/// of a virtual one has the processor, and the requests of that time may be a hundredth of all. So
/// honest clients come in crowds, one after the other: how far their figures are apart shows it,
/// and the crowd in the middle has seen little of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// How long honest clients are alone, before the attack and after it.
    pub alone: Duration,
    /// From the beginning of the attack until the honest clients come.
    pub settling: Duration,
    /// How long honest clients are beside the attack.
    pub beside: Duration,
    /// How long one crowd of honest clients stays before the next one comes: each gives figures of
    /// its own.
    pub stay: Duration,
    /// True exactly when it is only to be seen that all of it works, on a machine that may have
    /// other work to do.
    pub is_quick: bool,
    /// True exactly when the question is what becomes of the server in a long time.
    pub is_soak: bool,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The attack, with the others in short after it where the choice is quick.
    Attack(Choice),
    /// Polite clients beside many flooders.
    Fairness,
    /// Honest clients beside TLS handshakes.
    Handshakes,
    /// Resident memory under frames that lack their last byte.
    Memory,
    /// A room most of whose members never read.
    Rooms,
}

/// Longer than it takes for the first attackers to be thrown out.
const SETTLING: Duration = Duration::from_secs(6);

impl Choice {
    /// The words after `--`: none, `--quick`, `--soak` and how long, `--fairness`, `--handshakes`,
    /// `--memory`, or `--rooms`.
    ///
    /// # Errors
    /// A line that says what could have been written.
    pub fn parse(words: &[&str]) -> Result<Part, UsageError> {
        let usual = Self {
            alone: Duration::from_secs(10),
            settling: SETTLING,
            beside: Duration::from_secs(20),
            stay: Duration::from_secs(1),
            is_quick: false,
            is_soak: false,
        };
        match words {
            [] => Ok(Part::Attack(usual)),
            ["--quick"] => {
                let (alone, beside) = (Duration::from_secs(2), Duration::from_secs(4));
                Ok(Part::Attack(Self { alone, beside, is_quick: true, ..usual }))
            }
            ["--soak", time] => {
                let beside = units::duration(time)
                    .map_err(|error| UsageError::from(format!("--soak {time}: {error}")))?;
                Ok(Part::Attack(Self {
                    beside,
                    stay: Duration::from_secs(20),
                    is_soak: true,
                    ..usual
                }))
            }
            ["--fairness"] => Ok(Part::Fairness),
            ["--handshakes"] => Ok(Part::Handshakes),
            ["--memory"] => Ok(Part::Memory),
            ["--rooms"] => Ok(Part::Rooms),
            _ => Err(UsageError::from(format!(
                "`{}` is not --quick, --soak 20m, --fairness, --handshakes, --memory or --rooms",
                words.join(" ")
            ))),
        }
    }
}
