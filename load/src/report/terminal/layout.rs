//! The lines and columns of the printed report.

use std::fmt::Write;

/// A report under construction.
pub(super) struct TextPage {
    pub(super) text: String,
    pub(super) is_coloured: bool,
    pub(super) width: usize,
}

impl TextPage {
    /// Adds a label and a text, which is wrapped in its column.
    pub(super) fn entry(&mut self, label: &str, colour: &str, text: &str, indent: usize) {
        let mut label = format!("{label:indent$}");
        for line in wrapped(text, self.width - indent) {
            let line = format!("{label}{}", self.paint(colour, line));
            self.line(&line);
            label = " ".repeat(indent);
        }
    }

    pub(super) fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    pub(super) fn paint(&self, colour: &str, text: &str) -> String {
        if self.is_coloured && !colour.is_empty() {
            format!("{colour}{text}\x1b[0m")
        } else {
            text.into()
        }
    }
}

/// Appends a right-aligned table cell.
pub(super) fn cell(row: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _ = write!(row, "{text:>11}");
}

/// Appends a cell of the latency table, whose eight values must fit 80 characters.
pub(super) fn latency_cell(row: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _ = write!(row, "{text:>8}");
}

/// Wraps `text` to lines of at most `width` characters. A longer word has a line of its own.
pub(in crate::report) fn wrapped(text: &str, width: usize) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text.trim();
    while rest.chars().count() > width {
        let limit = rest.char_indices().nth(width).map_or(rest.len(), |(at, _)| at);
        let space = rest[..=limit].rfind(' ').or_else(|| rest.find(' '));
        let Some(space) = space else { break };
        lines.push(rest[..space].trim_end());
        rest = rest[space..].trim_start();
    }
    lines.push(rest);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_at_spaces() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("one two three", 6), ["one", "two", "three"]);
        assert_eq!(wrapped("unbreakable word", 4), ["unbreakable", "word"]);
        assert_eq!(wrapped("äöü äöü", 3), ["äöü", "äöü"]);
        assert_eq!(wrapped("", 10), [""]);
    }
}
