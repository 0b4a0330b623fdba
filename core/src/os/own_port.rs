//! The port of our own end of an outgoing connection.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::SockRef;

/// Connects by `connect`, and again for as long as the system takes a port for our end that
/// `is_reserved`.
///
/// A connection keeps its port for a minute after its end, and no server can listen there
/// meanwhile. So a client must not have a port on which servers listen. The connections that are
/// given up are reset, which frees their ports at once; until then they are kept, so that no port
/// comes twice.
///
/// # Errors
/// What `connect` says.
pub fn connect_elsewhere<S: AsFd>(
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
    fn a_reserved_port_is_given_up_for_another_one_and_is_free_at_once() {
        let server = TcpListener::bind("127.83.4.1:0").expect("any port");
        let addr = server.local_addr().expect("bound");
        let mut taken = Vec::new();
        // The first two ports that come are reserved.
        let reserved = std::cell::RefCell::new(Vec::new());
        let is_reserved = |port| {
            let mut reserved = reserved.borrow_mut();
            if reserved.len() < 2 {
                reserved.push(port);
            }
            reserved.contains(&port)
        };
        // From an address that no other program connects from, so that none of them has the port
        // too.
        let source = SocketAddr::from(([127, 83, 4, 2], 0));
        let stream = connect_elsewhere(is_reserved, || {
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
    fn a_failure_to_connect_is_passed_on() {
        let failure = connect_elsewhere(
            |_| true,
            || Err::<TcpStream, _>(io::ErrorKind::ConnectionRefused.into()),
        );
        assert_eq!(failure.expect_err("it always fails").kind(), io::ErrorKind::ConnectionRefused);
    }
}
