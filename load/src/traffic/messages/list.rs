//! Lists of texts on the command line: each text itself, or the lines of a file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::LoadError;

/// Maximum size of a file with messages: all of them are kept in memory.
pub const FILE_BYTES_MAX: u64 = 64 << 20;

/// Returns `texts`, in which `@FILE` stands for the lines of a file, and `@@` for `@`.
///
/// # Errors
/// Fails with a line about a file that cannot be read.
pub fn expanded(texts: &[String]) -> Result<Vec<String>, LoadError> {
    let mut all = Vec::new();
    for text in texts {
        match text.strip_prefix('@') {
            None => all.push(text.clone()),
            Some(rest) if rest.starts_with('@') => all.push(rest.to_owned()),
            Some(file) => all.extend(read(file.as_ref())?.lines().map(str::to_owned)),
        }
    }
    Ok(all)
}

/// Reads a file of text.
///
/// # Errors
/// Fails with a line about a file that cannot be read, has no text or is too long.
pub fn read(path: &Path) -> Result<String, LoadError> {
    let failed = |error| LoadError::File { action: "read", path: path.to_owned(), error };
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(LoadError::Usage(
            format!("{} is longer than 64 MiB: use fewer messages", path.display()).into(),
        ));
    }
    Ok(text)
}
