//! Files that are complete or absent: no reader finds a part of one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;

/// A file that takes its name when it is complete. Until then, the bytes are in a temporary file in
/// the same folder. A device or a pipe takes the bytes directly.
#[derive(Debug)]
pub struct WholeFile {
    file: File,
    /// The temporary file and the final path; `None` for a device or a pipe.
    names: Option<(PathBuf, PathBuf)>,
}

impl WholeFile {
    /// Opens the temporary file of `path`. An existing file at `path` stays as it is.
    ///
    /// # Errors
    /// Fails if the folder does not exist, or the file cannot be replaced.
    pub fn create(path: &Path) -> io::Result<Self> {
        // A symbolic link stays, and its target is replaced.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let existing = match OpenOptions::new().write(true).open(&path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let permissions = match existing {
            Some(file) if !file.metadata()?.is_file() => return Ok(Self { file, names: None }),
            Some(file) => Some(file.metadata()?.permissions()),
            None => None,
        };
        let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?.to_string_lossy();
        let temporary = path.with_file_name(format!(".{name}.{}.tmp", process::id()));
        let file = File::create(&temporary)?;
        if let Some(permissions) = permissions {
            file.set_permissions(permissions)?;
        }
        Ok(Self { file, names: Some((temporary, path)) })
    }

    /// Writes `bytes` to the disk, and renames the temporary file. Costs a flush of the disk.
    ///
    /// # Errors
    /// Fails if the disk is full. The file at the path then stays as it was.
    pub fn finish(self, bytes: &[u8]) -> io::Result<()> {
        self.publish(bytes).map(drop)
    }

    /// Finishes the file like [`finish`](Self::finish), and returns it: further bytes can follow.
    ///
    /// # Errors
    /// Fails like [`finish`](Self::finish).
    pub fn publish(mut self, bytes: &[u8]) -> io::Result<File> {
        self.file.write_all(bytes)?;
        if let Some((temporary, path)) = &self.names {
            self.file.sync_all()?;
            fs::rename(temporary, path)?;
            self.names = None;
        }
        self.file.try_clone()
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if let Some((temporary, _)) = &self.names {
            // The file was not completed, and nothing refers to it.
            let _ = fs::remove_file(temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_absent_or_as_before_until_it_is_complete() {
        let folder = std::env::temp_dir().join(format!("tinytcp-whole-{}", process::id()));
        fs::create_dir_all(&folder).expect("a temporary folder");
        let path = folder.join("run.json");
        let names = || fs::read_dir(&folder).expect("our own folder").count();
        drop(WholeFile::create(&path).expect("a writable folder"));
        assert_eq!(names(), 0);
        for content in ["first", "second"] {
            let mut file = WholeFile::create(&path).expect("a writable folder");
            file.write_all(&content.as_bytes()[..1]).expect("a writable file");
            assert_eq!(path.exists(), content == "second");
            file.finish(&content.as_bytes()[1..]).expect("a writable file");
            assert_eq!(fs::read_to_string(&path).expect("complete"), content);
            assert_eq!(names(), 1);
        }
        let link = folder.join("link");
        std::os::unix::fs::symlink(&path, &link).expect("a folder that takes links");
        let linked = WholeFile::create(&link).expect("a writable folder");
        linked.finish(b"third").expect("a writable file");
        assert_eq!(fs::read_to_string(&path).expect("complete"), "third");
        assert!(fs::symlink_metadata(&link).expect("our own").is_symlink());
        fs::remove_dir_all(&folder).expect("our own folder");
    }

    #[test]
    fn a_device_takes_the_bytes_directly() {
        let device = WholeFile::create(Path::new("/dev/null")).expect("a device");
        device.finish(b"bytes").expect("it takes all");
    }
}
