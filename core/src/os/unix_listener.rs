//! A listening unix socket and its file.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mio::net::UnixListener as Socket;
use socket2::{Domain, SockAddr, SockRef, Socket as RawSocket, Type};

use crate::os::endpoint::check_path;
use crate::os::outgoing::try_connect_unix;
use crate::os::stream::Stream;

/// A listening unix socket. Dropping it removes its file, unless another program has replaced the
/// file.
#[derive(Debug)]
pub struct UnixListener {
    pub(super) socket: Socket,
    /// The file that the drop removes.
    file: Option<(PathBuf, FileId)>,
}

/// The device and the inode of a file, which identify it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId(u64, u64);

impl FileId {
    fn of(path: &Path) -> io::Result<Self> {
        fs::symlink_metadata(path).map(|file| Self(file.dev(), file.ino()))
    }
}

impl UnixListener {
    /// Listens at `path`, with the permissions `mode`, or with those that the umask leaves.
    /// Replaces a socket on which no program listens any more.
    ///
    /// # Errors
    /// `InvalidInput` when the path is too long, `AddrInUse` when a program listens there,
    /// `AlreadyExists` when the file is not a socket, and the other errors of the system.
    pub fn bind(path: &Path, backlog: u32, mode: Option<u32>) -> io::Result<Self> {
        check_path(path).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        remove_stale(path)?;
        let socket = RawSocket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::unix(path)?)?;
        let file = Some((path.into(), FileId::of(path)?));
        // From now on the drop of the listener removes the file.
        let listener = Self { socket: Socket::from_std(socket.into()), file };
        if let Some(mode) = mode {
            // Set before the socket listens: until then every connection is refused.
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        }
        SockRef::from(&listener.socket).listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        Ok(listener)
    }

    /// Listens on a socket that another program has opened. Its file belongs to that program.
    ///
    /// # Errors
    /// When no descriptor is free.
    pub fn inherit(socket: &std::os::unix::net::UnixListener) -> io::Result<Self> {
        let socket = socket.try_clone()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket: Socket::from_std(socket), file: None })
    }

    /// Accepts a connection.
    ///
    /// # Errors
    /// Those of accept(2).
    pub fn accept(&self) -> io::Result<Stream> {
        let (socket, _) = SockRef::from(&self.socket).accept()?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    }
}

impl Drop for UnixListener {
    fn drop(&mut self) {
        if let Some((path, file)) = &self.file
            && FileId::of(path).is_ok_and(|present| present == *file)
        {
            // If this fails, the next start replaces the file.
            let _ = fs::remove_file(path);
        }
    }
}

/// Removes the socket of a killed server at `path`: the system refuses connections to it.
fn remove_stale(path: &Path) -> io::Result<()> {
    let file = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    if !file.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file there is not a socket"));
    }
    // A server whose accept queue is full is alive too; this call must not wait for it.
    let is_refused =
        try_connect_unix(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    // A server that starts at the same time may have replaced the file since.
    if is_refused && FileId::of(path)? == FileId(file.dev(), file.ino()) {
        return fs::remove_file(path);
    }
    Err(io::ErrorKind::AddrInUse.into())
}
