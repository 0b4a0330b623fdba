//! Socket activation: listening sockets that the service manager has opened for this process, as
//! sd_listen_fds(3) describes. The name of a socket is its protocol.

use std::sync::Arc;

use listenfd::ListenFd;
use tinytcp_core::os::inherited::Inherited;
use tinytcp_core::protocol::Protocol;
use tinytcp_core::protocol::admin::Admin;
use tinytcp_core::server::Listener;

use crate::listen_address::built_in;
use crate::program_error::ProgramError;
use crate::tls::{Encryption, TlsArguments, TlsOptions};

/// The number of the first descriptor (`SD_LISTEN_FDS_START`).
const FIRST: usize = 3;

/// The name of the administrative listener: the scheme of its URL.
const ADMIN: &str = "http";

/// Sockets of the service manager, each with its name.
#[derive(Debug, Default)]
pub struct Sockets(Vec<(String, Inherited)>);

impl Sockets {
    /// Takes the sockets from the environment, once. No other thread may run yet, because it
    /// removes the variables.
    ///
    /// # Errors
    /// When a descriptor is no listening stream socket.
    pub fn take() -> Result<Self, ProgramError> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut descriptors = ListenFd::from_env();
        let mut sockets = Vec::new();
        for index in 0..descriptors.len() {
            let name = names.next().unwrap_or_default().to_owned();
            let socket = take(&mut descriptors, index).ok_or_else(|| {
                wrong(index, &name, "is no stream socket; use ListenStream= with Accept=no")
            })?;
            sockets.push((name, socket));
        }
        Ok(Self(sockets))
    }

    /// True if the service manager has passed no socket.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns a listener for each socket. One whose name ends in `+tls` is encrypted.
    ///
    /// # Errors
    /// When a socket does not listen, or its name is no protocol, and those of its encryption.
    pub fn listeners(
        self,
        admin: &Arc<Admin>,
        arguments: &TlsArguments,
        encryption: &mut Encryption,
    ) -> Result<Vec<Listener>, ProgramError> {
        let listener = |(index, (name, socket)): (usize, (String, Inherited))| {
            let encrypted = name.strip_suffix("+tls");
            let protocol = protocol(encrypted.unwrap_or(&name), admin).ok_or_else(|| {
                let advice = "is not named after a protocol; use FileDescriptorName=text, binary, \
                              echo, chat or http, and text+tls for TLS";
                wrong(index, &name, advice)
            })?;
            let listener = Listener::inherited(socket, protocol).map_err(|error| {
                wrong(index, &name, &format!("cannot be used: {error}; use Accept=no"))
            })?;
            let Some(_) = encrypted else { return Ok(listener) };
            let options = TlsOptions::parse(&[]).map_err(ProgramError::failure)?;
            Ok(listener.encrypted(encryption.settings(&options, arguments)?))
        };
        self.0.into_iter().enumerate().map(listener).collect()
    }
}

/// Takes the socket with this index; `None` if it is no stream socket.
fn take(descriptors: &mut ListenFd, index: usize) -> Option<Inherited> {
    // Taking a socket as the wrong kind is an error, after which it can still be taken.
    let tcp = descriptors.take_tcp_listener(index).ok().flatten().map(Inherited::Tcp);
    tcp.or_else(|| descriptors.take_unix_listener(index).ok().flatten().map(Inherited::Unix))
}

fn protocol(name: &str, admin: &Arc<Admin>) -> Option<Arc<dyn Protocol>> {
    match name {
        ADMIN => Some(Arc::clone(admin) as Arc<dyn Protocol>),
        _ => built_in(name).ok().map(|built_in| (built_in.build)()),
    }
}

fn wrong(index: usize, name: &str, what: &str) -> ProgramError {
    let number = FIRST + index;
    ProgramError::Failure(format!("socket {number} of the service manager, {name:?}, {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_socket_is_its_protocol() {
        let admin = Arc::new(Admin::default());
        for name in ["text", "binary", "echo", "chat"] {
            assert_eq!(protocol(name, &admin).map(|protocol| protocol.name()), Some(name));
        }
        assert!(protocol("http", &admin).is_some());
        for name in ["", "unknown", "tinytcp-server.socket", "TEXT"] {
            assert!(protocol(name, &admin).is_none(), "{name}");
        }
    }
}
