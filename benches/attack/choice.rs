//! The choices of the command line.

use std::time::Duration;

use tinytcp_cli::{UsageError, units};

/// The duration of each part of a run.
///
/// A machine stalls for milliseconds at a time: another program, a thread of the kernel, or the
/// host of a virtual machine has the processor, and the requests of that time may be a hundredth of
/// all. Therefore honest clients come in crowds, one crowd after the other. The spread of their
/// figures shows the stalls, and few stalls are in the crowd with the median.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// For this time honest clients are alone before the attack, and again after it.
    pub alone: Duration,
    /// The time from the beginning of the attack to the first honest client.
    pub settling: Duration,
    /// For this time honest clients run beside the attack.
    pub beside: Duration,
    /// The duration of one crowd of honest clients. Each crowd has its own figures.
    pub stay: Duration,
    /// True exactly when the run only shows that all parts work, on a machine that may have other
    /// work to do.
    pub is_quick: bool,
    /// True exactly when the run looks for effects that need a long time, such as a leak of memory.
    pub is_soak: bool,
}

/// The part of the benchmark to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The attack. A quick run also has short runs of the other parts.
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

/// Longer than the shortest timeout of the server, so that it has closed the first attackers.
const SETTLING: Duration = Duration::from_secs(6);

impl Choice {
    /// Parses the words after `--`: none, `--quick`, `--soak` and a duration, `--fairness`,
    /// `--handshakes`, `--memory`, or `--rooms`.
    ///
    /// # Errors
    /// The usage line, for other words.
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
