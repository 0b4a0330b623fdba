//! Threads beside the main one.

use std::error::Error;
use std::fmt;
use std::io;
use std::thread;

use super::error::reason;

/// The error of a system that has no thread left.
#[derive(Debug)]
pub struct ThreadError(io::Error);

impl fmt::Display for ThreadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot start a thread: {}; end other processes, or raise `ulimit -u` or `-v`",
            reason(&self.0)
        )
    }
}

impl Error for ThreadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// Starts a thread that is never joined: it ends with the connection or the process.
///
/// # Errors
/// When the system has no thread left.
pub fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), ThreadError> {
    thread::Builder::new().name(name.into()).spawn(work).map(drop).map_err(ThreadError)
}
