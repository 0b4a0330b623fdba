//! The reading times beside the names of files fit the lengths of the files.

use crate::support::documents::{Document, root};
use std::fs;

/// The lines of code and comments that the documents count as a minute.
const LINES_PER_MINUTE: usize = 10;

/// Returns the number of lines that are not blank, without the unit tests at the end.
fn line_count(file: &str) -> usize {
    let source = fs::read_to_string(root().join(file));
    let source = source.unwrap_or_else(|error| panic!("{file}: {error}"));
    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim().is_empty()).count()
}

/// Returns the minutes and the sources in a row of a table.
fn reading(row: &str) -> Option<(usize, Vec<&str>)> {
    let mut cells = row.strip_prefix("| ")?.split(" | ");
    let minutes = cells.next()?.parse().ok()?;
    let files: Vec<_> = cells.next()?.split('`').filter(|file| file.ends_with(".rs")).collect();
    (!files.is_empty()).then_some((minutes, files))
}

#[test]
fn the_minutes_beside_a_file_fit_its_length() {
    let mut count = 0;
    for page in ["README.md", "docs/reading.md"] {
        for (minutes, files) in Document::read(page).text.lines().filter_map(reading) {
            let needed = files.iter().map(|file| line_count(file)).sum::<usize>();
            let needed = needed.div_ceil(LINES_PER_MINUTE);
            let is_honest = minutes * 2 >= needed && minutes <= needed * 2;
            assert!(is_honest, "{page}: {files:?} take {needed} minutes, not {minutes}");
            count += 1;
        }
    }
    assert!(count > 20, "only {count} rows have minutes");
}
