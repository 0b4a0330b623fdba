//! The results as tables in Markdown.

use std::error::Error;

use super::contenders::{Contender, FLOOR};
use super::generator::Defect;
use super::rows::Row;
use super::statistics::{Spread, shown};

/// The results of one row.
pub struct Results {
    row: &'static Row,
    entries: Vec<Entry>,
}

/// The results of one contender.
struct Entry {
    contender: Contender,
    /// The figures of each round.
    rounds: Vec<Vec<f64>>,
    /// The reason why there are no further figures.
    failure: Option<Box<dyn Error>>,
}

impl Results {
    /// Creates results without figures.
    pub fn new(row: &'static Row, contenders: &[Contender]) -> Self {
        let entry = |contender: &Contender| Entry {
            contender: contender.clone(),
            rounds: Vec::new(),
            failure: None,
        };
        Self { row, entries: contenders.iter().map(entry).collect() }
    }

    /// Adds the figures that `measure` returns for one contender. One that has failed is skipped.
    pub fn measure(
        &mut self,
        index: usize,
        measure: impl FnOnce() -> Result<Vec<f64>, Box<dyn Error>>,
    ) {
        let entry = &mut self.entries[index];
        if entry.failure.is_none() {
            match measure() {
                Ok(figures) => entry.rounds.push(figures),
                Err(error) => entry.failure = Some(error),
            }
        }
    }

    /// Returns the faults of our own server and of the floor.
    pub fn defects(&self) -> impl Iterator<Item = String> {
        let failed = self.entries.iter().filter(|entry| entry.contender.must_succeed());
        let defect =
            |entry: &'_ Entry| Some(entry.failure.as_ref()?.downcast_ref::<Defect>()?.to_string());
        failed.filter_map(move |entry| {
            Some(format!("{}, {}: {}", self.row.name, entry.contender.name, defect(entry)?))
        })
    }

    /// Returns the ratio of the first figure to the floor's in the same round.
    fn ratio(&self, entry: &Entry) -> Option<Spread> {
        let floor = self.entries.iter().find(|other| other.contender.name == FLOOR)?;
        self.row.is_relative.then(|| entry.relative_to(floor))?
    }

    /// Returns the ratio of the first figure to that of the other build in the same round; `None`
    /// without another build.
    fn ratio_to_other_build(&self, entry: &Entry) -> Option<Spread> {
        let is_other = |other: &&Entry| {
            other.contender.is_other_build() && other.contender.name == entry.contender.name
        };
        let other = self.entries.iter().find(is_other)?;
        (!entry.contender.is_other_build()).then(|| entry.relative_to(other))?
    }

    /// Returns the greatest ratio to the floor that is the goal.
    fn goal(&self, entry: &Entry) -> Option<f64> {
        self.row.goals.iter().find(|(name, _)| *name == entry.contender.name).map(|(_, goal)| *goal)
    }

    /// Returns the first figure, its ratios, and the goal for the ratio to the floor.
    fn summary(&self, entry: &Entry) -> String {
        let Some(figure) = entry.spread(0) else { return NO_FIGURE.into() };
        let ratios = [
            self.ratio(entry).map(|ratio| format!("{:.2} ×", ratio.median)),
            self.goal(entry).map(|goal| format!("goal {goal:.2}")),
            self.ratio_to_other_build(entry)
                .map(|ratio| format!("{:.2} × the other build", ratio.median)),
        ];
        let ratios: Vec<String> = ratios.into_iter().flatten().collect();
        let ratios =
            if ratios.is_empty() { String::new() } else { format!(" ({})", ratios.join(", ")) };
        format!("{}{ratios}", shown(figure.median))
    }

    /// Returns the cells of the line of `entry`.
    fn cells(&self, entry: &Entry, with_other_build: bool) -> Vec<String> {
        let with_ends = |Spread { min, median, max }: Spread| match entry.rounds.len() {
            1 => shown(median),
            _ => format!("{} ({}–{})", shown(median), shown(min), shown(max)),
        };
        let cell = |column| entry.spread(column).map_or(NO_FIGURE.into(), with_ends);
        let ratio = |ratio: Option<Spread>| {
            ratio.map_or(NO_FIGURE.into(), |ratio| format!("{:.2}", ratio.median))
        };
        let goal = || self.goal(entry).map_or(String::new(), |goal| format!("{goal:.2}"));
        let relative = self.row.is_relative.then(|| [ratio(self.ratio(entry)), goal()]);
        let other = with_other_build.then(|| ratio(self.ratio_to_other_build(entry)));
        let cells = [entry.contender.title(), cell(0)]
            .into_iter()
            .chain(relative.into_iter().flatten())
            .chain(other);
        cells.chain((1..self.row.columns.len()).map(cell)).collect()
    }
}

impl Entry {
    fn spread(&self, column: usize) -> Option<Spread> {
        Spread::of(self.rounds.iter().map(|figures| figures[column]))
    }

    fn relative_to(&self, other: &Self) -> Option<Spread> {
        Spread::of(
            self.rounds.iter().zip(&other.rounds).map(|(figures, other)| figures[0] / other[0]),
        )
    }
}

/// Stands for a figure that could not be measured. A note under the table has the reason.
const NO_FIGURE: &str = "–";

/// Prints the table of one row: a line per server, with medians, and in parentheses the least and
/// the greatest figure of all rounds.
pub fn print(results: &Results) {
    let Results { row, entries } = results;
    println!("### {} (`{}`)\n", row.title, row.name);
    let with_other_build = entries.iter().any(|entry| entry.contender.is_other_build());
    let relative: &[&str] = if row.is_relative { &["× floor", "goal"] } else { &[] };
    let other: &[&str] = if with_other_build { &["× other build"] } else { &[] };
    let heads = [&["server", row.columns[0]], relative, other, &row.columns[1..]].concat();
    println!("| {} |\n{}|", heads.join(" | "), "|---".repeat(heads.len()));
    for entry in entries {
        println!("| {} |", results.cells(entry, with_other_build).join(" | "));
    }
    println!();
    let failed = entries.iter().filter_map(|entry| Some((entry, entry.failure.as_ref()?)));
    for (entry, failure) in failed {
        println!(
            "{NO_FIGURE} {}, round {}: {failure}.\n",
            entry.contender.title(),
            entry.rounds.len() + 1
        );
    }
}

/// Prints the first figure of every row: a line per row, and a column per server.
pub fn print_summary(all: &[Results]) {
    let Some(first) = all.first() else { return };
    let titles: Vec<String> = first.entries.iter().map(|entry| entry.contender.title()).collect();
    println!("### Summary: medians, and in parentheses the ratio to the floor\n");
    println!("| | {} |\n|---{}|", titles.join(" | "), "|---".repeat(titles.len()));
    for results in all {
        let cells: Vec<String> =
            results.entries.iter().map(|entry| results.summary(entry)).collect();
        println!("| {}; {} | {} |", results.row.title, results.row.columns[0], cells.join(" | "));
    }
}
