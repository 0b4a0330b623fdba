//! Reads with a deadline, for callers that wait for one answer at a time.

use std::io::{self, Read};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Reads bytes into `piece`. If there are none, it waits for them, without `until` forever.
///
/// Returns their number, 0 when the server has closed, and `None` when nothing arrived in time.
/// Bytes that have arrived are read, however late this call is made.
///
/// # Errors
/// When the connection breaks.
pub fn read_until(
    mut stream: &TcpStream,
    until: Option<Instant>,
    piece: &mut [u8],
) -> io::Result<Option<usize>> {
    loop {
        if !is_readable(stream, until)? {
            return Ok(None);
        }
        match stream.read(piece) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) => {}
            read => return read.map(Some),
        }
    }
}

/// Waits for bytes or the end of the connection. Returns false when neither came in time.
///
/// # Errors
/// When the system cannot wait.
pub fn is_readable(stream: &TcpStream, until: Option<Instant>) -> io::Result<bool> {
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        match poll(&mut [PollFd::new(stream.as_fd(), PollFlags::POLLIN)], poll_timeout(left)) {
            // A wait that is longer than the system allows is made of several.
            Ok(0) if left.is_none_or(|left| !left.is_zero()) => {}
            Ok(count) => return Ok(count > 0),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A duration in the system's milliseconds, rounded up; `None` waits forever.
pub fn poll_timeout(left: Option<Duration>) -> PollTimeout {
    let Some(left) = left else { return PollTimeout::NONE };
    let millis = left.as_nanos().div_ceil(1_000_000);
    i32::try_from(millis)
        .ok()
        .and_then(|millis| PollTimeout::try_from(millis).ok())
        .unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;

    #[test]
    fn bytes_that_have_arrived_are_read_after_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("a listener");
        let (mut server, _) = listener.accept().expect("connected");
        server.write_all(b"late").expect("connected");
        assert!(is_readable(&client, None).expect("connected"), "the bytes have arrived");
        let mut piece = [0; 8];
        assert_eq!(
            read_until(&client, Some(Instant::now()), &mut piece).expect("connected"),
            Some(4)
        );
        assert_eq!(read_until(&client, Some(Instant::now()), &mut piece).expect("connected"), None);
    }
}
