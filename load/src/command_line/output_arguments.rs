//! The arguments of the report and its files.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use tinytcp_cli::units;

use super::values::{self, LiveFormatName};
use crate::judgement::gates::Gate;
use crate::report::Paths;
use crate::report::live::rows::RowFormat;

/// The report and its files.
#[derive(Debug, Args)]
pub struct OutputArguments {
    /// Exit with 3 if this condition is met: 'p99>5ms', 'errors>0.1%' or 'rate<50k', or with
    /// compare 'p99>+10%'; repeatable, also with merge
    #[arg(long, value_name = "GATE", env = "TINYTCP_FAIL_IF", value_delimiter = ',')]
    pub fail_if: Vec<Gate>,

    /// End the run with exit code 3 once this condition is met, checked every second on the run so
    /// far: 'errors>1%' or 'p99>1s'; repeatable
    #[arg(
        long,
        value_name = "GATE",
        env = "TINYTCP_ABORT_IF",
        value_delimiter = ',',
        conflicts_with = "find_max"
    )]
    pub abort_if: Vec<Gate>,

    /// Write the complete report as JSON; - is stdout, and the printed report then goes to stderr
    #[arg(long, value_name = "FILE", env = "TINYTCP_JSON")]
    pub json: Option<PathBuf>,

    /// Write a CSV file with one row per time slice
    #[arg(long, value_name = "FILE", env = "TINYTCP_CSV")]
    pub csv: Option<PathBuf>,

    /// Write an HTML page with charts
    #[arg(long, value_name = "FILE", env = "TINYTCP_HTML")]
    pub html: Option<PathBuf>,

    /// Write the latencies in the text format of HdrHistogram tools
    #[arg(long, value_name = "FILE", env = "TINYTCP_HGRM")]
    pub hgrm: Option<PathBuf>,

    /// Write a row per second while the run goes on: CSV if the name ends with .csv, else NDJSON; -
    /// is stdout
    #[arg(long, value_name = "FILE", env = "TINYTCP_LIVE", conflicts_with = "find_max")]
    pub live: Option<PathBuf>,

    /// Write a CSV file with a row per request
    #[arg(long, value_name = "FILE", env = "TINYTCP_LOG_REQUESTS", conflicts_with = "find_max")]
    pub log_requests: Option<PathBuf>,

    /// Maximum number of rows of --log-requests, which has the first ones
    #[arg(
        long,
        value_name = "N",
        env = "TINYTCP_LOG_REQUESTS_MAX",
        default_value = "1M",
        requires = "log_requests",
        value_parser = units::count
    )]
    pub log_requests_max: usize,

    /// The format of the rows of --live: ndjson or csv [default: by the name of the file]
    #[arg(long, value_name = "NAME", env = "TINYTCP_LIVE_FORMAT", requires = "live")]
    pub live_format: Option<LiveFormatName>,

    /// Serve metrics of the run at http://ADDR/metrics: a port of 127.0.0.1, or HOST:PORT
    #[arg(
        long,
        value_name = "ADDR",
        env = "TINYTCP_PROMETHEUS",
        value_parser = values::metrics_address,
        conflicts_with = "find_max"
    )]
    pub prometheus: Option<SocketAddr>,

    /// Show no progress, and no report if a file goes to stdout
    #[arg(short, long, env = "TINYTCP_QUIET")]
    pub quiet: bool,
}

impl OutputArguments {
    /// Returns the report files to write.
    #[must_use]
    pub fn paths(&self) -> Paths {
        Paths {
            json: self.json.clone(),
            csv: self.csv.clone(),
            html: self.html.clone(),
            hgrm: self.hgrm.clone(),
        }
    }

    /// Returns how many files go to stdout.
    #[must_use]
    pub fn stdout_count(&self) -> usize {
        let is_live = self.live.as_deref() == Some(Path::new("-"));
        self.paths().stdout_count() + usize::from(is_live)
    }

    /// Returns the format of the rows of --live.
    #[must_use]
    pub fn live_format(&self) -> RowFormat {
        let is_csv =
            || self.live.as_ref().is_some_and(|path| path.extension() == Some("csv".as_ref()));
        match self.live_format {
            Some(LiveFormatName::Csv) => RowFormat::Csv,
            None if is_csv() => RowFormat::Csv,
            Some(LiveFormatName::Ndjson) | None => RowFormat::Ndjson,
        }
    }

    /// Returns true if the log of requests goes to stdout, which has no room for it.
    #[must_use]
    pub fn logs_to_stdout(&self) -> bool {
        self.log_requests.as_deref() == Some(Path::new("-"))
    }

    /// Returns a sentence about a condition that does not fit its flag; `None` if all fit.
    /// `is_comparison` is true if two reports are compared.
    #[must_use]
    pub fn misplaced_gate(&self, is_comparison: bool) -> Option<String> {
        let all = self.fail_if.iter().chain(&self.abort_if);
        if let Some(gate) = all.filter(|gate| gate.is_of_comparison()).find(|_| !is_comparison) {
            return Some(format!(
                "the gate '{gate}' is for compare: leave out its sign, or compare two reports"
            ));
        }
        let gate = self.abort_if.iter().find(|gate| gate.is_of_connections())?;
        Some(format!(
            "--abort-if '{gate}' is met while connections open: use --fail-if for connections"
        ))
    }
}
