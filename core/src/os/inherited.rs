//! Listening sockets that another program has opened for this one, such as systemd.

use std::ffi::OsString;
use std::io;
use std::net::TcpListener;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};
use std::path::PathBuf;

use socket2::SockRef;

use crate::os::endpoint::Endpoint;

/// A listening socket that another program has opened. That program may keep it open, and listen on
/// it again later.
#[derive(Debug)]
pub enum Inherited {
    /// A TCP socket.
    Tcp(TcpListener),
    /// A unix socket. Its file belongs to the program that created it.
    Unix(UnixListener),
}

impl Inherited {
    /// Returns the endpoint. An abstract name of a unix socket begins with `@`.
    ///
    /// # Errors
    /// When the socket does not listen.
    pub fn endpoint(&self) -> io::Result<Endpoint> {
        let is_listening = match self {
            Self::Tcp(socket) => SockRef::from(socket).is_listener()?,
            Self::Unix(socket) => SockRef::from(socket).is_listener()?,
        };
        if !is_listening {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the socket does not listen"));
        }
        match self {
            Self::Tcp(socket) => socket.local_addr().map(Endpoint::Tcp),
            Self::Unix(socket) => socket.local_addr().map(|addr| Endpoint::Unix(path(&addr))),
        }
    }
}

impl From<TcpListener> for Inherited {
    fn from(socket: TcpListener) -> Self {
        Self::Tcp(socket)
    }
}

impl From<UnixListener> for Inherited {
    fn from(socket: UnixListener) -> Self {
        Self::Unix(socket)
    }
}

/// Returns the path of a unix socket, or its abstract name after an `@`.
fn path(addr: &UnixAddr) -> PathBuf {
    match (addr.as_pathname(), abstract_name(addr)) {
        (Some(path), _) => path.into(),
        (None, name) => OsString::from_vec([b"@", name].concat()).into(),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn abstract_name(addr: &UnixAddr) -> &[u8] {
    #[cfg(target_os = "android")]
    use std::os::android::net::SocketAddrExt;
    #[cfg(target_os = "linux")]
    use std::os::linux::net::SocketAddrExt;
    addr.as_abstract_name().unwrap_or_default()
}

/// Other systems have no abstract names.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn abstract_name(_: &UnixAddr) -> &[u8] {
    &[]
}
