//! No line of code, comment, document or script has more than 100 columns.

use std::fs;
use std::path::{Path, PathBuf};

/// `rustfmt.toml` has the same number.
const COLUMNS_MAX: usize = 100;

/// Folders with files that are built, generated, downloaded or found by a fuzzer.
const FOLDERS_LEFT_OUT: [&str; 7] =
    ["target", ".git", "corpus", "artifacts", "coverage", "completions", "man"];

/// Files of other authors and formats: licences, lock files, pictures.
const FILES_LEFT_OUT: [&str; 4] = ["LICENSE-APACHE", "LICENSE-MIT", ".lock", ".svg"];

/// Collects every text file below `folder`.
fn text_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable folder").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8");
        if path.is_symlink() || FILES_LEFT_OUT.iter().any(|suffix| name.ends_with(suffix)) {
            continue;
        }
        match path.is_dir() {
            true if FOLDERS_LEFT_OUT.contains(&name) => {}
            true => text_files(&path, files),
            false => files.push(path),
        }
    }
}

/// True exactly when a line cannot be wrapped: a single word of a document, such as the name of a
/// test, or an address.
fn cannot_be_wrapped(path: &str, line: &str) -> bool {
    let is_word = path.ends_with(".md") && !line.trim_start_matches(['-', ' ']).contains(' ');
    is_word || line.split(' ').any(|word| word.contains("://") && word.len() > COLUMNS_MAX / 2)
}

/// Returns the lines of the file at `path` that are too long, each with its place.
fn long_lines(path: &str, text: &str) -> Vec<String> {
    // A patch has a column more than the file that it changes.
    let columns_max = COLUMNS_MAX + usize::from(path.ends_with(".patch"));
    text.lines()
        .enumerate()
        .filter(|(_, line)| line.chars().count() > columns_max && !cannot_be_wrapped(path, line))
        .map(|(index, line)| format!("{path}:{}: {} columns", index + 1, line.chars().count()))
        .collect()
}

#[test]
fn no_line_has_more_than_a_hundred_columns() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    text_files(root, &mut files);
    assert!(files.len() > 300, "only {} files were found", files.len());
    let mut found = Vec::new();
    for file in files {
        let path = file.strip_prefix(root).expect("found below it").to_str().expect("UTF-8");
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{path}: {error}"));
        found.extend(long_lines(path, &text));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn long_names_and_addresses_may_be_wider() {
    let (name, address) =
        (format!("- `{}`", "x".repeat(100)), format!("https://{}", "x".repeat(100)));
    assert_eq!(long_lines("docs/a.md", &format!("{name}\n{address}")), Vec::<String>::new());
    assert_eq!(long_lines("src/a.rs", &name), ["src/a.rs:1: 104 columns"]);
    let row = format!("|{}|", " x".repeat(60));
    assert_eq!(long_lines("docs/a.md", &row), ["docs/a.md:1: 122 columns"]);
    let sentence = format!("\n{} (https://x.org)", "x ".repeat(50));
    assert_eq!(long_lines("docs/a.md", &sentence), ["docs/a.md:2: 116 columns"]);
}
