//! The page of each program describes every flag that the program takes, and no other.

use crate::support::documents::Document;
use crate::support::help::{flags, help};
use std::collections::BTreeSet;

/// Returns the flags in `text`, with their dashes.
fn named(text: &str) -> BTreeSet<String> {
    let is_of_flag = |c: char| c.is_ascii_lowercase() || c == '-';
    text.match_indices("--")
        .filter(|(start, _)| !text[..*start].ends_with('-'))
        .map(|(start, _)| text[start..].split(|c| !is_of_flag(c)).next().unwrap_or_default())
        .filter(|flag| flag.len() > "--".len())
        .map(str::to_owned)
        .collect()
}

/// Compares the flags of the page with those of `program -h`.
#[track_caller]
fn compare(program: &str, page: &str) {
    let help = help(program, "-h");
    let mut taken: BTreeSet<String> = flags(&help).into_iter().map(|flag| flag.name).collect();
    for every_program in ["--help", "--version"] {
        taken.remove(every_program);
    }
    let items = Document::read(page).text;
    let items = items.lines().filter_map(|line| line.strip_prefix("- `-")?.split_once("`: "));
    let described: BTreeSet<String> =
        items.flat_map(|(item, _)| named(&format!("-{item}"))).collect();
    assert!(taken.len() > 5, "{program} lists its flags: {help}");
    assert_eq!(described, taken, "{page} and {program} -h differ");
}

#[test]
fn the_page_of_the_server_describes_every_flag() {
    compare(env!("CARGO_BIN_EXE_tinytcp-server"), "docs/server.md");
}

#[test]
fn the_page_of_the_client_describes_every_flag() {
    compare(env!("CARGO_BIN_EXE_tinytcp-client"), "docs/client.md");
}

#[test]
fn the_page_of_the_load_generator_describes_every_flag() {
    compare(env!("CARGO_BIN_EXE_tinytcp-load"), "docs/load.md");
}
