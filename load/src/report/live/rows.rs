//! A file with a row per second, as NDJSON or CSV.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::error::LoadError;
use crate::measurement::averages::per_second;
use crate::measurement::latency::{Latency, microseconds};
use crate::measurement::outcome::Slice;
use crate::report::files::{cannot, check_file, is_stdout};
use crate::report::whole_file::WholeFile;

const SECOND: Duration = Duration::from_secs(1);

/// Minimum length of a last row without requests.
const REST_MIN: Duration = Duration::from_millis(10);

const HEADER: &str = "at_s,length_s,sent_count,correct_count,errors_count,open_count,unsent_count,\
                      replies_per_s,p50_us,p99_us,max_us,handshakes_count,handshake_p99_us\n";

/// The format of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFormat {
    /// A JSON object per line.
    Ndjson,
    /// Comma-separated values after a header.
    Csv,
}

/// The row of one second. `docs/load-report.md` describes its keys.
#[derive(Clone, Debug, Serialize)]
struct LiveRow {
    at_s: f64,
    length_s: f64,
    sent_count: u64,
    correct_count: u64,
    errors_count: u64,
    open_count: u64,
    unsent_count: u64,
    replies_per_s: f64,
    p50_us: Option<f64>,
    p99_us: Option<f64>,
    max_us: Option<f64>,
    handshakes_count: u64,
    handshake_p99_us: Option<f64>,
}

/// A file that grows by a row per second.
#[derive(Debug)]
pub struct LiveFile {
    path: PathBuf,
    format: RowFormat,
    /// `None` before the first row: the file then appears with this row.
    file: Option<File>,
    /// The steps since the last row.
    recent: Recent,
    /// The end of the last row, or the start of the first one, after the start of the load.
    last: Option<Duration>,
    /// When the next row is due, after the start of the load.
    due: Duration,
    /// The first failure; no row is written after it.
    error: Option<io::Error>,
    is_closed: bool,
}

#[derive(Debug, Default)]
struct Recent {
    at: Duration,
    length: Duration,
    sent: u64,
    correct: u64,
    errors: u64,
    open: usize,
    unsent: u64,
    latency: Latency,
    handshake: Latency,
}

impl LiveFile {
    /// Checks that a file at `path` can be written; `-` is stdout. The file appears with its first
    /// row.
    ///
    /// # Errors
    /// Fails with one line.
    pub fn new(path: &Path, format: RowFormat) -> Result<Self, LoadError> {
        check_file(path)?;
        Ok(Self {
            path: path.to_owned(),
            format,
            file: None,
            recent: Recent::default(),
            last: None,
            due: SECOND,
            error: None,
            is_closed: false,
        })
    }

    /// Adds a step of the run, and writes a row if a second is over.
    pub fn step(&mut self, step: &Slice, unsent: u64, elapsed: Duration) {
        let recent = &mut self.recent;
        recent.at = recent.at.max(elapsed);
        // A thread without a core skips steps, so a row can be longer than their sum.
        let start = *self.last.get_or_insert(elapsed.saturating_sub(step.length));
        recent.length = recent.at.saturating_sub(start);
        recent.sent += step.sent;
        recent.correct += step.correct;
        recent.errors += step.errors;
        (recent.open, recent.unsent) = (step.open, unsent);
        recent.latency.merge(&step.latency);
        recent.handshake.merge(&step.handshake);
        if elapsed >= self.due {
            self.write_row();
        }
        while self.due <= elapsed {
            self.due += SECOND;
        }
    }

    /// Writes the last row, of less than a second.
    ///
    /// # Errors
    /// Fails if a row could not be written.
    pub fn finish(mut self) -> Result<(), LoadError> {
        let has_requests = self.recent.sent + self.recent.correct + self.recent.errors > 0;
        if has_requests || self.recent.length > REST_MIN {
            self.write_row();
        }
        self.error.map_or(Ok(()), |error| Err(cannot("write", &self.path, error)))
    }

    fn write_row(&mut self) {
        self.last = Some(self.recent.at);
        let row = std::mem::take(&mut self.recent).row();
        if self.is_closed || self.error.is_some() {
            return;
        }
        let mut text = match self.format {
            // Every key is a string and every part is serialisable, so no error can occur.
            RowFormat::Ndjson => serde_json::to_string(&row).unwrap_or_default() + "\n",
            RowFormat::Csv => row.csv(),
        };
        let is_first = self.file.is_none();
        if is_first && self.format == RowFormat::Csv {
            text.insert_str(0, HEADER);
        }
        match self.append(text.as_bytes()) {
            Ok(()) => {}
            // A reader such as `head` closes the pipe when it has enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.is_closed = true,
            Err(error) => self.error = Some(error),
        }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            return file.write_all(bytes);
        }
        self.file = Some(if is_stdout(&self.path) {
            let mut stdout = File::from(rustix::io::dup(io::stdout())?);
            stdout.write_all(bytes)?;
            stdout
        } else {
            WholeFile::create(&self.path)?.publish(bytes)?
        });
        Ok(())
    }
}

impl Recent {
    fn row(&self) -> LiveRow {
        let figure = |duration| (self.latency.count() > 0).then(|| microseconds(duration));
        LiveRow {
            at_s: self.at.as_secs_f64(),
            length_s: self.length.as_secs_f64(),
            sent_count: self.sent,
            correct_count: self.correct,
            errors_count: self.errors,
            open_count: self.open as u64,
            unsent_count: self.unsent,
            replies_per_s: per_second(self.correct, self.length.as_secs_f64()),
            p50_us: figure(self.latency.quantile(0.5)),
            p99_us: figure(self.latency.quantile(0.99)),
            max_us: figure(self.latency.max()),
            handshakes_count: self.handshake.count(),
            handshake_p99_us: (self.handshake.count() > 0)
                .then(|| microseconds(self.handshake.quantile(0.99))),
        }
    }
}

impl LiveRow {
    fn csv(&self) -> String {
        let figures = [self.p50_us, self.p99_us, self.max_us, self.handshake_p99_us];
        let [p50, p99, max, handshake_p99] =
            figures.map(|figure| figure.map_or(String::new(), |figure| format!("{figure:.3}")));
        format!(
            "{:.3},{:.3},{},{},{},{},{},{:.1},{p50},{p99},{max},{},{handshake_p99}\n",
            self.at_s,
            self.length_s,
            self.sent_count,
            self.correct_count,
            self.errors_count,
            self.open_count,
            self.unsent_count,
            self.replies_per_s,
            self.handshakes_count,
        )
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::fixtures;

    /// Returns the file of 25 steps of 100 ms with 10 requests each.
    fn written(format: RowFormat) -> String {
        let name = format!("tinytcp-live-{}-{format:?}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let mut file = LiveFile::new(&path, format).expect("a writable folder");
        let length = Duration::from_millis(100);
        let step =
            Slice { length, sent: 10, correct: 10, ..fixtures::closed().done().slices[0].clone() };
        for number in 1..=25 {
            assert_eq!(path.exists(), number > 10, "it appears with its first row");
            file.step(&step, 3, length * number);
        }
        file.finish().expect("a writable file");
        let text = fs::read_to_string(&path).expect("it was written");
        fs::remove_file(&path).expect("our own");
        text
    }

    #[test]
    fn each_second_is_a_row_and_the_rest_another_one() {
        let text = written(RowFormat::Ndjson);
        let rows: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let numbers =
            |key: &str| rows.iter().map(|row| row[key].as_f64().expect(key)).collect::<Vec<_>>();
        assert_eq!(numbers("at_s"), [1.0, 2.0, 2.5]);
        assert_eq!(numbers("correct_count"), [100.0, 100.0, 50.0]);
        assert_eq!(numbers("replies_per_s"), [100.0; 3]);
        assert_eq!(numbers("unsent_count"), [3.0; 3]);
    }

    #[test]
    fn csv_has_a_header_with_the_same_keys() {
        let text = written(RowFormat::Csv);
        let rows: Vec<Vec<&str>> = text.lines().map(|row| row.split(',').collect()).collect();
        assert_eq!((rows.len(), rows[1][0], rows[3][3]), (4, "1.000", "50"));
        assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{text}");
        let keys = serde_json::to_value(Recent::default().row()).expect("JSON");
        assert!(rows[0].iter().all(|key| keys.get(key).is_some()), "{text}");
    }
}
