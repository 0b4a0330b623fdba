//! The hang-up signal, SIGHUP: the end of the terminal, or a request to reload.

use std::fs::{self, File};

/// True if this process was started with SIGHUP ignored, as `nohup` does. Only Linux reports it.
#[must_use]
pub fn is_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    ignored & 1 << (libc::SIGHUP - 1) != 0
}

/// True if this process has a controlling terminal. It has none any more when a SIGHUP arrives
/// because the terminal has hung up.
#[must_use]
pub fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}
