//! The load generator as a process beside the server.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{env, fs, io, process};

use tinytcp_load::report::{self, Report};

/// A running generator; killed when dropped.
pub struct Generator {
    /// The name of its clients in an error.
    name: &'static str,
    child: Child,
    /// The file of its report.
    path: PathBuf,
}

impl Generator {
    /// Starts a generator with `arguments`, whose clients are `name`. If `yields` is true, all
    /// other threads of its processor run first.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(name: &'static str, yields: bool, arguments: &[&str]) -> io::Result<Self> {
        let path = env::temp_dir().join(format!("attack-{}-{name}.json", process::id()));
        let program = env!("CARGO_BIN_EXE_tinytcp-load");
        let mut command = Command::new(if yields { "chrt" } else { program });
        if yields {
            command.args(["--idle", "0", program]);
        }
        command.args(arguments).arg("--json").arg(&path);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { name, child: command.spawn()?, path })
    }

    /// True exactly when the generator has ended.
    ///
    /// # Errors
    /// When the system cannot say whether it runs.
    pub fn is_over(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Waits for the end of the generator, and returns its report.
    ///
    /// # Errors
    /// When the generator has failed.
    pub fn report(self) -> Result<Report, Box<dyn Error>> {
        self.report_with(|path| Ok(report::read(path)?))
    }

    /// The same for a report that `read` parses.
    ///
    /// # Errors
    /// When the generator has failed.
    pub fn report_with<T>(
        mut self,
        read: impl FnOnce(&Path) -> Result<T, Box<dyn Error>>,
    ) -> Result<T, Box<dyn Error>> {
        self.child.wait()?;
        Ok(read(&self.path).map_err(|error| format!("the {} gave up: {error}", self.name))?)
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        // These fail only if the process has ended and the file does not exist.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.path);
    }
}
