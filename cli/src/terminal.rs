//! The standard streams of a program: colours, one-line messages, and streams in non-blocking mode.

use std::env;
use std::fmt::Display;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tinytcp_core::display::escape::shown;

/// Returns true if output may have colours: on a terminal that is not dumb, unless `NO_COLOR` is
/// set and not empty (no-color.org).
#[must_use]
pub fn is_coloured(is_terminal: bool) -> bool {
    is_terminal
        && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && env::var_os("TERM").is_none_or(|value| value != "dumb")
}

/// Prints `program: message` as one line on stderr; a closed or full stderr is ignored.
///
/// Control characters are escaped: the message may quote bytes of a user or a server.
pub fn note(program: &str, message: impl Display) {
    let line = format!("{program}: {}\n", shown(message.to_string().as_bytes()));
    // One write, so that lines of several programs on one stderr do not mix.
    let _ = Blocking(io::stderr()).write_all(line.as_bytes());
}

/// A stream that waits when the inner one fails with `WouldBlock`.
///
/// The non-blocking mode of a standard stream is shared with every process that has the same one:
/// another process may have switched it on.
#[derive(Debug)]
pub struct Blocking<Stream>(pub Stream);

impl<Stream: AsFd> Blocking<Stream> {
    fn retry<Value>(
        &mut self,
        events: PollFlags,
        mut call: impl FnMut(&mut Stream) -> io::Result<Value>,
    ) -> io::Result<Value> {
        loop {
            match call(&mut self.0) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // After a signal, the call is only tried earlier.
                    let _ = poll(&mut [PollFd::new(self.0.as_fd(), events)], PollTimeout::NONE);
                }
                result => return result,
            }
        }
    }
}

impl<Stream: AsFd + Read> Read for Blocking<Stream> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.retry(PollFlags::POLLIN, |stream| stream.read(buffer))
    }
}

impl<Stream: AsFd + Write> Write for Blocking<Stream> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.retry(PollFlags::POLLOUT, |stream| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.retry(PollFlags::POLLOUT, Write::flush)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_stream_in_non_blocking_mode_is_waited_for() {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair of sockets");
        ours.set_nonblocking(true).expect("non-blocking mode");
        let (mut reading, mut writing) =
            (Blocking(ours.try_clone().expect("a clone")), Blocking(ours));
        let bytes = vec![b'x'; 4 << 20];
        let count = bytes.len();
        thread::scope(|scope| {
            scope.spawn(move || {
                thread::sleep(Duration::from_millis(20));
                theirs.write_all(b"y").expect("the other end reads");
                let mut got = vec![0; count];
                theirs.read_exact(&mut got).expect("all that was written");
            });
            reading.read_exact(&mut [0]).expect("a byte that arrives later");
            writing.write_all(&bytes).expect("more than the buffer of a socket");
        });
    }
}
