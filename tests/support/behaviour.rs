//! Servers made of one function, which is called with each connection.

use socket2::{Domain, SockRef, Socket, Type};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Serves every connection with `behaviour` in a new thread; returns the port.
pub fn serve(behaviour: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    serve_on(TcpListener::bind("127.0.0.1:0").expect("a free port"), behaviour)
}

/// Serves one connection after the other with `behaviour`; returns the port.
pub fn serve_in_turn(behaviour: impl Fn(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || listener.incoming().flatten().for_each(behaviour));
    port
}

/// As [`serve`], on an existing listener.
pub fn serve_on(
    listener: TcpListener,
    behaviour: impl Fn(TcpStream) + Send + Sync + 'static,
) -> u16 {
    let port = listener.local_addr().expect("bound").port();
    let behaviour = Arc::new(behaviour);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let behaviour = Arc::clone(&behaviour);
            thread::spawn(move || behaviour(stream));
        }
    });
    port
}

/// Serves every connection with `answer` to its first bytes, and keeps it open until the client
/// closes.
pub fn serve_once_asked(answer: &'static [u8]) -> u16 {
    serve(move |mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(answer);
        hold(stream);
    })
}

/// Keeps the connection open and silent until the client closes.
pub fn hold(mut stream: TcpStream) {
    while stream.read(&mut [0; 64 << 10]).is_ok_and(|len| len > 0) {}
}

/// Keeps the connection open until the end of the test, and reads nothing.
pub fn ignore(stream: TcpStream) {
    std::mem::forget(stream);
}

/// Resets the connection.
pub fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a socket");
}

/// A port that this process holds, so that no other program gets it, without a listener: a
/// connection is refused.
pub struct SilentPort {
    socket: Socket,
    pub number: u16,
}

impl SilentPort {
    pub fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
        let addr = socket.local_addr().expect("bound").as_socket().expect("an internet address");
        Self { socket, number: addr.port() }
    }

    /// Listens at the port from here on.
    pub fn listen(self) -> TcpListener {
        self.socket.listen(16).expect("listening");
        self.socket.into()
    }
}

/// A listener whose queue is full, so that the kernel drops further connections, as a firewall
/// does.
pub struct FullQueue {
    _listener: Socket,
    _queued: Vec<TcpStream>,
    pub port: u16,
}

impl FullQueue {
    pub fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
        socket.listen(0).expect("listening");
        let address = socket.local_addr().expect("bound").as_socket().expect("an internet address");
        let mut queued = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
            queued.push(stream);
            assert!(queued.len() < 100, "the queue never fills");
        }
        Self { _listener: socket, _queued: queued, port: address.port() }
    }
}
