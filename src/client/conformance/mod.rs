//! The conformance run: does a server keep every promise of its protocol?
//!
//! Each check is one promise, on connections of its own, bounded by the timeout. What a check says
//! when it fails is all that the author of another server gets to see, so it shows what was sent,
//! expected and got.

mod binary;
mod messages;
mod probe;
mod text;

use super::connect::{Patience, connect};
use super::failure::{Failure, Verdict};
use super::output::Output;
use crate::cli::target::{Protocol, Target};
use probe::{Outcome, Probe};

/// What the server is taken to allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assumed {
    /// The longest line or message in bytes, its ending not counted.
    pub line_bytes_max: u32,
    /// The longest payload of a frame in bytes.
    pub frame_bytes_max: u32,
}

impl Assumed {
    /// [`Assumed::line_bytes_max`] as the length of a buffer.
    fn line_len_max(self) -> usize {
        self.line_bytes_max.try_into().unwrap_or(usize::MAX)
    }

    /// [`Assumed::frame_bytes_max`] as the length of a buffer.
    fn payload_len_max(self) -> usize {
        self.frame_bytes_max.try_into().unwrap_or(usize::MAX)
    }
}

/// One promise of a protocol.
struct Check {
    /// The promise, as a sentence without its full stop.
    name: &'static str,
    /// Sees whether it is kept.
    run: fn(&Probe<'_>) -> Outcome,
    /// The limit on which the outcome depends.
    limit: Limit,
}

/// A limit that a server is free to choose and has no way to announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    None,
    Line,
    Frame,
}

impl Check {
    const fn new(name: &'static str, run: fn(&Probe<'_>) -> Outcome) -> Self {
        Self { name, run, limit: Limit::None }
    }

    const fn at(limit: Limit, name: &'static str, run: fn(&Probe<'_>) -> Outcome) -> Self {
        Self { name, run, limit }
    }

    /// What the reader of a failure should know about it.
    fn hint(&self, assumed: Assumed) -> String {
        let (what, bytes, flag) = match self.limit {
            Limit::None => return String::new(),
            Limit::Line => ("line", assumed.line_bytes_max, "--max-line"),
            Limit::Frame => ("payload", assumed.frame_bytes_max, "--max-frame"),
        };
        format!(
            " (taking for granted that the longest {what} is {bytes} bytes: if it is not, say so with {flag})"
        )
    }
}

/// Runs every check of the target's protocol and prints a line for each, then how many there were.
///
/// # Errors
/// [`Failure::Unreachable`] when there is no server to check.
pub fn run(target: &Target, patience: Patience, assumed: Assumed) -> Result<Verdict, Failure> {
    drop(connect(target, patience)?);
    let checks: Vec<&Check> = match target.protocol {
        Protocol::Text => text::CHECKS.iter().collect(),
        Protocol::Binary => binary::CHECKS.iter().collect(),
        Protocol::Echo => messages::CHECKS.iter().chain(messages::ECHO_CHECKS).collect(),
        Protocol::Chat => messages::CHECKS.iter().chain(messages::CHAT_CHECKS).collect(),
    };
    let mut output = Output::new();
    let mut failed = 0;
    for check in &checks {
        let outcome = (check.run)(&Probe::new(target, patience.timeout, assumed));
        let line = match &outcome {
            Ok(()) => format!("{}   {}\n", output.green("ok"), check.name),
            Err(mismatch) => format!(
                "{} {}: {mismatch}{}\n",
                output.red("FAIL"),
                check.name,
                check.hint(assumed)
            ),
        };
        failed += usize::from(outcome.is_err());
        output.say(&line)?;
        output.flush()?;
    }
    output.say(&format!(
        "{target}: {} checks, {} passed, {failed} failed\n",
        checks.len(),
        checks.len() - failed
    ))?;
    output.flush()?;
    Ok(if failed == 0 { Verdict::Fine } else { Verdict::Refused })
}
