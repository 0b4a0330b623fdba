//! Notes on how merged runs differ.

use super::timeline::Timeline;
use crate::measurement::format::{plural, seconds};
use crate::report::{Report, words};

const JOINT: &str = " and ";

/// Returns notes on how the runs differ.
pub(super) fn notes(reports: &[Report], timeline: &Timeline) -> Vec<String> {
    let mut notes: Vec<String> = reports.iter().flat_map(|report| report.notes.clone()).collect();
    let files: Vec<&str> =
        reports.iter().map(|report| &report.file[..]).filter(|file| !file.is_empty()).collect();
    let files = if files.is_empty() { String::new() } else { format!(": {}", files.join(", ")) };
    notes.push(format!("Merged from {}{files}.", plural(reports.len() as u64, "report")));
    let apart_s = timeline.offsets_s.iter().copied().fold(0.0, f64::max);
    if apart_s > 0.0 {
        let apart = seconds(apart_s);
        notes.push(format!(
            "The runs started up to {apart} apart; their settings are added up anyway."
        ));
    }
    if !timeline.is_common {
        notes.push(
            "The runs did not all overlap: throughput is the average from the first start to the \
             last end."
                .into(),
        );
    }
    let mut differs = |what: &str, value: &dyn Fn(&Report) -> String| {
        let values = distinct(reports.iter().map(value));
        if values.contains(JOINT) {
            notes.push(format!("The runs differ in {what}: {values}."));
        }
    };
    differs("their targets", &|report| report.settings.target.clone());
    differs("what they send", &|report| report.settings.messages.clone());
    differs("their duration in seconds", &|report| report.settings.duration_s.to_string());
    differs("their warm-up in seconds", &|report| report.settings.warmup_s.to_string());
    differs("their requests in flight on a connection", &|report| {
        report.settings.depth_count.to_string()
    });
    differs("how connections are opened", &|report| words::opening(&report.settings));
    differs("their arrivals or pauses", &|report| words::pauses(&report.settings));
    differs("the version of the program", &|report| report.version.clone());
    if reports.iter().any(|report| report.search.is_some()) {
        notes.push("One run is the best run of a search; the search is left out.".into());
    }
    distinct_in_order(notes)
}

pub(super) fn distinct(values: impl IntoIterator<Item = String>) -> String {
    distinct_in_order(values).join(JOINT)
}

pub(super) fn distinct_in_order(values: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}
