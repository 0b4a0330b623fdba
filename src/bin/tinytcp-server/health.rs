//! `--health`: asks a running server whether it is healthy, for containers without a shell.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use tinytcp_cli::address::Place;
use tinytcp_cli::timed_read::read_until;
use tinytcp_core::display::escape::shown;
use tinytcp_core::os::endpoint::Endpoint;
use tinytcp_core::os::outgoing::connect;

use crate::program_error::ProgramError;

/// A server whose whole answer takes longer than this is not healthy.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The longest answer to `/healthz` that is read.
const ANSWER_BYTES_MAX: usize = 4096;

/// Requests `/healthz` of the server at `place`. Returns the body of the answer.
///
/// # Errors
/// When the server cannot be reached or does not answer that it is healthy.
pub fn check(place: &Place) -> Result<String, ProgramError> {
    let url = format!("http{}://{place}", place.scheme_suffix());
    let answer = place.resolve().and_then(|endpoints| ask_any(&endpoints));
    let answer =
        answer.map_err(|error| ProgramError::Failure(format!("no answer from {url}: {error}")))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    // Any program can be at the other end: its bytes must not control the terminal.
    match head.split(' ').nth(1) {
        Some("200") => Ok(shown(body.trim_end().as_bytes()).to_string()),
        _ if head.is_empty() => {
            let fact = "the connection was closed; use the URL of --admin";
            Err(ProgramError::Failure(format!("no answer from {url}: {fact}")))
        }
        _ => {
            let status = shown(head.lines().next().unwrap_or_default().as_bytes());
            Err(ProgramError::Failure(format!("not healthy: {status}")))
        }
    }
}

/// Asks the first endpoint that can be reached.
fn ask_any(endpoints: &[Endpoint]) -> io::Result<String> {
    let mut result = Err(io::ErrorKind::NotFound.into());
    for endpoint in endpoints {
        result = ask(endpoint, TIMEOUT);
        if result.is_ok() {
            break;
        }
    }
    result
}

/// Returns the whole answer of `endpoint`, or the error `TimedOut` after about `timeout`.
fn ask(endpoint: &Endpoint, timeout: Duration) -> io::Result<String> {
    let deadline = Instant::now() + timeout;
    let mut stream = connect(endpoint, timeout)?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut bytes = [0; 1024];
    while answer.len() < ANSWER_BYTES_MAX {
        match read_until(&stream, Some(deadline), &mut bytes)? {
            None => return Err(io::ErrorKind::TimedOut.into()),
            Some(0) => break,
            Some(_) if Instant::now() >= deadline => return Err(io::ErrorKind::TimedOut.into()),
            Some(count) => answer.extend_from_slice(&bytes[..count]),
        }
    }
    String::from_utf8(answer).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn an_answer_is_shown_without_its_control_characters() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = listener.local_addr().expect("its address").port();
        let server = thread::spawn(move || {
            let (mut peer, _) = listener.accept().expect("accept");
            let read = peer.read(&mut [0; 1024]).expect("a request");
            assert!(read > 0);
            peer.write_all(b"HTTP/1.1 200 OK\r\n\r\nok\x1b[2J\n").expect("the client reads");
        });
        let shown = check(&Place::host("127.0.0.1", port)).expect("it is healthy");
        assert_eq!(shown, r"ok\x1b[2J");
        server.join().expect("no panic");
    }

    #[test]
    fn an_answer_that_never_ends_times_out() {
        for sends in [false, true] {
            let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
            let addr = listener.local_addr().expect("its address");
            let server = thread::spawn(move || {
                let (mut peer, _) = listener.accept().expect("accept");
                while sends && peer.write_all(b"H").is_ok() {
                    thread::sleep(Duration::from_millis(1));
                }
                let _ = peer.read_to_end(&mut Vec::new());
            });
            let error = ask(&Endpoint::Tcp(addr), Duration::from_millis(100)).expect_err("no end");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            server.join().expect("the peer sees the end");
        }
    }
}
