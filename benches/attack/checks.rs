//! The statements that must be true at the end of a run, on every machine.

use tinytcp_load::report::Report;

use super::run::{Outcome, Part};
use super::server::MEMORY_LIMIT;

/// Resident memory after the attack, beyond that after the first honest clients: blocks that the
/// buffer pool keeps for the next loan, tables that keep their greatest capacity, and what the
/// allocator does not return to the system.
/// the allocator does not give back.
const KEPT_BYTES_MAX: usize = 8 << 20;

/// The most that the process holds in addition to the buffers of its connections: its own memory,
/// and 200 bytes per connection.
const BESIDE_BUFFERS_MAX: usize = 16 << 20;

/// A statement, and whether it is true.
pub struct Check {
    pub statement: String,
    pub holds: bool,
}

pub fn check(holds: bool, statement: String) -> Check {
    Check { statement, holds }
}

/// Returns the checks of a run.
pub fn checks(outcome: &Outcome) -> Vec<Check> {
    let Outcome { descriptors, resident_bytes, resident_bytes_most, journal, .. } = outcome;
    let totals = journal.totals.as_ref();
    let held = totals.map_or(u64::MAX, |totals| totals.held_bytes_most);
    let (accepted, closed) =
        totals.map_or((0, 0), |totals| (totals.connections, totals.closed_in_all()));
    let at_shutdown = totals.map_or(0, |totals| totals.closed_for("shutdown"));
    let wrong: u64 = outcome.attackers.iter().map(|tally| tally.wrong).sum();
    let open_at_stop = journal.open_at_stop.map_or("?".into(), |open| open.to_string());
    let resident_max = MEMORY_LIMIT + BESIDE_BUFFERS_MAX;
    vec![
        honest("alone", &outcome.before),
        honest("beside the attack", &outcome.beside),
        honest("alone again", &outcome.after),
        check(wrong == 0, format!("the flooders had {wrong} wrong answers")),
        check(
            held <= MEMORY_LIMIT as u64,
            format!("buffers held {held} of {MEMORY_LIMIT} bytes at most"),
        ),
        check(
            *resident_bytes_most <= resident_max,
            format!("at most {resident_bytes_most} bytes were resident, limit {resident_max}"),
        ),
        check(
            descriptors.0 == descriptors.1,
            format!("descriptors: {} before, {} at the end", descriptors.0, descriptors.1),
        ),
        check(
            resident_bytes.1 <= resident_bytes.0 + KEPT_BYTES_MAX,
            format!("resident bytes: {} before, {} at the end", resident_bytes.0, resident_bytes.1),
        ),
        check(
            journal.open_at_stop == Some(0) && accepted == closed && at_shutdown == 0,
            format!(
                "connections: {accepted} accepted, {closed} closed, {open_at_stop} open at the \
                 request to stop"
            ),
        ),
    ]
}

fn honest(when: &str, part: &Part) -> Check {
    let sum = |count: &dyn Fn(&Report) -> u64| part.reports.iter().map(count).sum::<u64>();
    let asked = sum(&|report| report.connections.asked_count);
    let reached = sum(&|report| report.connections.reached_count);
    let lost = sum(&|report| report.connections.failed.total() + report.connections.ended.total());
    let (errors, correct) =
        (sum(&|report| report.errors.total_count), sum(&|report| report.replies.correct_count));
    check(
        errors == 0 && lost == 0 && reached == asked && correct > 0,
        format!(
            "honest clients {when}: {reached} of {asked} connected, {lost} lost, \
             {correct} right answers, {errors} errors"
        ),
    )
}
