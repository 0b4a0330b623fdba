//! What a run is worth: whether its figures tell of the server, and if not, of what.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::gates::Judgement;
use super::outcome::{Outcome, Pace};
use super::report::figures::{count, duration, percent, plural, rate};
use super::tally::{Cause, ConnectError, Counts, Ending, ReplyError};

/// A thread that is busy for this share of the time has no room left: what it does not reach in between two readiness waits, it does not reach
/// at all, and the server waits for it.
const BUSY_CPU_RATIO: f64 = 0.95;

/// A thread that had work and no core for this share of the time: one reply in twenty was looked at late.
const STARVED_RATIO: f64 = 0.05;

/// Half of the p99 was spent waiting for the generator: the figure tells more of it than of the server.
const LAG_SHARE_OF_P99: f64 = 0.5;

/// A failure in a thousand is what a burst into a full backlog costs; more is an answer.
const FAILURES_RATIO: f64 = 0.001;

/// A schedule is held when 98 % of it was sent: the rest are the requests that are on their way when the run ends.
const SCHEDULE_HELD_RATIO: f64 = 0.98;

/// Replies that came twice as late after the schedule as after the send: half of the time was spent waiting for the turn.
const SCHEDULE_DELAY_FACTOR: f64 = 2.0;

/// Below this, the schedule's delay is the resolution of timers, and nobody's fault.
const SCHEDULE_DELAY_MIN: Duration = Duration::from_millis(1);

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
    /// No request was answered: there are no figures.
    NothingCompleted,
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
    /// Requests got no reply, or not all of it, or too late; or connections died silently.
    Unanswered,
    /// The generator was too slow, or had no core: the figures are its own.
    GeneratorLimited,
    /// The schedule was not held, though the generator had time.
    ServerOverloaded,
    /// A gate was crossed.
    GateCrossed,
    /// The figures tell of the server.
    Valid,
}

impl Kind {
    /// In words: `generator-limited`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NothingCompleted => "nothing completed",
            Self::WrongReplies => "wrong replies",
            Self::PortLimited => "port-limited",
            Self::DescriptorLimited => "descriptor-limited",
            Self::ServerRefused => "server-refused",
            Self::TooShort => "too short",
            Self::Unanswered => "unanswered",
            Self::GeneratorLimited => "generator-limited",
            Self::ServerOverloaded => "server-overloaded",
            Self::GateCrossed => "gate crossed",
            Self::Valid => "valid",
        }
    }
}

impl Verdict {
    fn new(kind: Kind, evidence: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { kind, evidence: evidence.into(), advice: advice.into() }
    }

    /// That of a run without a flaw.
    #[must_use]
    pub fn valid(outcome: &Outcome) -> Self {
        let evidence = format!("{}; {}", held(outcome), generator_room(outcome));
        Self::new(Kind::Valid, evidence, "The figures tell of the server.")
    }
}

/// Everything that is wrong with a run, the worst first.
#[must_use]
pub fn flaws(outcome: &Outcome, gates: &[Judgement]) -> Vec<Verdict> {
    let found: [Option<Verdict>; 10] = [
        nothing_completed(outcome),
        wrong_replies(outcome),
        port_limited(outcome),
        descriptor_limited(outcome),
        server_refused(outcome),
        too_short(outcome),
        unanswered(outcome),
        generator_limited(outcome),
        server_overloaded(outcome),
        gate_crossed(gates),
    ];
    found.into_iter().flatten().collect()
}

/// That the connections were there, and that the replies were right.
fn held(outcome: &Outcome) -> String {
    let total = &outcome.total;
    let connections = plural(outcome.reached as u64, "connection");
    match (total.correct, total.errors.total()) {
        (0, 0) => format!("{connections} opened, and no request was due"),
        (correct, 0) => format!("{connections} opened, {} right and none wrong", plural(correct, "reply")),
        (_, errors) => {
            format!("{connections} opened, {} of all requests failed", percent(ratio(errors, total.correct + errors)))
        }
    }
}

fn generator_room(outcome: &Outcome) -> String {
    if outcome.total.cpu.is_zero() {
        return "the system does not tell how busy the generator was".into();
    }
    format!("the generator was busy {} of the time", percent(cpu_ratio(outcome)))
}

/// True exactly when a run shows that the server answered nothing, where it should have.
#[must_use]
pub fn nothing_was_completed(outcome: &Outcome) -> bool {
    let was_only_held = matches!(outcome.asked.pace, Pace::Hold(_)) && outcome.total.sent == 0 && outcome.reached > 0;
    outcome.total.correct == 0 && !was_only_held
}

fn nothing_completed(outcome: &Outcome) -> Option<Verdict> {
    if !nothing_was_completed(outcome) {
        return None;
    }
    let total = &outcome.total;
    let why = most_frequent(&total.connect_errors).map_or_else(
        || match most_frequent(&total.errors) {
            Some((error, number)) => format!("{}: {}", what_failed(error), count(number)),
            None => format!("{} opened, {} sent", plural(total.opened, "connection"), plural(total.sent, "request")),
        },
        |(error, number)| format!("{}: {}", what_prevented(error), count(number)),
    );
    let advice =
        format!("Check that a server of protocol {} listens on {}.", outcome.asked.protocol, outcome.asked.target);
    Some(Verdict::new(Kind::NothingCompleted, format!("no request was answered; {why}"), advice))
}

fn wrong_replies(outcome: &Outcome) -> Option<Verdict> {
    let evidence =
        list(&outcome.total.errors, &[ReplyError::Wrong, ReplyError::Foreign, ReplyError::Surplus], what_failed)?;
    let advice = "Look at one exchange by hand; check the protocol, and what is expected as the reply.";
    Some(Verdict::new(Kind::WrongReplies, evidence, advice))
}

fn port_limited(outcome: &Outcome) -> Option<Verdict> {
    let evidence = list(&outcome.total.connect_errors, &[ConnectError::NoPort], what_prevented)?;
    let advice = "Give more source addresses: --source 127.0.0.2-127.0.0.40, or widen net.ipv4.ip_local_port_range.";
    Some(Verdict::new(Kind::PortLimited, format!("{evidence}, {}", reached(outcome)), advice))
}

fn descriptor_limited(outcome: &Outcome) -> Option<Verdict> {
    let evidence = list(&outcome.total.connect_errors, &[ConnectError::NoDescriptor], what_prevented)?;
    let advice = "Raise the limit of open files: ulimit -n, or LimitNOFILE= in a service.";
    Some(Verdict::new(Kind::DescriptorLimited, format!("{evidence}, {}", reached(outcome)), advice))
}

fn server_refused(outcome: &Outcome) -> Option<Verdict> {
    const CAUSES: [ConnectError; 6] = [
        ConnectError::Refused,
        ConnectError::TimedOut,
        ConnectError::Reset,
        ConnectError::Busy,
        ConnectError::Unreachable,
        ConnectError::Other,
    ];
    let errors = &outcome.total.connect_errors;
    let evidence = list(errors, &CAUSES, what_prevented)?;
    let failures = CAUSES.iter().map(|cause| errors.get(*cause)).sum();
    let is_incomplete = outcome.reached < outcome.asked.connections;
    if !is_incomplete && ratio(failures, outcome.total.connects) <= FAILURES_RATIO {
        return None;
    }
    let advice = match most_frequent(errors).map(|(error, _)| error) {
        Some(ConnectError::Refused | ConnectError::Unreachable) => {
            "Check that the server runs and that the address is right."
        }
        Some(ConnectError::TimedOut) => "Open them more slowly (--ramp 10s), or give the server a longer --backlog.",
        Some(ConnectError::Busy) => "Raise the server's limit (--max-connections), or ask for fewer.",
        _ => "See the server's log; open them more slowly (--ramp 10s).",
    };
    Some(Verdict::new(Kind::ServerRefused, format!("{evidence}, {}", reached(outcome)), advice))
}

fn too_short(outcome: &Outcome) -> Option<Verdict> {
    let is_incomplete = outcome.reached < outcome.asked.connections && outcome.total.connect_errors.total() == 0;
    is_incomplete.then(|| {
        let evidence = format!("the run was over before all connections were open, {}", reached(outcome));
        Verdict::new(Kind::TooShort, evidence, "Make -d longer, or --ramp shorter.")
    })
}

fn unanswered(outcome: &Outcome) -> Option<Verdict> {
    const CAUSES: [ReplyError; 3] = [ReplyError::Truncated, ReplyError::Missing, ReplyError::Late];
    let total = &outcome.total;
    let failures = CAUSES.iter().map(|cause| total.errors.get(*cause)).sum();
    let silent = list(&total.endings, &[Ending::Silent], |_| "connections that died silently");
    if silent.is_none() && ratio(failures, total.correct + total.errors.total()) <= FAILURES_RATIO {
        return None;
    }
    let evidence: Vec<String> = [list(&total.errors, &CAUSES, what_failed), silent].into_iter().flatten().collect();
    let advice =
        "See the server's log, and its timeouts and limits; look at whether something between drops connections.";
    Some(Verdict::new(Kind::Unanswered, evidence.join(", "), advice))
}

fn generator_limited(outcome: &Outcome) -> Option<Verdict> {
    const MORE_ROOM: &str = "Give the generator a core of its own, or more --threads, or another machine and merge.";
    let total = &outcome.total;
    let (cpu, starved) = (cpu_ratio(outcome), share_of_time(outcome, total.starved));
    let mut evidence = Vec::new();
    if cpu >= BUSY_CPU_RATIO {
        evidence.push(format!("the generator was busy {} of the time", percent(cpu)));
    }
    if starved >= STARVED_RATIO {
        evidence.push(format!("it had work and no core for {} of the time", percent(starved)));
    }
    let (lag, p50, p99) = (total.lag.quantile(0.99), total.from_send.quantile(0.5), total.from_send.quantile(0.99));
    // One that is below the median shows in no figure but the smallest.
    if total.correct > 0 && lag >= p50 && lag.as_secs_f64() >= LAG_SHARE_OF_P99 * p99.as_secs_f64() {
        evidence.push(format!(
            "what was ready waited up to {} for it (p99), of {} to a reply",
            duration(lag),
            duration(p99)
        ));
    }
    (!evidence.is_empty()).then(|| Verdict::new(Kind::GeneratorLimited, evidence.join("; "), MORE_ROOM))
}

fn server_overloaded(outcome: &Outcome) -> Option<Verdict> {
    let due = rate_due(outcome)?;
    if generator_limited(outcome).is_some() {
        return None;
    }
    let total = &outcome.total;
    let mut evidence: Vec<String> = list(&total.errors, &[ReplyError::Unsent], what_failed).into_iter().collect();
    let sent = per_second(outcome, total.sent);
    if sent < SCHEDULE_HELD_RATIO * due {
        evidence.push(format!("{} sent of {} due", rate(sent), rate(due)));
    }
    let (schedule, send) = (total.from_schedule.quantile(0.99), total.from_send.quantile(0.99));
    if schedule.saturating_sub(send) > SCHEDULE_DELAY_MIN
        && schedule.as_secs_f64() > SCHEDULE_DELAY_FACTOR * send.as_secs_f64()
    {
        evidence.push(format!("p99 is {} from the schedule and {} from the send", duration(schedule), duration(send)));
    }
    let advice = "Lower -R, or give it more connections (-c) or depth (-P); --find-max finds the rate that it holds.";
    (!evidence.is_empty()).then(|| Verdict::new(Kind::ServerOverloaded, evidence.join("; "), advice))
}

/// That gates were crossed, if any was.
pub(super) fn gate_crossed(gates: &[Judgement]) -> Option<Verdict> {
    let crossed: Vec<String> = gates
        .iter()
        .filter(|gate| gate.crossed)
        .map(|gate| format!("{} crossed: {} measured", gate.gate, gate.measured))
        .collect();
    let advice = "Compare with the report of a run that kept it.";
    (!crossed.is_empty()).then(|| Verdict::new(Kind::GateCrossed, crossed.join("; "), advice))
}

/// `12 of 1,000 connections were open`.
fn reached(outcome: &Outcome) -> String {
    format!("{} of {} were open", count(outcome.reached as u64), plural(outcome.asked.connections as u64, "connection"))
}

/// The causes among `causes` that occurred, each with its number; `None` when none did.
fn list<C: Cause>(counts: &Counts<C>, causes: &[C], name: impl Fn(C) -> &'static str) -> Option<String> {
    let occurred: Vec<String> = causes
        .iter()
        .filter(|cause| counts.get(**cause) > 0)
        .map(|cause| format!("{}: {}", name(*cause), count(counts.get(*cause))))
        .collect();
    (!occurred.is_empty()).then(|| occurred.join(", "))
}

fn most_frequent<C: Cause>(counts: &Counts<C>) -> Option<(C, u64)> {
    counts.iter().filter(|(_, number)| *number > 0).max_by_key(|(_, number)| *number)
}

const fn what_failed(error: ReplyError) -> &'static str {
    match error {
        ReplyError::Wrong => "wrong replies",
        ReplyError::Foreign => "replies to another request",
        ReplyError::Surplus => "replies that nobody had asked for",
        ReplyError::Truncated => "replies that broke off",
        ReplyError::Missing => "replies that never came",
        ReplyError::Late => "replies that were late",
        ReplyError::Unsent => "requests that were due and found no free connection",
    }
}

const fn what_prevented(error: ConnectError) -> &'static str {
    match error {
        ConnectError::Refused => "connections refused",
        ConnectError::TimedOut => "connections timed out",
        ConnectError::Reset => "connections reset while opening",
        ConnectError::Busy => "connections told that the server is full",
        ConnectError::NoPort => "connections without a port",
        ConnectError::NoDescriptor => "connections without a descriptor",
        ConnectError::Unreachable => "connections without a way to the host",
        ConnectError::Other => "connections failed otherwise",
    }
}

/// The share of the time of all threads that they were busy.
#[must_use]
pub fn cpu_ratio(outcome: &Outcome) -> f64 {
    share_of_time(outcome, outcome.total.cpu)
}

/// The requests a second that the schedule had due in the counted part, on average; `None` without a schedule.
#[must_use]
pub fn rate_due(outcome: &Outcome) -> Option<f64> {
    let Pace::Open { from, to } = outcome.asked.pace else { return None };
    // The rate changes evenly, so that of the middle is the average.
    let middle = outcome.asked.warmup.as_secs_f64() + outcome.counted.as_secs_f64() / 2.0;
    let progress = middle / outcome.asked.duration.as_secs_f64().max(f64::MIN_POSITIVE);
    Some(from + (to - from) * progress.min(1.0))
}

fn per_second(outcome: &Outcome, number: u64) -> f64 {
    let seconds = outcome.counted.as_secs_f64();
    if seconds > 0.0 { number as f64 / seconds } else { 0.0 }
}

fn share_of_time(outcome: &Outcome, part: Duration) -> f64 {
    let all = outcome.counted.as_secs_f64() * outcome.asked.threads.max(1) as f64;
    if all > 0.0 { part.as_secs_f64() / all } else { 0.0 }
}

fn ratio(part: u64, all: u64) -> f64 {
    if all > 0 { part as f64 / all as f64 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::samples::{self, Sample};

    fn of(sample: Sample) -> Vec<Verdict> {
        let outcome = sample.done();
        let flaws = flaws(&outcome, &[]);
        if flaws.is_empty() { vec![Verdict::valid(&outcome)] } else { flaws }
    }

    /// The only verdict, its kind checked.
    fn only(sample: Sample, kind: Kind) -> Verdict {
        let found = of(sample);
        assert_eq!(found.iter().map(|verdict| verdict.kind).collect::<Vec<_>>(), [kind], "{found:?}");
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
            let verdict = only(samples::closed().failed(error, 3).change(|outcome| outcome.reached = 7), kind);
            assert!(verdict.evidence.contains("7 of 10 connections"), "{}", verdict.evidence);
        }
    }

    #[test]
    fn a_rare_failure_that_was_made_up_for_is_no_refusal() {
        let churn =
            |failures| samples::closed().total(|total| total.connects = 10_000).failed(ConnectError::Reset, failures);
        only(churn(10), Kind::Valid);
        only(churn(11), Kind::ServerRefused);
    }

    #[test]
    fn a_run_that_ends_while_connections_open_is_too_short() {
        only(samples::closed().change(|outcome| outcome.reached = 9), Kind::TooShort);
    }

    #[test]
    fn replies_that_are_missing_and_connections_that_die_silently_are_unanswered() {
        only(samples::closed().errors(ReplyError::Missing, 50), Kind::Valid);
        only(samples::closed().errors(ReplyError::Missing, 500), Kind::Unanswered);
        let verdict = only(samples::closed().ended(Ending::Silent, 1), Kind::Unanswered);
        assert!(verdict.evidence.contains("died silently: 1"), "{}", verdict.evidence);
    }

    #[test]
    fn a_generator_that_is_busy_starved_or_late_is_named() {
        let seconds = Duration::from_secs;
        let busy = only(samples::closed().total(|total| total.cpu = seconds(10)), Kind::GeneratorLimited);
        assert!(busy.evidence.contains("100 %"), "{}", busy.evidence);
        let starved = only(samples::closed().total(|total| total.starved = seconds(1)), Kind::GeneratorLimited);
        assert!(starved.evidence.contains("10.0 %"), "{}", starved.evidence);
        let late = samples::closed().total(|total| total.lag.record(Duration::from_micros(700), 5_000));
        assert!(only(late, Kind::GeneratorLimited).evidence.contains("700 us"));
    }

    #[test]
    fn two_threads_have_twice_the_time() {
        let sample = samples::closed().asked(|asked| asked.threads = 2);
        only(sample.total(|total| total.cpu = Duration::from_secs(10)), Kind::Valid);
    }

    #[test]
    fn a_schedule_that_is_not_held_is_the_servers_while_the_generator_has_time() {
        let unsent = || samples::open().errors(ReplyError::Unsent, 7).total(|total| total.sent = 90_000);
        let verdict = only(unsent(), Kind::ServerOverloaded);
        assert!(verdict.evidence.contains("9,000/s sent of 10,000/s due"), "{}", verdict.evidence);
        only(unsent().total(|total| total.cpu = Duration::from_secs(10)), Kind::GeneratorLimited);
    }

    #[test]
    fn replies_that_wait_for_their_turn_show_overload() {
        let waiting = samples::open().total(|total| total.from_schedule.record(Duration::from_millis(5), 5_000));
        assert!(only(waiting, Kind::ServerOverloaded).evidence.contains("5.00 ms from the schedule"));
    }

    #[test]
    fn a_ramp_is_due_what_its_middle_says() {
        let ramp = samples::open().asked(|asked| {
            (asked.warmup, asked.duration) = (Duration::ZERO, Duration::from_secs(10));
            asked.pace = Pace::Open { from: 0.0, to: 100.0 };
        });
        assert_eq!(rate_due(&ramp.done()), Some(50.0));
        assert_eq!(rate_due(&samples::closed().done()), None);
    }

    #[test]
    fn a_gate_that_is_crossed_is_the_verdict_of_a_run_without_another_flaw() {
        let judgement = |crossed| Judgement { gate: "p99>1us".into(), measured: "1.00 ms".into(), crossed };
        let outcome = samples::closed().done();
        assert_eq!(flaws(&outcome, &[judgement(false)]), []);
        let found = flaws(&outcome, &[judgement(false), judgement(true)]);
        assert_eq!(
            (found[0].kind, found[0].evidence.as_str()),
            (Kind::GateCrossed, "p99>1us crossed: 1.00 ms measured")
        );
    }
}
