//! A file with a row per request, as CSV.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::LoadError;
use crate::measurement::causes::Cause;
use crate::measurement::format::count;
use crate::measurement::latency::microseconds;
use crate::measurement::logged_request::{LoggedRequest, RequestLog};
use crate::report::files::cannot;
use crate::report::whole_file::WholeFile;

const HEADER: &str =
    "end_s,connection_number,request_number,result,from_send_us,from_schedule_us\n";

/// A file of requests, which is complete or absent.
#[derive(Debug)]
pub struct RequestLogFile {
    path: PathBuf,
    file: BufWriter<WholeFile>,
    rows: u64,
    skipped: u64,
    /// The first failure; no row is written after it.
    error: Option<io::Error>,
}

impl RequestLogFile {
    /// Opens the temporary file.
    ///
    /// # Errors
    /// Fails with one line.
    pub fn create(path: &Path) -> Result<Self, LoadError> {
        let file = WholeFile::create(path).map_err(|error| cannot("write", path, error))?;
        let mut log = Self {
            path: path.to_owned(),
            file: BufWriter::new(file),
            rows: 0,
            skipped: 0,
            error: None,
        };
        log.write(HEADER);
        Ok(log)
    }

    /// Writes a row for each request.
    pub fn add(&mut self, log: &RequestLog) {
        self.skipped += log.skipped;
        let mut row = String::new();
        for request in &log.requests {
            row.clear();
            write_row(&mut row, request);
            self.write(&row);
        }
        self.rows += log.requests.len() as u64;
    }

    fn write(&mut self, text: &str) {
        if self.error.is_none() {
            self.error = self.file.write_all(text.as_bytes()).err();
        }
    }

    /// Returns a note on a log that lacks requests; `None` if it has all.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        (self.skipped > 0).then(|| {
            format!(
                "The log of requests has {} of {}: raise --log-requests-max for more.",
                count(self.rows),
                count(self.rows + self.skipped)
            )
        })
    }

    /// Completes the file.
    ///
    /// # Errors
    /// Fails if a row could not be written.
    pub fn finish(self) -> Result<(), LoadError> {
        let Self { path, file, error, .. } = self;
        let complete = || match error {
            Some(error) => Err(error),
            None => file.into_inner().map_err(io::IntoInnerError::into_error)?.finish(b""),
        };
        complete().map_err(|error| cannot("write", &path, error))
    }
}

fn write_row(row: &mut String, request: &LoggedRequest) {
    // Writing to a string cannot fail.
    let _ = write!(
        row,
        "{:.6},{},{},{},{:.3},",
        request.end.as_secs_f64(),
        request.connection,
        request.number,
        request.error.map_or("correct", |error| error.name()),
        microseconds(request.from_send),
    );
    if let Some(from_schedule) = request.from_schedule {
        let _ = write!(row, "{:.3}", microseconds(from_schedule));
    }
    row.push('\n');
}
