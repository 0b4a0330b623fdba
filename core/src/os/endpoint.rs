//! Where a server listens, and where a client connects: an address of TCP or the path of a unix
//! socket.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The longest path of a unix socket in bytes (unix(7): 108 with the zero at its end).
pub const PATH_BYTES_MAX: usize = 107;

/// A place to listen on or to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// An address of TCP.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl Endpoint {
    /// The address, if this is one of TCP.
    #[must_use]
    pub const fn addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(addr) => Some(*addr),
            Self::Unix(_) => None,
        }
    }

    /// True exactly when processes of this machine alone can connect.
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

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// A listener: what is spoken there, and where it is. It is shown as its URL:
/// `text://127.0.0.1:40000`, `text+unix:///run/tinytcp.sock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The name of the protocol.
    pub protocol: &'static str,
    /// Where it listens: the real port, where port 0 was asked for.
    pub endpoint: Endpoint,
}

impl Bound {
    /// The address, if the listener is one of TCP.
    #[must_use]
    pub const fn addr(&self) -> Option<SocketAddr> {
        self.endpoint.addr()
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = if self.addr().is_some() { "" } else { "+unix" };
        write!(f, "{}{suffix}://{}", self.protocol, self.endpoint)
    }
}

/// Says why `path` can be no unix socket's.
///
/// # Errors
/// A sentence when it is too long.
pub fn check_path(path: &Path) -> Result<(), String> {
    match path.as_os_str().len() {
        ..=PATH_BYTES_MAX => Ok(()),
        len => Err(format!(
            "the path has {len} bytes, and the path of a unix socket at most {PATH_BYTES_MAX}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_shown_as_its_url() {
        let tcp =
            Bound { protocol: "text", endpoint: Endpoint::Tcp(([127, 0, 0, 1], 40000).into()) };
        let unix = Bound { protocol: "echo", endpoint: Endpoint::Unix("/run/t.sock".into()) };
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
