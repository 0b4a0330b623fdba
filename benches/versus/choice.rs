//! What the command line chooses.

use std::env;

use super::contenders::{CONTENDERS, Contender};
use super::rows::{ROWS, Row};

/// The rows and the servers to measure, in the order of the tables.
pub struct Choice {
    pub rows: Vec<&'static Row>,
    pub contenders: Vec<&'static Contender>,
    pub is_quick: bool,
}

impl Choice {
    /// What stands behind `--`: names of rows and of servers, and `--quick`. Of what is not named all is chosen.
    ///
    /// # Errors
    /// A line that says what could have been named.
    pub fn from_arguments() -> Result<Self, String> {
        // Cargo adds `--bench` to what a person wrote.
        let words: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
        let row_names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        let contender_names: Vec<&str> = CONTENDERS.iter().map(|contender| contender.name).collect();
        let (options, names): (Vec<&str>, Vec<&str>) =
            words.iter().map(String::as_str).partition(|word| word.starts_with('-'));
        let is_known = |name: &&str| row_names.contains(name) || contender_names.contains(name);
        let unknown = names.iter().find(|name| !is_known(name)).or(options.iter().find(|option| **option != "--quick"));
        if let Some(unknown) = unknown {
            let (rows, contenders) = (row_names.join(" "), contender_names.join(" "));
            return Err(format!("`{unknown}` is no row ({rows}), no server ({contenders}) and not --quick"));
        }
        Ok(Self {
            rows: named(&ROWS, |row| row.name, &names),
            contenders: named(&CONTENDERS, |contender| contender.name, &names),
            is_quick: !options.is_empty(),
        })
    }
}

/// Those of `all` that are in `names`, or all of them if none is.
fn named<T>(all: &'static [T], name: fn(&T) -> &str, names: &[&str]) -> Vec<&'static T> {
    let is_named = |item: &&T| names.contains(&name(item));
    match all.iter().any(|item| is_named(&item)) {
        true => all.iter().filter(is_named).collect(),
        false => all.iter().collect(),
    }
}
