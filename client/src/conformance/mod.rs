//! The conformance run: checks that a server keeps each promise of its protocol.
//!
//! Every protocol has two suites of checks:
//!
//! - [`Suite::Protocol`]: behaviour that the original servers have and that their clients rely on.
//!   An original server passes every one of these checks. So they send only what an original
//!   client could send: text in UTF-8, and to echo and chat one short message without a newline
//!   at a time.
//! - [`Suite::Server`]: promises that only this server makes: its limits and errors, its guards
//!   against HTTP, TLS and telnet, messages in lines for echo and chat, any bytes as text. An
//!   original server answers these in its own way, or breaks.
//!
//! Each check is one promise. It uses connections of its own and ends within the timeout. A
//! failure shows the bytes that were sent, expected and received: the author of another server
//! sees nothing else.

mod binary;
mod chat;
mod connection;
mod echo;
mod messages;
mod probe;
mod text;

use std::str::FromStr;

use connection::CheckResult;
use probe::Probe;
use tinytcp_cli::UsageError;
use tinytcp_cli::target::{ProtocolName, Target};
use tinytcp_core::display::plural::plural;

use super::connect::ConnectOptions;
use super::error::{ClientError, Completion};
use super::greeting::connect_greeted;
use super::stdout::StdoutWriter;

/// The limits that the checks assume of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssumedLimits {
    /// The longest line or message in bytes, without its ending.
    pub line_bytes_max: u32,
    /// The longest payload of a frame in bytes.
    pub frame_bytes_max: u32,
}

impl AssumedLimits {
    /// [`AssumedLimits::line_bytes_max`] as the length of a buffer.
    fn line_len_max(self) -> usize {
        self.line_bytes_max.try_into().unwrap_or(usize::MAX)
    }

    /// [`AssumedLimits::frame_bytes_max`] as the length of a buffer.
    fn payload_len_max(self) -> usize {
        self.frame_bytes_max.try_into().unwrap_or(usize::MAX)
    }
}

/// One of the two suites of checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// Behaviour of the original servers.
    Protocol,
    /// Promises that only this server makes.
    Server,
}

impl Suite {
    /// Both, in the order of a run.
    pub const ALL: [Self; 2] = [Self::Protocol, Self::Server];

    /// Its name in reports and flags.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Protocol => "protocol",
            Self::Server => "server",
        }
    }

    /// One line about its checks.
    const fn description(self) -> &'static str {
        match self {
            Self::Protocol => "behaviour of the original servers",
            Self::Server => "further promises of tinytcp-server",
        }
    }

    /// Its checks of a protocol.
    const fn checks(self, protocol: ProtocolName) -> &'static [&'static [Check]] {
        match (self, protocol) {
            (Self::Protocol, ProtocolName::Text) => &[text::PROTOCOL_CHECKS],
            (Self::Server, ProtocolName::Text) => &[text::SERVER_CHECKS],
            (Self::Protocol, ProtocolName::Binary) => &[binary::PROTOCOL_CHECKS],
            (Self::Server, ProtocolName::Binary) => &[binary::SERVER_CHECKS],
            (Self::Protocol, ProtocolName::Echo) => {
                &[messages::PROTOCOL_CHECKS, echo::PROTOCOL_CHECKS]
            }
            (Self::Server, ProtocolName::Echo) => &[messages::SERVER_CHECKS, echo::SERVER_CHECKS],
            (Self::Protocol, ProtocolName::Chat) => {
                &[messages::PROTOCOL_CHECKS, chat::PROTOCOL_CHECKS]
            }
            (Self::Server, ProtocolName::Chat) => &[messages::SERVER_CHECKS, chat::SERVER_CHECKS],
        }
    }
}

impl FromStr for Suite {
    type Err = UsageError;

    fn from_str(name: &str) -> Result<Self, UsageError> {
        Self::ALL
            .into_iter()
            .find(|suite| suite.name() == name)
            .ok_or_else(|| "the suites are protocol and server".into())
    }
}

/// The promise that only a listener without TLS makes.
const TLS_IS_REFUSED: &str = "TLS is refused, then the server closes";

/// One promise.
struct Check {
    /// The promise, as a sentence without its full stop.
    name: &'static str,
    /// Checks whether the server keeps it.
    run: fn(&Probe<'_>) -> CheckResult,
    /// The limit on which the result depends.
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
    const fn new(name: &'static str, run: fn(&Probe<'_>) -> CheckResult) -> Self {
        Self { name, run, limit: Limit::None }
    }

    const fn at(limit: Limit, name: &'static str, run: fn(&Probe<'_>) -> CheckResult) -> Self {
        Self { name, run, limit }
    }

    /// The words that follow a failure: the limit that the check assumed, and its flag.
    fn hint(&self, limits: AssumedLimits) -> String {
        let (item, bytes, flag) = match self.limit {
            Limit::None => return String::new(),
            Limit::Line => ("line", limits.line_bytes_max, "--max-line"),
            Limit::Frame => ("payload", limits.frame_bytes_max, "--max-frame"),
        };
        format!(
            " (assumes that the longest {item} is {}; set another limit with {flag})",
            plural(u64::from(bytes), "byte")
        )
    }
}

/// Runs `suites` of the target's protocol. Prints a line for each check, and a summary line after
/// each suite.
///
/// Returns [`Completion::Refused`] if a check failed.
///
/// # Errors
/// [`ClientError::Unreachable`] when there is no server to check, [`ClientError::Refused`] when it
/// demands TLS.
pub fn run(
    target: &Target,
    options: ConnectOptions<'_>,
    limits: AssumedLimits,
    suites: &[Suite],
) -> Result<Completion, ClientError> {
    drop(connect_greeted(target, options)?);
    let mut output = StdoutWriter::new();
    let mut completion = Completion::Success;
    for suite in suites {
        output.write(&format!("{target} {}: {}\n", suite.name(), suite.description()))?;
        let (mut passed, mut failed) = (0, 0);
        for check in suite.checks(target.protocol).iter().copied().flatten() {
            if target.is_encrypted && check.name == TLS_IS_REFUSED {
                continue;
            }
            let result = (check.run)(&Probe::new(target, options, limits));
            output.write(&report(check, &result, limits, &output))?;
            output.flush()?;
            match result {
                Ok(()) => passed += 1,
                Err(_) => failed += 1,
            }
        }
        let checks = plural(passed + failed, "check");
        let name = suite.name();
        output.write(&format!("{target} {name}: {checks}, {passed} passed, {failed} failed\n"))?;
        output.flush()?;
        if failed > 0 {
            completion = Completion::Refused;
        }
    }
    Ok(completion)
}

/// The line about one check.
fn report(
    check: &Check,
    result: &CheckResult,
    limits: AssumedLimits,
    output: &StdoutWriter,
) -> String {
    match result {
        Ok(()) => format!("{}   {}\n", output.green("ok"), check.name),
        Err(mismatch) => {
            let hint = check.hint(limits);
            format!("{} {}: {mismatch}{hint}\n", output.red("FAIL"), check.name)
        }
    }
}
