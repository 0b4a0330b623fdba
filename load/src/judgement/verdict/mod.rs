//! The verdict on a run: whether its results describe the server, and if not, what they describe.

use serde::{Deserialize, Serialize};

use super::gates::GateResult;
use crate::measurement::causes::ConnectError;
use crate::measurement::outcome::RunOutcome;

mod endings;
mod evidence;
mod failures;
mod schedule;
mod tls;

pub(crate) use failures::gate_crossed;
pub use schedule::cpu_ratio;
pub(super) use schedule::generator_limited;

/// The advice for a valid run.
pub(crate) const RESULTS_OF_THE_SERVER: &str =
    "The results describe the server, not the generator.";

/// The verdict on a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunVerdict {
    /// Its kind.
    pub kind: VerdictKind,
    /// The numbers that prove it, in a sentence.
    pub evidence: String,
    /// What to do, in a sentence.
    pub advice: String,
}

/// The kinds of verdicts, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictKind {
    /// No request got a correct reply, so there are no results.
    NothingCompleted,
    /// A gate was crossed.
    GateCrossed,
    /// All connections ended, and the server accepted no other one.
    ServerGone,
    /// Replies were wrong, belonged to another request, or were unexpected.
    WrongReplies,
    /// This machine had no port left.
    PortLimited,
    /// This process had no descriptor left.
    DescriptorLimited,
    /// Handshakes of TLS failed, or the server takes encrypted connections only.
    TlsFailed,
    /// The server, or the network, refused connections.
    ServerRefused,
    /// The run ended before all connections were attempted.
    TooShort,
    /// Not all held connections stayed open.
    ConnectionsEnded,
    /// Requests got no reply, a partial reply, or a late reply; or connections became silent.
    Unanswered,
    /// A search found no rate that met its objective.
    NoRateHeld,
    /// The generator set the pace, was late, or had no core: the results describe the generator.
    GeneratorLimited,
    /// The schedule was not met, although the generator had time.
    ServerOverloaded,
    /// The schedule was met, but the slowest requests waited for a connection.
    TailQueued,
    /// The results describe the server.
    Valid,
}

impl VerdictKind {
    /// Returns the name: `generator-limited`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NothingCompleted => "nothing completed",
            Self::GateCrossed => "gate crossed",
            Self::ServerGone => "server gone",
            Self::WrongReplies => "wrong replies",
            Self::PortLimited => "port-limited",
            Self::DescriptorLimited => "descriptor-limited",
            Self::TlsFailed => "TLS failed",
            Self::ServerRefused => "server-refused",
            Self::TooShort => "too short",
            Self::ConnectionsEnded => "connections ended",
            Self::Unanswered => "unanswered",
            Self::NoRateHeld => "no rate held",
            Self::GeneratorLimited => "generator-limited",
            Self::ServerOverloaded => "server-overloaded",
            Self::TailQueued => "tail queued",
            Self::Valid => "valid",
        }
    }

    /// Returns true if the run was made as requested, so that its results describe the server or
    /// the generator.
    #[must_use]
    pub const fn is_sound(self) -> bool {
        matches!(
            self,
            Self::GateCrossed
                | Self::GeneratorLimited
                | Self::ServerOverloaded
                | Self::TailQueued
                | Self::Valid
        )
    }
}

impl RunVerdict {
    fn new(kind: VerdictKind, evidence: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { kind, evidence: evidence.into(), advice: advice.into() }
    }

    /// Returns the verdict on a run without a flaw.
    #[must_use]
    pub fn valid(outcome: &RunOutcome) -> Self {
        let evidence = format!(
            "{}; {}",
            failures::describe_results(outcome),
            schedule::describe_generator(outcome)
        );
        Self::new(VerdictKind::Valid, evidence, RESULTS_OF_THE_SERVER)
    }
}

/// Returns all flaws of a run, worst first.
#[must_use]
pub fn flaws(outcome: &RunOutcome, gates: &[GateResult]) -> Vec<RunVerdict> {
    let found = [
        failures::gate_crossed(gates),
        endings::server_gone(outcome),
        failures::wrong_replies(outcome),
        failures::port_limited(outcome),
        failures::descriptor_limited(outcome),
        tls::tls_failed(outcome),
        failures::server_refused(outcome),
        failures::too_short(outcome),
        endings::connections_ended(outcome),
        failures::unanswered(outcome),
        schedule::generator_limited(outcome),
        schedule::server_overloaded(outcome),
        schedule::tail_queued(outcome),
    ];
    // Refused connections after the server has gone are not reported separately, and a run that
    // lacks TLS ends at once.
    let lacks_tls = outcome.total.connect_errors.get(ConnectError::TlsRequired) > 0;
    let follows = |kind| match kind {
        VerdictKind::ServerRefused | VerdictKind::ServerOverloaded => outcome.server_gone.is_some(),
        VerdictKind::TooShort => lacks_tls,
        _ => false,
    };
    let others: Vec<RunVerdict> =
        found.into_iter().flatten().filter(|verdict| !follows(verdict.kind)).collect();
    failures::nothing_completed(outcome, &others).into_iter().chain(others).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fixtures::{self, OutcomeBuilder};
    use crate::measurement::causes::{ConnectionEnd, ReplyError};
    use crate::measurement::settings::Pace;

    pub(super) fn of(sample: OutcomeBuilder) -> Vec<RunVerdict> {
        let outcome = sample.done();
        let flaws = flaws(&outcome, &[]);
        if flaws.is_empty() { vec![RunVerdict::valid(&outcome)] } else { flaws }
    }

    /// Returns the only verdict, which must have this kind.
    pub(super) fn only(sample: OutcomeBuilder, kind: VerdictKind) -> RunVerdict {
        let found = of(sample);
        assert_eq!(
            found.iter().map(|verdict| verdict.kind).collect::<Vec<_>>(),
            [kind],
            "{found:?}"
        );
        found[0].clone()
    }

    #[test]
    fn a_run_without_a_flaw_is_valid_closed_or_open() {
        assert!(
            only(fixtures::closed(), VerdictKind::Valid).evidence.contains("generator 30.0 % busy")
        );
        only(fixtures::open(), VerdictKind::Valid);
    }

    #[test]
    fn nothing_completed_comes_before_its_cause() {
        let found = of(fixtures::nothing(ConnectError::Refused));
        assert_eq!(found[0].kind, VerdictKind::NothingCompleted);
        assert_eq!(
            found[0].evidence,
            format!("no request got a correct reply; {}", found[1].evidence)
        );
        assert_eq!(found[0].advice, found[1].advice);
        assert!(found[0].evidence.contains("connections refused: 10"), "{}", found[0].evidence);
        assert_eq!(found[1].kind, VerdictKind::ServerRefused);
        assert!(found[1].evidence.contains("0 of 10 connections"), "{}", found[1].evidence);
    }

    #[test]
    fn held_connections_need_no_reply() {
        let held = fixtures::closed()
            .settings(|settings| settings.pace = Pace::Hold(Duration::from_secs(60)))
            .total(|total| (total.sent, total.correct) = (0, 0));
        only(held, VerdictKind::Valid);
    }

    #[test]
    fn held_connections_that_end_are_reported() {
        let held = || {
            fixtures::closed()
                .settings(|settings| settings.pace = Pace::Hold(Duration::from_secs(5)))
        };
        assert!(
            only(held(), VerdictKind::Valid)
                .evidence
                .starts_with("all 10 connections stayed alive, ")
        );
        let ended = |ending| held().ended(ending, 2).change(|outcome| outcome.open_last = 8);
        let verdict = only(ended(ConnectionEnd::Closed), VerdictKind::ConnectionsEnded);
        assert_eq!(
            verdict.evidence,
            "8 of 10 connections stayed alive; closed by the server without a message: 2"
        );
        let verdict = only(ended(ConnectionEnd::IdleTimeout), VerdictKind::ConnectionsEnded);
        assert!(
            verdict.evidence.ends_with("closed by the server's idle timeout: 2"),
            "{verdict:?}"
        );
        assert!(verdict.advice.contains("--heartbeat"), "{verdict:?}");
        only(ended(ConnectionEnd::Silent), VerdictKind::ConnectionsEnded);
        only(fixtures::closed().ended(ConnectionEnd::Closed, 2), VerdictKind::Valid);
    }

    #[test]
    fn a_gone_server_comes_before_its_consequences() {
        let gone = |after| {
            fixtures::open()
                .change(|outcome| outcome.server_gone = Some(Duration::from_millis(after)))
        };
        let verdict = only(gone(1_500), VerdictKind::ServerGone);
        assert!(
            verdict.evidence.contains("without a message, the last one after 1.5 s"),
            "{verdict:?}"
        );
        let verdicts =
            of(gone(1_500).ended(ConnectionEnd::Shutdown, 10).errors(ReplyError::Missing, 500));
        assert!(verdicts[0].evidence.contains("(10 connections with BYE)"), "{verdicts:?}");
        assert_eq!(verdicts[1].kind, VerdictKind::Unanswered);
        only(
            gone(1_500).failed(ConnectError::Refused, 90).errors(ReplyError::Unsent, 5_000),
            VerdictKind::ServerGone,
        );
    }

    #[test]
    fn one_wrong_reply_is_too_many() {
        for error in [ReplyError::Wrong, ReplyError::Foreign, ReplyError::Surplus] {
            only(fixtures::closed().errors(error, 1), VerdictKind::WrongReplies);
        }
    }

    #[test]
    fn limits_of_this_machine_differ_from_refusals_of_the_server() {
        for (error, kind) in [
            (ConnectError::NoPort, VerdictKind::PortLimited),
            (ConnectError::NoDescriptor, VerdictKind::DescriptorLimited),
            (ConnectError::Busy, VerdictKind::ServerRefused),
            (ConnectError::TimedOut, VerdictKind::ServerRefused),
        ] {
            let verdict = only(
                fixtures::closed().failed(error, 3).change(|outcome| outcome.reached = 7),
                kind,
            );
            assert!(verdict.evidence.contains("7 of 10 connections"), "{}", verdict.evidence);
        }
    }

    #[test]
    fn a_unix_socket_that_refuses_some_has_a_full_backlog() {
        let advice = |is_unix| {
            let refused = fixtures::closed().failed(ConnectError::Refused, 3);
            let refused = refused.settings(|settings| settings.target.is_unix = is_unix);
            only(refused, VerdictKind::ServerRefused).advice
        };
        assert!(advice(true).contains("--backlog"), "{}", advice(true));
        assert!(advice(false).contains("address"), "{}", advice(false));
    }

    #[test]
    fn a_rare_failure_with_a_later_success_is_no_refusal() {
        let churn = |failures| {
            fixtures::closed()
                .total(|total| total.connects = 10_000)
                .failed(ConnectError::Reset, failures)
        };
        only(churn(10), VerdictKind::Valid);
        only(churn(11), VerdictKind::ServerRefused);
    }

    #[test]
    fn a_run_that_ends_while_connections_open_is_too_short() {
        let short = || fixtures::closed().change(|outcome| outcome.reached = 9);
        assert!(only(short(), VerdictKind::TooShort).advice.contains("-d"));
        let interrupted = short().change(|outcome| outcome.interrupted_by = Some(2));
        assert!(only(interrupted, VerdictKind::TooShort).evidence.contains("interrupted"));
    }

    #[test]
    fn a_run_that_does_not_send_its_requests_is_too_short() {
        let counted = |unsent| {
            let all = 100_000 + unsent;
            let sample = fixtures::closed().settings(|settings| settings.requests = Some(all));
            sample.errors(ReplyError::Unsent, unsent)
        };
        let verdict = only(counted(20), VerdictKind::TooShort);
        assert_eq!(verdict.evidence, "the run ended with 20 of 100,020 requests left");
        only(counted(0), VerdictKind::Valid);
        let open = fixtures::open().settings(|settings| settings.requests = Some(100_001));
        let verdict = only(open, VerdictKind::TooShort);
        assert_eq!(verdict.evidence, "the run ended with 1 of 100,001 requests left");
    }

    #[test]
    fn missing_replies_and_silent_connections_are_unanswered() {
        only(fixtures::closed().errors(ReplyError::Missing, 50), VerdictKind::Valid);
        only(fixtures::closed().errors(ReplyError::Missing, 500), VerdictKind::Unanswered);
        let verdict =
            only(fixtures::closed().ended(ConnectionEnd::Silent, 1), VerdictKind::Unanswered);
        assert!(verdict.evidence.contains("stopped answering: 1"), "{}", verdict.evidence);
    }

    #[test]
    fn a_crossed_gate_is_the_verdict_of_a_run_without_other_flaws() {
        let judgement =
            |crossed| GateResult { gate: "p99>1us".into(), measured: "1.00 ms".into(), crossed };
        let outcome = fixtures::closed().done();
        assert_eq!(flaws(&outcome, &[judgement(false)]), []);
        let found = flaws(&outcome, &[judgement(false), judgement(true)]);
        assert_eq!(
            (found[0].kind, found[0].evidence.as_str()),
            (VerdictKind::GateCrossed, "p99>1us: 1.00 ms")
        );
    }
}
