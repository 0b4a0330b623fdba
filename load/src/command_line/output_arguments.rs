//! The arguments of the report and its files.

use std::path::PathBuf;

use clap::Args;

use crate::judgement::gates::Gate;
use crate::report::Paths;

/// The report and its files.
#[derive(Debug, Args)]
pub struct OutputArguments {
    /// Exit with 3 if this condition is met: 'p99>5ms', 'errors>0.1%' or 'rate<50k', or with
    /// compare 'p99>+10%'; repeatable, also with merge
    #[arg(long, value_name = "GATE", env = "TINYTCP_FAIL_IF", value_delimiter = ',')]
    pub fail_if: Vec<Gate>,

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
}
