//! Printing a report, and writing and reading its files.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::formats::{csv, hgrm, json};
use super::whole_file::WholeFile;
use super::{Report, page, terminal};
use crate::error::LoadError;

/// The files to write; `None` for formats not requested, and `-` for stdout.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    /// The complete report as JSON.
    pub json: Option<PathBuf>,
    /// CSV with a row for each slice.
    pub csv: Option<PathBuf>,
    /// An HTML page.
    pub html: Option<PathBuf>,
    /// The latencies in the text format of HdrHistogram.
    pub hgrm: Option<PathBuf>,
}

impl Paths {
    /// Returns how many of them are stdout.
    #[must_use]
    pub fn stdout_count(&self) -> usize {
        [&self.json, &self.csv, &self.html, &self.hgrm]
            .into_iter()
            .flatten()
            .filter(|path| is_stdout(path))
            .count()
    }

    /// Returns those that are not stdout.
    #[must_use]
    pub fn without_stdout(self) -> Self {
        let file = |path: Option<PathBuf>| path.filter(|path| !is_stdout(path));
        let Self { json, csv, html, hgrm } = self;
        Self { json: file(json), csv: file(csv), html: file(html), hgrm: file(hgrm) }
    }
}

/// Returns true for `-`.
pub(super) fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// Checks that the files of `paths` can be written, so that a wrong path is reported before a long
/// run. The files stay as they are.
///
/// # Errors
/// Fails with one line about the first file that cannot be written.
pub fn check_files(paths: &Paths) -> Result<(), LoadError> {
    let paths = [&paths.json, &paths.csv, &paths.html, &paths.hgrm];
    paths.into_iter().flatten().try_for_each(|path| check_file(path))
}

/// Checks that the file at `path` can be written, or that `path` is stdout.
///
/// # Errors
/// Fails with one line.
pub fn check_file(path: &Path) -> Result<(), LoadError> {
    if is_stdout(path) {
        return Ok(());
    }
    WholeFile::create(path).map(drop).map_err(|error| cannot("write", path, error))
}

/// Writes `text` to a file, which is complete or as before, or to stdout.
///
/// # Errors
/// Fails with one line.
pub fn write_file(path: &Path, text: &str) -> Result<(), LoadError> {
    write_to(path, text.as_bytes()).map_err(|error| cannot("write", path, error))
}

/// Writes the files of `paths`, and returns the names of those other than stdout.
///
/// # Errors
/// Fails with one line about each file that could not be written, joined by `; `. The others are
/// written.
pub fn write_files(report: &Report, paths: &Paths) -> Result<Vec<String>, LoadError> {
    let (mut errors, mut written) = (Vec::new(), Vec::new());
    let mut write = |path: &Option<PathBuf>, text: &dyn Fn(&Report) -> String| {
        let Some(path) = path else { return };
        match write_to(path, text(report).as_bytes()) {
            Ok(()) if is_stdout(path) => {}
            Ok(()) => written.push(path.display().to_string()),
            Err(error) => errors.push(cannot("write", path, error)),
        }
    };
    write(&paths.json, &json::text);
    write(&paths.csv, &csv::text);
    write(&paths.html, &page::text);
    write(&paths.hgrm, &hgrm::text);
    if errors.is_empty() { Ok(written) } else { Err(LoadError::Files(errors)) }
}

fn write_to(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if !is_stdout(path) {
        return WholeFile::create(path)?.finish(bytes);
    }
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        // A reader such as `head` closes the pipe when it has enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Reads a report that `--json` has written.
///
/// # Errors
/// Fails with one line if the file cannot be read, is not a report, has another schema, or is
/// invalid.
pub fn read(path: &Path) -> Result<Report, LoadError> {
    let bytes = fs::read(path).map_err(|error| cannot("read", path, error))?;
    let file = path.display().to_string();
    json::parse(&bytes)
        .map(|report| Report { file: file.clone(), ..report })
        .map_err(|error| LoadError::Report(format!("{file}: {error}")))
}

/// Returns the report as text, in colours if `is_coloured`, in lines of at most `width` characters.
#[must_use]
pub fn text(report: &Report, is_coloured: bool, width: usize) -> String {
    terminal::text(report, is_coloured, width)
}

/// Prints the report as text, in colours if `is_coloured`, in lines of at most `width` characters.
///
/// # Errors
/// Fails if `out` cannot be written.
pub fn print(
    report: &Report,
    out: &mut impl Write,
    is_coloured: bool,
    width: usize,
) -> io::Result<()> {
    out.write_all(text(report, is_coloured, width).as_bytes())?;
    out.flush()
}

pub(super) fn cannot(action: &'static str, path: &Path, error: io::Error) -> LoadError {
    LoadError::File { action, path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn an_unwritable_file_is_one_line_and_the_others_are_written() {
        let folder = std::env::temp_dir().join(format!("tinytcp-report-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let paths = Paths {
            json: Some(folder.join("missing").join("run.json")),
            csv: Some(folder.join("run.csv")),
            ..Paths::default()
        };
        let error = write_files(&Report::new(&fixtures::closed().done(), &[]), &paths)
            .expect_err("there is no such folder")
            .to_string();
        assert!(
            error.starts_with("cannot write ")
                && error.contains("run.json")
                && !error.contains('\n'),
            "{error}"
        );
        assert!(folder.join("run.csv").exists());
        std::fs::remove_dir_all(&folder).expect("our own folder");
    }

    #[test]
    fn a_missing_file_is_one_line() {
        let error =
            read(Path::new("/nonexistent/run.json")).expect_err("it is not there").to_string();
        assert!(error.starts_with("cannot read /nonexistent/run.json: "), "{error}");
    }
}
