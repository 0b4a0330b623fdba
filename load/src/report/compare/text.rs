//! The printed comparison.

use std::fmt::Write;

use super::{ComparedFigure, Comparison, Difference};
use crate::measurement::format::{change, percent, plural, rate, seconds};
use crate::report::terminal::layout::wrapped;
use crate::report::words::printable;

/// Width of the notes.
const WIDTH: usize = 80;

const RED: &str = "\x1b[1;31m";
const GREEN: &str = "\x1b[1;32m";
const YELLOW: &str = "\x1b[1;33m";

/// Returns the comparison. Colours only repeat what the words show.
pub(super) fn text(comparison: &Comparison, is_coloured: bool) -> String {
    let paint = |colour: &str, text: &str| {
        if is_coloured { format!("{colour}{text}\x1b[0m") } else { text.to_owned() }
    };
    let mut page = String::new();
    for (name, run) in [("before", &comparison.before), ("after", &comparison.after)] {
        // Writing to a string cannot fail.
        let (file, started) = (printable(&run.file), printable(&run.started));
        let slices = plural(run.slices_count as u64, "slice");
        let _ = writeln!(page, "{name:<8}{file}, {started}, {slices}");
    }
    for note in &comparison.notes {
        for line in wrapped(&printable(note), WIDTH) {
            let _ = writeln!(page, "{}", paint(YELLOW, line));
        }
    }
    let _ = writeln!(page, "\n{:<12}{:>11}{:>11}{:>11}{:>9}", "", "before", "after", "change", "p");
    for row in &comparison.rows {
        page.push_str(&line(row));
    }
    page.push_str(
        "\np: Mann-Whitney U test over the slices; a difference is seen if p is below 0.01.\n",
    );
    let mut label = "Gates";
    for gate in &comparison.gates {
        let word = if gate.crossed { paint(RED, "FAIL") } else { paint(GREEN, "PASS") };
        let (text, measured) = (printable(&gate.gate), printable(&gate.measured));
        let _ = writeln!(page, "{label:<8}{word} {text}: {measured}");
        label = "";
    }
    page
}

fn line(row: &ComparedFigure) -> String {
    let show = |value: Option<f64>| match value {
        None => "-".into(),
        Some(value) if row.name.ends_with("_us") => seconds(value / 1e6),
        Some(value) if row.name.ends_with("_ratio") => percent(value),
        Some(value) => rate(value),
    };
    let name = match row.name {
        "replies_per_s" => "replies".into(),
        "errors_ratio" => "errors".into(),
        name => name.trim_end_matches("_us").replace("99_9", "99.9"),
    };
    let result = match row.result {
        Difference::Higher => "  higher",
        Difference::Lower => "  lower",
        Difference::NoDifferenceSeen => "  no difference seen",
        Difference::TooFewSlices => "  too few slices",
        Difference::NotTested => "  not tested",
    };
    let p = match row.p_value {
        None => "-".into(),
        Some(p) if p < 0.0001 => "< 0.0001".into(),
        Some(p) => format!("{p:.4}"),
    };
    let change = row.change_ratio.map_or_else(|| "-".into(), change);
    format!("{name:<12}{:>11}{:>11}{change:>11}{p:>9}{result}\n", show(row.before), show(row.after))
}
