//! What the pages show of the programs and name of the server is there.

use std::fs;
use std::path::{Path, PathBuf};

use crate::program::PROGRAMS;

/// The names of the pages, without their ending. Page 0 is the introduction, the others are steps.
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

/// The words with which Rust introduces what a page can name.
const KEYWORDS: [&str; 4] = ["fn", "struct", "enum", "const"];

/// The root of this package.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where a page is stored.
pub fn page_path(step: usize) -> PathBuf {
    root().join(PAGES[step]).with_extension("md")
}

/// The text of a page.
pub fn page(step: usize) -> String {
    fs::read_to_string(page_path(step)).expect("a page of the guide")
}

fn program(name: &str) -> String {
    let path = root().join("programs").join(name);
    fs::read_to_string(path).unwrap_or_else(|error| panic!("programs/{name}: {error}"))
}

/// The blocks of code in a page: the program that each is from, and its lines.
fn blocks(text: &str) -> Vec<(&str, &str)> {
    let blocks = text.split("\n```rust ").skip(1);
    let block = |block: &'_ str| -> Option<(usize, usize)> {
        Some((block.find('\n')?, block.find("\n```")?))
    };
    blocks
        .map(|text| {
            let (name_end, end) = block(text).expect("a block has a program and an end");
            (&text[..name_end], &text[name_end + 1..=end])
        })
        .collect()
}

#[test]
fn the_code_in_the_pages_is_the_code_of_the_programs() {
    let mut count = 0;
    for step in 0..PAGES.len() {
        for (name, code) in blocks(&page(step)) {
            assert!(program(name).contains(code), "step {step}: not in {name}:\n{code}");
            count += 1;
        }
    }
    assert!(count > 20, "only {count} blocks of code were found");
}

#[test]
fn each_program_is_linked_from_the_page_of_its_step() {
    for (name, _) in PROGRAMS {
        let step = name.split('-').next().and_then(|step| step.parse().ok()).expect("a step");
        assert!(page(step).contains(&format!("(programs/{name}.rs)")), "{name} is not linked");
        assert!(page(0).contains(&format!("| `{name}` |")), "{name} is not in the table");
    }
    for step in [7, 8] {
        let name = format!("{step}-connection.rs");
        assert!(page(step).contains(&format!("(programs/{name})")), "{name} is not linked");
    }
}

/// True when `name` is introduced in the source: as a function, a type or a constant.
fn introduces(source: &str, name: &str) -> bool {
    KEYWORDS.iter().any(|keyword| {
        let introduction = format!("{keyword} {name}");
        source.match_indices(&introduction).any(|(at, _)| {
            let next = source[at + introduction.len()..].chars().next();
            next.is_none_or(|c| !c.is_alphanumeric() && c != '_')
        })
    })
}

#[test]
fn what_the_pages_name_of_the_server_is_there() {
    let repository = root().join("../..");
    let (mut faults, mut count) = (Vec::new(), 0);
    for step in 1..PAGES.len() {
        let text = page(step);
        let (_, section) =
            text.split_once("\n## Where the server does it\n").expect("each step has this section");
        let section = section.split("\n## ").next().unwrap_or_default();
        for item in section.split("\n- ").skip(1) {
            let spans: Vec<&str> = item.split('`').skip(1).step_by(2).collect();
            let files: Vec<&str> =
                spans.iter().copied().filter(|span| span.ends_with(".rs")).collect();
            let read = |file: &&str| {
                fs::read_to_string(repository.join(file))
                    .unwrap_or_else(|error| panic!("step {step}: {file}: {error}"))
            };
            let source: String = files.iter().map(read).collect();
            assert!(!source.is_empty(), "step {step}: no file is named in: {item}");
            let head = item.split(':').next().unwrap_or_default();
            for name in head.split('`').skip(1).step_by(2).filter(|span| !span.ends_with(".rs")) {
                if !introduces(&source, name) {
                    faults.push(format!("step {step}: {name} is not in {files:?}"));
                }
                count += 1;
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(count > 20, "only {count} names were found");
}
