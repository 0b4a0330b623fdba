//! The line about a file that cannot be read or written.

use std::io;
use std::path::Path;

/// Returns one line about a file: the action, the error and a remedy.
pub(super) fn cannot(what: &str, path: &Path, error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::NotFound => "check the name of its folder",
        io::ErrorKind::PermissionDenied => "check its permissions",
        io::ErrorKind::StorageFull => "free some disk space",
        _ => "choose another path",
    };
    format!("cannot {what} {}: {error}; {advice}", path.display())
}
