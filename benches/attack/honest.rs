//! The honest clients: `tinytcp-load` with a schedule that waits for nobody.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs, process};

use tinytcp_load::report::{self, Report};

/// How many they are.
pub const CLIENTS: usize = 100;

/// How many requests are due in a second, all together: a tenth of what the generator could send,
/// so that it is always in time, and the server has most of its time left for the attackers.
pub const REQUESTS_PER_SECOND: usize = 2000;

/// What is longer under way is an error.
const TIMEOUT: &str = "5s";

/// A running load; killed when dropped.
pub struct Honest {
    child: Child,
    /// Where it puts its report.
    path: PathBuf,
}

impl Honest {
    /// Begins to load the server at `addr`.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(addr: SocketAddr, duration: Duration) -> Result<Self, Box<dyn Error>> {
        let path = env::temp_dir().join(format!("attack-{}.json", process::id()));
        let mut command = Command::new(env!("CARGO_BIN_EXE_tinytcp-load"));
        command
            .arg(format!("text://{addr}"))
            .args(["-c", &CLIENTS.to_string(), "-R", &REQUESTS_PER_SECOND.to_string()])
            .args(["-d", &format!("{}ms", duration.as_millis()), "--timeout", TIMEOUT, "--json"])
            .arg(&path);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { child: command.spawn()?, path })
    }

    /// True exactly when its report is there, or it has failed.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn is_over(&mut self) -> Result<bool, Box<dyn Error>> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// What it has measured; only when it is over.
    ///
    /// # Errors
    /// When it gave up.
    pub fn report(self) -> Result<Report, Box<dyn Error>> {
        Ok(report::read(&self.path)
            .map_err(|error| format!("the honest clients gave up: {error}"))?)
    }
}

impl Drop for Honest {
    fn drop(&mut self) {
        // These fail only when there is nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.path);
    }
}
