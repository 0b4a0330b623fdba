//! Connecting: to every address of a name, within a timeout, and again until the server is up.
//! A connection may begin with a PROXY header, and then with the handshake of TLS.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tinytcp_cli::proxy_header::ProxyHeader;
use tinytcp_cli::target::{ProtocolName, Target};
use tinytcp_cli::terminal::note;
use tinytcp_cli::tls::TlsClient;
use tinytcp_core::os::endpoint::Endpoint;
use tinytcp_core::os::local_port::connect_avoiding;
use tinytcp_core::os::outgoing::connect_unix;

use super::dialogue;
use super::error::{ClientError, readable_duration, reason};
use super::receiver::next_event;
#[cfg(feature = "tls")]
use super::stream::tls::{HandshakeError, Tls};
use super::stream::{Plain, Stream};
use super::threads::{self, ThreadError};

/// The pause between two attempts while the client waits for a server: short for a script, and long
/// enough that ten waiting clients do not load the machine on which the server starts.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// The delay before the next address is tried as well, as RFC 8305 recommends it.
const STAGGER: Duration = Duration::from_millis(250);

/// The time after the timeout in which the thread of an attempt must report it.
const TIMEOUT_SLACK: Duration = Duration::from_millis(250);

/// The time that a connection must last, while the client waits for a server, to count as one.
const SETTLING_TIME: Duration = Duration::from_millis(250);

/// The way in which the client connects: how long it waits, and the bytes that it sends first.
#[derive(Clone, Copy, Debug)]
pub struct ConnectOptions<'a> {
    /// Bounds one attempt to connect, to all addresses together, and later each answer. With
    /// `None`, the system ends an attempt, and the client waits forever for an answer.
    pub timeout: Option<Duration>,
    /// The time for which attempts are repeated; `None` makes one.
    pub wait: Option<Duration>,
    /// The header with which each connection begins.
    pub proxy_header: Option<ProxyHeader>,
    /// How each connection is encrypted; `None` for a target without TLS.
    pub tls: Option<&'a TlsClient>,
}

/// Why one attempt to connect has failed, and the remedy.
#[derive(Debug)]
pub(crate) enum ConnectError {
    /// The resolver did not answer within this time.
    LookupTimeout(Duration),
    UnknownHost,
    /// The errors of all endpoints of the target.
    NoEndpoint {
        errors: Vec<(Endpoint, io::Error)>,
        timeout: Option<Duration>,
    },
    ClosedAtOnce,
    /// The header for a listener for proxies was not sent.
    ProxyHeader(io::Error),
    /// The connection cannot be encrypted.
    #[cfg(feature = "tls")]
    Tls(HandshakeError),
    Thread(ThreadError),
}

impl ConnectError {
    /// Returns true if another attempt would fail in the same way.
    fn is_final(&self) -> bool {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(error) => error.is_final(),
            _ => false,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LookupTimeout(timeout) => write!(
                f,
                "looking up the host took more than {}; \
                 give a numeric address, or allow more with --timeout",
                readable_duration(*timeout)
            ),
            Self::UnknownHost => {
                f.write_str("unknown host; check the spelling, or give a numeric address")
            }
            Self::NoEndpoint { errors, timeout } => f.write_str(&sentence(errors, *timeout)),
            Self::ClosedAtOnce => {
                f.write_str("the connection was closed at once; is its server up?")
            }
            Self::ProxyHeader(error) => write!(f, "{}; check the server's log", reason(error)),
            #[cfg(feature = "tls")]
            Self::Tls(error) => error.fmt(f),
            Self::Thread(error) => error.fmt(f),
        }
    }
}

impl Error for ConnectError {}

impl From<ThreadError> for ConnectError {
    fn from(error: ThreadError) -> Self {
        Self::Thread(error)
    }
}

/// Connects to `target`.
///
/// # Errors
/// [`ClientError::Unreachable`]; its text names every address that was tried.
pub fn connect(target: &Target, options: ConnectOptions<'_>) -> Result<Stream, ClientError> {
    let start = Instant::now();
    let mut has_waited = false;
    loop {
        let attempted = attempt(target, options);
        let attempted = if options.wait.is_some() {
            attempted.and_then(|stream| kept(target, stream, options))
        } else {
            attempted
        };
        let error = match attempted {
            Ok(stream) if has_waited => {
                note(
                    "tinytcp-client",
                    format_args!("waited {} for {target}", readable_duration(start.elapsed())),
                );
                return Ok(stream);
            }
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        let left = options.wait.map_or(Duration::ZERO, |wait| wait.saturating_sub(start.elapsed()));
        if left.is_zero() || error.is_final() {
            let waited = if has_waited {
                format!(" after waiting {}", readable_duration(start.elapsed()))
            } else {
                String::new()
            };
            return Err(ClientError::Unreachable(format!(
                "cannot connect to {target}{waited}: {error}"
            )));
        }
        has_waited = true;
        thread::sleep(left.min(RETRY_PAUSE));
    }
}

/// Returns the connection if a server is at its end: a proxy accepts before its server is up, and
/// then closes.
///
/// A server with a banner must send it; any other must keep the connection for [`SETTLING_TIME`].
fn kept(
    target: &Target,
    stream: Stream,
    options: ConnectOptions<'_>,
) -> Result<Stream, ConnectError> {
    let wait = match dialogue::banner(target.protocol) {
        Some(_) => options.timeout,
        None => Some(SETTLING_TIME),
    };
    let until = wait.map(|wait| Instant::now() + wait);
    match stream.has_ended_by(until) {
        Ok(Some(false) | None) => Ok(stream),
        Ok(Some(true)) | Err(_) => Err(ConnectError::ClosedAtOnce),
    }
}

/// One attempt on all addresses.
fn attempt(target: &Target, options: ConnectOptions<'_>) -> Result<Stream, ConnectError> {
    let deadline = options.timeout.map(|timeout| Instant::now() + timeout);
    let socket = connect_socket(target, options, deadline)?;
    match options.tls {
        None => Ok(Stream::new(Plain(socket))),
        Some(settings) => encrypted(socket, settings, deadline),
    }
}

/// One attempt on all addresses, without TLS.
///
/// # Errors
/// When no address takes the connection, or the header of a proxy, by `deadline`.
pub(crate) fn connect_socket(
    target: &Target,
    options: ConnectOptions<'_>,
    deadline: Option<Instant>,
) -> Result<TcpStream, ConnectError> {
    let timeout = options.timeout;
    let socket = connect_any(&resolve(target, timeout)?, timeout, deadline)?;
    if let Some(header) = options.proxy_header {
        header.send(&socket).map_err(ConnectError::ProxyHeader)?;
    }
    Ok(socket)
}

#[cfg(feature = "tls")]
fn encrypted(
    stream: TcpStream,
    settings: &TlsClient,
    deadline: Option<Instant>,
) -> Result<Stream, ConnectError> {
    Tls::connect(stream, settings, deadline).map(Stream::new).map_err(ConnectError::Tls)
}

#[cfg(not(feature = "tls"))]
fn encrypted(
    _stream: TcpStream,
    settings: &TlsClient,
    _deadline: Option<Instant>,
) -> Result<Stream, ConnectError> {
    match *settings {}
}

/// Connects to the first of the endpoints that answers. Several may be tried at the same time.
fn connect_any(
    endpoints: &[Endpoint],
    timeout: Option<Duration>,
    deadline: Option<Instant>,
) -> Result<TcpStream, ConnectError> {
    let (sender, attempts) = mpsc::sync_channel(endpoints.len());
    let mut errors = Vec::new();
    let mut untried = endpoints.iter();
    while errors.len() < endpoints.len() {
        if let Some(endpoint) = untried.next().cloned() {
            let sender = sender.clone();
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            threads::start("connector", move || {
                let connected = match &endpoint {
                    Endpoint::Tcp(address) => connect_address(*address, left),
                    Endpoint::Unix(path) => connect_unix(path, left).map(TcpStream::from),
                    _ => Err(io::ErrorKind::Unsupported.into()),
                };
                // A connection that is established after another one was taken is closed.
                let _ = sender.send((endpoint, connected));
            })?;
        }
        let until = match untried.len() {
            0 => deadline.map(|deadline| deadline + TIMEOUT_SLACK),
            _ => Some(Instant::now() + STAGGER),
        };
        match next_event(&attempts, until) {
            Ok((_, Ok(stream))) => return Ok(stream),
            Ok((endpoint, Err(error))) => errors.push((endpoint, error)),
            // The next endpoint is tried while the others do not answer.
            Err(_) if untried.len() > 0 => {}
            Err(_) => break,
        }
    }
    let is_missing = |endpoint: &&Endpoint| !errors.iter().any(|(tried, _)| tried == *endpoint);
    let missing: Vec<Endpoint> = endpoints.iter().filter(is_missing).cloned().collect();
    errors.extend(missing.into_iter().map(|endpoint| (endpoint, io::ErrorKind::TimedOut.into())));
    Err(ConnectError::NoEndpoint { errors, timeout })
}

fn connect_address(address: SocketAddr, timeout: Option<Duration>) -> io::Result<TcpStream> {
    let stream = connect_avoiding(ProtocolName::is_default_port, || match timeout {
        // The standard library refuses a timeout of zero.
        Some(timeout) => {
            TcpStream::connect_timeout(&address, timeout.max(Duration::from_millis(1)))
        }
        None => TcpStream::connect(address),
    })?;
    // The kernel may choose a port without a listener for this end of the connection. It is then a
    // connection with itself, and returns everything that is sent. A client that waits for a server
    // on port 40000 meets this soon.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    // Commands are small and wait for their answers: Nagle's algorithm would only delay them.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The endpoints of the server. The system's resolver has no timeout, so it runs in a thread, which
/// is abandoned when the timeout passes.
fn resolve(target: &Target, timeout: Option<Duration>) -> Result<Vec<Endpoint>, ConnectError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let place = target.place.clone();
    threads::start("resolver", move || {
        // A result after the timeout is dropped.
        let _ = sender.send(place.resolve());
    })?;
    let resolved = next_event(&receiver, timeout.map(|timeout| Instant::now() + timeout))
        .map_err(|_| ConnectError::LookupTimeout(timeout.unwrap_or_default()))?;
    match resolved {
        Ok(endpoints) if !endpoints.is_empty() => Ok(endpoints),
        _ => Err(ConnectError::UnknownHost),
    }
}

/// The error of each endpoint, and the remedy.
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
    // A path without a socket means the same as a port without a listener.
    let advice = if any(io::ErrorKind::ConnectionRefused) || any(io::ErrorKind::NotFound) {
        "start tinytcp-server there, or wait for it with --wait 10s".into()
    } else if any(io::ErrorKind::PermissionDenied) {
        "set the permissions of the socket with --unix-mode of tinytcp-server".into()
    } else if any(io::ErrorKind::TimedOut) {
        let timeout =
            timeout.map(|timeout| format!(" {}", readable_duration(timeout))).unwrap_or_default();
        format!("{check}, or allow more than{timeout} with --timeout")
    } else {
        check.into()
    };
    format!("{}; {advice}", reasons.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Socket, Type};
    use std::net::TcpListener;
    use tinytcp_cli::address::Place;

    fn target(host: &str, port: u16) -> Target {
        let place = Place::Host { host: host.into(), port };
        Target { protocol: ProtocolName::Text, is_encrypted: false, place }
    }

    const OPTIONS: ConnectOptions<'_> = ConnectOptions {
        timeout: Some(Duration::from_secs(20)),
        wait: None,
        proxy_header: None,
        tls: None,
    };

    #[test]
    fn a_port_without_a_listener_is_refused() {
        let silent = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        silent.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
        let addr = silent.local_addr().expect("bound").as_socket().expect("an internet address");
        let error = connect(&target("127.0.0.1", addr.port()), OPTIONS).expect_err("no listener");
        assert!(error.to_string().contains("connection refused; start tinytcp-server"), "{error}");
    }

    #[test]
    fn a_connection_that_is_closed_at_once_has_no_server() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("bound");
        for protocol in [ProtocolName::Text, ProtocolName::Binary, ProtocolName::Echo] {
            let stream = TcpStream::connect(addr).expect("it listens");
            drop(listener.accept().expect("the connection"));
            let target = Target { protocol, ..target("127.0.0.1", addr.port()) };
            let kept = kept(&target, Stream::new(Plain(stream)), OPTIONS);
            assert!(matches!(kept, Err(ConnectError::ClosedAtOnce)), "{target}");
        }
    }

    #[test]
    fn an_address_that_never_answers_does_not_delay_the_next() {
        let silent = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        silent
            .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .and_then(|()| silent.listen(0))
            .expect("a free port");
        let first = silent.local_addr().expect("bound").as_socket().expect("an internet address");
        // With a full queue, the system drops further attempts.
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
    fn an_error_names_each_of_several_addresses() {
        let [first, second] =
            ["[::1]:9", "127.0.0.1:9"].map(|addr| Endpoint::Tcp(addr.parse().expect("valid")));
        let errors = [
            (first, io::ErrorKind::ConnectionRefused.into()),
            (second, io::Error::from(io::ErrorKind::TimedOut)),
        ];
        let error = sentence(&errors, None);
        assert!(
            error.starts_with("[::1]:9 connection refused, 127.0.0.1:9 timed out; start"),
            "{error}"
        );
    }
}
