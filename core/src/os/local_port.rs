//! The local port of an outgoing connection.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::SockRef;

/// Calls `connect` until the local port of the connection is not reserved.
///
/// A connection keeps its port for a minute after its end, and meanwhile no server can listen on
/// it. So a client must not use a port on which servers listen. Unwanted connections stay open
/// until the end of this call, so that the system does not choose their ports again; they are then
/// reset, which frees the ports at once.
///
/// # Errors
/// The errors of `connect`.
pub fn connect_avoiding<S: AsFd>(
    is_reserved: impl Fn(u16) -> bool,
    mut connect: impl FnMut() -> io::Result<S>,
) -> io::Result<S> {
    let mut given_up = Vec::new();
    loop {
        let socket = connect()?;
        let addr = SockRef::from(&socket).local_addr()?.as_socket();
        if !addr.is_some_and(|addr| is_reserved(addr.port())) {
            return Ok(socket);
        }
        SockRef::from(&socket).set_linger(Some(Duration::ZERO))?;
        given_up.push(socket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{SocketAddr, TcpListener, TcpStream};

    use socket2::{Domain, Socket, Type};

    #[test]
    fn a_reserved_port_is_replaced_and_is_free_at_once() {
        let server = TcpListener::bind("127.83.4.1:0").expect("any port");
        let addr = server.local_addr().expect("bound");
        let mut taken = Vec::new();
        // The first two ports are reserved.
        let reserved = std::cell::RefCell::new(Vec::new());
        let is_reserved = |port| {
            let mut reserved = reserved.borrow_mut();
            if reserved.len() < 2 {
                reserved.push(port);
            }
            reserved.contains(&port)
        };
        // No other program connects from this address, so none uses the same port.
        let source = SocketAddr::from(([127, 83, 4, 2], 0));
        let stream = connect_avoiding(is_reserved, || {
            taken.push(());
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.bind(&source.into())?;
            socket.connect(&addr.into())?;
            Ok(TcpStream::from(socket))
        });
        let stream = stream.expect("the server listens");
        assert_eq!(taken.len(), 3);
        for port in reserved.into_inner() {
            assert_ne!(stream.local_addr().expect("connected").port(), port);
            let (mut given_up, _) = server.accept().expect("it was connected");
            assert_eq!(
                given_up.read(&mut [0]).expect_err("reset").kind(),
                io::ErrorKind::ConnectionReset
            );
            drop(
                TcpListener::bind((stream.local_addr().expect("connected").ip(), port))
                    .expect("the port is free"),
            );
        }
    }

    #[test]
    fn an_error_of_connect_is_returned() {
        let failure = connect_avoiding(
            |_| true,
            || Err::<TcpStream, _>(io::ErrorKind::ConnectionRefused.into()),
        );
        assert_eq!(failure.expect_err("it always fails").kind(), io::ErrorKind::ConnectionRefused);
    }
}
