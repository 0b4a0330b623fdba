//! The error of a server that cannot start: the reason, and the remedy.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::os::endpoint::{Bound, Endpoint};
use crate::os::port_holder::{self, Holder};

/// Why a server could not be built.
#[derive(Debug)]
#[non_exhaustive]
pub struct BindError {
    /// The listener that failed; `None` if the error is not of a listener.
    pub listener: Option<Bound>,
    /// The error of the operating system.
    pub error: io::Error,
}

impl BindError {
    /// Returns the remedy, as the second half of the error's sentence.
    #[must_use]
    pub fn advice(&self) -> String {
        let limit = "raise the limit of open files, as with `ulimit -n 1024`";
        let (kind, errno) = (self.error.kind(), self.error.raw_os_error());
        if let Some(Bound { endpoint: Endpoint::Unix(_), .. }) = self.listener
            && !matches!(errno, Some(libc::EMFILE))
        {
            return advice_on_path(kind).into();
        }
        let listener =
            self.listener.as_ref().and_then(|bound| Some((bound.protocol, bound.addr()?)));
        match (kind, listener) {
            (_, None) if errno.is_none() => "give one with --listen".into(),
            (io::ErrorKind::InvalidInput, Some((scheme, addr))) => advice_on_unfit(scheme, addr),
            (io::ErrorKind::AddrInUse, Some((_, addr))) => {
                advice_on_holder(port_holder::find(addr)).into()
            }
            (io::ErrorKind::AlreadyExists, _) => {
                "name each address once, or give one of them another port".into()
            }
            (io::ErrorKind::PermissionDenied, _) => {
                "ports below 1024 are privileged: choose one from 1025 to 49151".into()
            }
            (io::ErrorKind::AddrNotAvailable, _) => {
                "this machine has no such address: use 127.0.0.1, or 0.0.0.0 for all".into()
            }
            _ if matches!(errno, Some(libc::EMFILE)) => limit.into(),
            _ => "check the limits of this process and its user".into(),
        }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.listener {
            Some(bound) => write!(f, "cannot listen on {bound}")?,
            None => f.write_str("cannot serve")?,
        }
        write!(f, ": {}; {}", self.error, self.advice())
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// True if a link-local address names no interface.
pub(super) fn is_without_scope(addr: SocketAddr) -> bool {
    matches!(addr, SocketAddr::V6(addr) if addr.scope_id() == 0)
}

fn advice_on_unfit(scheme: &str, addr: SocketAddr) -> String {
    match addr.ip() {
        IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some() => {
            format!("write it as {scheme}://{}", SocketAddr::new(ip.to_canonical(), addr.port()))
        }
        IpAddr::V6(ip) if ip.is_unicast_link_local() && is_without_scope(addr) => {
            format!("add it, as in {scheme}://[{ip}%eth0]:{}", addr.port())
        }
        _ => "use an address of this machine: 127.0.0.1, or 0.0.0.0 for all".into(),
    }
}

/// Returns the remedy for an error of a unix socket's path.
fn advice_on_path(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::InvalidInput => "choose a shorter one, or a relative one",
        io::ErrorKind::AddrInUse => {
            "another program listens there: stop it, or choose another path with --listen"
        }
        io::ErrorKind::AlreadyExists => "remove it, or choose another path with --listen",
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            "create its directory first, or choose another path"
        }
        io::ErrorKind::PermissionDenied => "choose a path in a directory that this user can write",
        _ => "choose another path with --listen",
    }
}

fn advice_on_holder(holder: Option<Holder>) -> &'static str {
    match holder {
        Some(Holder::Listener) => {
            "another program listens there: stop it, or choose another port with --listen"
        }
        Some(Holder::Connection) => {
            "an outgoing connection uses this port, and the port is free 60 s after its end: \
             choose another port with --listen, or see net.ipv4.ip_local_reserved_ports"
        }
        Some(Holder::ClosedConnection) => {
            "a closed connection used this port, and the port is free within 60 s: wait, or \
             choose another port with --listen"
        }
        None => "another program uses this port: stop it, or choose another port with --listen",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_listener_the_reason_and_the_remedy() {
        for (errno, why, what) in [
            (libc::EADDRINUSE, "in use", "choose another port with --listen"),
            (libc::EACCES, "ermission denied", "choose one from 1025 to 49151"),
            (libc::EADDRNOTAVAIL, "assign requested address", "use 127.0.0.1"),
            (libc::EMFILE, "open files", "ulimit -n"),
            (libc::ENOBUFS, "buffer space", "check the limits"),
        ] {
            let addr = SocketAddr::from(([127, 0, 0, 1], 80));
            let listener = Some(Bound::new("text", addr.into()));
            let line =
                BindError { listener, error: io::Error::from_raw_os_error(errno) }.to_string();
            assert!(line.starts_with("cannot listen on text://127.0.0.1:80: "), "{line}");
            assert!(line.contains(why) && line.contains(what) && !line.contains('\n'), "{line}");
        }
    }
}
