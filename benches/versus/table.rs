//! What came of it, as tables in Markdown.

use std::error::Error;

use super::contenders::{Contender, FLOOR};
use super::rows::Row;
use super::statistics::{Spread, shown};

/// What the rounds of one row gave.
pub struct Results {
    row: &'static Row,
    entries: Vec<Entry>,
}

/// What the rounds gave for one contender.
struct Entry {
    contender: &'static Contender,
    /// The figures of each round.
    rounds: Vec<Vec<f64>>,
    /// Why there are none.
    failure: Option<String>,
}

impl Results {
    /// None yet.
    pub fn new(row: &'static Row, contenders: &[&'static Contender]) -> Self {
        let entry = |contender: &&'static Contender| Entry { contender, rounds: Vec::new(), failure: None };
        Self { row, entries: contenders.iter().map(entry).collect() }
    }

    /// Adds what `measure` gives for one contender. Who has failed once has no further turn.
    pub fn measure(&mut self, index: usize, measure: impl FnOnce() -> Result<Vec<f64>, Box<dyn Error>>) {
        let entry = &mut self.entries[index];
        if entry.failure.is_none() {
            match measure() {
                Ok(figures) => entry.rounds.push(figures),
                Err(error) => entry.failure = Some(error.to_string()),
            }
        }
    }

    /// Why there are no figures of our own server, or of the floor, where there should be.
    pub fn failures(&self) -> impl Iterator<Item = String> {
        let failed = self.entries.iter().filter(|entry| entry.contender.must_succeed());
        failed.filter_map(|entry| {
            Some(format!("{}, {}: {}", self.row.name, entry.contender.name, entry.failure.as_ref()?))
        })
    }

    /// The ratio of the first figure to the floor's in the same round.
    fn ratio(&self, entry: &Entry) -> Option<Spread> {
        let floor = self.entries.iter().find(|entry| entry.contender.name == FLOOR).filter(|_| self.row.is_relative)?;
        Spread::of(entry.rounds.iter().zip(&floor.rounds).map(|(figures, floor)| figures[0] / floor[0]))
    }
}

impl Entry {
    fn spread(&self, column: usize) -> Option<Spread> {
        Spread::of(self.rounds.iter().map(|figures| figures[column]))
    }

    /// The first figure and its ratio to the floor's, or why there is none.
    fn summary(&self, ratio: Option<Spread>) -> String {
        match (&self.failure, self.spread(0), ratio) {
            (Some(failure), _, _) => failure.clone(),
            (None, Some(figure), Some(ratio)) => format!("{} ({:.2} ×)", shown(figure.median), ratio.median),
            (None, Some(figure), None) => shown(figure.median),
            (None, None, _) => "–".into(),
        }
    }
}

/// Prints the table of one row: a line a server, medians, and in parentheses the least and the most of all rounds.
pub fn print(results: &Results) {
    let Results { row, entries } = results;
    println!("### {} (`{}`)\n", row.title, row.name);
    let relative: &[&str] = if row.is_relative { &["× floor"] } else { &[] };
    let heads = [&["server", row.columns[0]], relative, &row.columns[1..]].concat();
    println!("| {} |\n{}|", heads.join(" | "), "|---".repeat(heads.len()));
    for entry in entries {
        let mut cells = vec![entry.contender.title.to_owned()];
        match &entry.failure {
            Some(failure) => cells.push(failure.clone()),
            None => cells.extend(figures(results, entry)),
        }
        cells.resize(heads.len(), String::new());
        println!("| {} |", cells.join(" | "));
    }
    println!();
}

fn figures(results: &Results, entry: &Entry) -> Vec<String> {
    let with_ends = |Spread { min, median, max }: Spread| match entry.rounds.len() {
        1 => shown(median),
        _ => format!("{} ({}–{})", shown(median), shown(min), shown(max)),
    };
    let cell = |column| entry.spread(column).map_or("–".into(), with_ends);
    let ratio = results.ratio(entry).map_or("–".into(), |ratio| format!("{:.2}", ratio.median));
    let relative = results.row.is_relative.then_some(ratio);
    [cell(0)].into_iter().chain(relative).chain((1..results.row.columns.len()).map(cell)).collect()
}

/// Prints the first figure of every row: a line a row, a column a server.
pub fn print_summary(all: &[Results]) {
    let Some(first) = all.first() else { return };
    let titles: Vec<&str> = first.entries.iter().map(|entry| entry.contender.title).collect();
    println!("### Summary: medians, and in parentheses the ratio to the floor\n");
    println!("| | {} |\n|---{}|", titles.join(" | "), "|---".repeat(titles.len()));
    for results in all {
        let cells: Vec<String> = results.entries.iter().map(|entry| entry.summary(results.ratio(entry))).collect();
        println!("| {}; {} | {} |", results.row.title, results.row.columns[0], cells.join(" | "));
    }
}
