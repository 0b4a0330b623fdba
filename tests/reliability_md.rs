//! Every test that `docs/reliability.md` names is there.

use std::fs;
use std::path::Path;

/// The names of all functions below `dir`.
fn functions(dir: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(dir).expect("a readable folder") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            functions(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).expect("a readable source");
            let starts = source.lines().filter_map(|line| line.trim_start().strip_prefix("fn "));
            names.extend(starts.map(|rest| {
                rest.chars().take_while(|c| *c == '_' || c.is_alphanumeric()).collect()
            }));
        }
    }
}

/// The names that `{a,b}_c` stands for.
fn alternatives(pattern: &str) -> Vec<String> {
    let Some((before, rest)) = pattern.split_once('{') else { return vec![pattern.to_owned()] };
    let (list, behind) = rest.split_once('}').expect("a list that ends");
    list.split(',').flat_map(|word| alternatives(&format!("{before}{word}{behind}"))).collect()
}

/// True exactly when `name` is one that `pattern` stands for, where each `*` is anything.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, rest)) => name.strip_prefix(before).is_some_and(|behind| {
            (0..=behind.len())
                .filter(|start| behind.is_char_boundary(*start))
                .any(|start| fits(rest, &behind[start..]))
        }),
    }
}

/// What stands in backquotes in the last part of the document and is the name of a test, without
/// the file it is in.
fn named_tests(document: &str) -> Vec<&str> {
    let (_, table) = document.split_once("## Fault by fault").expect("the table of faults");
    let quoted = table.split('`').skip(1).step_by(2);
    let names = quoted.map(|text| text.rsplit("::").next().unwrap_or(text));
    names.filter(|name| name.matches('_').count() >= 3 && !name.contains([' ', '/', '('])).collect()
}

#[test]
fn every_test_that_the_document_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = Vec::new();
    ["src", "tests"].iter().for_each(|dir| functions(&root.join(dir), &mut names));
    let document = fs::read_to_string(root.join("docs/reliability.md")).expect("the document");
    let named = named_tests(&document);
    assert!(named.len() > 80, "only {} tests are named", named.len());
    let missing: Vec<String> = named
        .into_iter()
        .flat_map(alternatives)
        .filter(|pattern| !names.iter().any(|name| fits(pattern, name)))
        .collect();
    assert!(missing.is_empty(), "there is no test called {missing:#?}");
}

#[test]
fn a_star_is_anything_and_braces_are_a_choice() {
    assert!(fits("a_*_c*", "a_b_c") && !fits("a_*_c", "a_b_d") && !fits("a", "ab"));
    assert_eq!(alternatives("{a,b}_{c,d}"), ["a_c", "a_d", "b_c", "b_d"]);
}
