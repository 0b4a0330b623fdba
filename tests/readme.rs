//! What README says of flags and files is what the programs and the tree say.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const README: &str = include_str!("../README.md");

/// The words of `text` that start with `prefix`, up to the first character that cannot be in a
/// name.
fn words<'a>(text: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/' | '.');
    text.match_indices(prefix)
        .map(|(start, _)| {
            text[start..].split(|c| !is_of_name(c)).next().unwrap_or_default().trim_end_matches('.')
        })
        .collect()
}

/// The part of README under a heading.
fn section(heading: &str) -> &'static str {
    let start = README.find(&format!("\n## {heading}\n")).expect(heading);
    let body = &README[start + 4..];
    &body[..body.find("\n## ").unwrap_or(body.len())]
}

#[test]
fn the_table_of_flags_is_what_the_server_takes() {
    let help = Command::new(env!("CARGO_BIN_EXE_tinytcp-server"))
        .arg("-h")
        .output()
        .expect("the server starts");
    let help = String::from_utf8(help.stdout).expect("help is UTF-8");
    let taken: BTreeSet<_> = words(&help, "--")
        .into_iter()
        .filter(|flag| !["--help", "--version", "--some-flag"].contains(flag))
        .collect();
    let table: String =
        section("The server").lines().filter(|line| line.starts_with("| `-")).collect();
    assert_eq!(words(&table, "--"), taken);
}

#[test]
fn every_file_that_is_named_exists() {
    for prefix in ["src/", "examples/", "tests/", "benches/"] {
        for file in words(README, prefix) {
            assert!(
                Path::new(env!("CARGO_MANIFEST_DIR")).join(file).exists(),
                "README names {file}"
            );
        }
    }
}
