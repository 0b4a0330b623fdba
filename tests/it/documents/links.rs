//! Links within the repository lead to a file, and to a heading in it.

use crate::support::documents::{self, Document, root};
use std::path::Path;

/// Returns the targets of the links and pictures in `text`.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
}

/// Returns the anchor of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn has_heading(document: &Document, wanted: &str) -> bool {
    let prose = document.prose();
    prose
        .lines()
        .filter(|line| line.starts_with('#'))
        .any(|line| anchor(line.trim_start_matches('#').trim()) == wanted)
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut count = 0;
    for document in documents::all() {
        let prose = document.prose();
        for target in targets(&prose).filter(|target| !target.contains("://")) {
            let place = format!("{}: {target}", document.path.display());
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let linked = match file {
                "" => document.path.clone(),
                file => document.path.parent().unwrap_or(Path::new("")).join(file),
            };
            assert!(root().join(&linked).exists(), "{place} leads nowhere");
            if !heading.is_empty() {
                let linked = Document::read(linked.to_str().expect("a name in ASCII"));
                assert!(has_heading(&linked, heading), "{place} has no such heading");
            }
            count += 1;
        }
    }
    assert!(count > 20, "only {count} links were found");
}

#[test]
fn an_anchor_is_the_heading_in_lower_case_without_punctuation() {
    assert_eq!(anchor("What all four have in common"), "what-all-four-have-in-common");
    assert_eq!(anchor("Stop, and `exit` codes"), "stop-and-exit-codes");
}
