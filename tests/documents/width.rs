//! Lines of documents have at most 100 columns.

use crate::support::documents;

const COLUMNS_MAX: usize = 100;

#[test]
fn no_line_of_a_document_is_wider_than_100_columns() {
    for document in documents::all() {
        for (index, line) in document.text.lines().enumerate() {
            // A single long word, such as a link, cannot be wrapped.
            let can_be_wrapped = line.trim_start_matches(['-', ' ']).contains(' ');
            assert!(
                line.chars().count() <= COLUMNS_MAX || !can_be_wrapped,
                "{}:{}: {line}",
                document.path.display(),
                index + 1
            );
        }
    }
}
