//! Threads beside the caller's own.

use std::thread;

use super::failure::reason;

/// Starts a thread that nobody waits for: it ends with the connection or the process.
///
/// # Errors
/// A sentence, where the system has no thread left.
pub fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), String> {
    match thread::Builder::new().name(name.into()).spawn(work) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "cannot start a thread: {}; end other processes, or raise `ulimit -u` or `-v`",
            reason(&error)
        )),
    }
}
