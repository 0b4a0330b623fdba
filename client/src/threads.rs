//! Threads beside the main one.

use std::thread;

use super::error::reason;

/// Starts a thread that is never joined: it ends with the connection or the process.
///
/// # Errors
/// A sentence, when the system has no thread left.
pub fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), String> {
    match thread::Builder::new().name(name.into()).spawn(work) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "cannot start a thread: {}; end other processes, or raise `ulimit -u` or `-v`",
            reason(&error)
        )),
    }
}
