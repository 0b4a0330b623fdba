//! The verdict about handshakes of TLS that failed.

use tinytcp_cli::tls_demand;

use super::evidence::list;
use super::failures::{FAILURES_RATIO, connect_error_text, most_frequent, ratio, reached};
use crate::judgement::verdict::{RunVerdict, VerdictKind};
use crate::measurement::causes::ConnectError;
use crate::measurement::outcome::RunOutcome;

/// The causes of this verdict.
const CAUSES: [ConnectError; 7] = [
    ConnectError::TlsTimedOut,
    ConnectError::TlsClosed,
    ConnectError::TlsAlert,
    ConnectError::TlsCertificate,
    ConnectError::TlsPlainServer,
    ConnectError::TlsFailed,
    ConnectError::TlsRequired,
];

/// Checks whether connections did not open because of TLS.
pub(super) fn tls_failed(outcome: &RunOutcome) -> Option<RunVerdict> {
    let errors = &outcome.total.connect_errors;
    let counts = list(errors, &CAUSES, connect_error_text)?;
    let failures = CAUSES.iter().map(|cause| errors.get(*cause)).sum();
    let is_incomplete = outcome.reached < outcome.settings.connections;
    if !is_incomplete && ratio(failures, outcome.total.connects) <= FAILURES_RATIO {
        return None;
    }
    // A line about a failure is a fact and a remedy.
    let line = outcome.total.tls.failure.as_deref().and_then(|line| line.split_once("; "));
    let (fact, advice) = match line {
        Some((fact, remedy)) => (format!("; {fact}"), sentence(remedy)),
        None => (String::new(), advice(most_frequent(errors)?.0, outcome)),
    };
    let evidence = format!("{counts}, {}{fact}", reached(outcome));
    Some(RunVerdict::new(VerdictKind::TlsFailed, evidence, advice))
}

/// Returns the advice for a cause without a line of its own.
fn advice(cause: ConnectError, outcome: &RunOutcome) -> String {
    let advice = match cause {
        ConnectError::TlsRequired => &tls_demand::remedy(&outcome.settings.target.name),
        ConnectError::TlsTimedOut => {
            "Check that the server speaks TLS at this port; open connections more slowly (--ramp \
             10s), because a handshake costs the server more than a connection."
        }
        _ => "Check the server's log, and that it speaks TLS at this port.",
    };
    sentence(advice)
}

/// Returns `text` with a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| {
        format!("{}{}.", first.to_uppercase(), letters.as_str().trim_end_matches('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn the_verdict_has_the_fact_and_the_remedy_of_a_failure() {
        let text = "the server's certificate expired 3 days ago; renew it";
        let outcome = fixtures::nothing(ConnectError::TlsCertificate)
            .total(|total| total.tls.failure = Some(text.into()));
        let verdict = tls_failed(&outcome.done()).expect("no connection opened");
        assert_eq!(
            verdict.evidence,
            "certificates not accepted: 10, 0 of 10 connections opened; the server's certificate \
             expired 3 days ago"
        );
        assert_eq!(verdict.advice, "Renew it.");
    }

    #[test]
    fn a_server_that_requires_tls_is_a_remedy_of_its_own() {
        let outcome = fixtures::nothing(ConnectError::TlsRequired).done();
        let verdict = tls_failed(&outcome).expect("no connection opened");
        assert!(verdict.advice.contains("+tls://"), "{verdict:?}");
        assert_eq!(tls_failed(&fixtures::closed().done()), None);
    }
}
