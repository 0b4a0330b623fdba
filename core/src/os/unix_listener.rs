//! A unix socket that listens, and its file.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mio::net::UnixListener as Socket;
use socket2::{Domain, SockAddr, SockRef, Socket as RawSocket, Type};

use crate::os::endpoint::check_path;
use crate::os::outgoing::try_connect_unix;
use crate::os::stream::Stream;

/// A unix socket that listens. Dropping it removes its file, unless another program has put one of
/// its own in that place.
#[derive(Debug)]
pub struct UnixListener {
    pub(super) socket: Socket,
    path: PathBuf,
    file: FileId,
}

/// The device and the inode, which no other file has at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId(u64, u64);

impl FileId {
    fn of(path: &Path) -> io::Result<Self> {
        fs::symlink_metadata(path).map(|file| Self(file.dev(), file.ino()))
    }
}

impl UnixListener {
    /// Listens at `path`, with the permissions `mode`, or with what the umask leaves. A socket
    /// there on which no program listens any more is replaced.
    ///
    /// # Errors
    /// `InvalidInput` when the path is too long, `AddrInUse` when a program listens there,
    /// `AlreadyExists` when the file there is no socket; else what the system says.
    pub fn bind(path: &Path, backlog: u32, mode: Option<u32>) -> io::Result<Self> {
        check_path(path).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        remove_stale(path)?;
        let socket = RawSocket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::unix(path)?)?;
        let file = FileId::of(path)?;
        // From here on its drop removes the file.
        let listener = Self { socket: Socket::from_std(socket.into()), path: path.into(), file };
        if let Some(mode) = mode {
            // Before it listens: until then every connection is refused.
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        }
        SockRef::from(&listener.socket).listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        Ok(listener)
    }

    /// Accepts a connection.
    ///
    /// # Errors
    /// As accept(2).
    pub fn accept(&self) -> io::Result<Stream> {
        let (socket, _) = SockRef::from(&self.socket).accept()?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    }
}

impl Drop for UnixListener {
    fn drop(&mut self) {
        if FileId::of(&self.path).is_ok_and(|file| file == self.file) {
            // A file that stays is replaced by the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes the socket at `path` that a killed server left behind: the system refuses connections to
/// it.
fn remove_stale(path: &Path) -> io::Result<()> {
    let file = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    if !file.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file there is no socket"));
    }
    // A server whose queue is full is alive too, and must not be waited for.
    let is_refused =
        try_connect_unix(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    // The file that was asked, and not one that a server which starts at the same time has put
    // there since.
    if is_refused && FileId::of(path)? == FileId(file.dev(), file.ino()) {
        return fs::remove_file(path);
    }
    Err(io::ErrorKind::AddrInUse.into())
}
