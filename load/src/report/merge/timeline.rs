//! Which slices of several runs cover the same time.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset};

use crate::error::LoadError;
use crate::report::{Report, ReportSlice};

/// The common timeline of several runs.
pub(super) struct Timeline {
    /// Index of the report that started first.
    pub(super) first: usize,
    /// Start of each report after the first one, in seconds; less than a slice counts as zero.
    pub(super) offsets_s: Vec<f64>,
    /// The longest slice, in seconds, which the merged report uses.
    slice_s: f64,
    /// Time from the first start to the last end.
    pub(super) ran_s: f64,
    /// True if all runs overlap.
    pub(super) is_common: bool,
}

impl Timeline {
    pub(super) fn new(reports: &[Report]) -> Result<Self, LoadError> {
        let starts: Vec<f64> = reports.iter().map(start_s).collect::<Result<_, _>>()?;
        let first =
            starts.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).map(|(index, _)| index);
        let first = first.ok_or_else(|| {
            LoadError::Report("nothing to merge; name two or more reports".into())
        })?;
        let slice_s =
            reports.iter().filter_map(|report| report.slices.first()).map(|slice| slice.length_s);
        let slice_s = slice_s.fold(0.0, f64::max);
        let offset = |start: &f64| {
            Some(start - starts[first]).filter(|offset| *offset >= slice_s).unwrap_or(0.0)
        };
        let offsets_s: Vec<f64> = starts.iter().map(offset).collect();
        let ends = || offsets_s.iter().zip(reports).map(|(offset, report)| offset + report.ran_s);
        let last_start = offsets_s.iter().copied().fold(0.0, f64::max);
        Ok(Self {
            first,
            slice_s,
            ran_s: ends().fold(0.0, f64::max),
            is_common: ends().all(|end| end > last_start || last_start == 0.0),
            offsets_s,
        })
    }

    /// Returns the merged slices of all reports.
    pub(super) fn slices(&self, reports: &[Report]) -> Vec<ReportSlice> {
        let mut all: BTreeMap<u64, ReportSlice> = BTreeMap::new();
        for (report, offset) in reports.iter().zip(&self.offsets_s) {
            for (place, slice) in self.place(report, *offset) {
                match all.get_mut(&place) {
                    None => drop(all.insert(place, slice)),
                    Some(there) => {
                        add_slice(there, &slice);
                        there.open_count += slice.open_count;
                        there.length_s = there.length_s.max(slice.length_s);
                    }
                }
            }
        }
        all.into_values().collect()
    }

    /// Returns the slices of one report by their place in the merged one; shorter slices are
    /// combined.
    fn place(&self, report: &Report, offset_s: f64) -> BTreeMap<u64, ReportSlice> {
        let mut placed: BTreeMap<u64, ReportSlice> = BTreeMap::new();
        for slice in &report.slices {
            // The middle of the slice, so that a small clock error does not move it to the previous
            // place.
            let place =
                ((offset_s + slice.start_s + slice.length_s / 2.0) / self.slice_s).floor() as u64;
            match placed.get_mut(&place) {
                None => drop(placed.insert(
                    place,
                    ReportSlice { start_s: place as f64 * self.slice_s, ..slice.clone() },
                )),
                Some(there) => there.append(slice),
            }
        }
        placed
    }
}

/// Returns the wall-clock start of the measurement window, in seconds.
fn start_s(report: &Report) -> Result<f64, LoadError> {
    let started: DateTime<FixedOffset> =
        DateTime::parse_from_rfc3339(&report.started).map_err(|error| {
            LoadError::Report(format!("`{}` is not a start time: {error}", report.started))
        })?;
    Ok(started.timestamp_micros() as f64 / 1e6 + report.settings.warmup_s)
}

fn add_slice(joined: &mut ReportSlice, slice: &ReportSlice) {
    joined.sent_count += slice.sent_count;
    joined.correct_count += slice.correct_count;
    joined.errors_count += slice.errors_count;
    joined.latency.0.merge(&slice.latency.0);
    joined.add_handshakes(slice);
}
