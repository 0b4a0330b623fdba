//! The choices of the command line.

use std::env;
use std::path::PathBuf;

use tinytcp_cli::UsageError;

use super::contenders::{CONTENDERS, Contender};
use super::rows::{ROWS, Row};

/// The rows and the servers to measure, in the order of the tables.
pub struct Choice {
    pub rows: Vec<&'static Row>,
    pub contenders: Vec<Contender>,
    pub is_quick: bool,
}

impl Choice {
    /// Parses the words after `--`: names of rows and of servers, `--quick`, and `--against` with
    /// the path of another build of our server. Without a name of a row all rows are chosen, and
    /// the same for servers.
    ///
    /// # Errors
    /// The names that are possible.
    pub fn from_arguments() -> Result<Self, UsageError> {
        // Cargo adds `--bench` to the words of the user.
        let mut words = env::args().skip(1).filter(|word| word != "--bench");
        let row_names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        let contender_names: Vec<&str> =
            CONTENDERS.iter().map(|contender| contender.name).collect();
        let (mut names, mut is_quick, mut other_build) = (Vec::new(), false, None);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--quick" => is_quick = true,
                "--against" => {
                    let path = words.next().map(PathBuf::from).filter(|path| path.is_file());
                    other_build = Some(
                        path.ok_or("--against is followed by the path of a built tinytcp-server")?,
                    );
                }
                name if row_names.contains(&name) || contender_names.contains(&name) => {
                    names.push(word)
                }
                unknown => {
                    let (rows, contenders) = (row_names.join(" "), contender_names.join(" "));
                    return Err(UsageError::from(format!(
                        "`{unknown}` is no row ({rows}), no server ({contenders}) and not --quick \
                         or --against PATH"
                    )));
                }
            }
        }
        let contenders = named(&CONTENDERS, |contender| contender.name, &names)
            .into_iter()
            .flat_map(|contender| {
                let other = other_build.as_ref().and_then(|path| contender.on_other_build(path));
                [Some(contender.clone()), other].into_iter().flatten()
            });
        Ok(Self {
            contenders: contenders.collect(),
            rows: named(&ROWS, |row| row.name, &names),
            is_quick,
        })
    }
}

/// Returns the items of `all` with a name in `names`, or all of them if there is none.
fn named<T>(all: &'static [T], name: fn(&T) -> &str, names: &[String]) -> Vec<&'static T> {
    let is_named = |item: &&T| names.iter().any(|named| named == name(item));
    match all.iter().any(|item| is_named(&item)) {
        true => all.iter().filter(is_named).collect(),
        false => all.iter().collect(),
    }
}
