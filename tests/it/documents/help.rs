//! The help of the three programs and their manual pages.

use crate::support::documents::root;
use crate::support::help::help;
use std::fs;

/// What the help of the load generator says about the words in braces that a message can have.
const FIELDS: [&str; 3] = ["{hex:4}", "{hex:8}", "{{ is {"];

/// Checks that every brace in `text` belongs to one of `fields`: another one would be a placeholder
/// that was not replaced.
#[track_caller]
fn check_braces(source: &str, text: &str, fields: &[&str]) {
    let line = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    let rest = fields.iter().fold(line, |line, field| line.replace(field, ""));
    let words: Vec<&str> = rest.split(' ').filter(|word| word.contains(['{', '}'])).collect();
    assert_eq!(words, [""; 0], "placeholders in {source}");
}

#[test]
fn no_help_and_no_manual_page_has_a_placeholder() {
    for (name, program, fields) in [
        ("tinytcp-server", env!("CARGO_BIN_EXE_tinytcp-server"), &[][..]),
        ("tinytcp-client", env!("CARGO_BIN_EXE_tinytcp-client"), &[]),
        ("tinytcp-load", env!("CARGO_BIN_EXE_tinytcp-load"), &FIELDS),
    ] {
        for flag in ["-h", "--help"] {
            check_braces(&format!("{name} {flag}"), &help(program, flag), fields);
        }
        let path = format!("packaging/man/{name}.1");
        let page = fs::read_to_string(root().join(&path));
        check_braces(&path, &page.unwrap_or_else(|error| panic!("{path}: {error}")), fields);
    }
}
