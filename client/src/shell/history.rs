//! The history of the shell: kept in a file that only its owner can read, without secrets.

use std::env;
use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustyline::history::DefaultHistory;
use rustyline::{Editor, Helper};

/// A line with one of these words is not kept: it is likely to contain a secret.
const SECRETS: [&str; 6] = ["auth", "passw", "secret", "token", "credential", "api_key"];

/// Loads the history and returns its file, or `None` if there is no place for one: the shell works
/// without it.
pub fn open(editor: &mut Editor<impl Helper, DefaultHistory>) -> Option<PathBuf> {
    let path = directory()?.join("history");
    DirBuilder::new().recursive(true).mode(0o700).create(path.parent()?).ok()?;
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).ok()?;
    let mut permissions = file.metadata().ok()?.permissions();
    // An older file may be readable for other users.
    permissions.set_mode(0o600);
    file.set_permissions(permissions).ok()?;
    // An unreadable history is an empty one.
    let _ = editor.load_history(&path);
    Some(path)
}

/// Adds `line`, and appends it to the file of the history if it holds no secret.
///
/// A line that begins with a blank is not added at all, as in other shells.
pub fn add(editor: &mut Editor<impl Helper, DefaultHistory>, line: &str, file: Option<&Path>) {
    if line.is_empty() || line.starts_with(' ') || is_secret(line) {
        return;
    }
    // Both fail only if the file cannot be written, and the shell works without it.
    let _ = editor.add_history_entry(line);
    if let Some(file) = file {
        let _ = editor.append_history(file);
    }
}

fn is_secret(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    SECRETS.iter().any(|word| line.contains(word))
}

/// The directory of such files, by the XDG Base Directory Specification; an empty variable counts
/// as unset.
fn directory() -> Option<PathBuf> {
    let path = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = path("XDG_STATE_HOME").or_else(|| Some(path("HOME")?.join(".local/state")))?;
    Some(state.join("tinytcp"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_may_contain_a_secret_are_recognised() {
        assert!(is_secret("ECHO Password=x") && is_secret("AUTH me x"));
        assert!(!is_secret("ECHO hello"));
    }
}
