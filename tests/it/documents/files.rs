//! Every file that a document names exists.

use crate::support::documents::{self, root};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Folders that programs and cargo create. They can be missing.
const MADE_BY_PROGRAMS: [&str; 2] = ["target", ".git"];

/// Returns the words of `text` that can be paths.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_of_path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/' | '.');
    text.split(move |c| !is_of_path(c)).map(|word| word.trim_end_matches('.'))
}

/// Returns the folders in the root of the repository.
fn folders() -> BTreeSet<String> {
    let entries = fs::read_dir(root()).expect("a readable folder").flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    let names = folders.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| !MADE_BY_PROGRAMS.contains(&name.as_str())).collect()
}

#[test]
fn every_file_that_a_document_names_exists() {
    let folders = folders();
    let mut count = 0;
    for document in documents::all() {
        let dir = root().join(document.path.parent().unwrap_or(Path::new("")));
        let is_path =
            |word: &&str| word.split_once('/').is_some_and(|(first, _)| folders.contains(first));
        for word in words(&document.text).filter(is_path) {
            // `core/src/wire/line::name` names a function in `core/src/wire/line.rs`.
            let found = [root(), &dir]
                .into_iter()
                .any(|base| base.join(word).exists() || base.join(format!("{word}.rs")).exists());
            assert!(found, "{} names {word}, which does not exist", document.path.display());
            count += 1;
        }
    }
    assert!(count > 50, "only {count} names of files were found");
}
