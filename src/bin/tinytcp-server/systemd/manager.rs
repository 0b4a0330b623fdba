//! The socket on which a service manager receives notifications: the protocol of sd_notify(3).

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::program_error::ProgramError;

/// How long a reload waits for a service manager whose queue is full.
const RELOAD_SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// The address of the service manager.
#[derive(Clone, Debug)]
pub struct Manager {
    addr: SocketAddr,
}

impl Manager {
    /// Returns the service manager that `NOTIFY_SOCKET` names; `None` without the variable.
    ///
    /// # Errors
    /// When the address is no path and no abstract name.
    pub fn of_environment() -> Result<Option<Self>, ProgramError> {
        match std::env::var("NOTIFY_SOCKET") {
            Err(_) => Ok(None),
            Ok(name) => Self::at(&name).map(Some).map_err(|error| {
                ProgramError::Failure(format!(
                    "NOTIFY_SOCKET is wrong: {error}; it looks like /run/systemd/notify, and the \
                     service manager is not notified"
                ))
            }),
        }
    }

    /// Returns the service manager at `/path` or `@abstract-name`.
    ///
    /// # Errors
    /// When `name` is neither.
    pub fn at(name: &str) -> io::Result<Self> {
        address(name).map(|addr| Self { addr })
    }

    /// Opens a socket for notifications from the loop, which never blocks.
    ///
    /// # Errors
    /// When no descriptor is free.
    pub fn open(&self) -> io::Result<Channel> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Channel { socket, addr: self.addr.clone() })
    }

    /// Notifies the service manager that a reload begins, calls `reload`, and notifies it that the
    /// server is ready again. It can block for [`RELOAD_SEND_TIMEOUT`], so the loop must not call
    /// it.
    ///
    /// # Errors
    /// When the service manager cannot be notified; `reload` was called nevertheless.
    pub fn around_reload(&self, reload: impl FnOnce()) -> io::Result<()> {
        let opened = UnixDatagram::unbound().and_then(|socket| {
            socket.set_write_timeout(Some(RELOAD_SEND_TIMEOUT))?;
            Ok(Channel { socket, addr: self.addr.clone() })
        });
        let begun = opened.as_ref().map(|channel| channel.send(&reloading()));
        reload();
        let ended = opened.as_ref().map(|channel| channel.send("READY=1\n"));
        match (begun, ended) {
            (Ok(begun), Ok(ended)) => begun.and(ended),
            _ => opened.map(drop),
        }
    }
}

/// The lines that announce a reload, with the time by which systemd recognises the reload that it
/// has requested.
fn reloading() -> String {
    let now = clock_gettime(ClockId::Monotonic);
    format!("RELOADING=1\nMONOTONIC_USEC={}{:06}\n", now.tv_sec, now.tv_nsec / 1000)
}

#[cfg(test)]
impl Manager {
    /// Its address, on which a test receives.
    pub fn addr(&self) -> &SocketAddr {
        &self.addr
    }
}

/// A socket for notifications.
#[derive(Debug)]
pub struct Channel {
    socket: UnixDatagram,
    addr: SocketAddr,
}

impl Channel {
    /// Sends `lines`, each `NAME=value`, as one datagram.
    ///
    /// # Errors
    /// `WouldBlock` when the queue of the service manager is full; others when it is gone.
    pub fn send(&self, lines: &str) -> io::Result<()> {
        self.socket.send_to_addr(lines.as_bytes(), &self.addr).map(drop)
    }
}

/// Returns the address for `/path` or `@abstract-name`.
fn address(name: &str) -> io::Result<SocketAddr> {
    match name.strip_prefix('@') {
        Some(name) => abstract_address(name),
        None if name.starts_with('/') => SocketAddr::from_pathname(name),
        None => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no path of a unix socket")),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn abstract_address(name: &str) -> io::Result<SocketAddr> {
    #[cfg(target_os = "android")]
    use std::os::android::net::SocketAddrExt;
    #[cfg(target_os = "linux")]
    use std::os::linux::net::SocketAddrExt;
    SocketAddr::from_abstract_name(name)
}

/// Other systems have no abstract names.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn abstract_address(_: &str) -> io::Result<SocketAddr> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no abstract names"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_path_or_an_abstract_name() {
        let path = address("/run/systemd/notify").expect("a path");
        assert_eq!(path.as_pathname(), Some("/run/systemd/notify".as_ref()));
        assert!(address("@/org/freedesktop/systemd1/notify").is_ok());
        for wrong in ["", "run/notify", "vsock:2:9000", &format!("/{}", "x".repeat(108))] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_reload_is_announced_with_the_monotonic_time() {
        let lines = reloading();
        let time = lines.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect("the names");
        let microseconds: u64 = time.trim_end().parse().expect("a number");
        assert!(microseconds > 0);
    }
}
