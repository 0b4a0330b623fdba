//! What the pages say of programs and of the server is true.

use std::fs;
use std::path::{Path, PathBuf};

/// The names of the pages, without their ending, by the number of the step.
const PAGES: [&str; 9] = [
    "README",
    "1-reading",
    "2-writing",
    "3-backpressure",
    "4-fairness",
    "5-closing",
    "6-accepting",
    "7-tokens",
    "8-stopping",
];

/// Where a page is stored. Page 0 is the introduction.
pub fn page_path(step: usize) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGES[step]).with_extension("md")
}

/// The text of a page.
pub fn page(step: usize) -> String {
    fs::read_to_string(page_path(step)).expect("a page of the guide")
}
