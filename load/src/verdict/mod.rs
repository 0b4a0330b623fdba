//! What a run is worth: whether its figures tell of the server, and if not, of what.

use serde::{Deserialize, Serialize};

use super::gates::Judgement;
use super::outcome::Outcome;

mod endings;
mod evidence;
mod findings;
mod pace;

pub(super) use findings::gate_crossed;
pub use pace::cpu_ratio;
pub(super) use pace::generator_limited;

/// What is said of figures that nothing spoils.
pub(super) const FIGURES_OF_THE_SERVER: &str =
    "These figures describe the server, not the generator.";

/// What a run is worth, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// In a word.
    pub kind: Kind,
    /// The numbers that say so, in a sentence.
    pub evidence: String,
    /// What to do, in a sentence.
    pub advice: String,
}

/// The verdicts, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// No request got a right reply: there are no figures.
    NothingCompleted,
    /// A gate was crossed.
    GateCrossed,
    /// All connections ended and the server took no other one.
    ServerGone,
    /// Replies were wrong, of another request, or came unasked.
    WrongReplies,
    /// This machine had no port left.
    PortLimited,
    /// This process had no descriptor left.
    DescriptorLimited,
    /// The server, or the way to it, did not take the connections.
    ServerRefused,
    /// The run was over before all connections were begun.
    TooShort,
    /// Connections that were only held did not all stay alive.
    ConnectionsEnded,
    /// Requests got no reply, or not all of it, or too late; or connections died silently.
    Unanswered,
    /// A search found no rate that held its objective.
    NoRateHeld,
    /// The generator set the pace, was late, or had no core: the figures are its own.
    GeneratorLimited,
    /// The schedule was not held, though the generator had time.
    ServerOverloaded,
    /// The schedule was held, and the slowest of its requests waited for a connection.
    TailQueued,
    /// The figures tell of the server.
    Valid,
}

impl Kind {
    /// In words: `generator-limited`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NothingCompleted => "nothing completed",
            Self::GateCrossed => "gate crossed",
            Self::ServerGone => "server gone",
            Self::WrongReplies => "wrong replies",
            Self::PortLimited => "port-limited",
            Self::DescriptorLimited => "descriptor-limited",
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

    /// True exactly when the run was made as it was asked for: its figures are those of the server
    /// or of the generator.
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

impl Verdict {
    fn new(kind: Kind, evidence: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { kind, evidence: evidence.into(), advice: advice.into() }
    }

    /// That of a run without a flaw.
    #[must_use]
    pub fn valid(outcome: &Outcome) -> Self {
        let evidence = format!("{}; {}", findings::held(outcome), pace::generator_room(outcome));
        Self::new(Kind::Valid, evidence, FIGURES_OF_THE_SERVER)
    }
}

/// Everything that is wrong with a run, the worst first.
#[must_use]
pub fn flaws(outcome: &Outcome, gates: &[Judgement]) -> Vec<Verdict> {
    let found = [
        findings::gate_crossed(gates),
        endings::server_gone(outcome),
        findings::wrong_replies(outcome),
        findings::port_limited(outcome),
        findings::descriptor_limited(outcome),
        findings::server_refused(outcome),
        findings::too_short(outcome),
        endings::connections_ended(outcome),
        findings::unanswered(outcome),
        pace::generator_limited(outcome),
        pace::server_overloaded(outcome),
        pace::tail_queued(outcome),
    ];
    // That nothing was taken after the server had left is no news.
    let follows = |kind| {
        outcome.server_gone.is_some()
            && matches!(kind, Kind::ServerRefused | Kind::ServerOverloaded)
    };
    let others: Vec<Verdict> =
        found.into_iter().flatten().filter(|verdict| !follows(verdict.kind)).collect();
    findings::nothing_completed(outcome, &others).into_iter().chain(others).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::causes::{ConnectError, Ending, ReplyError};
    use crate::outcome::Pace;
    use crate::samples::{self, Sample};

    pub(super) fn of(sample: Sample) -> Vec<Verdict> {
        let outcome = sample.done();
        let flaws = flaws(&outcome, &[]);
        if flaws.is_empty() { vec![Verdict::valid(&outcome)] } else { flaws }
    }

    /// The only verdict, its kind checked.
    pub(super) fn only(sample: Sample, kind: Kind) -> Verdict {
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
        assert!(only(samples::closed(), Kind::Valid).evidence.contains("busy 30.0 % of the time"));
        only(samples::open(), Kind::Valid);
    }

    #[test]
    fn nothing_completed_comes_first_and_its_cause_second() {
        let found = of(samples::nothing(ConnectError::Refused));
        assert_eq!(found[0].kind, Kind::NothingCompleted);
        assert_eq!(
            found[0].evidence,
            format!("no request got a right reply; {}", found[1].evidence)
        );
        assert_eq!(found[0].advice, found[1].advice);
        assert!(found[0].evidence.contains("connections refused: 10"), "{}", found[0].evidence);
        assert_eq!(found[1].kind, Kind::ServerRefused);
        assert!(found[1].evidence.contains("0 of 10 connections"), "{}", found[1].evidence);
    }

    #[test]
    fn connections_that_are_only_held_need_no_reply() {
        let held = samples::closed()
            .asked(|asked| asked.pace = Pace::Hold(Duration::from_secs(60)))
            .total(|total| (total.sent, total.correct) = (0, 0));
        only(held, Kind::Valid);
    }

    #[test]
    fn connections_that_are_held_and_end_are_what_was_looked_for() {
        let held =
            || samples::closed().asked(|asked| asked.pace = Pace::Hold(Duration::from_secs(5)));
        assert!(
            only(held(), Kind::Valid).evidence.starts_with("all 10 connections stayed alive, ")
        );
        let ended = |ending| held().ended(ending, 2).change(|outcome| outcome.open_last = 8);
        let verdict = only(ended(Ending::Closed), Kind::ConnectionsEnded);
        assert_eq!(
            verdict.evidence,
            "8 of 10 connections stayed alive; ended by the server without a word: 2"
        );
        let verdict = only(ended(Ending::IdleTimeout), Kind::ConnectionsEnded);
        assert!(
            verdict.evidence.ends_with("ended by the server for its idle timeout: 2"),
            "{verdict:?}"
        );
        assert!(verdict.advice.contains("--heartbeat"), "{verdict:?}");
        only(ended(Ending::Silent), Kind::ConnectionsEnded);
        only(samples::closed().ended(Ending::Closed, 2), Kind::Valid);
    }

    #[test]
    fn a_server_that_left_comes_before_what_followed_from_it() {
        let gone = |after| {
            samples::open()
                .change(|outcome| outcome.server_gone = Some(Duration::from_millis(after)))
        };
        let verdict = only(gone(1_500), Kind::ServerGone);
        assert!(
            verdict.evidence.contains("without a word, the last one after 1.5 s"),
            "{verdict:?}"
        );
        let told = of(gone(1_500).ended(Ending::Shutdown, 10).errors(ReplyError::Missing, 500));
        assert!(told[0].evidence.contains("(on 10 connections the server said BYE)"), "{told:?}");
        assert_eq!(told[1].kind, Kind::Unanswered);
        only(
            gone(1_500).failed(ConnectError::Refused, 90).errors(ReplyError::Unsent, 5_000),
            Kind::ServerGone,
        );
    }

    #[test]
    fn one_wrong_reply_is_too_many() {
        for error in [ReplyError::Wrong, ReplyError::Foreign, ReplyError::Surplus] {
            only(samples::closed().errors(error, 1), Kind::WrongReplies);
        }
    }

    #[test]
    fn what_this_machine_lacks_is_told_from_what_the_server_refuses() {
        for (error, kind) in [
            (ConnectError::NoPort, Kind::PortLimited),
            (ConnectError::NoDescriptor, Kind::DescriptorLimited),
            (ConnectError::Busy, Kind::ServerRefused),
            (ConnectError::TimedOut, Kind::ServerRefused),
        ] {
            let verdict = only(
                samples::closed().failed(error, 3).change(|outcome| outcome.reached = 7),
                kind,
            );
            assert!(verdict.evidence.contains("7 of 10 connections"), "{}", verdict.evidence);
        }
    }

    #[test]
    fn a_rare_failure_that_was_made_up_for_is_no_refusal() {
        let churn = |failures| {
            samples::closed()
                .total(|total| total.connects = 10_000)
                .failed(ConnectError::Reset, failures)
        };
        only(churn(10), Kind::Valid);
        only(churn(11), Kind::ServerRefused);
    }

    #[test]
    fn a_run_that_ends_while_connections_open_is_too_short() {
        let short = || samples::closed().change(|outcome| outcome.reached = 9);
        assert!(only(short(), Kind::TooShort).advice.contains("-d"));
        let interrupted = short().change(|outcome| outcome.interrupted_by = Some(2));
        assert!(only(interrupted, Kind::TooShort).evidence.contains("interrupted"));
    }

    #[test]
    fn replies_that_are_missing_and_connections_that_die_silently_are_unanswered() {
        only(samples::closed().errors(ReplyError::Missing, 50), Kind::Valid);
        only(samples::closed().errors(ReplyError::Missing, 500), Kind::Unanswered);
        let verdict = only(samples::closed().ended(Ending::Silent, 1), Kind::Unanswered);
        assert!(verdict.evidence.contains("stopped answering: 1"), "{}", verdict.evidence);
    }

    #[test]
    fn a_gate_that_is_crossed_is_the_verdict_of_a_run_without_another_flaw() {
        let judgement =
            |crossed| Judgement { gate: "p99>1us".into(), measured: "1.00 ms".into(), crossed };
        let outcome = samples::closed().done();
        assert_eq!(flaws(&outcome, &[judgement(false)]), []);
        let found = flaws(&outcome, &[judgement(false), judgement(true)]);
        assert_eq!(
            (found[0].kind, found[0].evidence.as_str()),
            (Kind::GateCrossed, "p99>1us: 1.00 ms")
        );
    }
}
