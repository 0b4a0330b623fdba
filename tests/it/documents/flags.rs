//! The page of each program describes every flag that the program takes, and no other.

use crate::support::documents::Document;
use std::collections::BTreeSet;
use std::process::Command;

/// Returns the flags in `text`, without their dashes.
fn flags(text: &str) -> BTreeSet<String> {
    let is_of_flag = |c: char| c.is_ascii_lowercase() || c == '-';
    text.match_indices("--")
        .filter(|(start, _)| !text[..*start].ends_with('-'))
        .map(|(start, _)| text[start + 2..].split(|c| !is_of_flag(c)).next().unwrap_or_default())
        .filter(|flag| !flag.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Compares the flags of the page with those of `program -h`.
#[track_caller]
fn compare(program: &str, page: &str) {
    let help = Command::new(program).arg("-h").output().expect("the program starts");
    let help = String::from_utf8(help.stdout).expect("help is UTF-8");
    let is_option = |line: &&str| line.starts_with("  -") || line.starts_with("      --");
    let options = help.lines().filter(is_option).filter_map(|line| line.trim().split("  ").next());
    let mut taken: BTreeSet<String> = options.flat_map(flags).collect();
    for every_program in ["help", "version"] {
        taken.remove(every_program);
    }
    let items = Document::read(page).text;
    let items = items.lines().filter_map(|line| line.strip_prefix("- `-")?.split_once("`: "));
    let described: BTreeSet<String> =
        items.flat_map(|(item, _)| flags(&format!("-{item}"))).collect();
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
