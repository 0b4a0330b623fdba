//! Connecting: every address of a name, within a time, and again until the server is up.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::failure::{Failure, reason};
use super::worker;
use crate::base::own_port::connect_elsewhere;
use crate::wire::target::{Protocol, Target};

/// The pause between two attempts while waiting for a server: short enough that a script hardly notices,
/// long enough that ten waiting clients do not load the machine on which the server is about to start.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// How long to wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Bounds one attempt to connect, all addresses together, and later each answer; `None` never gives up.
    pub timeout: Option<Duration>,
    /// Attempts go on for so long; `None` makes one.
    pub wait: Option<Duration>,
}

/// Connects to `target`.
///
/// # Errors
/// [`Failure::Unreachable`], whose text names every address that was tried.
pub fn connect(target: &Target, patience: Patience) -> Result<TcpStream, Failure> {
    let start = Instant::now();
    loop {
        let error = match attempt(target, patience.timeout) {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        let left = patience.wait.map_or(Duration::ZERO, |wait| wait.saturating_sub(start.elapsed()));
        if left.is_zero() {
            return Err(Failure::Unreachable(format!("cannot connect to {target}: {error}")));
        }
        thread::sleep(left.min(RETRY_PAUSE));
    }
}

/// One attempt on all addresses; an error is a reason together with what to do about it.
fn attempt(target: &Target, timeout: Option<Duration>) -> Result<TcpStream, String> {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let addresses = resolve(target, timeout)?;
    let mut errors = Vec::new();
    for (index, address) in addresses.iter().enumerate() {
        // An address that swallows everything may take no more than its share, or those behind it are never tried.
        let share = deadline.map(|deadline| {
            let shares = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
            deadline.saturating_duration_since(Instant::now()) / shares
        });
        match connect_address(*address, share) {
            Ok(stream) => return Ok(stream),
            Err(error) => errors.push((address, error)),
        }
    }
    Err(sentence(&errors, timeout))
}

fn connect_address(address: SocketAddr, timeout: Option<Duration>) -> io::Result<TcpStream> {
    let stream = connect_elsewhere(Protocol::is_default_port, || match timeout {
        // A zero timeout is an error of its own kind to the standard library.
        Some(timeout) => TcpStream::connect_timeout(&address, timeout.max(Duration::from_millis(1))),
        None => TcpStream::connect(address),
    })?;
    // A port that nobody listens on can be picked by the kernel for our own end: the connection is then one with
    // itself, and everything that we say comes back. Waiting for a server on 40000 meets that soon.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    // Commands are small and wait for their answers: collecting them into segments would only delay them.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The addresses of the host. The system's resolver knows no timeout, so it runs in a thread that may be left behind.
fn resolve(target: &Target, timeout: Option<Duration>) -> Result<Vec<SocketAddr>, String> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let (host, port) = (target.host.clone(), target.port);
    worker::start("resolver", move || {
        // Nobody receives what comes after the timeout.
        let _ = sender.send((host.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>));
    })?;
    let resolved = match timeout {
        Some(timeout) => receiver.recv_timeout(timeout).map_err(|_| {
            format!("looking up the host took more than {timeout:?}; give a numeric address, or more --timeout")
        })?,
        None => receiver.recv().map_err(|_| "looking up the host failed; give a numeric address")?,
    };
    match resolved {
        Ok(addresses) if !addresses.is_empty() => Ok(addresses),
        _ => Err("unknown host; check the spelling, or give a numeric address".into()),
    }
}

/// What went wrong at each address, and what to do.
fn sentence(errors: &[(&SocketAddr, io::Error)], timeout: Option<Duration>) -> String {
    let reasons: Vec<String> = match errors {
        [(_, error)] => vec![reason(error)],
        _ => errors.iter().map(|(address, error)| format!("{address} {}", reason(error))).collect(),
    };
    let any = |kind| errors.iter().any(|(_, error)| error.kind() == kind);
    let advice = if any(io::ErrorKind::ConnectionRefused) {
        "start tinytcp-server there, or wait for it with --wait 10s".into()
    } else if any(io::ErrorKind::TimedOut) {
        let timeout = timeout.map(|timeout| format!(" {timeout:?}")).unwrap_or_default();
        format!("check host and port, or allow more than{timeout} with --timeout")
    } else {
        "check host and port".into()
    };
    format!("{}; {advice}", reasons.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn target(host: &str, port: u16) -> Target {
        Target { protocol: Protocol::Text, host: host.into(), port }
    }

    #[test]
    fn a_port_without_a_listener_is_refused_and_never_answered_by_ourselves() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        let patience = Patience { timeout: Some(Duration::from_secs(5)), wait: None };
        let error = connect(&target("127.0.0.1", port), patience).expect_err("nobody listens");
        assert!(error.to_string().contains("connection refused; start tinytcp-server"), "{error}");
    }

    #[test]
    fn the_sentence_names_every_address_when_there_are_several() {
        let (first, second) = ("[::1]:9".parse().expect("valid"), "127.0.0.1:9".parse().expect("valid"));
        let errors =
            [(&first, io::ErrorKind::ConnectionRefused.into()), (&second, io::Error::from(io::ErrorKind::TimedOut))];
        let said = sentence(&errors, None);
        assert!(said.starts_with("[::1]:9 connection refused, 127.0.0.1:9 timed out; start"), "{said}");
    }
}
