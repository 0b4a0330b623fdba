//! Connecting: every address of a name, within a time, and again until the server is up.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tinytcp_cli::target::{Protocol, Target};
use tinytcp_cli::terminal::note;
use tinytcp_core::os::endpoint::Endpoint;
use tinytcp_core::os::outgoing::connect_unix;
use tinytcp_core::os::own_port::connect_elsewhere;

use super::dialogue::Dialogue;
use super::failure::{Failure, reason, span};
use super::listener::next;
use super::receive::is_readable;
use super::worker;

/// The pause between two attempts while waiting for a server: short enough that a script hardly
/// notices, long enough that ten waiting clients do not load the machine on which the server is
/// about to start.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// How long an address has to itself before the next one is tried beside it: the delay that RFC
/// 8305 recommends.
const STAGGER: Duration = Duration::from_millis(250);

/// What an attempt may take beyond its timeout until its thread has said so.
const TIMEOUT_SLACK: Duration = Duration::from_millis(250);

/// How long a connection must last to count as one with a server while a server is waited for.
const SETTLING_TIME: Duration = Duration::from_millis(250);

/// How long to wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Bounds one attempt to connect, all addresses together, and later each answer; `None` leaves
    /// that to the system.
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
    let mut has_waited = false;
    loop {
        let attempted = attempt(target, patience.timeout);
        let attempted = if patience.wait.is_some() {
            attempted.and_then(|stream| settled(target, stream, patience))
        } else {
            attempted
        };
        let error = match attempted {
            Ok(stream) if has_waited => {
                note(
                    "tinytcp-client",
                    format_args!("waited {} for {target}", span(start.elapsed())),
                );
                return Ok(stream);
            }
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        let left =
            patience.wait.map_or(Duration::ZERO, |wait| wait.saturating_sub(start.elapsed()));
        if left.is_zero() {
            let waited = if has_waited {
                format!(" after waiting {}", span(start.elapsed()))
            } else {
                String::new()
            };
            return Err(Failure::Unreachable(format!(
                "cannot connect to {target}{waited}: {error}"
            )));
        }
        has_waited = true;
        thread::sleep(left.min(RETRY_PAUSE));
    }
}

/// The connection, if a server is at its end: a proxy accepts before its server is up, and then
/// closes.
///
/// A server with a banner has to say it; any other has to keep the connection for
/// [`SETTLING_TIME`].
fn settled(target: &Target, stream: TcpStream, patience: Patience) -> Result<TcpStream, String> {
    let patience =
        if target.protocol.banner().is_some() { patience.timeout } else { Some(SETTLING_TIME) };
    let until = patience.map(|patience| Instant::now() + patience);
    let has_closed = match is_readable(&stream, until) {
        Ok(true) => !matches!(stream.peek(&mut [0]), Ok(1..)),
        Ok(false) => false,
        Err(_) => true,
    };
    if has_closed {
        Err("the connection was closed at once; is its server up?".into())
    } else {
        Ok(stream)
    }
}

/// One attempt on all addresses; an error is a reason together with what to do about it.
fn attempt(target: &Target, timeout: Option<Duration>) -> Result<TcpStream, String> {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    connect_any(&resolve(target, timeout)?, timeout, deadline)
}

/// Connects to the first of the endpoints that answers, which may be tried beside each other.
fn connect_any(
    endpoints: &[Endpoint],
    timeout: Option<Duration>,
    deadline: Option<Instant>,
) -> Result<TcpStream, String> {
    let (sender, attempts) = mpsc::sync_channel(endpoints.len());
    let mut errors = Vec::new();
    let mut untried = endpoints.iter();
    while errors.len() < endpoints.len() {
        if let Some(endpoint) = untried.next().cloned() {
            let sender = sender.clone();
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            worker::start("connector", move || {
                let connected = match &endpoint {
                    Endpoint::Tcp(address) => connect_address(*address, left),
                    Endpoint::Unix(path) => connect_unix(path, left).map(TcpStream::from),
                };
                // A connection that comes after another one has been taken is closed.
                let _ = sender.send((endpoint, connected));
            })?;
        }
        let until = match untried.len() {
            0 => deadline.map(|deadline| deadline + TIMEOUT_SLACK),
            _ => Some(Instant::now() + STAGGER),
        };
        match next(&attempts, until) {
            Ok((_, Ok(stream))) => return Ok(stream),
            Ok((endpoint, Err(error))) => errors.push((endpoint, error)),
            // The next endpoint is tried beside the ones that do not answer.
            Err(_) if untried.len() > 0 => {}
            Err(_) => break,
        }
    }
    let is_missing = |endpoint: &&Endpoint| !errors.iter().any(|(tried, _)| tried == *endpoint);
    let missing: Vec<Endpoint> = endpoints.iter().filter(is_missing).cloned().collect();
    errors.extend(missing.into_iter().map(|endpoint| (endpoint, io::ErrorKind::TimedOut.into())));
    Err(sentence(&errors, timeout))
}

fn connect_address(address: SocketAddr, timeout: Option<Duration>) -> io::Result<TcpStream> {
    let stream = connect_elsewhere(Protocol::is_default_port, || match timeout {
        // A zero timeout is an error of its own kind to the standard library.
        Some(timeout) => {
            TcpStream::connect_timeout(&address, timeout.max(Duration::from_millis(1)))
        }
        None => TcpStream::connect(address),
    })?;
    // A port that nobody listens on can be picked by the kernel for our own end: the connection is
    // then one with itself, and everything that we say comes back. Waiting for a server on
    // 40000 meets that soon.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    // Commands are small and wait for their answers: collecting them into segments would only delay
    // them.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Where the server is. The system's resolver knows no timeout, so it runs in a thread that may be
/// left behind.
fn resolve(target: &Target, timeout: Option<Duration>) -> Result<Vec<Endpoint>, String> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let place = target.place.clone();
    worker::start("resolver", move || {
        // Nobody receives what comes after the timeout.
        let _ = sender.send(place.resolve());
    })?;
    let resolved = next(&receiver, timeout.map(|timeout| Instant::now() + timeout)).map_err(|_| {
        let timeout = span(timeout.unwrap_or_default());
        format!("looking up the host took more than {timeout}; give a numeric address, or more --timeout")
    })?;
    match resolved {
        Ok(endpoints) if !endpoints.is_empty() => Ok(endpoints),
        _ => Err("unknown host; check the spelling, or give a numeric address".into()),
    }
}

/// What went wrong at each endpoint, and what to do.
fn sentence(errors: &[(Endpoint, io::Error)], timeout: Option<Duration>) -> String {
    let reasons: Vec<String> = match errors {
        [(_, error)] => vec![reason(error)],
        _ => {
            errors.iter().map(|(endpoint, error)| format!("{endpoint} {}", reason(error))).collect()
        }
    };
    let any = |kind| errors.iter().any(|(_, error)| error.kind() == kind);
    let is_unix = errors.iter().all(|(endpoint, _)| endpoint.addr().is_none());
    let check =
        if is_unix { "check the path and the server's --backlog" } else { "check host and port" };
    // A unix socket that nothing has made is refused like a port on which nothing listens.
    let advice = if any(io::ErrorKind::ConnectionRefused) || any(io::ErrorKind::NotFound) {
        "start tinytcp-server there, or wait for it with --wait 10s".into()
    } else if any(io::ErrorKind::PermissionDenied) {
        "who may connect is set by --unix-mode of tinytcp-server".into()
    } else if any(io::ErrorKind::TimedOut) {
        let timeout = timeout.map(|timeout| format!(" {}", span(timeout))).unwrap_or_default();
        format!("{check}, or allow more than{timeout} with --timeout")
    } else {
        check.into()
    };
    format!("{}; {advice}", reasons.join(", "))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use socket2::{Domain, Socket, Type};
    use tinytcp_cli::address::Place;

    use super::*;

    fn target(host: &str, port: u16) -> Target {
        Target { protocol: Protocol::Text, place: Place::Host { host: host.into(), port } }
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
    fn without_a_timeout_an_address_that_never_answers_does_not_hold_up_the_next() {
        let silent = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        silent
            .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .and_then(|()| silent.listen(0))
            .expect("a free port");
        let first = silent.local_addr().expect("bound").as_socket().expect("an internet address");
        // With its queue full, the system drops what comes next.
        let mut queued = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&first, Duration::from_millis(100)) {
            queued.push(stream);
        }
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let second = listener.local_addr().expect("bound");
        let stream = connect_any(&[first.into(), second.into()], None, None)
            .expect("the second address answers");
        assert_eq!(stream.peer_addr().expect("connected"), second);
    }

    #[test]
    fn the_sentence_names_every_address_when_there_are_several() {
        let [first, second] =
            ["[::1]:9", "127.0.0.1:9"].map(|addr| Endpoint::Tcp(addr.parse().expect("valid")));
        let errors = [
            (first, io::ErrorKind::ConnectionRefused.into()),
            (second, io::Error::from(io::ErrorKind::TimedOut)),
        ];
        let said = sentence(&errors, None);
        assert!(
            said.starts_with("[::1]:9 connection refused, 127.0.0.1:9 timed out; start"),
            "{said}"
        );
    }
}
