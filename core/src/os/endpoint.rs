//! Endpoints: a TCP address or the path of a unix socket.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// The longest path of a unix socket in bytes (unix(7): 108 with the terminating zero).
pub const PATH_BYTES_MAX: usize = 107;

/// An address on which a server listens or to which a client connects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl Endpoint {
    /// Returns the TCP address; `None` for a unix socket.
    #[must_use]
    pub const fn addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(addr) => Some(*addr),
            Self::Unix(_) => None,
        }
    }

    /// True if only processes on this machine can connect.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.addr().is_none_or(|addr| addr.ip().to_canonical().is_loopback())
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(addr: SocketAddr) -> Self {
        Self::Tcp(addr)
    }
}

impl<I: Into<IpAddr>> From<(I, u16)> for Endpoint {
    fn from(addr: (I, u16)) -> Self {
        Self::Tcp(addr.into())
    }
}

impl From<PathBuf> for Endpoint {
    fn from(path: PathBuf) -> Self {
        Self::Unix(path)
    }
}

impl From<&Path> for Endpoint {
    fn from(path: &Path) -> Self {
        Self::Unix(path.into())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// The protocol and the endpoint of an open listener. It is displayed as its URL:
/// `text://127.0.0.1:40000`, `text+unix:///run/tinytcp.sock`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bound {
    /// The name of the protocol.
    pub protocol: &'static str,
    /// True if connections are encrypted with TLS.
    pub is_encrypted: bool,
    /// The endpoint, with the actual port if port 0 was requested.
    pub endpoint: Endpoint,
}

impl Bound {
    /// Describes a listener of `protocol` on `endpoint`, without TLS.
    #[must_use]
    pub const fn new(protocol: &'static str, endpoint: Endpoint) -> Self {
        Self { protocol, is_encrypted: false, endpoint }
    }

    /// Returns the TCP address; `None` for a unix socket.
    #[must_use]
    pub const fn addr(&self) -> Option<SocketAddr> {
        self.endpoint.addr()
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = if self.is_encrypted { "+tls" } else { "" };
        let unix = if self.addr().is_some() { "" } else { "+unix" };
        write!(f, "{}{tls}{unix}://{}", self.protocol, self.endpoint)
    }
}

/// The path of a unix socket is longer than [`PATH_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathTooLong {
    len: usize,
}

impl fmt::Display for PathTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { len } = self;
        write!(
            f,
            "the path has {len} bytes; the path of a unix socket has at most {PATH_BYTES_MAX}"
        )
    }
}

impl std::error::Error for PathTooLong {}

/// Checks that `path` is short enough for a unix socket.
///
/// # Errors
/// When it is too long.
pub fn check_path(path: &Path) -> Result<(), PathTooLong> {
    match path.as_os_str().len() {
        ..=PATH_BYTES_MAX => Ok(()),
        len => Err(PathTooLong { len }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_displayed_as_its_url() {
        let tcp = Bound::new("text", Endpoint::Tcp(([127, 0, 0, 1], 40000).into()));
        let unix = Bound::new("echo", Endpoint::Unix("/run/t.sock".into()));
        let encrypted = Bound { is_encrypted: true, ..unix.clone() };
        assert_eq!(encrypted.to_string(), "echo+tls+unix:///run/t.sock");
        assert_eq!(
            (tcp.to_string(), unix.to_string()),
            ("text://127.0.0.1:40000".into(), "echo+unix:///run/t.sock".into())
        );
    }

    #[test]
    fn a_path_may_have_107_bytes() {
        assert_eq!(check_path(Path::new(&"x".repeat(107))), Ok(()));
        assert!(check_path(Path::new(&"x".repeat(108))).is_err());
    }
}
