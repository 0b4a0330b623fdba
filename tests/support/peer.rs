//! A raw client. Every wait has a deadline.

use super::encrypted::{self, Encrypted};
use super::wait::{PATIENCE, uninterrupted};
use socket2::{Domain, SockRef, Socket, Type};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// One connection to the server.
pub struct Peer {
    stream: Stream,
}

/// The bytes of a connection, in clear or over TLS.
enum Stream {
    Plain(TcpStream),
    Tls(Encrypted),
}

impl Stream {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(encrypted) => encrypted.socket(),
        }
    }

    fn end_output(&self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.shutdown(Shutdown::Write),
            Self::Tls(encrypted) => encrypted.end_output(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buf),
            Self::Tls(encrypted) => encrypted.read(buf),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(buf),
            Self::Tls(encrypted) => encrypted.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(encrypted) => encrypted.flush(),
        }
    }
}

impl Peer {
    /// Connects as an ordinary client.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect_timeout(&address, PATIENCE).expect("connect"))
            .expect("a handshake")
    }

    /// Connects, if there is a listener.
    pub fn try_connect(address: SocketAddr) -> Option<Self> {
        TcpStream::connect_timeout(&address, PATIENCE).and_then(Self::new).ok()
    }

    /// Connects from `source`, if the server does not reset the connection at once.
    pub fn try_connect_from(source: IpAddr, address: SocketAddr) -> Option<Self> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM, None).expect("make a socket");
        socket.bind(&SocketAddr::new(source, 0).into()).expect("take the source address");
        let connected = socket.connect_timeout(&address.into(), PATIENCE);
        connected.and_then(|()| Self::new(socket.into())).ok()
    }

    /// Connects with the smallest receive buffer that the kernel has, so that few bytes fit on the
    /// way to a peer that does not read.
    #[track_caller]
    pub fn connect_with_small_window(address: SocketAddr) -> Self {
        Self::connect_small(address, |_| Ok(()))
    }

    /// As [`Peer::connect_with_small_window`], with a small send buffer and small segments, for
    /// which the server's kernel makes its own buffer small too: about 100 KB fit in each
    /// direction.
    #[track_caller]
    pub fn connect_with_small_segments(address: SocketAddr) -> Self {
        Self::connect_small(address, |socket| {
            socket.set_tcp_mss(536)?;
            socket.set_send_buffer_size(64 << 10)
        })
    }

    #[track_caller]
    fn connect_small(
        address: SocketAddr,
        prepare: impl FnOnce(&Socket) -> std::io::Result<()>,
    ) -> Self {
        let socket =
            Socket::new(Domain::for_address(address), Type::STREAM, None).expect("make a socket");
        // The buffer is set before the connection is made, because it bounds the announced window.
        socket.set_recv_buffer_size(4096).expect("shrink the receive buffer");
        prepare(&socket).expect("prepare the socket");
        socket.connect_timeout(&address.into(), PATIENCE).expect("connect");
        Self::new(socket.into()).expect("a handshake")
    }

    /// Fails only over TLS, where the handshake is made.
    fn new(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true).expect("switch Nagle off, so that each send is a segment");
        socket.set_read_timeout(Some(PATIENCE)).expect("set the read timeout");
        socket.set_write_timeout(Some(PATIENCE)).expect("set the write timeout");
        let stream = match encrypted::files() {
            None => Stream::Plain(socket),
            Some(folder) => {
                Stream::Tls(Encrypted::connect(socket, encrypted::common_config(&folder))?)
            }
        };
        Ok(Self { stream })
    }

    /// Returns the same connection, to send in one thread and read in another.
    pub fn twin(&self) -> Self {
        let stream = match &self.stream {
            Stream::Plain(socket) => Stream::Plain(socket.try_clone().expect("clone the socket")),
            Stream::Tls(encrypted) => Stream::Tls(encrypted.clone()),
        };
        Self { stream }
    }

    /// Returns the address of this end, as the server's log shows it.
    pub fn address(&self) -> SocketAddr {
        self.stream.socket().local_addr().expect("a connected socket has an address")
    }

    /// Sets the deadline of a read to `patience` instead of [`PATIENCE`].
    pub fn set_patience(&self, patience: Duration) {
        self.stream.socket().set_read_timeout(Some(patience)).expect("set the read timeout");
    }

    /// Sets the deadline of a send without progress to `patience` instead of [`PATIENCE`].
    pub fn set_send_patience(&self, patience: Duration) {
        self.stream.socket().set_write_timeout(Some(patience)).expect("set the write timeout");
    }

    /// Sends all of `bytes`.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("send");
    }

    /// Sends `bytes` in a new thread, for more bytes than the kernels hold while the server does
    /// not read.
    pub fn send_in_background(&self, bytes: Vec<u8>) -> JoinHandle<()> {
        let mut twin = self.twin();
        thread::spawn(move || twin.send(bytes))
    }

    /// Sends as many of `bytes` as fit; false once the connection is lost.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Repeats `bytes` until the kernels of both sides and the server have taken none for half a
    /// second.
    pub fn send_until_stuck(&mut self, bytes: &[u8]) -> usize {
        const STUCK: Duration = Duration::from_millis(500);
        self.stream.socket().set_nonblocking(true).expect("do not block");
        let (mut sent, mut last_progress) = (0, Instant::now());
        while last_progress.elapsed() < STUCK {
            // After a short write, the next one continues in the middle of `bytes`.
            match self.stream.write(&bytes[sent % bytes.len()..]) {
                Ok(len) => {
                    sent += len;
                    last_progress = Instant::now();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    thread::sleep(Duration::from_millis(5))
                }
                Err(error) => panic!("send until stuck: {error}"),
            }
        }
        self.stream.socket().set_nonblocking(false).expect("block again");
        sent
    }

    /// Sends `bytes` and the end of input in one segment.
    pub fn send_with_end(&mut self, bytes: &[u8]) {
        SockRef::from(self.stream.socket()).set_tcp_cork(true).expect("cork");
        self.send(bytes);
        self.half_close();
        SockRef::from(self.stream.socket()).set_tcp_cork(false).expect("uncork");
    }

    /// Ends the input; the answers still arrive.
    #[track_caller]
    pub fn half_close(&mut self) {
        self.stream.end_output().expect("half-close");
    }

    /// Ends the input, if the connection still has one.
    pub fn try_half_close(&mut self) {
        let _ = self.stream.end_output();
    }

    /// Resets the connection: the server sees a reset and no end of input.
    pub fn reset(self) {
        if let Stream::Tls(encrypted) = &self.stream {
            encrypted.abandon();
        }
        let socket = SockRef::from(self.stream.socket());
        socket.set_linger(Some(Duration::ZERO)).expect("set linger to zero");
    }

    /// Reads as many bytes as `expected` has and compares them.
    #[track_caller]
    pub fn expect(&mut self, expected: impl AsRef<[u8]>) {
        let expected = expected.as_ref();
        let (got, problem) = self.read_up_to(expected.len());
        let problem = problem.unwrap_or_default();
        assert!(got == expected, "{problem}{}", difference(&got, expected));
    }

    /// As [`Peer::expect`] on a connection that may end early: true exactly when all of `expected`
    /// arrived.
    #[track_caller]
    pub fn try_expect(&mut self, expected: &[u8]) -> bool {
        let (got, _) = self.read_up_to(expected.len());
        assert!(expected.starts_with(&got), "{}", difference(&got, expected));
        got.len() == expected.len()
    }

    /// Reads exactly `len` bytes.
    #[track_caller]
    pub fn read_exact(&mut self, len: usize) -> Vec<u8> {
        let (got, problem) = self.read_up_to(len);
        assert!(got.len() == len, "{} of {len} bytes: {}", got.len(), problem.unwrap_or_default());
        got
    }

    /// Reads up to and including the next `\n`.
    #[track_caller]
    pub fn read_line(&mut self) -> String {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            line.extend(self.read_exact(1));
        }
        String::from_utf8(line).expect("an answer in UTF-8")
    }

    /// Reads everything up to the server's end. A reset is a failure.
    #[track_caller]
    pub fn read_to_end(&mut self) -> Vec<u8> {
        let mut got = Vec::new();
        let end = self.stream.read_to_end(&mut got);
        assert!(end.is_ok(), "no clean end but {end:?}, after {}", shown(&got));
        got
    }

    /// Expects the server's end next: no byte, and no reset.
    #[track_caller]
    pub fn expect_eof(&mut self) {
        let rest = self.read_to_end();
        assert!(rest.is_empty(), "instead of the end: {}", shown(&rest));
    }

    /// Reads at most `max` bytes; none at the server's end.
    #[track_caller]
    pub fn read_some(&mut self, max: usize) -> Vec<u8> {
        let mut buf = vec![0; max];
        let len = uninterrupted(|| self.stream.read(&mut buf)).expect("read");
        buf.truncate(len);
        buf
    }

    /// Reads `len` bytes, or fewer if the connection ends before, in order or not. A connection
    /// without a byte or an end is a failure.
    #[track_caller]
    pub fn read_until_ended(&mut self, len: usize) -> Vec<u8> {
        let mut got = Vec::new();
        let end = Read::by_ref(&mut self.stream).take(len as u64).read_to_end(&mut got);
        let is_silent = end.is_err_and(|error| {
            matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
        });
        assert!(!is_silent, "neither bytes nor an end come after {}", shown(&got));
        got
    }

    /// True when there is something to read now.
    pub fn has_bytes(&self) -> bool {
        self.stream.socket().set_nonblocking(true).expect("do not block");
        let has_bytes = match &self.stream {
            Stream::Plain(socket) => matches!(socket.peek(&mut [0]), Ok(1)),
            Stream::Tls(encrypted) => encrypted.has_bytes(),
        };
        self.stream.socket().set_nonblocking(false).expect("block again");
        has_bytes
    }

    /// True when the connection has ended within the patience, in order or not. Bytes on the way
    /// are dropped.
    pub fn is_ended_by_server(&mut self) -> bool {
        let mut buf = [0; 4096];
        loop {
            match uninterrupted(|| self.stream.read(&mut buf)) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => {
                    return !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                }
            }
        }
    }

    /// Reads up to `len` bytes, and returns the reason why there are no more.
    fn read_up_to(&mut self, len: usize) -> (Vec<u8>, Option<String>) {
        let mut got = vec![0; len];
        let mut filled = 0;
        while filled < len {
            match uninterrupted(|| self.stream.read(&mut got[filled..])) {
                Ok(0) => {
                    got.truncate(filled);
                    return (got, Some("the server closed; ".into()));
                }
                Ok(read) => filled += read,
                Err(error) => {
                    got.truncate(filled);
                    return (got, Some(format!("{error}; ")));
                }
            }
        }
        (got, None)
    }
}

/// Describes the first difference of two byte strings, with a few bytes around it.
pub fn difference(got: &[u8], expected: &[u8]) -> String {
    let same = got.iter().zip(expected).take_while(|(got, expected)| got == expected).count();
    let from = same.saturating_sub(40);
    let window =
        |bytes: &[u8]| shown(bytes.get(from..bytes.len().min(same + 120)).unwrap_or_default());
    format!(
        "bytes differ at {same}\n     got ({} bytes): {}\nexpected ({} bytes): {}",
        got.len(),
        window(got),
        expected.len(),
        window(expected),
    )
}

/// Returns bytes in a readable form, shortened if there are many.
pub fn shown(bytes: &[u8]) -> String {
    const MAX: usize = 400;
    let cut = if bytes.len() > MAX { "..." } else { "" };
    format!("\"{}\"{cut}", bytes[..bytes.len().min(MAX)].escape_ascii())
}
